"""Diagnostics as values, and their renderings as text and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tts_lang.errors import CopiedWhole
from tts_lang.printable import columns, printable
from tts_lang.source import NOWHERE, Source, Span

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(Enum):
    """Errors stop the compiler with exit code 2; warnings do not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a strategy file.

    `message` says what is wrong, `expected` what could stand there instead, `suggestion` what to
    write, and `notes` add facts. Codes are listed in `tts_lang.codes`.
    """

    code: str
    severity: Severity
    message: str
    span: Span
    source: Source
    expected: tuple[str, ...] = ()
    suggestion: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether the file cannot be compiled because of this."""
        return self.severity is Severity.ERROR


def error(
    code: str,
    message: str,
    span: Span,
    source: Source,
    *,
    expected: tuple[str, ...] = (),
    suggestion: str | None = None,
    notes: tuple[str, ...] = (),
) -> Diagnostic:
    """An error at a place in a source."""
    return Diagnostic(code, Severity.ERROR, message, span, source, expected, suggestion, notes)


def warning(
    code: str,
    message: str,
    span: Span,
    source: Source,
    *,
    suggestion: str | None = None,
) -> Diagnostic:
    """A warning at a place in a source."""
    return Diagnostic(code, Severity.WARNING, message, span, source, (), suggestion)


def file_error(code: str, message: str, name: str, *, suggestion: str | None = None) -> Diagnostic:
    """An error about a file or a command-line argument as a whole: there is no line to show."""
    return error(code, message, NOWHERE, Source(name, ""), suggestion=suggestion)


class DiagnosticError(CopiedWhole):
    """Raised by the Python API when a strategy cannot be compiled; carries every diagnostic."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(render_text(self.diagnostics, color=False))


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by file and place, equal findings once."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.source.name, d.span, d.code)))


def suggest(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` most likely means, if one is close enough."""
    from difflib import get_close_matches  # only when something is wrong: it costs start-up time

    pool = list(dict.fromkeys(options))
    by_folded = {option.lower(): option for option in pool}
    if word.lower() in by_folded:
        return by_folded[word.lower()]
    # Two letters swapped in a short word are close, whatever the ratio: 'pmr' -> 'prm'.
    letters = sorted(word.lower())
    for folded, option in by_folded.items():
        if len(word) > 2 and sorted(folded) == letters:
            return option
        # One wrong letter of three is below any ratio that keeps others apart: 'prn' -> 'prm'.
        if len(word) == len(folded) == 3 and folded[:2] == word.lower()[:2]:
            return option
    # 0.7 keeps 'slect' -> 'select' and drops 'pool' -> 'prompt'.
    close = get_close_matches(word.lower(), by_folded, n=1, cutoff=0.7)
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """`did you mean 'select'?`, or nothing if no option is close."""
    best = suggest(word, options)
    return f"did you mean '{best}'?" if best is not None else None


_RED, _YELLOW, _BLUE, _BOLD, _RESET = "\033[31m", "\033[33m", "\033[34m", "\033[1m", "\033[0m"
_LONGEST_LINE = 160


def render_text(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """For people: place, message, the underlined source line, what was expected, a suggestion."""
    return "\n".join(_render_one(diagnostic, color) for diagnostic in diagnostics)


def _render_one(diagnostic: Diagnostic, color: bool) -> str:
    def paint(text: str, *codes: str) -> str:
        return "".join(codes) + text + _RESET if color else text

    hue = _RED if diagnostic.is_error else _YELLOW
    source = diagnostic.source
    place = source.position(diagnostic.span.start)
    name = printable(source.name, line=True)
    where = f"{name}:{place.line}:{place.column}" if source.text else name
    label = f"{diagnostic.severity.value}[{diagnostic.code}]"
    lines = [
        f"{paint(where, _BOLD)}: {paint(label, _BOLD, hue)}: "
        f"{paint(printable(diagnostic.message), _BOLD)}"
    ]
    indent = "  "
    if source.text:
        number = str(place.line)
        indent = " " * len(number)
        shown, column, width = _excerpt(diagnostic)
        bar = paint("|", _BLUE)
        lines.append(f"{paint(number, _BLUE)} {bar} {shown}")
        lines.append(f"{indent} {bar} {' ' * column}{paint('^' * width, hue)}")
        indent += " "
    if diagnostic.expected:
        lines.append(
            f"{indent}{paint('expected:', _BOLD)} {printable(', '.join(diagnostic.expected))}"
        )
    for note in diagnostic.notes:
        lines.append(f"{indent}{paint('note:', _BOLD)} {printable(note)}")
    if diagnostic.suggestion is not None:
        lines.append(f"{indent}{paint('help:', _BOLD)} {printable(diagnostic.suggestion)}")
    return "\n".join(lines) + "\n"


def _excerpt(diagnostic: Diagnostic) -> tuple[str, int, int]:
    """The source line as shown, with the place and width of the underline on a screen."""
    source, span = diagnostic.source, diagnostic.span
    place = source.position(span.start)
    line = source.line(place.line)
    column = place.column - 1
    width = max(1, min(span.end - span.start, len(line) - column))
    if len(line) > _LONGEST_LINE:
        left = max(0, column - _LONGEST_LINE // 2)
        line = line[left : left + _LONGEST_LINE]
        column -= left
        width = min(width, max(1, _LONGEST_LINE - column))
    # One character in, one out, so that the underline stays under what it marks.
    shown = "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in line)
    marked = shown[column : column + width]  # nothing at the end of a line
    return shown, columns(shown[:column]), max(1, columns(marked))


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """One diagnostic as plain JSON values; lines and columns from 1, ends exclusive."""
    start = diagnostic.source.position(diagnostic.span.start)
    end = diagnostic.source.position(diagnostic.span.end)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": diagnostic.source.name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "expected": list(diagnostic.expected),
        "suggestion": diagnostic.suggestion,
        "notes": list(diagnostic.notes),
    }


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list of diagnostics, for editors and other programs."""
    return json.dumps([as_json(diagnostic) for diagnostic in diagnostics], indent=2)
