"""Diagnostics of the compiler as the protocol shows them, and quick fixes from their help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias
from urllib.parse import quote

from lsprotocol import types as lsp
from pygls.workspace import PositionCodec

from tts_lang.diagnostics import Diagnostic
from tts_lang.lsp.positions import range_of
from tts_lang.lsp.project import EditorFiles
from tts_lang.repair import meant
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import parse
from tts_lang.syntax.tokens import tokenize

Check: TypeAlias = Callable[[Source], Sequence[Diagnostic]]

_PAGE = "https://tts-lang.github.io/tts-lang/diagnostics/"
_UNUSED = frozenset({"TTS901", "TTS902"})
_WRITE = re.compile(r"^write `(.*)`$", re.DOTALL)
_ABOVE = re.compile(r"^(?:import it|declare it at the top of the file): `(.*)`$", re.DOTALL)


def published(
    source: Source, diagnostics: Sequence[Diagnostic], files: EditorFiles
) -> list[lsp.Diagnostic]:
    """The diagnostics of one file in the protocol's form.

    Errors in a file that it imports are one error at the import, which points to them. The help
    stands in the message, since few editors show anything else.
    """
    own = [diagnostic for diagnostic in diagnostics if diagnostic.source == source]
    shown = [_shown(diagnostic, files.codec) for diagnostic in own]
    elsewhere: dict[str, list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        if diagnostic.source != source and diagnostic.is_error:
            elsewhere.setdefault(diagnostic.source.name, []).append(diagnostic)
    for name, errors in elsewhere.items():
        shown.append(_import_error(source, name, errors, files))
    return shown


def _shown(diagnostic: Diagnostic, codec: PositionCodec) -> lsp.Diagnostic:
    span = diagnostic.span
    if not diagnostic.source.slice(span).strip():  # an empty range is not drawn
        span = Span(span.start, max(span.end, min(span.start + 1, len(diagnostic.source.text))))
    anchor = quote(diagnostic.code.lower())
    return lsp.Diagnostic(
        range_of(diagnostic.source, span, codec),
        message_of(diagnostic),
        severity=lsp.DiagnosticSeverity.Error
        if diagnostic.is_error
        else lsp.DiagnosticSeverity.Warning,
        code=diagnostic.code,
        code_description=lsp.CodeDescription(f"{_PAGE}#{anchor}"),
        source="tts",
        tags=[lsp.DiagnosticTag.Unnecessary] if diagnostic.code in _UNUSED else None,
    )


def message_of(diagnostic: Diagnostic) -> str:
    """The message, and below it what else there is to say."""
    lines = [diagnostic.message]
    if diagnostic.expected:
        lines.append(f"expected: {', '.join(diagnostic.expected)}")
    lines += [f"note: {note}" for note in diagnostic.notes]
    if diagnostic.suggestion is not None:
        lines.append(f"help: {diagnostic.suggestion}")
    return "\n".join(lines)


def _import_error(
    source: Source, name: str, errors: Sequence[Diagnostic], files: EditorFiles
) -> lsp.Diagnostic:
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(
                files.uri(error.source.name), range_of(error.source, error.span, files.codec)
            ),
            f"{error.code}: {error.message}",
        )
        for error in errors[:10]
    ]
    place = errors[0].source.position(errors[0].span.start)
    return lsp.Diagnostic(
        range_of(source, _import_of(source, name), files.codec),
        f"this file has errors; line {place.line}: {errors[0].message}",
        severity=lsp.DiagnosticSeverity.Error,
        code=errors[0].code,
        source="tts",
        related_information=related,
    )


def _import_of(source: Source, name: str) -> Span:
    """The import of a file, or the first import if it is imported indirectly."""
    imports = [each for each in parse(source).file.items if isinstance(each, nodes.Import)]
    for item in imports:
        if name.endswith(item.path.value.rpartition("/")[2]):
            return item.path.span
    return imports[0].path.span if imports else Span(0, 0)


# ------------------------------------------------------------------------------ quick fixes


def quick_fix(diagnostic: Diagnostic, check: Check) -> tuple[Span, str] | None:
    """The replacement that the help states exactly, and its span, if it fixes the error.

    Every reading of the help is tried: one is offered only if the compiler then finds no error
    there, and none that it had not found before.
    """
    for span, text in _readings(diagnostic):
        if _mends(diagnostic, span, text, check):
            return span, text
    return None


def _readings(diagnostic: Diagnostic) -> Iterator[tuple[Span, str]]:
    source, help_ = diagnostic.source, diagnostic.suggestion or ""
    start = source.text.rfind("\n", 0, diagnostic.span.start) + 1
    end = source.text.find("\n", diagnostic.span.start)
    end = len(source.text) if end < 0 else end
    line = source.text[start:end]
    if (above := _ABOVE.search(help_)) is not None:
        place = _after_imports(source)
        yield Span(place, place), f"{above[1]}\n"
        return
    if help_ == "remove it" and diagnostic.span.end <= end:
        yield diagnostic.span, ""
    if help_ == "remove the statement":  # the place is the name that is never read
        yield Span(start, _next_statement(source, diagnostic.span.start)), ""
    if (new := meant(diagnostic, line, start)) is not None:
        yield Span(start, end), new
    if (written := _WRITE.match(help_)) is None or diagnostic.span.end > end:
        return
    indent = line[: len(line) - len(line.lstrip())]
    yield Span(start, end), "\n".join(indent + each for each in written[1].split("` and `"))
    if "`" not in written[1]:
        yield diagnostic.span, written[1]


def _mends(diagnostic: Diagnostic, span: Span, text: str, check: Check) -> bool:
    source = diagnostic.source
    if source.slice(span) == text:
        return False
    after = Source.of(source.text[: span.start] + text + source.text[span.end :], source.name)
    grown = len(text) - (span.end - span.start)
    # An import above moves the place down; a changed line is looked at as a whole.
    start, end = (
        (diagnostic.span.start + grown, diagnostic.span.end + grown)
        if span.end <= diagnostic.span.start
        else (span.start, span.end + grown)
    )
    before = {(other.code, other.message) for other in check(source)}
    for other in check(after):
        inside = other.source == after and start <= other.span.start <= end
        new = (other.code, other.message) not in before
        if inside and (other.is_error or other.code == diagnostic.code):
            return False
        if other.is_error and new and (other.source != after or other.code.startswith("TTS1")):
            return False
    return True


def _next_statement(source: Source, offset: int) -> int:
    """Where the line begins that does not continue the statement at an offset."""
    ends = (each.end for each in tokenize(source).tokens if each.type == "NL")
    last = next((end for end in ends if end >= offset), len(source.text))
    return source.text.find("\n", last) + 1 or len(source.text)


def _after_imports(source: Source) -> int:
    """The place for a new import or declaration: below the imports."""
    file = parse(source).file
    place = 0 if file.docstring is None else file.docstring.span.end
    for item in file.items:
        if isinstance(item, nodes.Import):
            place = item.span.end
    if not place:
        return 0
    end = source.text.find("\n", place)
    return len(source.text) if end < 0 else end + 1
