r"""Tables of a study as files: LaTeX to be `\input`, Markdown, CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tts_runtime.report.drawing import csv_text
from tts_runtime.report.tables import Cell, IntervalCell, Quantity, StudyTable

#: Titles of columns that hold names.
_NAMES: Final = ("strategy", "against")
#: Characters that LaTeX obeys, or sets as another one in its old font encoding.
_LATEX: Final = {
    **{each: f"\\{each}" for each in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
}
#: Signs that two of make another one (`--` is a dash), and what `\\` would take for its argument.
_JOINED: Final = re.compile(r"(?<=[-,!?])(?=[-,`!?])|^(?=[\[*])")
_MARKDOWN: Final = re.compile(r"[\\`*_\[\]<>|~$#]|[&:@](?=\w)|^[-+]")


def latex(table: StudyTable, notes: Sequence[str]) -> str:
    r"""A `tabular` for the package booktabs; what it shows stands above it as comments.

    Args:
        notes: Lines of comments, such as what ran.
    """
    names = sum(1 for title in table.titles if title in _NAMES)
    columns = "l" * names + "r" * (len(table.titles) - names)
    lines = [
        *(f"% {line}" for line in (table.heading, *_strong_note(table), *notes)),
        r"% In the preamble: \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row([_escaped(title) for title in table.titles]),
        r"\midrule",
        *(_latex_row([_latex_cell(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def markdown(table: StudyTable, notes: Sequence[str]) -> str:
    """A table as GitHub and most editors read it, with lines above and below; see `latex`."""
    lines = [
        _marked(table.heading),
        "",
        _markdown_row([_marked(title) for title in table.titles]),
        _markdown_row(["---" if title in _NAMES else "---:" for title in table.titles]),
        *(_markdown_row([_markdown_cell(cell) for cell in row]) for row in table.rows),
    ]
    for note in (*_strong_note(table), *notes):
        lines += ["", _marked(note)]
    return "\n".join(lines) + "\n"


def table_csv(table: StudyTable) -> str:
    """Values with six digits, as in the files of figures; an interval has two columns."""
    wide = [
        any(isinstance(row[at], IntervalCell) for row in table.rows)
        for at in range(len(table.titles))
    ]
    titles = [
        part
        for title, two in zip(table.titles, wide, strict=True)
        for part in ((f"{title} low", f"{title} high") if two else (title,))
    ]
    rows = [
        [value for cell, two in zip(row, wide, strict=True) for value in _values(cell, two=two)]
        for row in table.rows
    ]
    return csv_text(titles, rows)


def _strong_note(table: StudyTable) -> list[str]:
    strong = any(isinstance(cell, Quantity) and cell.strong for row in table.rows for cell in row)
    return ["bold: the test tells it apart from zero (p below 0.05)"] if strong else []


def _escaped(text: str) -> str:
    return "{}".join(
        "".join(_LATEX.get(character, character) for character in part)
        for part in _JOINED.split(text)
    )


def _latex_cell(cell: Cell) -> str:
    match cell:
        case None:
            return "--"
        case Quantity(_, shown, strong):
            return rf"{{\boldmath${shown}$}}" if strong else _latex_number(shown)
        case IntervalCell(low, high):
            return f"$[{low.shown}, {high.shown}]$"
        case _:
            return _escaped(cell)


def _latex_number(shown: str) -> str:
    """In mathematics where a sign is one of it, so that a minus is no hyphen."""
    return f"${shown}$" if shown[0] in "+-<>" else _escaped(shown)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _marked(text: str) -> str:
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", text)


def _markdown_cell(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case Quantity(_, shown, strong):
            return f"**{shown}**" if strong else _marked(shown)
        case IntervalCell(low, high):
            return f"[{low.shown}, {high.shown}]"
        case _:
            return _marked(cell)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _values(cell: Cell, *, two: bool) -> list[float | str | None]:
    match cell:
        case IntervalCell(low, high):
            return [_digits(low), _digits(high)]
        case Quantity():
            return [_digits(cell)]
        case _:
            return [cell or None] * (1 + two)


def _digits(number: Quantity) -> float:
    return float(f"{number.value:.6g}")
