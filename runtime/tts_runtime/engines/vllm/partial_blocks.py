"""Which ends of paths are kept, where: what the prefix cache, which knows whole blocks, leaves out.

A search goes on from where a step ended, mostly in the middle of a block. vLLM's prefix cache then
reads the begun block again, once for every child. So a copy of it is kept: a tail. Here is the
book-keeping, in blocks and slots; `connector` moves the numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple


class BlockCopies(NamedTuple):
    """Copies to make before a step of the engine, the saves first."""

    saves: tuple[tuple[int, int], ...]
    """Pairs (block, slot)."""
    loads: tuple[tuple[int, int], ...]
    """Pairs (slot, block)."""


class PartialBlockCache:
    """The tails that are kept; the one that was not used for longest goes when there is no room.

    Args:
        slots: How many fit.
        block: Tokens of a block; a tail has at most as many.
    """

    def __init__(self, slots: int, block: int) -> None:
        self._block = block
        self._kept: OrderedDict[Hashable, int] = OrderedDict()
        self._free = list(range(slots))
        self._saves: dict[int, int] = {}  # slot to block
        self._loads: list[tuple[int, int]] = []

    def keep(self, prefix: Hashable, tail: Sequence[int], block: int) -> None:
        """Has a block saved before the engine's next step.

        Args:
            prefix: What stands before the block, however that is named.
            tail: The tokens in it that have been read.
            block: Its number.
        """
        if not tail:
            return
        key = (prefix, *tail)
        if key in self._kept:
            self._kept.move_to_end(key)
            return
        if self._free:
            slot = self._free.pop()
        elif self._kept:
            slot = self._kept.popitem(last=False)[1]
        else:
            return
        self._kept[key] = slot
        self._saves[slot] = block

    def find(self, prefix: Hashable, tokens: Sequence[int]) -> tuple[int, int] | None:
        """Slot and length of the longest tail that these tokens begin with."""
        for length in range(min(self._block, len(tokens)), 0, -1):
            slot = self._kept.get((prefix, *tokens[:length]))
            if slot is not None:
                self._kept.move_to_end((prefix, *tokens[:length]))
                return slot, length
        return None

    def load(self, slot: int, block: int) -> None:
        """Has a slot copied to a block before the engine's next step."""
        self._loads.append((slot, block))

    def take(self) -> BlockCopies:
        """What is to be moved now. No `keep` may come between a `find` and this."""
        moves = BlockCopies(
            tuple((block, slot) for slot, block in self._saves.items()), tuple(self._loads)
        )
        self._saves, self._loads = {}, []
        return moves

    def forget(self) -> None:
        """Keeps nothing any more."""
        self._free += self._kept.values()
        self._kept.clear()
        self._saves.clear()
