"""Drawings of a plan's dataflow graph, for Graphviz and for Mermaid.

An operation is a node, a value an edge, labelled with its name in the strategy and a note (EXPLAIN
gives row bounds). Regions are clusters. What a region takes over (a loop's carried values, a
called strategy's problem) enters through a node of its own, so that edges follow the data.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.pretty import operation
from tts_lang.plan.text import numbering

_WIDTH = 40


class Look(Enum):
    """What a node is, so that it can be told apart at a glance."""

    POLICY = "policy"  # samples tokens
    SCORER = "scorer"
    POOL = "pool"  # works on rows only
    NUMBER = "number"
    EDGE = "port"  # where values enter and leave a region


COLORS = {
    Look.POLICY: "#cfe3ff",
    Look.SCORER: "#ffe3bf",
    Look.POOL: "#f2f2f2",
    Look.NUMBER: "#e6f5e6",
    Look.EDGE: "#ffffff",
}


@dataclass(slots=True)
class Cluster:
    """A region: its nodes (name, text, look) and the regions inside it."""

    title: str
    nodes: list[tuple[str, str, Look]] = field(default_factory=list)
    inside: list[Cluster] = field(default_factory=list)


@dataclass(slots=True)
class _Drawing:
    plan: Plan
    notes: Mapping[int, str]
    numbers: Mapping[int, str]
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    maker: dict[int, str] = field(default_factory=dict)
    count: int = 0

    def node(self, cluster: Cluster, text: str, look: Look) -> str:
        name = f"n{self.count}"
        self.count += 1
        cluster.nodes.append((name, text, look))
        return name

    def name(self, value: int) -> str:
        return self.plan.values[value].name or self.numbers[value]

    def edge(self, value: int, target: str) -> None:
        # Where an unnamed flag goes is plain to see; unnamed pools are mentioned by their numbers.
        shown = self.plan.values[value].name or self.plan.values[value].kind is Kind.POOL
        name, note = self.name(value) if shown else "", self.notes.get(value, "")
        label = f"{name} ({note})" if name and note else name or note
        self.edges.append((self.maker[value], target, label))

    def region(self, region: Region, cluster: Cluster) -> str:
        """Draws a region into a cluster; returns the node that its results go to."""
        for step in region.operations:
            self.operation(step, cluster)
        if region.exit is Exit.NEVER:
            return ""
        end = "return" if region.exit is Exit.RETURN else "result"
        target = self.node(cluster, end, Look.EDGE)
        for value in region.results:
            self.edge(value, target)
        return target

    def operation(self, step: Operation, cluster: Cluster) -> None:
        names = [self.name(value) for value in step.inputs]
        text = operation(step, names, brief=True)
        if not step.regions:
            node = self.node(cluster, text, _look(step))
            for value in dict.fromkeys(step.inputs):
                self.edge(value, node)
            for value in step.outputs:
                self.maker[value] = node
            return
        inner = Cluster(text)
        cluster.inside.append(inner)
        titles = {"branch": ("then", "else"), "repeat": ("until", "each round"), "call": ("",)}
        start = self.node(inner, _ENTRY[step.spec.op], Look.EDGE)
        for value in dict.fromkeys(step.inputs):
            self.edge(value, start)
        ends: list[str] = []
        for title, region in zip(titles[step.spec.op], step.regions, strict=True):
            part = Cluster(title) if title else inner
            for value in region.parameters:
                self.maker[value] = start
            end = self.region(region, part)
            if title:
                inner.inside.append(part)
            # Not drawn: an edge from `until`, whose flag goes nowhere, and one that only returns.
            goes_on = region.exit is Exit.YIELD or isinstance(step.spec, graph.Call)
            if end and goes_on and title != "until":
                ends.append(end)
        if step.outputs:
            leave = self.node(inner, "goes on with", Look.EDGE)
            self.edges.extend((end, leave, "") for end in ends)
            for value in step.outputs:
                self.maker[value] = leave


_ENTRY = {"branch": "condition", "repeat": "carried", "call": "problem"}


def _look(step: Operation) -> Look:
    known = entry(step.spec)
    if known.samples:
        return Look.POLICY
    if isinstance(step.spec, graph.Score):
        return Look.SCORER
    return Look.NUMBER if known.makes is Makes.VALUE else Look.POOL


def drawing(plan: Plan, notes: Mapping[int, str]) -> tuple[Cluster, list[tuple[str, str, str]]]:
    """The nodes in their clusters, and the edges: source, target, label."""
    made = _Drawing(plan, notes, numbering(plan))
    whole = Cluster(plan.strategy)
    problem = plan.body.parameters[0]
    made.maker[problem] = made.node(whole, "problem", Look.EDGE)
    made.region(plan.body, whole)
    return whole, made.edges


# ------------------------------------------------------------------------------ Graphviz


def to_dot(plan: Plan, notes: Mapping[int, str] | None = None) -> str:
    """The graph for Graphviz (`dot -Tsvg`); `notes` are shown with the values they belong to."""
    whole, edges = drawing(plan, notes or {})
    lines = [
        f"digraph {_dot(plan.strategy)} {{",
        "  rankdir=TB; compound=true;",
        '  graph [fontname="Helvetica", fontsize=11, style="rounded", color="#888888"];',
        '  node [fontname="Helvetica", fontsize=10, shape=box, style="rounded,filled"];',
        '  edge [fontname="Helvetica", fontsize=9, color="#555555"];',
        *_dot_cluster(whole, "  ", iter(range(1_000_000))),
    ]
    for source, target, label in edges:
        shown = f" [label={_dot(' ' + label)}]" if label else ""
        lines.append(f"  {source} -> {target}{shown};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    """A quoted Graphviz string: every character but the escapes is kept as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _dot_cluster(cluster: Cluster, indent: str, numbers: Iterator[int]) -> Iterator[str]:
    for name, text, look in cluster.nodes:
        shape = ", shape=ellipse" if look is Look.EDGE else ""
        label = "\n".join(textwrap.wrap(text, _WIDTH)) or text
        yield f'{indent}{name} [label={_dot(label)}, fillcolor="{COLORS[look]}"{shape}];'
    for inner in cluster.inside:
        yield f"{indent}subgraph cluster_{next(numbers)} {{"
        yield f"{indent}  label={_dot(inner.title)};"
        yield from _dot_cluster(inner, indent + "  ", numbers)
        yield f"{indent}}}"


# ------------------------------------------------------------------------------ Mermaid


def to_mermaid(plan: Plan, notes: Mapping[int, str] | None = None) -> str:
    """The graph as a Mermaid flowchart, which Markdown viewers draw."""
    whole, edges = drawing(plan, notes or {})
    lines = ["flowchart TB", *_mermaid_cluster(whole, "  ", iter(range(1_000_000)))]
    for source, target, label in edges:
        arrow = f"-->|{_mermaid(label)}|" if label else "-->"
        lines.append(f"  {source} {arrow} {target}")
    for look in Look:
        lines.append(f"  classDef {look.value} fill:{COLORS[look]},stroke:#888,color:#000")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """A quoted Mermaid label: entity codes for what Mermaid or Markdown would read as markup."""
    safe = "".join(
        c if c.isalnum() or c in " _.,=()+-/:" or ord(c) > 126 else f"#{ord(c)};" for c in text
    )
    return f'"{safe}"'


def _mermaid_cluster(cluster: Cluster, indent: str, numbers: Iterator[int]) -> Iterator[str]:
    for name, text, look in cluster.nodes:
        left, right = ("([", "])") if look is Look.EDGE else ("[", "]")
        label = "<br/>".join(_mermaid(piece)[1:-1] for piece in textwrap.wrap(text, _WIDTH))
        yield f'{indent}{name}{left}"{label}"{right}:::{look.value}'
    for inner in cluster.inside:
        yield f"{indent}subgraph c{next(numbers)}[{_mermaid(inner.title)}]"
        yield from _mermaid_cluster(inner, indent + "  ", numbers)
        yield f"{indent}end"
