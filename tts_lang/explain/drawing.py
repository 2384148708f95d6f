"""EXPLAIN as a drawing: lines of the tree are boxes, reads between them are edges.

Lines with others inside are groups. Within a group edges lead from line to line; what is read from
outside comes from the group's entry, what it gives leaves by its exit. `layout` places the boxes
for a page; here are the drawings that Graphviz and Mermaid place themselves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from tts_lang.explain.tree import Explained, Line
from tts_lang.explain.units import row_count, short
from tts_lang.plan.operator import OPERATORS, Makes

_WIDTH: Final = 40

#: A line of a group by its place in it; `ENTRY` and the number of lines stand for entry and exit.
Edge: TypeAlias = tuple[int, int]
ENTRY: Final = -1


class BoxRole(Enum):
    """The role of a box, which decides its look; with words for a legend."""

    POLICY = "samples from a policy"
    SCORER = "scores"
    POOL = "chooses or changes rows"
    NUMBER = "computes a number"
    GROUP = "a strategy, or a side of a branch"
    LOOP = "repeats what is inside"


_OPERATORS: Final = {operator.name: operator for operator in OPERATORS.values()}
#: Colors in Graphviz and Mermaid.
_COLORS: Final = {
    BoxRole.POLICY: "#cfe3ff",
    BoxRole.SCORER: "#ffe3bf",
    BoxRole.POOL: "#f2f2f2",
    BoxRole.NUMBER: "#e6f5e6",
    BoxRole.GROUP: "#ffffff",
    BoxRole.LOOP: "#ffffff",
}


def role_of(line: Line) -> BoxRole:
    """The role of a line's box."""
    operator = _OPERATORS.get(line.op)
    if line.op == "repeat":
        return BoxRole.LOOP
    if line.op == "score":
        return BoxRole.SCORER
    if operator is not None and operator.samples:
        return BoxRole.POLICY
    if operator is not None and operator.makes is Makes.VALUE:
        return BoxRole.NUMBER
    return BoxRole.GROUP if line.inside else BoxRole.POOL


def edges(lines: Sequence[Line], yields: Sequence[int] = ()) -> list[Edge]:
    """Between the lines of a group, from those that give a value to those that read it."""
    givers: dict[int, list[int]] = {}
    links: dict[Edge, None] = {}
    for place, line in enumerate(lines):
        for value in line.reads:
            for giver in givers.get(value, [ENTRY]):
                if giver != place:
                    links[giver, place] = None
        for value in line.gives:
            # A later line that gives it is the other side of a branch.
            givers.setdefault(value, []).append(place)
    for value in yields:
        for giver in givers.get(value, ()):
            links[giver, len(lines)] = None
    return list(links)


def note(line: Line) -> str:
    """The note below a box's text: rows, calls and tokens."""
    parts = [f"{row_count(line.rows)} {_rows(line)}"] if line.rows is not None else []
    spent = line.spent
    if spent is not None and spent.policy_calls != 0:
        parts.append(
            f"≤{short(spent.policy_calls)} {'call' if spent.policy_calls == 1 else 'calls'}"
        )
        parts.append(f"≤{short(spent.sampled_tokens)} tokens")
    return ", ".join(parts)


def _rows(line: Line) -> str:
    return "row" if line.rows is not None and line.rows.high == 1 else "rows"


# ------------------------------------------------------------------------------ Graphviz, Mermaid


@dataclass(slots=True)
class _Cluster:
    """A group whose boxes have names.

    Args:
        title: Text of the line that it belongs to.
        boxes: Name, text and role of each.
        inside: Groups in it.
    """

    title: str
    boxes: list[tuple[str, str, BoxRole | None]]
    inside: list[_Cluster]


class _Graph:
    """All groups, and the edges between their boxes."""

    def __init__(self, explained: Explained) -> None:
        self.edges: dict[tuple[str, str], None] = {}
        self._count = 0
        self.whole = _Cluster(explained.title, [], [])
        self._fill(self.whole, explained.lines, (), self._box(self.whole, "problem", None), "")

    def _box(self, cluster: _Cluster, text: str, role: BoxRole | None) -> str:
        name = f"n{self._count}"
        self._count += 1
        cluster.boxes.append((name, text, role))
        return name

    def _fill(
        self,
        cluster: _Cluster,
        lines: Sequence[Line],
        yields: Sequence[int],
        start: str,
        end: str,
    ) -> None:
        """The boxes of a group: edges into a group go to its entry, those out of it start there."""
        ends: list[tuple[str, str]] = []
        for line in lines:
            text = f"{line.text}\n{note(line)}".rstrip()
            if not line.inside:
                ends.append((self._box(cluster, text, role_of(line)),) * 2)
                continue
            inner = _Cluster(text, [], [])
            cluster.inside.append(inner)
            entry = self._box(inner, "start", None)
            leave = self._box(inner, "end", None) if line.gives else ""
            self._fill(inner, line.inside, line.yields, entry, leave)
            ends.append((entry, leave or entry))
        for source, target in edges(lines, yields):
            goal = end if target == len(lines) else ends[target][0]
            if goal:
                self.edges[start if source == ENTRY else ends[source][1], goal] = None
        for line, (name, _) in zip(lines, ends, strict=True):
            if line.text.startswith("return ") and end:
                self.edges[name, end] = None


def to_dot(explained: Explained) -> str:
    """The graph for Graphviz (`dot -Tsvg`)."""
    graph = _Graph(explained)
    lines = [
        f"digraph {_dot(explained.plan.strategy)} {{",
        "  rankdir=TB; compound=true;",
        '  graph [fontname="Helvetica", fontsize=11, style="rounded", color="#888888"];',
        '  node [fontname="Helvetica", fontsize=10, shape=box, style="rounded,filled"];',
        '  edge [color="#555555"];',
        *_dot_cluster(graph.whole, "  ", iter(range(1_000_000))),
        *(f"  {source} -> {target};" for source, target in graph.edges),
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    """A quoted Graphviz string: every character but the escapes is kept as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _wrapped(text: str) -> list[str]:
    lines = (textwrap.wrap(line, _WIDTH) or [line] for line in text.split("\n"))
    return [piece for pieces in lines for piece in pieces]


def _dot_cluster(cluster: _Cluster, indent: str, numbers: Iterator[int]) -> Iterator[str]:
    for name, text, role in cluster.boxes:
        label = _dot("\n".join(_wrapped(text)))
        look = 'shape=ellipse, fillcolor="#ffffff"'
        if role is not None:
            look = f'fillcolor="{_COLORS[role]}"'
        yield f"{indent}{name} [label={label}, {look}];"
    for inner in cluster.inside:
        yield f"{indent}subgraph cluster_{next(numbers)} {{"
        yield f"{indent}  label={_dot(inner.title)};"
        yield from _dot_cluster(inner, indent + "  ", numbers)
        yield f"{indent}}}"


def to_mermaid(explained: Explained) -> str:
    """The graph as a Mermaid flowchart, which Markdown viewers draw."""
    graph = _Graph(explained)
    lines = ["flowchart TB", *_mermaid_cluster(graph.whole, "  ", iter(range(1_000_000)))]
    lines += [f"  {source} --> {target}" for source, target in graph.edges]
    for role in BoxRole:
        lines.append(f"  classDef {role.name.lower()} fill:{_COLORS[role]},stroke:#888,color:#000")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """A Mermaid label: entity codes for what Mermaid or Markdown would read as markup."""
    return "<br/>".join(
        "".join(
            c if c.isalnum() or c in " _.,=()+-/:" or ord(c) > 126 else f"#{ord(c)};" for c in piece
        )
        for piece in _wrapped(text)
    )


def _mermaid_cluster(cluster: _Cluster, indent: str, numbers: Iterator[int]) -> Iterator[str]:
    for name, text, role in cluster.boxes:
        label = _mermaid(text)
        yield (
            f'{indent}{name}(["{label}"])'
            if role is None
            else f'{indent}{name}["{label}"]:::{role.name.lower()}'
        )
    for inner in cluster.inside:
        yield f'{indent}subgraph c{next(numbers)}["{_mermaid(inner.title)}"]'
        yield from _mermaid_cluster(inner, indent + "  ", numbers)
        yield f"{indent}end"
