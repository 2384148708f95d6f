"""Parts of a run on many machines: which problems a part has, and where it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

Item = TypeVar("Item")

_FORM: Final = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` (from 1) of `of`: every `of`-th problem, so that all parts take about as long.

    Raises:
        ValueError: There is no such part.
    """

    index: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of:
            of = max(1, self.of)
            end = f"the last is {of}/{of}" if self.index > of else f"the first is 1/{of}"
            raise ValueError(f"there is no shard {self}: {end}")

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @staticmethod
    def parse(text: str) -> Shard:
        """`3/16`.

        Raises:
            ValueError: Not of this form, or no such part.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected a shard and their number, such as 3/16, found {text!r}")
        return Shard(int(match[1]), int(match[2]))

    def part(self, problems: Sequence[Item]) -> Sequence[Item]:
        """The problems of this part, in order."""
        return problems[self.index - 1 :: self.of]

    def folder(self, out: Path) -> Path:
        """The run directory of this part."""
        width = len(str(self.of))
        return out / f"shard-{self.index:0{width}}-of-{self.of}"
