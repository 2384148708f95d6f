"""A node keeps what is new; the whole path is put together from its nodes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.executor_overhead import memory
from tests.support.scripted import ScriptedPolicy
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.model import Conversation, Node, opening
from tts_runtime.streams import UNCLAIMED


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
        assert node.step_texts == node.segments.texts


def test_what_a_candidate_step_keeps_does_not_grow_with_its_depth() -> None:
    """Texts and ids of whole paths would be 3 kB more."""
    memory(4, 2)  # what is kept once
    assert memory(4, 80) - memory(4, 20) < 1500
