"""A plan's dataflow graph as SVG: ranks from top to bottom, regions as boxes, edges between ranks.

A layered layout (Sugiyama et al., 1981) of each region by itself: what reads nothing of the region
stands in the first rank, everything else below what it reads; edges that pass a rank get a place in
it. Graphviz would draw more beautifully, but a page should need nothing but itself.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import TypeAlias

from tts_lang.plan.draw import COLORS, Cluster, Look, drawing
from tts_lang.plan.graph import Plan

_CHARACTER, _LINE, _WRAP = 6.4, 15.0, 34  # width and height of text in pixels; wrapped at so many
_GAP, _RANK, _EDGE = 26.0, 46.0, 12.0  # between boxes, between ranks, width of a passing edge

#: An edge that passes more ranks than this has no place in them: a thousand of them fill a page.
_FAR = 40

Point: TypeAlias = tuple[float, float]


@dataclass(eq=False, slots=True)
class _Box:
    """Something with a place: a node, a region, or an edge that passes a rank.

    `x`, `y` are those of the upper left corner, inside the region around it until `_settle`.
    """

    order: int
    width: float
    height: float
    node: str = ""
    look: Look | None = None
    lines: Sequence[str] = ()
    title: str = ""
    inside: list[_Box] = field(default_factory=list)
    passing: dict[tuple[str, str], list[_Box]] = field(default_factory=dict)
    x: float = 0.0
    y: float = 0.0


def to_svg(plan: Plan, notes: Mapping[int, str] | None = None) -> str:
    """The drawing; `notes` are shown with the values they belong to."""
    cluster, edges = drawing(plan, notes or {})
    whole = _region(cluster, edges)
    _settle(whole, 0.0, 0.0)
    places: dict[str, _Box] = {}
    passing: dict[tuple[str, str], list[_Box]] = {}
    _collect(whole, places, passing)
    shapes = [*_boxes(whole), *_edges(edges, places, passing)]
    size = f"{whole.width:.0f} {whole.height:.0f}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
            f'width="{whole.width:.0f}" height="{whole.height:.0f}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="11">',
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/>'
            "</marker></defs>",
            *shapes,
            "</svg>",
        ]
    )


# ------------------------------------------------------------------------------ places


def _region(cluster: Cluster, edges: Sequence[tuple[str, str, str]]) -> _Box:
    """A region with everything in it placed."""
    items = [_node(*node) for node in cluster.nodes]
    items += [_region(inner, edges) for inner in cluster.inside]
    items.sort(key=lambda item: item.order)
    owner = {name: item for item in items for name in _names(item)}
    links = [
        (owner[source], owner[target], (source, target))
        for source, target, _ in edges
        if source in owner and target in owner and owner[source] is not owner[target]
    ]
    read: dict[_Box, list[_Box]] = {item: [] for item in items}
    for source, target, _ in links:
        read[target].append(source)
    rank: dict[_Box, int] = {}
    for item in items:  # in program order: what is read stands before its reader
        rank[item] = max((rank[source] + 1 for source in read[item]), default=0)
    rows: list[list[_Box]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for item in items:
        rows[rank[item]].append(item)
    box = _Box(min((item.order for item in items), default=0), 0.0, 0.0, title=cluster.title)
    above: dict[_Box, list[_Box]] = {item: [] for item in items}
    for source, target, name in links:
        chain = [source]
        far = rank[target] - rank[source] > _FAR
        for between in range(rank[source] + 1, rank[source] if far else rank[target]):
            passed = _Box(source.order, _EDGE, 0.0)
            above[passed] = [chain[-1]]
            chain.append(passed)
            rows[between].append(passed)
        above[target].append(chain[-1])
        box.passing[name] = chain[1:]
    box.inside = [item for row in rows for item in row]
    _place(box, rows, above)
    return box


def _node(name: str, text: str, look: Look) -> _Box:
    lines = textwrap.wrap(text, _WRAP) or [text]
    width = max(map(len, lines)) * _CHARACTER + 22
    return _Box(int(name[1:]), width, len(lines) * _LINE + 12, name, look, lines)


def _names(box: _Box) -> Iterator[str]:
    if box.node:
        yield box.node
    for inner in box.inside:
        yield from _names(inner)


def _place(box: _Box, rows: list[list[_Box]], above: Mapping[_Box, list[_Box]]) -> None:
    """Rank below rank, each in the order of what it hangs on."""
    margin = 14.0
    title = len(box.title) * _CHARACTER + 2 * margin if box.title else 0.0
    widths = [sum(item.width for item in row) + _GAP * (len(row) - 1) for row in rows]
    inner = max([*widths, title - 2 * margin, 40.0])
    y = margin + (_LINE if box.title else 0.0)
    for row, width in zip(rows, widths, strict=True):
        row.sort(key=lambda item: (_middle(above[item]), item.order))
        x = margin + (inner - width) / 2
        height = max(item.height for item in row)
        for item in row:
            item.x, item.y = x, y if item.inside or item.node else y + height / 2
            x += item.width + _GAP
        y += height + _RANK
    box.width = inner + 2 * margin
    box.height = y - (_RANK if rows else 0.0) + margin


def _middle(boxes: Sequence[_Box]) -> float:
    """Where the boxes that one hangs on stand, on average."""
    return sum(box.x + box.width / 2 for box in boxes) / len(boxes) if boxes else 0.0


def _settle(box: _Box, x: float, y: float) -> None:
    """Places inside regions become places on the page."""
    box.x += x
    box.y += y
    for inner in box.inside:
        _settle(inner, box.x, box.y)


def _collect(
    box: _Box, places: dict[str, _Box], passing: dict[tuple[str, str], list[_Box]]
) -> None:
    if box.node:
        places[box.node] = box
    passing.update(box.passing)
    for inner in box.inside:
        _collect(inner, places, passing)


# ------------------------------------------------------------------------------ shapes


def _boxes(box: _Box) -> Iterator[str]:
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    if box.look is not None:
        round_ = 14 if box.look is Look.EDGE else 5
        yield f'<rect {place} rx="{round_}" fill="{COLORS[box.look]}" stroke="#888"/>'
        for number, line in enumerate(box.lines):
            y = box.y + 6 + _LINE * (number + 0.75)
            yield _text(box.x + box.width / 2, y, line, 'text-anchor="middle"')
        return
    if not box.inside:
        return
    yield f'<rect {place} rx="6" fill="#000" fill-opacity="0.018" stroke="#aaa"/>'
    if box.title:
        yield _text(box.x + 10, box.y + _LINE, box.title, 'fill="#444" font-weight="bold"')
    for inner in box.inside:
        yield from _boxes(inner)


def _edges(
    edges: Sequence[tuple[str, str, str]],
    places: Mapping[str, _Box],
    passing: Mapping[tuple[str, str], list[_Box]],
) -> Iterator[str]:
    out = _spread([source for source, _, _ in edges], places)
    into = _spread([target for _, target, _ in edges], places)
    labels: list[str] = []
    said: set[tuple[str, str]] = set()
    for number, (source, target, label) in enumerate(edges):
        start = (out[number], places[source].y + places[source].height)
        end = (into[number], places[target].y)
        between = [(box.x + box.width / 2, box.y) for box in passing.get((source, target), ())]
        points = [start, *between, end]
        path = f"M{start[0]:.1f},{start[1]:.1f}"
        for (x, y), (to_x, to_y) in pairwise(points):
            bend = (to_y - y) / 2
            path += f" C{x:.1f},{y + bend:.1f} {to_x:.1f},{to_y - bend:.1f} {to_x:.1f},{to_y:.1f}"
        yield f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#arrow)"/>'
        if label and (source, label) not in said:
            said.add((source, label))
            x, y = _label_place(points)
            halo = 'fill="#333" stroke="#fff" stroke-width="3" paint-order="stroke" font-size="10"'
            labels.append(_text(x + 4, y, label, halo))
    yield from labels


def _spread(ends: Sequence[str], places: Mapping[str, _Box]) -> list[float]:
    """Where each edge touches its node: side by side if there are several."""
    total = Counter(ends)
    used = dict.fromkeys(ends, 0)
    found = []
    for name in ends:
        used[name] += 1
        box = places[name]
        found.append(box.x + box.width * used[name] / (total[name] + 1))
    return found


def _label_place(points: Sequence[Point]) -> Point:
    """Near the start of an edge, where it is alone."""
    (x, y), (to_x, to_y) = points[0], points[1]
    return x + (to_x - x) * 0.3, y + min(24.0, (to_y - y) * 0.45)


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'
