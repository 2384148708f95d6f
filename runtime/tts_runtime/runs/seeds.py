"""The seeds of a run: under each of them every problem is answered once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, groupby, islice
from operator import index
from typing import Final

from tts_runtime.problems.model import Problem, Trial

#: More seeds are a typo; and digits of one.
_MOST: Final = 10_000
_DIGITS: Final = 18


def distinct_seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """One seed or several, each once, in the order given.

    Raises:
        ValueError: None, too many, one given twice, or something that is no whole number.
    """
    several = seeds if isinstance(seeds, Iterable) else (seeds,)
    try:
        listed = [int(index(seed)) for seed in islice(several, _MOST + 1)]
    except TypeError:
        raise ValueError(f"seeds are whole numbers, not {seeds!r}") from None
    if not listed:
        raise ValueError("a run needs at least one seed")
    if len(listed) > _MOST:
        raise ValueError(f"more than {_MOST:,} seeds")
    seen: set[int] = set()
    for seed in listed:
        if seed in seen:
            raise ValueError(f"seed {seed} is given twice")
        seen.add(seed)
    return tuple(listed)


def one_seed(seed: int) -> int:
    """A seed by itself.

    Raises:
        ValueError: It is no whole number.
    """
    try:
        return int(index(seed))
    except TypeError:
        raise ValueError(f"a seed is a whole number, not {seed!r}") from None


def seeds_in(text: str) -> tuple[int, ...]:
    """Seeds as an option writes them: `3`, `0..4`, `0,3,7` or `0..2,10`.

    Raises:
        ValueError: Not of this form.
    """
    return distinct_seeds(seed for part in text.split(",") for seed in _range(part, text))


def _range(part: str, text: str) -> Iterable[int]:
    first, dots, last = part.partition("..")
    low = _number(first, text)
    high = _number(last, text) if dots else low
    if high < low:
        raise ValueError(f"expected a range that rises, such as 0..4, found `{part}`")
    return range(low, high + 1)


def _number(text: str, whole: str) -> int:
    digits = text.strip().replace("_", "")
    number = digits.removeprefix("-")
    if number.isascii() and number.isdigit() and len(number) > _DIGITS:
        raise ValueError(f"expected a whole number of at most {_DIGITS} digits, found `{text}`")
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"expected a whole number, 0..4 or 0,3,7, found `{whole}`")
    return int(digits)


def in_words(seeds: Sequence[int]) -> str:
    """`seed 3`, `seeds 0..4` or `seeds 0..2, 10`."""
    rows: list[str] = []
    offset = count()
    for _, group in groupby(sorted(seeds), lambda seed: seed - next(offset)):
        row = list(group)
        rows += [f"{row[0]}..{row[-1]}"] if len(row) > 2 else map(str, row)
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(rows)}"


def trials_of(problems: Iterable[Problem], seeds: Iterable[int]) -> Iterator[Trial]:
    """Every problem under every seed: all problems under the first, then under the next."""
    ids = [problem.id for problem in problems]
    return (Trial(id_, seed) for seed in seeds for id_ in ids)
