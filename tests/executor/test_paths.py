"""A node keeps what is new; the whole path is put together from its nodes."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.executor_overhead import memory
from tests.support.scripted import ScriptedPolicy
from tts_runtime.engines.base import GenerateRequest, Limits, Sampling, ScoreRequest
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.nodes import Conversation, Node, opening
from tts_runtime.executor.rows import Vector, extended
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED
from tts_runtime.tokens import path_mark


def policies() -> tuple[Policy, Policy]:
    """One that ends steps with a blank line, one with another delimiter."""
    other = ScriptedPolicy([""])
    other.binding = other.binding.model_copy(update={"step_delimiter": "#\n"})
    return Policy("policy", ScriptedPolicy([""])), Policy("other", other)


WRITERS = policies()
#: What one node adds: who wrote it, and its bytes; é is cut in two now and then.
ADDED = st.tuples(
    st.sampled_from([0, 0, 0, 1]),
    st.text("ab \n#é", max_size=6).map(str.encode).flatmap(lambda b: st.just(b) | st.just(b[:-1])),
)


def child(node: Node, policy: Policy, data: bytes) -> Node:
    segments = node.segments
    for byte in data:
        segments = segments.add(bytes([byte]), policy.delimiter)
    return Node(
        *(node.conversation, node, policy, tuple(data), b"", UNCLAIMED, 0, segments),
        *(None, False, True),
    )


@given(st.lists(ADDED, max_size=40), st.data())
def test_a_path_is_what_its_nodes_add(parts: list[tuple[int, bytes]], data: st.DataObject) -> None:
    node = opening(Conversation(b"", "?", thinking=False, own=True), WRITERS[0])
    nodes = [node]
    for writer, added in parts:
        nodes.append(child(nodes[-1], WRITERS[writer], added))
    whole = b"".join(added for _, added in parts)
    # In any order: what one node has worked out is of use to others.
    for place in data.draw(st.permutations(range(len(nodes)))):
        node = nodes[place]
        assert bytes(node.path()) == node.data == whole[: node.position]
        assert node.text == node.data.decode(errors="replace")
        assert node.segments == StepSplit(
            node.segments.closed, node.segments.tail, node.segments.grown
        )


#: Of a tree: which of the nodes so far the next one continues (from the last), and what it adds.
GROWN = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 2, 5]), ADDED), max_size=40)


@given(GROWN, st.data())
def test_what_is_kept_of_paths_is_what_their_nodes_add(
    parts: list[tuple[int, tuple[int, bytes]]], data: st.DataObject
) -> None:
    """Whoever continues, in any order: of siblings, some come when nothing is kept any more."""
    nodes = [opening(Conversation(b"", "?", thinking=False, own=True), WRITERS[0])]
    for back, (writer, added) in parts:
        nodes.append(child(nodes[max(0, len(nodes) - 1 - back)], WRITERS[writer], added))
    for place in data.draw(st.lists(st.integers(0, len(nodes) - 1), max_size=60)):
        node = nodes[place]
        assert node.prefix() == node.path()
        many = 0 if node.parent is None else node.parent.segments.many_closed
        assert node.first_texts(many) == node.segments.texts[:many]
        assert node.first_texts(many // 2) == node.segments.texts[: many // 2]


@pytest.mark.usefixtures("standing")
@pytest.mark.parametrize("whole", [False, True])
def test_what_a_candidate_step_keeps(whole: bool) -> None:
    """Its text, ids and scores, and what names them; of the path before it only a reference.

    Where engines read whole paths, two of them are kept besides, however long they are.
    """
    memory(4, 2, whole)  # what is kept once
    assert memory(16, 10, whole) < (1800 if whole else 1550)
    assert memory(4, 80, whole) - memory(4, 20, whole) < 100


def test_what_no_engine_reads_is_not_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Node, "prefix")
    monkeypatch.delattr(Node, "first_texts")
    memory(2, 3)


def test_a_request_of_a_path_is_the_request_of_its_ids_and_texts() -> None:
    policy = WRITERS[0]
    first = opening(Conversation(b"", "?", thinking=False, own=True), policy)
    node = child(child(first, policy, b"a\n\nb\n\n"), policy, b"c")
    asked = ((1, 2), b"k" * 16, Sampling(), Limits(5))
    lazy = GenerateRequest.after(node, *asked)
    mark = lazy.mark
    whole = GenerateRequest((1, 2), tuple(b"a\n\nb\n\nc"), *asked[1:], node.segments)
    assert lazy.position == 7 == whole.position
    assert pickle.loads(pickle.dumps(lazy)) == lazy == whole
    assert hash(lazy) == hash(whole)
    assert lazy.of is None  # an engine that keeps the request keeps no path
    assert lazy.mark == mark == whole.mark
    scored = ScoreRequest.about(node, "?", {}, 1)
    assert scored.steps == ("a", "b", "c")
    assert (scored.text, scored.new_steps) == ("a\n\nb\n\nc", ("b", "c"))
    assert node.segments.texts_after(1) == ("b", "c")


@given(st.lists(st.lists(st.integers(0, 2**52), max_size=4).map(tuple), max_size=40), st.data())
def test_a_path_has_one_mark_however_it_is_cut(
    parts: list[tuple[int, ...]], data: st.DataObject
) -> None:
    """A run that continues may cut it elsewhere, and finds its replies by the mark."""
    node = opening(Conversation(b"", "?", thinking=False, own=True), WRITERS[0])
    nodes = [node]
    for ids in parts:
        node = Node(
            *(node.conversation, node, node.policy, ids, b"", UNCLAIMED, 0),
            *(NOTHING, None, False, True),
        )
        nodes.append(node)
    # In any order: what one node has worked out is of use to others.
    for node in data.draw(st.permutations(nodes)):
        path = node.path()
        assert node.mark == path_mark(0, path)
        if path:
            assert path_mark(0, (*path[:-1], path[-1] ^ 1)) != node.mark
        if path != path[::-1]:
            assert path_mark(0, path[::-1]) != node.mark


@given(st.lists(st.lists(st.none() | st.floats(0, 1), max_size=20).map(tuple), max_size=10))
def test_scores_of_long_paths_are_those_of_their_steps(
    parts: list[tuple[float | None, ...]],
) -> None:
    scores: Vector = ()
    whole: tuple[float | None, ...] = ()
    for part in parts:
        before = scores
        scores, whole = extended(scores, part), whole + part
        assert tuple(before) == whole[: len(before)]
    assert (len(scores), tuple(scores)) == (len(whole), whole)
    assert [scores[place] for place in range(-len(whole), len(whole))] == [*whole, *whole]
    assert scores[1:-1] == whole[1:-1]


def test_a_long_path_in_blocks() -> None:
    """Steps of one path share blocks; equal, hashed and pickled it is what its pieces say."""
    pieces = [b"%d" % number for number in range(50)]
    split = StepSplit()
    for many, piece in enumerate(pieces):
        assert (split.many_closed, split.closed) == (many, tuple(pieces[:many]))
        assert split.closed_after(max(0, many - 20)) == tuple(pieces[max(0, many - 20) : many])
        split = split.add(piece, b"\n\n").add(b"\n\n", b"\n\n")
    whole = StepSplit(pieces)
    assert split == whole != split.add(b"x", b"\n\n")
    assert hash(split) == hash(whole)
    assert pickle.loads(pickle.dumps(split)) == split
    assert split.texts == tuple(map(bytes.decode, pieces))
