"""An index of partial blocks, which vLLM's prefix cache of whole blocks leaves out.

A search continues from where a step ended, mostly in the middle of a block. vLLM's prefix cache
then reads the partial block again, once per child. So a copy of it is cached. This is the
book-keeping, in blocks and slots; the connector (`internals`) copies keys and values.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple


class BlockCopies(NamedTuple):
    """Copies to make before a step of the engine, saves first."""

    saves: tuple[tuple[int, int], ...]
    """Pairs (block, slot)."""
    loads: tuple[tuple[int, int], ...]
    """Pairs (slot, block)."""


class PartialBlockCache:
    """Partial blocks by their tokens; the least recently used is dropped when all slots are taken.

    Args:
        slots: Partial blocks that fit.
        block: Tokens of a block.
    """

    def __init__(self, slots: int, block: int) -> None:
        self._block = block
        self._slots: OrderedDict[Hashable, int] = OrderedDict()
        self._free = list(range(slots))
        self._saves: dict[int, int] = {}  # slot to block
        self._loads: list[tuple[int, int]] = []

    def keep(self, prefix: Hashable, tokens: Sequence[int], block: int) -> None:
        """Has a block saved before the engine's next step.

        Args:
            prefix: Identifies what precedes the block.
            tokens: Those in it that have been read.
            block: Its number.
        """
        if not tokens:
            return
        key = (prefix, *tokens)
        if key in self._slots:
            self._slots.move_to_end(key)
            return
        if self._free:
            slot = self._free.pop()
        elif self._slots:
            slot = self._slots.popitem(last=False)[1]
        else:
            return
        self._slots[key] = slot
        self._saves[slot] = block

    def find(self, prefix: Hashable, tokens: Sequence[int]) -> tuple[int, int] | None:
        """Slot and length of the longest partial block that these tokens begin with."""
        for length in range(min(self._block, len(tokens)), 0, -1):
            slot = self._slots.get((prefix, *tokens[:length]))
            if slot is not None:
                self._slots.move_to_end((prefix, *tokens[:length]))
                return slot, length
        return None

    def load(self, slot: int, block: int) -> None:
        """Has a slot copied to a block before the engine's next step."""
        self._loads.append((slot, block))

    def take(self) -> BlockCopies:
        """The copies due now. No `keep` may come between a `find` and this."""
        moves = BlockCopies(
            tuple((block, slot) for slot, block in self._saves.items()), tuple(self._loads)
        )
        self._saves, self._loads = {}, []
        return moves

    def forget(self) -> None:
        """Drops all."""
        self._free += self._slots.values()
        self._slots.clear()
        self._saves.clear()
