"""A search tree as lines of text: `tts-show`, the playground."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from tts_lang.explain.units import counted
from tts_runtime.record.decisions import classes
from tts_runtime.record.reader import Tree

if TYPE_CHECKING:
    from tts_runtime.executor import CandidateRecord

#: Children of one node that are shown; of the others only the number is said.
SHOWN = 8
_LEAST_WIDTH = 30


def tree_lines(name: str, tree: Tree, most: int | None = SHOWN) -> Iterator[str]:
    """The answer, the nodes with their last scores, the decisions, what failed, the winner's text.

    Args:
        name: Of the strategy.
        tree: What it did.
        most: Children of one node that are shown; `None`: all.
    """
    answer = tree.answer
    if answer.error is not None:
        yield f"{name}: failed: {answer.error}"
        return
    grade = {True: "right", False: "wrong", None: "not graded"}[answer.correct]
    shown = "no answer" if answer.answer is None else one_line(answer.answer)
    nodes = counted(len(tree.nodes), "node")
    yield f"{name}: {shown} ({grade}); {nodes}, {counted(answer.policy_tokens, 'token')}"
    won = {node.uid for node in tree.path(answer.node or 0)}
    children: dict[int, list[CandidateRecord]] = {}
    for node in tree.nodes.values():
        children.setdefault(node.parent or 0, []).append(node)
    yield from _below(0, children, won, most, "")
    if tree.decisions:
        yield ""
        yield from map(_decided, tree.decisions)
    if faults := list(_faults(tree)):
        yield ""
        yield from faults
    if tree.winner is not None:
        yield ""
        yield f"winner: node {tree.winner.uid}, {tree.winner.op} at {tree.winner.place}"
        yield from (f"  {line}" for line in tree.text(tree.winner.uid).splitlines())


def _below(
    parent: int,
    children: Mapping[int, Sequence[CandidateRecord]],
    won: set[int],
    most: int | None,
    indent: str,
) -> Iterator[str]:
    """The nodes below one, the path that won marked; a stack, since trees can be deep."""
    stack: list[tuple[str, CandidateRecord | int]] = []

    def push(of: int, indent: str) -> None:
        below = children.get(of, ())
        listed = [
            node for at, node in enumerate(below) if most is None or at < most or node.uid in won
        ]
        entries: list[tuple[str, CandidateRecord | int]] = [(indent, node) for node in listed]
        if len(listed) < len(below):
            entries.append((indent, len(below) - len(listed)))
        stack.extend(reversed(entries))

    push(parent, indent)
    while stack:
        indent, node = stack.pop()
        if isinstance(node, int):
            yield f"  {indent}... {node} more (--all shows them)"
            continue
        yield _node(node, indent, node.uid in won)
        push(node.uid, indent + "  ")


def _node(node: CandidateRecord, indent: str, won: bool) -> str:
    scores = " ".join(f"{name} {_number(_last(value))}" for name, value in node.scores.items())
    what = one_line(node.added) or ("(copied)" if node.op == "fork" else "(no text)")
    end = f" [{node.finish}]" if node.done or node.finish == "length" else ""
    head = f"{'*' if won else ' '} {indent}{node.uid}"
    tail = f"{end}  {scores}" if scores else end
    width = max(_LEAST_WIDTH, _columns() - len(head) - len(tail) - 4)
    return f"{head}  {what[:width]}{'...' if len(what) > width else ''}{tail}"


def _columns() -> int:
    return get_terminal_size((100, 40)).columns


def _last(value: Any) -> Any:
    return (value[-1] if value else None) if isinstance(value, tuple) else value


def _number(value: Any) -> str:
    return "missing" if value is None else f"{value:.3g}"


def one_line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def _decided(decision: Mapping[str, Any]) -> str:
    """One decision in a line: how many rows, which survived, the classes of a vote."""
    rounds = decision.get("round", ())
    where = f" round {'.'.join(map(str, rounds))}" if rounds else ""
    head = f"{decision['op']} at {decision['place']}{where}: {counted(len(decision['in']), 'node')}"
    if decision["op"] == "vote":
        shown = "; ".join(map(_classes, classes(decision)))
        return f"{head}, classes {shown} -> {_nodes(decision['out'])}"
    return f"{head} -> {_nodes(decision['out'])}"


def _classes(weights: Mapping[Any, float]) -> str:
    """The classes of one group of a vote."""
    shown = ", ".join(f"{key} {weight:.3g}" for key, weight in list(weights.items())[:SHOWN])
    more = f", {len(weights) - SHOWN} more" if len(weights) > SHOWN else ""
    return f"{shown or 'none'}{more}"


def _faults(tree: Tree) -> Iterator[str]:
    """Why nodes have no text or no score, each reason once."""
    nodes: dict[tuple[str, str], list[int]] = {}
    for node in tree.nodes.values():
        for who, why in node.errors.items():
            nodes.setdefault((who, why), []).append(node.uid)
    for (who, why), failed in list(nodes.items())[:SHOWN]:
        yield f"{who} failed for {_nodes(failed)}: {one_line(why)}"
    if len(nodes) > SHOWN:
        yield f"... and for {len(nodes) - SHOWN} more reasons"


def _nodes(listed: Sequence[int]) -> str:
    shown = ", ".join(map(str, listed[:SHOWN]))
    if len(listed) > SHOWN:
        return f"nodes {shown}, ... ({len(listed)})"
    return f"node{'s' if len(listed) > 1 else ''} {shown}" if listed else "none"
