"""The parts that a line with an error is read as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts_lang.repair.scope import KnownNames


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a line.

    `kind` is `pool`, `num`, `row` (differs from row to row), `flag`, `text`, `scorer`, `prompt`,
    `policy`, `strategy`, `unit`, `mark` (a word of the lexicon) or `word` (one that is not known).
    """

    kind: str
    text: str
    meanings: frozenset[str] = frozenset()
    simple: bool = True
    at: int = 0

    @property
    def bound(self) -> str:
        """The text, in parentheses where it is an operation."""
        return self.text if self.simple else f"({self.text})"

    def means(self, *meanings: str) -> bool:
        """Whether it is a word for one of these."""
        return not self.meanings.isdisjoint(meanings)


def of_rows(item: Item, names: KnownNames) -> str:
    """A value as an expression over rows: of a process scorer the last step counts."""
    if item.kind == "scorer" and item.text in names.steps:
        return f"last({item.text})"
    for meaning in item.meanings:  # `mean(orm)` within a larger expression
        if meaning.startswith("reduced "):
            return f"{meaning.removeprefix('reduced ')}({item.text} of {names.pools[0]})"
    return item.text


def marks_before(items: Sequence[Item], at: int) -> list[Item]:
    """The words directly before an item."""
    marks: list[Item] = []
    for item in reversed(items[:at]):
        if item.kind != "mark":
            break
        marks.insert(0, item)
    return marks
