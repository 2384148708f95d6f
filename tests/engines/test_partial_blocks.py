"""Which partial blocks are cached, and that what is loaded is what was read before."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tts_runtime.engines.vllm.partial_blocks import BlockCopies, PartialBlockCache

BLOCK = 4
PREFIX = st.sampled_from("ab")
TOKENS = st.lists(st.integers(0, 1), max_size=BLOCK + 2)


def test_a_tail_is_found_by_the_tokens_that_go_on_from_it() -> None:
    cache = PartialBlockCache(3, BLOCK)
    cache.keep("a", [1, 2], 7)
    slot, length = cache.find("a", [1, 2, 3, 4]) or (-1, 0)
    assert length == 2
    assert cache.take() == BlockCopies(((7, slot),), ())
    assert cache.find("a", [1, 3]) is None
    assert cache.find("b", [1, 2]) is None
    assert cache.take() == BlockCopies((), ())


def test_the_longest_tail_is_found() -> None:
    cache = PartialBlockCache(3, BLOCK)
    for length in (1, 3, 2):
        cache.keep("a", [5] * length, length)
    found = cache.find("a", [5, 5, 5, 6])
    assert found is not None
    assert found[1] == 3
    assert dict(cache.take().saves)[3] == found[0]


def test_what_was_not_used_for_longest_goes() -> None:
    cache = PartialBlockCache(2, BLOCK)
    cache.keep("a", [1], 1)
    cache.keep("a", [2], 2)
    assert cache.find("a", [1]) is not None
    cache.keep("a", [3], 3)
    assert cache.find("a", [2]) is None
    assert cache.find("a", [1]) is not None
    assert cache.find("a", [3]) is not None


@given(st.lists(st.tuples(PREFIX, TOKENS)))
def test_without_room_nothing_is_kept(kept: Sequence[tuple[str, list[int]]]) -> None:
    cache = PartialBlockCache(0, BLOCK)
    for prefix, tokens in kept:
        cache.keep(prefix, tokens[:BLOCK], 0)
        assert cache.find(prefix, tokens) is None
    assert cache.take() == BlockCopies((), ())


class Copies(RuleBasedStateMachine):
    """Blocks and slots that hold what was copied into them, under an engine's steps.

    In a step of the engine requests start (find, load), then copies are made, then requests write
    and end (keep). A block that is kept may be given to another request right after.
    """

    @initialize(slots=st.integers(1, 3))
    def empty(self, slots: int) -> None:
        self.cache = PartialBlockCache(slots, BLOCK)
        self.slots: list[tuple[str, list[int]]] = [("", [])] * slots
        self.blocks: dict[int, tuple[str, list[int]]] = {}
        self.last: tuple[str, list[int]] | None = None

    @rule(
        starting=st.lists(st.tuples(PREFIX, TOKENS), max_size=3),
        ending=st.lists(st.tuples(PREFIX, TOKENS.map(lambda tokens: tokens[:BLOCK])), max_size=4),
    )
    def step(
        self, starting: list[tuple[str, list[int]]], ending: list[tuple[str, list[int]]]
    ) -> None:
        expected = {}
        for block, (prefix, tokens) in enumerate(starting):
            if self.last == (prefix, tokens[:BLOCK]):
                # What was kept last is there whatever the room.
                assert not tokens or self.cache.find(prefix, tokens) is not None
            found = self.cache.find(prefix, tokens)
            if found is not None:
                slot, length = found
                assert 0 < length <= min(BLOCK, len(tokens))
                self.cache.load(slot, 100 + block)
                expected[100 + block] = (prefix, tokens[:length])
        self.copied(self.cache.take())
        for place, (prefix, read) in expected.items():
            name, kept = self.blocks[place]
            assert (name, kept[: len(read)]) == (prefix, read)
        for block, (prefix, tokens) in enumerate(ending):
            self.blocks[block] = (prefix, tokens)
            self.cache.keep(prefix, tokens, block)
            self.last = (prefix, tokens) if tokens else self.last

    @rule()
    def forget(self) -> None:
        self.cache.forget()
        self.last = None
        assert self.cache.take() == BlockCopies((), ())

    @invariant()
    def nothing_is_loaded_that_was_forgotten(self) -> None:
        if self.last is None:
            assert all(self.cache.find(prefix, [0, 1, 0, 1]) is None for prefix in "ab")

    def copied(self, moves: BlockCopies) -> None:
        """Saves first, then loads."""
        assert len({slot for _, slot in moves.saves}) == len(moves.saves)
        for block, slot in moves.saves:
            self.slots[slot] = self.blocks[block]
        for slot, block in moves.loads:
            self.blocks[block] = self.slots[slot]


TestCopies = Copies.TestCase
TestCopies.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
