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
from tts_lang.lsp.project import uri_of
from tts_lang.repair import meant
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import parse

Check: TypeAlias = Callable[[Source], Sequence[Diagnostic]]

_PAGE = "https://tts-lang.github.io/tts-lang/diagnostics/"
_UNUSED = frozenset({"TTS901", "TTS902"})
_WRITE = re.compile(r"^write `(.*)`$", re.DOTALL)
_ABOVE = re.compile(r"^(?:import it|declare it at the top of the file): `(.*)`$", re.DOTALL)


def published(
    source: Source, found: Sequence[Diagnostic], codec: PositionCodec
) -> list[lsp.Diagnostic]:
    """The findings about one file, as far as they are in it.

    Errors in a file that it imports are one error at the import, which points to them. The help
    stands in the message, since few editors show anything else.
    """
    shown = [_shown(each, codec) for each in found if each.source == source]
    elsewhere: dict[str, list[Diagnostic]] = {}
    for each in found:
        if each.source != source and each.is_error:
            elsewhere.setdefault(each.source.name, []).append(each)
    for name, errors in elsewhere.items():
        shown.append(_import_error(source, name, errors, codec))
    return shown


def _shown(found: Diagnostic, codec: PositionCodec) -> lsp.Diagnostic:
    span = found.span
    if not found.source.slice(span).strip():  # an empty range is not drawn
        span = Span(span.start, max(span.end, min(span.start + 1, len(found.source.text))))
    anchor = quote(found.code.lower())
    return lsp.Diagnostic(
        range_of(found.source, span, codec),
        message_of(found),
        severity=lsp.DiagnosticSeverity.Error if found.is_error else lsp.DiagnosticSeverity.Warning,
        code=found.code,
        code_description=lsp.CodeDescription(f"{_PAGE}#{anchor}"),
        source="tts",
        tags=[lsp.DiagnosticTag.Unnecessary] if found.code in _UNUSED else None,
    )


def message_of(found: Diagnostic) -> str:
    """The message, and below it what else there is to say."""
    lines = [found.message]
    if found.expected:
        lines.append(f"expected: {', '.join(found.expected)}")
    lines += [f"note: {note}" for note in found.notes]
    if found.suggestion is not None:
        lines.append(f"help: {found.suggestion}")
    return "\n".join(lines)


def _import_error(
    source: Source, name: str, errors: Sequence[Diagnostic], codec: PositionCodec
) -> lsp.Diagnostic:
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(uri_of(each.source.name), range_of(each.source, each.span, codec)),
            f"{each.code}: {each.message}",
        )
        for each in errors[:10]
    ]
    place = errors[0].source.position(errors[0].span.start)
    return lsp.Diagnostic(
        range_of(source, _import_of(source, name), codec),
        f"this file has errors; line {place.line}: {errors[0].message}",
        severity=lsp.DiagnosticSeverity.Error,
        code=errors[0].code,
        source="tts",
        related_information=related,
    )


def _import_of(source: Source, name: str) -> Span:
    """Where a file is imported, or the first import, by way of which it is."""
    imports = [each for each in parse(source).file.items if isinstance(each, nodes.Import)]
    for each in imports:
        if name.endswith(each.path.value.rpartition("/")[2]):
            return each.path.span
    return imports[0].path.span if imports else Span(0, 0)


# ------------------------------------------------------------------------------ quick fixes


def quick_fix(found: Diagnostic, check: Check) -> tuple[Span, str] | None:
    """What to write in place of what, if the help says so exactly and it mends the place.

    Every reading of the help is tried: one is offered only if the compiler then finds no error
    there, and none that it had not found before.
    """
    for span, text in _readings(found):
        if _mends(found, span, text, check):
            return span, text
    return None


def _readings(found: Diagnostic) -> Iterator[tuple[Span, str]]:
    source, help_ = found.source, found.suggestion or ""
    start = source.text.rfind("\n", 0, found.span.start) + 1
    end = source.text.find("\n", found.span.start)
    end = len(source.text) if end < 0 else end
    line = source.text[start:end]
    if (above := _ABOVE.search(help_)) is not None:
        place = _after_imports(source)
        yield Span(place, place), f"{above[1]}\n"
        return
    if help_ == "remove it" and found.span.end <= end:
        yield found.span, ""
    if help_ == "remove the statement":  # the place is the name that is never read
        yield Span(start, min(end + 1, len(source.text))), ""
    if (new := meant(found, line, start)) is not None:
        yield Span(start, end), new
    if (written := _WRITE.match(help_)) is None or found.span.end > end:
        return
    indent = line[: len(line) - len(line.lstrip())]
    yield Span(start, end), "\n".join(indent + each for each in written[1].split("` and `"))
    if "`" not in written[1]:
        yield found.span, written[1]


def _mends(found: Diagnostic, span: Span, text: str, check: Check) -> bool:
    source = found.source
    if source.slice(span) == text:
        return False
    after = Source.of(source.text[: span.start] + text + source.text[span.end :], source.name)
    grown = len(text) - (span.end - span.start)
    # An import above moves the place down; a changed line is looked at as a whole.
    start, end = (
        (found.span.start + grown, found.span.end + grown)
        if span.end <= found.span.start
        else (span.start, span.end + grown)
    )
    before = {(each.code, each.message) for each in check(source)}
    for each in check(after):
        here = each.source == after and start <= each.span.start <= end
        new = (each.code, each.message) not in before
        if here and (each.is_error or each.code == found.code):
            return False
        if each.is_error and new and (each.source != after or each.code.startswith("TTS1")):
            return False
    return True


def _after_imports(source: Source) -> int:
    """Where an import or a declaration can be put: below the imports there are."""
    file = parse(source).file
    place = 0 if file.docstring is None else file.docstring.span.end
    for each in file.items:
        if isinstance(each, nodes.Import):
            place = each.span.end
    if not place:
        return 0
    end = source.text.find("\n", place)
    return len(source.text) if end < 0 else end + 1
