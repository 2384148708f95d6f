"""A search tree as the page reads it: columns instead of objects, each text once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tts_runtime.executor import CandidateRecord, ScoreColumn
from tts_runtime.record.decisions import classes
from tts_runtime.record.reader import Tree

#: Digits of a score; the record has all of them.
_DIGITS: Final = 6
#: Characters of one node's text; the record has the rest.
MOST_TEXT: Final = 200_000


def columns(tree: Tree) -> dict[str, Any]:
    """A tree as columns for the page."""
    nodes = list(tree.nodes.values())
    scorers = dict.fromkeys(name for node in nodes for name in node.scores)
    values_of: dict[str, Any] = {
        "id": tree.problem.id,
        "seed": tree.answer.seed,
        "text": _cut(tree.problem.text),
        "gold": tree.problem.answer,
        "fields": {name: _written(value) for name, value in tree.problem.fields.items()},
        "answer": tree.answer.answer,
        "correct": tree.answer.correct,
        "error": tree.answer.error,
        "winner": tree.answer.node,
        "tokens": tree.answer.policy_tokens,
        "calls": tree.answer.policy_calls,
        "uid": [node.uid for node in nodes],
        "parent": [node.parent or 0 for node in nodes],
        "before": [node.before or 0 for node in nodes],
        "kind": [node.op for node in nodes],
        "place": [node.place for node in nodes],
        "added": [_cut(node.added) for node in nodes],
        "sampled": [node.tokens for node in nodes],
        "finish": [node.finish for node in nodes],
        "done": [int(node.done) for node in nodes],
        "logprob": [_rounded(node.logprob) for node in nodes],
        "answers": [node.answer for node in nodes],
        "right": [None if node.correct is None else int(node.correct) for node in nodes],
        "scores": {name: _scores(name, nodes, tree.nodes) for name in scorers},
        "decisions": [_decision(each) for each in tree.decisions],
    }
    for name, values in (
        ("prompt", {at: _cut(n.prompt) for at, n in enumerate(nodes) if n.prompt is not None}),
        ("errors", {at: dict(n.errors) for at, n in enumerate(nodes) if n.errors}),
        ("unread", {at: n.unread for at, n in enumerate(nodes) if n.unread}),
        ("forced", {at: 1 for at, n in enumerate(nodes) if n.forced}),
    ):
        if values:
            values_of[name] = values
    for name in ("kind", "place", "finish"):
        values_of[name] = _coded(values_of[name])
    return values_of


def _coded(values: Sequence[str | None]) -> dict[str, Any]:
    """Few different values as their list and a number per node."""
    names = list(dict.fromkeys(values))
    at = {name: place for place, name in enumerate(names)}
    return {"names": names, "at": [at[value] for value in values]}


def _scores(
    name: str, nodes: Sequence[CandidateRecord], by_uid: Mapping[int, CandidateRecord]
) -> list[Any]:
    """Per node its score, or the list of its new steps' scores; null: missing, false: none."""
    column: list[Any] = []
    for node in nodes:
        if name not in node.scores:
            column.append(False)
            continue
        score: ScoreColumn = node.scores[name]
        if isinstance(score, tuple):
            continued = by_uid.get(node.before or 0)
            before = None if continued is None else continued.scores.get(name)
            shared = len(before) if isinstance(before, tuple) and len(before) <= len(score) else 0
            column.append([_rounded(each) for each in score[shared:] or score[-1:]])
        else:
            column.append(_rounded(score))
    return column


def _decision(decision: Mapping[str, Any]) -> dict[str, Any]:
    values_of = {name: each for name, each in decision.items() if name not in ("problem", "seed")}
    if decision["op"] == "vote":
        values_of["classes"] = [list(weights.items()) for weights in classes(decision)]
    return values_of


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n[... {len(text) - MOST_TEXT:,} more characters in the record]"


def _written(value: Any) -> str:
    """A field as its problem has it: a number may be a name, and is not rounded."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _cut(text) or ""
