"""Candidates as lines of `nodes.jsonl`: what is read back is what the executor made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, isfinite, nan
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.agreement import PROBLEMS, by_executor, compiled, world
from tests.support.programs import random_program
from tts_lang.values import number
from tts_runtime.answers.extract import cues_of, extract_answer
from tts_runtime.executor import CandidateRecord, Outcome, records
from tts_runtime.record.lines import Seal
from tts_runtime.record.nodes import NodeBatch, recorded
from tts_runtime.record.nodes import records as read_back


def outcome_of(text: str, seed: int) -> Outcome:
    return by_executor(compiled(text), world(seed), PROBLEMS[seed % len(PROBLEMS)], seed)


def made_of(outcome: Outcome) -> Sequence[Any]:
    """The candidates themselves; none of a problem that failed."""
    return getattr(outcome._lines, "args", ((),))[0]


def round_trip(lines: Sequence[dict[str, Any]]) -> dict[int, CandidateRecord]:
    seal, known = Seal("run"), dict[int, CandidateRecord]()
    for line in lines:
        written = seal.line({"problem": "p", "seed": 3, **line}).decode()
        read_back(NodeBatch.model_validate(seal.read(written)), known)
    return known


@pytest.mark.parametrize("seed", range(40))
def test_lines_hold_candidates_as_they_were(seed: int) -> None:
    """Whatever a program does; each is compared with the node that the executor has."""
    outcome = outcome_of(random_program(seed), seed)
    candidates = made_of(outcome)
    found = round_trip(outcome.lines())
    assert tuple(found.values()) == outcome.candidates
    assert list(found) == list(range(1, len(candidates) + 1))
    for uid, candidate in enumerate(candidates, 1):
        node, one = candidate.node, found[uid]
        texts, at = [one.added], one
        while at.before:
            at = found[at.before]
            texts.append(at.added)
        assert "".join(reversed(texts)) == node.text
        assert (one.tokens, one.ids) == (node.tokens, node.position)
        assert (one.steps, one.done) == (node.segments.steps, node.done)
        assert one.finish == (node.finish and node.finish.value)
        assert one.logprob == number(node.logprob)
        assert (one.answer, one.answer_key) == node.answers
        assert one.scores == dict(candidate.scores)
        assert one.parent == (candidate.parent and candidate.parent.uid)
        assert one.root == (candidate.root and candidate.root.uid)
        assert (one.op, one.number) == (candidate.operation.spec.op, node.number)
        assert one.sampling == node.sampling


def test_nodes_of_one_operation_share_a_line_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "strategy main():\n    pool = sample 6\n    return first of pool\n"
    outcome = outcome_of(text, 0)
    [line] = outcome.lines()
    assert (line["first"], line["place"], line["parent"]) == (1, "main.tts:2", 0)
    assert "root" not in line
    monkeypatch.setattr(records, "MOST_NODES", 4)
    assert [line["first"] for line in outcome.lines()] == [1, 5]
    assert recorded(outcome.lines()) == list(outcome.candidates)
    monkeypatch.setattr(records, "_MOST_TEXT", 0)  # each is longer than that
    assert [line["first"] for line in outcome.lines()] == [1, 2, 3, 4, 5, 6]


PARTS = [
    *("\\boxed{3}", "\\bo", "xed{", "4}", "The final an", "swer is ", "$5$.", "#", "### 7", "\n"),
    *(
        "so ",
        "Answer",
        " IS",
        ": ",
        "<ANSWER>",
        "9",
        "</answer>",
        "ſ",
        "答案",
        "是8",
        "\\fbox{1}",
        ".",
    ),
]
MARKERS = [("\\boxed{}",), ("The answer is {}",), ("<answer>{}</answer>", "\\frac{}")]


@given(st.lists(st.sampled_from(PARTS), max_size=8), st.sampled_from(MARKERS))
@settings(deadline=None)
def test_a_text_without_a_cue_has_no_answer(parts: list[str], markers: tuple[str, ...]) -> None:
    cues = cues_of(markers)
    assert cues is not None
    text = "".join(parts)
    if extract_answer(text, markers, "") is not None:
        assert records._cued(text, cues)


def test_nothing_is_known_of_a_marker_that_is_not_ascii() -> None:
    assert cues_of(("Réponse finale : {}",)) is None


@dataclass(eq=False)
class Sampled:
    """What is read of a node for its log-probability."""

    parent: Sampled | None
    sampled: bool
    doubles: Sequence[float] | bytes = ()
    logprobs: Sequence[float] = ()
    end_logprob: float = 0.0
    error: str | None = None


#: As engines give them: of 64 bits, of 32, rounded, not known; and what none gives.
LOGPROBS = {
    "doubles": st.floats(-40, -1e-3),
    "floats": st.floats(-40, 0, width=32).filter(lambda number: not 0 < -number < 1e-9),
    "rounded": st.integers(-40_000, 0).map(lambda number: number / 1000),
    "unknown": st.just(nan) | st.floats(-40, -1e-3),
    "any": st.floats(-1e100, 1e100)
    | st.just(inf)
    | st.sampled_from([1e-300, 2.0**60, -(2.0**60), 0.1]),
}


@pytest.mark.parametrize("kind", LOGPROBS)
@given(st.data())
@settings(deadline=None)
def test_sums_along_paths_are_exact(kind: str, data: st.DataObject) -> None:
    """Each is that of all numbers on the path, rounded once."""
    numbers = LOGPROBS[kind]
    first: Any = Sampled(None, sampled=False)
    nodes: list[Any] = []
    for _ in range(data.draw(st.integers(1, 8))):
        own = data.draw(st.lists(numbers, max_size=5))
        nodes.append(
            Sampled(
                parent=data.draw(st.sampled_from([first, *nodes])),
                sampled=data.draw(st.sampled_from([True, True, False])),
                doubles=data.draw(st.sampled_from([tuple(own), pack(f"{len(own)}d", *own)])),
                logprobs=own,
                end_logprob=data.draw(st.just(0.0) | numbers),
                error=data.draw(st.sampled_from([None, None, None, "lost"])),
            )
        )
    for node, found in zip(nodes, records._logprobs(nodes), strict=True):
        path, at = [node.end_logprob], node
        while at is not first:
            path += at.logprobs if at.sampled else []
            at = at.parent
        try:
            total = fsum(path)
        except (OverflowError, ValueError):
            total = inf
        assert found == (total if isfinite(total) and node.error is None else None)
