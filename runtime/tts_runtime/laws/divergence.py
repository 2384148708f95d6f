"""The first difference of two runs, for people: candidates of one side only, rows returned."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tts_lang.plan.operator import OPERATORS
from tts_runtime.executor import CandidateRecord, Outcome
from tts_runtime.laws.runs import OutcomePair

_GENERATING = frozenset(operator.name for operator in OPERATORS.values() if operator.samples)
_WIDEST = 56


def parting(run: OutcomePair) -> tuple[str, ...]:
    """Lines about the two runs; LEFT and RIGHT stand for the strategies' names."""
    left, right = _sampled(run.left), _sampled(run.right)
    lines = [*_first_difference(left, right)]
    lines += _returned("LEFT", run.left)
    lines += _returned("RIGHT", run.right)
    return tuple(lines)


def _sampled(outcome: Outcome) -> list[CandidateRecord]:
    return [each for each in outcome.candidates if each.op in _GENERATING]


def _first_difference(left: list[CandidateRecord], right: list[CandidateRecord]) -> Iterator[str]:
    """The first candidate, in program order, that the other side does not sample there."""
    for number, (one, other) in enumerate(zip(left, right, strict=False), 1):
        if (one.op, one.prompt, one.added, one.ids) != (
            other.op,
            other.prompt,
            other.added,
            other.ids,
        ):
            yield f"they part at candidate {number}:"
            yield f"  LEFT samples {_candidate(one)} at {_place(one)}"
            yield f"  RIGHT samples {_candidate(other)} at {_place(other)}"
            return
    if len(left) != len(right):
        number = min(len(left), len(right)) + 1
        more, side = (left, "LEFT") if len(left) > len(right) else (right, "RIGHT")
        extra = more[number - 1]
        yield f"they part at candidate {number}, which only {side} samples:"
        yield f"  {_candidate(extra)} at {_place(extra)}"
    elif left:
        count = f"{len(left)} candidates" if len(left) > 1 else "candidate"
        yield f"both sample the same {count}"


def _candidate(record: CandidateRecord) -> str:
    text = json.dumps(record.added, ensure_ascii=False)
    if len(text) > _WIDEST:
        text = f"{text[: _WIDEST // 2 - 2]}...{text[1 - _WIDEST // 2 :]}"
    finish = record.finish or "open"
    return f"{text} ({finish})"


def _place(record: CandidateRecord) -> str:
    """`file:line`, without folders."""
    return record.place.replace("\\", "/").rpartition("/")[2]


def _returned(side: str, outcome: Outcome) -> Iterator[str]:
    if outcome.row is None:
        yield f"{side} returns no candidate"
        return
    candidates = {each.uid: each for each in outcome.candidates}
    record = candidates.get(outcome.row)
    if record is None:
        yield f"{side} returns the problem itself"
        return
    scores = ", ".join(f"{name} = {_score(value)}" for name, value in record.scores.items())
    yield f"{side} returns {_candidate(record)}" + (f" with {scores}" if scores else "")


def _score(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_score(each) for each in value)}]"
    return (
        f"{value:.4g}" if isinstance(value, float) else "missing" if value is None else str(value)
    )
