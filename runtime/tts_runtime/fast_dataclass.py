"""Values of which a run makes many for every candidate's step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["fast_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as fast_dataclass
else:
    from dataclasses import dataclass

    def fast_dataclass(*, frozen: bool, slots: bool) -> Any:
        """A dataclass that is frozen for the type checker only.

        A frozen dataclass sets every field by way of `object.__setattr__`, which makes a new one
        four times as slow.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)
