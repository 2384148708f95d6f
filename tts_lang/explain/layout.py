"""Layout of drawings: boxes in ranks from top to bottom, groups as boxes around boxes.

A layered layout (Sugiyama et al., 1981) of each group by itself, no wider than what is allowed
(Coffman and Graham, 1972). A line stands below all that it reads. Edges run straight down through
the ranks that they pass, in lanes of their own, and bend only between ranks: so none crosses a box.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import networkx

from tts_lang.explain.drawing import ENTRY, BoxRole, Edge, edges, note, role_of
from tts_lang.explain.tree import Line
from tts_lang.printable import columns

Point: TypeAlias = tuple[float, float]

#: Pixels: width of a character and height of a line, of a box's text and of its note.
CHARACTER: Final = 7.3
NOTE_CHARACTER: Final = 6.1
LINE: Final = 16.0
#: Space inside a box beside its text and above it, and inside a group beside its boxes.
PAD_X: Final = 10.0
PAD_Y: Final = 7.0
MARGIN: Final = 9.0
#: Between boxes side by side, between ranks, and the width of a lane.
_GAP: Final = 12.0
_RANK: Final = 24.0
_LANE: Final = 8.0
#: Characters of a box's line at most and, however narrow a group is, at least.
_LONGEST: Final = 40
_SHORTEST: Final = 14
#: How often a drawing that is too wide is laid out again with shorter lines.
_TRIES: Final = 5


@dataclass(eq=False, slots=True)
class Box:
    """A line with its place on the page.

    Attributes:
        x, y: Its upper left corner.
        lines, notes: Its text and its note, wrapped.
        head: Height of its text and note, over the boxes inside.
        inside: The boxes of its group.
        edges: Paths inside the group: points that are joined by a curve where they lie in different
            columns, else by a straight line.
    """

    line: Line | None
    role: BoxRole
    lines: list[str]
    notes: list[str]
    head: float
    width: float
    height: float
    inside: list[Box] = field(default_factory=list)
    edges: list[list[Point]] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0

    def all_boxes(self) -> Iterator[Box]:
        """This box and those inside it."""
        yield self
        for inner in self.inside:
            yield from inner.all_boxes()


def _wrap(text: str, most: int) -> list[str]:
    """A text in lines of at most `most` columns."""
    lines: list[str] = []
    for piece in textwrap.wrap(text, most) or [""]:
        while columns(piece) > most:  # wide characters
            size = next(n for n in range(len(piece), 0, -1) if n == 1 or columns(piece[:n]) <= most)
            lines.append(piece[:size])
            piece = piece[size:]
        lines.append(piece)
    return lines


def layout(lines: Sequence[Line], width: float) -> Box:
    """The whole drawing, under a box for the problem, if possible no wider than `width` pixels."""
    problem = ["problem"]
    room = width
    for _ in range(_TRIES):
        start = Box(
            None, BoxRole.GROUP, problem, [], LINE + 2 * PAD_Y, _text_width(problem, ()), 0.0
        )
        whole = _group(start, lines, (), room)
        if whole.width <= width:
            break
        room -= whole.width - width  # for lanes beside the boxes
    _move(whole, 0.0, 0.0)
    return whole


def _box(line: Line, width: float) -> Box:
    """The box of a line, with boxes for the lines inside it."""
    most = max(_SHORTEST, min(_LONGEST, int((width - 2 * PAD_X) / CHARACTER)))
    text = _wrap(line.text, most)
    note_text = note(line)
    notes = (
        _wrap(note_text, max(_SHORTEST, int((width - 2 * PAD_X) / NOTE_CHARACTER)))
        if note_text
        else []
    )
    head = LINE * (len(text) + len(notes)) + 2 * PAD_Y
    box = Box(line, role_of(line), text, notes, head, _text_width(text, notes), head)
    return _group(box, line.inside, line.yields, width) if line.inside else box


def _text_width(text: Iterable[str], notes: Iterable[str]) -> float:
    widths = [CHARACTER * columns(each) for each in text]
    widths += [NOTE_CHARACTER * columns(each) for each in notes]
    return max(widths, default=0.0) + 2 * PAD_X


@dataclass(eq=False, slots=True)
class _Lane:
    """A place in a rank for edges from one source that pass it."""

    source: int
    x: float = 0.0
    width: float = _LANE


def _group(box: Box, lines: Sequence[Line], yields: Sequence[int], width: float) -> Box:
    """A box around the boxes of its lines, which are placed in it."""
    links = edges(lines, yields)
    box.inside = [_box(line, width - 2 * MARGIN) for line in lines]
    ranks = _ranks(box.inside, links, width - 2 * MARGIN)
    rank_of = {place: rank for rank, members in enumerate(ranks) for place in members}
    rank_of.update({ENTRY: -1, len(lines): len(ranks)})
    lanes = _lanes(links, rank_of)
    rows: list[list[Box | _Lane]] = [[box.inside[place] for place in members] for members in ranks]
    for (_, rank), lane in lanes.items():
        rows[rank].append(lane)
    _place(box, rows, _above(box, links, lanes, rank_of))
    has_exit = any(target == len(lines) for _, target in links)
    tops, y = [], box.head + _RANK
    for row in rows:
        bottom = y
        for item in row:
            if isinstance(item, Box):
                item.y = y
                bottom = max(bottom, y + item.height)
        tops.append((y, bottom))
        y = bottom + _RANK
    box.height = y if has_exit else y - _RANK + MARGIN
    box.edges = _paths(box, links, lanes, rank_of, tops)
    return box


def _ranks(boxes: Sequence[Box], links: Iterable[Edge], width: float) -> list[list[int]]:
    """Places by rank: below what they read, on the first rank that has room."""
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_nodes_from(range(len(boxes)))
    graph.add_edges_from(
        (source, target) for source, target in links if source >= 0 and target < len(boxes)
    )
    ranks: list[list[int]] = []
    widths: list[float] = []
    rank_of: dict[int, int] = {}
    for generation in networkx.topological_generations(graph):
        for place in sorted(generation):
            rank = max((rank_of[source] + 1 for source in graph.predecessors(place)), default=0)
            size = boxes[place].width + _GAP
            while rank < len(ranks) and widths[rank] + size - _GAP > width:
                rank += 1
            if rank == len(ranks):
                ranks.append([])
                widths.append(0.0)
            ranks[rank].append(place)
            widths[rank] += size
            rank_of[place] = rank
    return ranks


def _lanes(links: Iterable[Edge], rank_of: Mapping[int, int]) -> dict[tuple[int, int], _Lane]:
    """By source and rank: edges of one source share a lane."""
    last: dict[int, int] = {}
    for source, target in links:
        last[source] = max(last.get(source, -1), rank_of[target])
    return {
        (source, rank): _Lane(source)
        for source, end in last.items()
        for rank in range(rank_of[source] + 1, end)
    }


def _above(
    box: Box,
    links: Iterable[Edge],
    lanes: Mapping[tuple[int, int], _Lane],
    rank_of: Mapping[int, int],
) -> dict[Box | _Lane, list[Box | _Lane]]:
    """For each member of a rank, its neighbours in the rank above."""

    def upper(source: int, rank: int) -> list[Box | _Lane]:
        if rank_of[source] == rank - 1:
            return [box.inside[source]] if source != ENTRY else []
        return [lanes[source, rank - 1]]

    above = {lane: upper(source, rank) for (source, rank), lane in lanes.items()}
    neighbours: dict[Box | _Lane, list[Box | _Lane]] = dict(above.items())
    for source, target in links:
        if target < len(box.inside):
            neighbours.setdefault(box.inside[target], []).extend(upper(source, rank_of[target]))
    return neighbours


def _place(
    box: Box,
    rows: Sequence[list[Box | _Lane]],
    above: Mapping[Box | _Lane, Sequence[Box | _Lane]],
) -> None:
    """Gives each rank its order and its members their places from left to right, near what they
    hang on."""
    widths = [sum(item.width for item in row) + _GAP * (len(row) - 1) for row in rows]
    box.width = max([box.width, *(width + 2 * MARGIN for width in widths)])
    left, right = MARGIN, box.width - MARGIN

    def best_middle(item: Box | _Lane) -> float:
        """The best middle of an item: the mean middle of its neighbours above."""
        hanging = above.get(item, ())
        if not hanging:
            return (left + right) / 2
        boxes = [each for each in hanging if isinstance(each, Box)] or hanging
        return sum(each.x + each.width / 2 for each in boxes) / len(boxes)

    for row in rows:
        middles = {item: best_middle(item) for item in row}
        row.sort(key=lambda item: (middles[item], isinstance(item, _Lane)))
        from_left, x = [], left
        for item in row:
            x = max(x, middles[item] - item.width / 2)
            from_left.append(x)
            x += item.width + _GAP
        from_right, x = [], right
        for item in reversed(row):
            x = min(x - item.width, middles[item] - item.width / 2)
            from_right.append(x)
            x -= _GAP
        # Both keep the distances, and so does their mean; but either may leave the group.
        x = left
        for item, one, other in zip(row, from_left, reversed(from_right), strict=True):
            item.x = x = max(x, (one + other) / 2)
            x += item.width + _GAP
        x = right
        for item in reversed(row):
            item.x = x = min(x - item.width, item.x)
            x -= _GAP


def _paths(
    box: Box,
    links: Sequence[Edge],
    lanes: Mapping[tuple[int, int], _Lane],
    rank_of: Mapping[int, int],
    tops: Sequence[Point],
) -> list[list[Point]]:
    """One path for each edge; `tops` are the upper and lower ends of the ranks."""
    # Edges enter a box side by side, in the order of their sources.
    entering: dict[int, list[tuple[float, int]]] = {}
    for source, target in links:
        rank = rank_of[target]
        if target == len(box.inside):
            continue
        if rank - 1 > rank_of[source]:
            x = lanes[source, rank - 1].x
        elif source == ENTRY:
            x = -1.0
        else:
            x = box.inside[source].x + box.inside[source].width / 2
        entering.setdefault(target, []).append((x, source))
    entry_x: dict[Edge, float] = {}
    for target, sources in entering.items():
        goal = box.inside[target]
        for number, (_, source) in enumerate(sorted(sources), 1):
            entry_x[source, target] = goal.x + goal.width * number / (len(sources) + 1)
    return [_path(box, (source, target), lanes, rank_of, tops, entry_x) for source, target in links]


def _path(
    box: Box,
    edge: Edge,
    lanes: Mapping[tuple[int, int], _Lane],
    rank_of: Mapping[int, int],
    tops: Sequence[Point],
    entry_x: Mapping[Edge, float],
) -> list[Point]:
    source, target = edge
    passed = range(rank_of[source] + 1, rank_of[target])
    columns_ = [(lanes[source, rank].x + _LANE / 2, tops[rank]) for rank in passed]
    leaves = target == len(box.inside)
    end_y = box.height if leaves else tops[rank_of[target]][0]
    if source == ENTRY:
        # A group is entered along all of its head, the whole drawing at the problem.
        x = columns_[0][0] if columns_ else entry_x[edge]
        points = [(box.width / 2 if box.line is None else x, box.head)]
    else:
        start = box.inside[source]
        x = start.x + start.width / 2
        points = [(x, start.y + start.height), (x, tops[rank_of[source]][1])]
    for x, (top, bottom) in columns_:
        points += [(x, top), (x, bottom)]
    points.append((points[-1][0] if leaves else entry_x[edge], end_y))
    return points


def _move(box: Box, x: float, y: float) -> None:
    """Places inside groups become places on the page."""
    box.x += x
    box.y += y
    box.edges = [[(box.x + px, box.y + py) for px, py in path] for path in box.edges]
    for inner in box.inside:
        _move(inner, box.x, box.y)
