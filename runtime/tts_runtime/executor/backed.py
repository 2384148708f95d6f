"""What `backup` keeps of the rows of a search tree (C54)."""

from __future__ import annotations

from typing import Final, NamedTuple

from tts_lang.values import is_number


class Backed(NamedTuple):
    """What `backup` keeps of a row (C54): `total` is the sum of the values of its visits where
    their mean is kept, else the value itself."""

    visits: int = 0
    keeping: str = "mean"
    total: float | None = 0.0

    @property
    def value(self) -> float | None:
        """Missing while there is none."""
        if not self.visits or self.total is None:
            return None
        kept = self.total / self.visits if self.keeping == "mean" else self.total
        return kept if is_number(kept) else None

    def visited(self) -> Backed:
        """One more visit, of value 0 where a mean is kept."""
        return self._replace(visits=self.visits + 1)

    def plus(self, value: float | None, keeping: str) -> Backed:
        """One more visit of this value; one that is missing counts as 0 in means and sums."""
        kept = self.total
        if keeping != self.keeping:
            kept = self.value
            if keeping == "mean":
                kept = 0.0 if kept is None else kept * self.visits
        if keeping in ("mean", "sum"):
            # Perhaps infinite: no value then.
            kept = (kept or 0.0) + (0.0 if value is None else float(value))
        elif value is not None:
            kept = value if kept is None or keeping == "last" else max(kept, value)
        return Backed(self.visits + 1, keeping, kept)


UNVISITED: Final = Backed()
