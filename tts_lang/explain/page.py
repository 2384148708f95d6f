"""EXPLAIN as one HTML file with the drawing and every figure; it loads nothing.

It follows the reader's light or dark theme. On a phone it shows another drawing, in which fewer
boxes stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tts_lang.explain.drawing import BoxRole
from tts_lang.explain.layout import (
    CHARACTER,
    LINE,
    NOTE_CHARACTER,
    PAD_X,
    PAD_Y,
    Box,
    Point,
    layout,
)
from tts_lang.explain.models import FORMULA
from tts_lang.explain.render import CostFigure, assumptions, shown
from tts_lang.explain.tree import Explained, Line
from tts_lang.explain.units import exact, row_count, short
from tts_lang.printable import columns

if TYPE_CHECKING:
    from tts_lang.optimise.report import Table

#: Pixels that a drawing may take on a screen and on a phone (390 pixels wide, less its margins).
WIDE: Final = 1000
NARROW: Final = 360

#: Makes areas that scroll on a phone reachable by keyboard.
_REACHED: Final = ' tabindex="0"'

#: Colors of a drawing, and of the page around it, as declarations; where they hold, `color-scheme`
#: says whether it is light or dark.
COLORS: Final = """
  --page: light-dark(#fff, #15171a); --text: light-dark(#1d2025, #e6e8eb);
  --soft: light-dark(#5c636d, #a4abb5); --rule: light-dark(#e2e5e9, #2e3238);
  --edge: light-dark(#6b727c, #8d95a0); --head: light-dark(#f5f6f8, #1e2125);
  --mean: light-dark(#0b5cc4, #7fb4ff); --border: light-dark(#9aa1ab, #626a75);
  --group: light-dark(rgba(20, 40, 80, .03), rgba(200, 220, 255, .04));
  --policy: light-dark(#d5e6ff, #1d3b63); --scorer: light-dark(#ffe4c2, #59401c);
  --pool: light-dark(#f0f1f3, #2a2d32); --number: light-dark(#e1f3e2, #214529);
"""

#: The look of `drawings`.
DRAWING: Final = """
.scroll { overflow-x: auto; } .narrow { display: none; }
svg { display: block; margin: 0 auto; max-width: none; }
svg rect { stroke: var(--border); } svg path { fill: none; stroke: var(--edge); }
svg marker path { fill: var(--edge); stroke: none; }
svg text { fill: var(--text); font: 12px ui-monospace, Menlo, Consolas, monospace; }
svg text.note { fill: var(--soft); font-size: 10px; } svg .answer { stroke-width: 2; }
.policy { fill: var(--policy); background: var(--policy); }
.scorer { fill: var(--scorer); background: var(--scorer); }
.pool { fill: var(--pool); background: var(--pool); }
.number { fill: var(--number); background: var(--number); }
.group, .loop { fill: var(--group); background: var(--group); }
svg .loop { stroke-dasharray: 6 4; }
@media (max-width: 700px) { .wide { display: none; } .narrow { display: block; } }
"""

_STYLE = f"""
:root {{ color-scheme: light dark; {COLORS} }}
* {{ box-sizing: border-box; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem 1.5rem 3rem;
  max-width: 66rem; color: var(--text); background: var(--page); overflow-wrap: break-word; }}
h1 {{ font-size: 1.35rem; line-height: 1.3; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }}
th, td {{ padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }}
th {{ background: var(--head); font-weight: 600; }}
th:first-child, td:first-child {{ text-align: left; padding-left: .3rem; }}
td.op {{ white-space: pre-wrap; font: 12px/1.6 ui-monospace, monospace; min-width: 15rem; }}
.mean {{ color: var(--mean); }} .note {{ color: var(--soft); max-width: 60rem; }}
.legend {{ display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; margin: .8rem 0;
  list-style: none; font-size: 13px; color: var(--soft); }}
.legend i {{ display: inline-block; width: 1.5em; height: 1em; margin-right: .4em;
  vertical-align: -.1em; border: 1px solid var(--border); border-radius: 3px; }}
{DRAWING}
.legend .loop {{ border-style: dashed; }}
@media (max-width: 700px) {{
  body {{ padding: .5rem .75rem 2rem; }} h1 {{ font-size: 1.15rem; }}
  td.op {{ min-width: 12rem; }} }}
"""


def to_html(explained: Explained, optimiser: Table | None = None) -> str:
    """The page: drawing, operations, totals, the optimiser's savings, assumptions.

    Args:
        explained: The plan and its costs.
        optimiser: Savings, and the rules behind them.
    """
    figures = shown(explained)
    expecting = explained.total is not None
    costs = "expected / at most" if expecting else "at most"
    title = escape(explained.title)
    document = (explained.plan.document or "").strip().split("\n")[0]
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{title}</h1>",
        f"<p>{escape(document)}</p>",
        *drawings(explained.lines),
        *_legend(explained.lines),
        "<h2>Total, per problem</h2>",
        *_totals(explained, figures),
        f"<h2>Operations, {costs}, per problem</h2>",
        *_table(
            ["operation", "rows", *(figure.column or figure.name for figure in figures)],
            [_cells(line, depth, figures, expecting) for line, depth in _walk(explained.lines, 0)],
        ),
    ]
    if optimiser is not None:
        parts.append(f"<h2>{escape(optimiser.heading[0].capitalize())}</h2>")
        rows = [[escape(cell) for cell in row] for row in optimiser.rows]
        parts += _table(["cost", *optimiser.heading[1:]], rows) if rows else []
        parts += [f'<p class="note">{escape(note)}</p>' for note in optimiser.notes]
    parts.append("<h2>What the numbers mean</h2>")
    meanings = [f"{f.column or f.name.strip()}: {f.meaning}" for f in figures if f.meaning]
    if explained.assumed.models:
        meanings.append(FORMULA)
    if explained.nouns:
        names = ", ".join(f"({noun})" for noun in explained.nouns)
        meanings.append(f"{names}: rows that the strategy gives no name")
    parts += [
        f'<p class="note">{escape(note)}</p>' for note in (*meanings, *assumptions(explained))
    ]
    return "\n".join([*parts, "</main></body></html>"]) + "\n"


# ------------------------------------------------------------------------------ the drawing


def drawings(lines: Sequence[Line], wide: float = WIDE, name: str = "arrow") -> Iterator[str]:
    """The drawing for a screen, and that for a phone if it is another one, as HTML.

    Args:
        lines: What is drawn.
        wide: Pixels that the drawing for a screen may take.
        name: Tells its arrowheads from those of other drawings on the page.
    """
    placed = (layout(lines, width) for width in (wide, NARROW))
    for_screen, for_phone = (to_svg(each, f"{name}-{each.width:.0f}") for each in placed)
    if for_screen == for_phone:
        yield f'<div class="scroll"{_REACHED}>{for_screen}</div>'
    else:
        yield f'<div class="scroll wide"{_REACHED}>{for_screen}</div>'
        yield f'<div class="scroll narrow"{_REACHED}>{for_phone}</div>'


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    """The roles that boxes have."""
    roles = {box.role for box in layout(lines, WIDE).all_boxes() if box.line is not None}
    yield '<ul class="legend">'
    for role in BoxRole:
        if role in roles:
            yield f'<li><i class="{role.name.lower()}"></i>{role.value}</li>'
    yield "</ul>"


def to_svg(whole: Box, arrow: str = "arrow") -> str:
    """A drawing whose colors the page's style sheet gives.

    Args:
        whole: The drawing.
        arrow: Identifies its arrowheads in the page.
    """
    size = f"{whole.width:.0f} {whole.height:.0f}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
            f'width="{whole.width:.0f}" height="{whole.height:.0f}" role="img" '
            'aria-label="What each line reads from the others">',
            f'<defs><marker id="{arrow}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            *_shapes(whole, arrow),
            "</svg>",
        ]
    )


def _shapes(box: Box, arrow: str) -> Iterator[str]:
    """A box, its text, the boxes inside and the edges between them."""
    if box.line is None:
        width = columns(box.lines[0]) * CHARACTER + 2 * PAD_X
        place = f'x="{box.x + (box.width - width) / 2:.1f}" y="{box.y + 1:.1f}"'
        height = box.head - 2
        yield f'<rect class="pool" {place} width="{width:.1f}" height="{height:.1f}" rx="11"/>'
    else:
        classes = box.role.name.lower() + " answer" * box.line.text.startswith("return ")
        place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}"'
        yield f'<rect class="{classes}" {place} height="{box.height:.1f}" rx="5"/>'
    middle = box.x + box.width / 2
    texts = [*((line, "") for line in box.lines), *((line, ' class="note"') for line in box.notes)]
    for number, (text, look) in enumerate(texts):
        y = box.y + PAD_Y + LINE * (number + 0.75)
        length = (NOTE_CHARACTER if look else CHARACTER) * columns(text)
        left = box.x + PAD_X if box.inside and box.line is not None else middle - length / 2
        place = f'x="{left:.1f}" y="{y:.1f}" textLength="{length:.1f}"'  # whatever the font
        yield f"<text{look} {place}>{escape(text)}</text>"
    for path in box.edges:
        # An edge that leaves by the lower edge continues in the next box: no arrow head.
        end = "" if path[-1][1] >= box.y + box.height else f' marker-end="url(#{arrow})"'
        yield f'<path d="{_path(path)}"{end}/>'
    for inner in box.inside:
        yield from _shapes(inner, arrow)


def _path(points: Sequence[Point]) -> str:
    """Straight down, or a curve that leaves and arrives straight down."""
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        if abs(x - to_x) < 0.05:
            path += f" L{to_x:.1f},{to_y:.1f}"
            continue
        bend = (y + to_y) / 2
        path += f" C{x:.1f},{bend:.1f} {to_x:.1f},{bend:.1f} {to_x:.1f},{to_y:.1f}"
    return path


# ------------------------------------------------------------------------------ tables


def _totals(explained: Explained, figures: Sequence[CostFigure]) -> Iterator[str]:
    mean = explained.total
    rows = []
    for figure in figures:
        show = short if figure.field == "flops" else exact
        most = show(getattr(explained.bounds.total, figure.field))
        expected = [] if mean is None else [show(getattr(mean, figure.field))]
        rows.append([escape(figure.name.strip()), *expected, most])
    yield from _table(["cost", *(["expected"] if mean is not None else []), "at most"], rows)


def _walk(lines: Sequence[Line], depth: int) -> Iterator[tuple[Line, int]]:
    for line in lines:
        yield line, depth
        yield from _walk(line.inside, depth + 1)


def _cells(line: Line, depth: int, figures: Sequence[CostFigure], expecting: bool) -> list[str]:
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
    cells = "".join(f"<th>{escape(each)}</th>" for each in heading)
    lines = [f'<div class="scroll"{_REACHED}><table>', f"<tr>{cells}</tr>"]
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        lines.append(f'<tr><td class="op">{first}</td>{cells}</tr>')
    return [*lines, "</table></div>"]
