"""EXPLAIN as one HTML file with the drawing and every figure; it loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from tts_lang.explain.models import FORMULA
from tts_lang.explain.render import Figure, assumptions, shown
from tts_lang.explain.svg import to_svg
from tts_lang.explain.tree import Explained, Line
from tts_lang.explain.units import exact, row_count, short

if TYPE_CHECKING:
    from tts_lang.optimise.report import Table

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
.drawing { overflow: auto; border: 1px solid #ddd; padding: .5rem; max-height: 80vh; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #eee;
         white-space: nowrap; }
th { position: sticky; top: 0; background: #f6f6f6; font-weight: 600; }
th:first-child, td:first-child, td.text { text-align: left; }
td.op { white-space: pre-wrap; font-family: ui-monospace, monospace; font-size: 12px; }
td .mean { color: #06c; } .note { color: #555; max-width: 60rem; }
"""


def to_html(explained: Explained, optimiser: Table | None = None) -> str:
    """The page: drawing, operations, totals, what the optimiser did, what is assumed.

    Args:
        explained: The plan and its costs.
        optimiser: What was saved, and by which rules.
    """
    figures = shown(explained)
    expecting = explained.total is not None
    costs = "expected / at most" if expecting else "at most"
    notes = {value: row_count(rows) for value, rows in explained.bounds.rows.items()}
    title = escape(explained.title)
    document = (explained.plan.document or "").strip().split("\n")[0]
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>{escape(document)}</p>",
        f'<div class="drawing">{to_svg(explained.plan, notes)}</div>',
        f"<h2>Operations, {costs}, per problem</h2>",
        *_table(
            ["operation", "rows", *(figure.column or figure.name for figure in figures)],
            [_cells(line, depth, figures, expecting) for line, depth in _walk(explained.lines, 0)],
        ),
        "<h2>Total, per problem</h2>",
        *_totals(explained, figures),
    ]
    if optimiser is not None:
        parts.append(f"<h2>{escape(optimiser.heading[0].capitalize())}</h2>")
        rows = [[escape(cell) for cell in row] for row in optimiser.rows]
        parts += _table(["", *optimiser.heading[1:]], rows) if rows else []
        parts += [f'<p class="note">{escape(note)}</p>' for note in optimiser.notes]
    parts.append("<h2>What the numbers mean</h2>")
    meanings = [f"{f.column or f.name.strip()}: {f.meaning}" for f in figures if f.meaning]
    if explained.assumed.models:
        meanings.append(FORMULA)
    parts += [
        f'<p class="note">{escape(note)}</p>' for note in (*meanings, *assumptions(explained))
    ]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _totals(explained: Explained, figures: Sequence[Figure]) -> Iterator[str]:
    mean = explained.total
    rows = []
    for figure in figures:
        show = short if figure.field == "flops" else exact
        most = show(getattr(explained.bounds.total, figure.field))
        expected = [] if mean is None else [show(getattr(mean, figure.field))]
        rows.append([escape(figure.name.strip()), *expected, most])
    yield from _table(["", *(["expected"] if mean is not None else []), "at most"], rows)


def _walk(lines: Sequence[Line], depth: int) -> Iterator[tuple[Line, int]]:
    for line in lines:
        yield line, depth
        yield from _walk(line.inside, depth + 1)


def _cells(line: Line, depth: int, figures: Sequence[Figure], expecting: bool) -> list[str]:
    """One operation's cells, as HTML; the place in the file is a tooltip."""
    where = f"{line.origin.file}:{line.origin.line}" if line.origin is not None else ""
    text = f'<span title="{escape(where)}">{"    " * depth}{escape(line.text)}</span>'
    mean = line.mean if expecting else None
    rows = row_count(line.rows)
    if (
        mean is not None
        and mean.operations
        and line.rows is not None
        and line.rows.low != line.rows.high
    ):
        rows = f'<span class="mean">{short(mean.rows / mean.operations)}</span> / {rows}'
    cells = [text, rows]
    for figure in figures:
        most = 0 if line.spent is None else getattr(line.spent, figure.field)
        if most == 0:
            cells.append("")
        elif mean is None:
            cells.append(short(most))
        else:
            expected = short(getattr(mean, figure.field))
            cells.append(f'<span class="mean">{expected}</span> / {short(most)}')
    return cells


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells that are HTML already, under a heading that is not."""
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(each)}</th>" for each in heading) + "</tr>"]
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        lines.append(f'<tr><td class="op">{first}</td>{cells}</tr>')
    return [*lines, "</table>"]
