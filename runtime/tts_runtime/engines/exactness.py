"""How far a rerun repeats what engines give."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Exactness(StrEnum):
    """How far a rerun repeats what an engine gives; the strongest first."""

    BITS = "bit-exact"
    """A path has the same numbers in every batch, read whole or in pieces."""
    NEAR_TIES = "exact up to near ties"
    """Numbers round by the batch, by a millionth: of tokens that close, another may win."""
    NONE = "not exact"
    """They round so coarsely that draws differ, or nobody follows the streams."""

    @property
    def exact(self) -> bool:
        """Whether streams are followed."""
        return self is not Exactness.NONE

    @classmethod
    def weakest(cls, levels: Iterable[Exactness]) -> Exactness:
        """Of a run, whose engines have these."""
        return max(levels, key=list(cls).index, default=cls.BITS)
