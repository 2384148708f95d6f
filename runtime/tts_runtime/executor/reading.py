"""A judge's reply, read as numbers (C34)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from tts_lang.plan.graph import Judge
from tts_runtime.executor.model import Node

_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")

#: One number a row that the judge saw.
Reading: TypeAlias = "list[float | None]"


def final_text(node: Node) -> str:
    """A reply without the thoughts before it."""
    return node.text


def read(judge: Judge, reply: str, rows: int) -> Reading | None:
    """The reply's numbers, one a row; `None` if it cannot be read."""
    if judge.after is not None:
        _, found, reply = reply.partition(judge.after)
        if not found:
            return None
    return READERS[judge.read](judge, reply, rows)


def _number(judge: Judge, reply: str, rows: int) -> Reading | None:
    """The last number in the judge's range."""
    low, high = judge.low, judge.high
    inside = [
        number
        for number in map(float, _NUMBER.findall(reply))
        if (low is None or number >= low) and (high is None or number <= high)
    ]
    return [inside[-1]] * rows if inside else None


def _places(reply: str, rows: int) -> list[int]:
    """Numbers of candidates named in a reply, from 1, in order."""
    numbers = map(float, _NUMBER.findall(reply))
    return [int(number) for number in numbers if number in range(1, rows + 1)]


def _choice(judge: Judge, reply: str, rows: int) -> Reading | None:
    """1 for the candidate named last, 0 for the others; or the number of the word named last."""
    if judge.options:
        return _option(judge.options, reply, rows)
    places = _places(reply, rows)
    if not places:
        return None
    return [float(place == places[-1]) for place in range(1, rows + 1)]


def _option(options: Sequence[tuple[str, float]], reply: str, rows: int) -> Reading | None:
    worth = {word.casefold(): number for word, number in options}
    # The longer word first: "very likely" is not "likely".
    words = "|".join(re.escape(word) for word in sorted(worth, key=len, reverse=True))
    named = re.findall(rf"(?<!\w)(?:{words})(?!\w)", reply.casefold())
    return [float(worth[named[-1]])] * rows if named else None


def _ranking(_judge: Judge, reply: str, rows: int) -> Reading | None:
    """(n - place) / (n - 1) by the order in which candidates are named; missing for the others."""
    order = list(dict.fromkeys(_places(reply, rows)))
    if not order:
        return None
    if rows == 1:
        return [1.0]
    return [
        (rows - 1 - order.index(place)) / (rows - 1) if place in order else None
        for place in range(1, rows + 1)
    ]


#: Ways to read a reply; `probability` reads the distribution, not a reply (judging.py).
READERS: Final[Mapping[str, Callable[[Judge, str, int], Reading | None]]] = {
    "number": _number,
    "choice": _choice,
    "ranking": _ranking,
}
