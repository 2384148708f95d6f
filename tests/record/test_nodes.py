"""Candidates and lines of `nodes.jsonl`: a round trip, whatever the candidates hold."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.executor import CandidateRecord
from tts_runtime.record.lines import Seal
from tts_runtime.record.nodes import MOST_NODES, NodeBatch, batches, records

SCORE = st.none() | st.floats(-5, 5)
OPS = st.sampled_from(["expand", "expand", "expand", "ask", "force", "fork", "cut"])


@st.composite
def forests(draw: st.DrawFn) -> list[CandidateRecord]:
    """Candidates of one problem in program order, as the executor could make them."""
    made: dict[int, CandidateRecord] = {}
    for uid in range(1, draw(st.integers(1, 12)) + 1):
        op = draw(OPS)
        parent = draw(st.sampled_from([None, 0, *made]))
        before = draw(st.sampled_from([0, parent or 0, *made]))
        source = made.get(before)
        tokens, ids = (source.tokens, source.ids) if source else (0, 0)
        known = source.scores.get("prm") if source else None
        start = known if isinstance(known, tuple) and draw(st.booleans()) else ()
        new = tuple(draw(st.lists(SCORE, max_size=3)))
        root = made[parent].root if parent in made and draw(st.booleans()) else uid
        added = draw(st.integers(-3, 9))
        made[uid] = CandidateRecord(
            uid,
            parent,
            root,
            op,
            draw(st.sampled_from(["a.tts:3", "b.tts:7"])),
            draw(st.sampled_from([None, "Why?"])) if op == "ask" else None,
            before,
            draw(st.sampled_from(["", "x", "so \u2028 and\n\n", "\ud800"])),
            op == "force",
            ids + added + draw(st.integers(0, 2)),
            tokens + added,
            draw(st.integers(0, 3)),
            draw(st.sampled_from([None, "stop", "end"])),
            draw(st.booleans()),
            draw(st.none() | st.just(0.0) | st.floats(-9, 0)),
            (answer := draw(st.sampled_from([None, "", "1/2"]))),
            draw(st.sampled_from([answer, "0.5"])) if answer is not None else None,
            draw(st.sampled_from([{}, {"prm": start + new}, {"orm": 0.5, "prm": start + new}])),
            draw(st.sampled_from([{}, {"prm": "too long"}])),
            draw(st.sampled_from([None, "RecursionError"])),
            draw(st.sampled_from([None, {"policy": "policy", "temperature": 0.5}])),
            draw(st.integers(0, 2)),
            draw(st.sampled_from([None, "00ff"])),
        )
    return list(made.values())


@settings(deadline=None)
@given(forests())
def test_lines_hold_candidates_as_they_were(made: list[CandidateRecord]) -> None:
    seal = Seal("run")
    known: dict[int, CandidateRecord] = {}
    read: list[CandidateRecord] = []
    for line in batches("p", 3, made):
        batch = NodeBatch.model_validate(seal.read(seal.line(line).decode()))
        assert (batch.problem, batch.seed) == ("p", 3)
        read += records(batch, known)
    assert read == made


def test_nodes_of_one_operation_share_a_line_up_to_a_limit() -> None:
    one = CandidateRecord(
        1, 0, 1, "expand", "/some/where/a.tts:3", None, 0, "x", False, 1, 1, 1, "end", True, -0.5,
        None, None, {},
    )  # fmt: skip
    made = [replace(one, uid=uid, root=uid) for uid in range(1, MOST_NODES + 3)]
    first, second = batches("p", 0, made)
    assert (first["first"], second["first"]) == (1, MOST_NODES + 1)
    assert first["place"] == "a.tts:3"
    assert (first["parent"], first["finish"], first["logprob"]) == (0, "end", -0.5)
    assert "root" not in first


def test_long_texts_do_not_share_a_line() -> None:
    one = CandidateRecord(
        1, 0, 1, "expand", "a.tts:3", None, 0, "x" * 700_000, False, 1, 1, 1, "end", True, -0.5,
        None, None, {},
    )  # fmt: skip
    made = [replace(one, uid=uid, root=uid) for uid in (1, 2, 3)]
    assert [line["first"] for line in batches("p", 0, made)] == [1, 2, 3]
