"""Random columns: numbers drawn for a row from the key of the draw, the same everywhere.

The n-th draw of a row's lane in a scope has its own key (`draw_key`); whatever a distribution needs
beyond one uniform number it takes from successive draws of that key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, exp, log, pi, sqrt
from typing import Final

from tts_runtime.streams import Key, derive, gumbel_number, uniform

#: Shape below which Marsaglia and Tsang's method needs the shape raised by one.
_SMALL_SHAPE: Final = 1.0


def row_lane(key: Key, position: int, level: int) -> Key:
    """The lane of a row that is no copy: its random numbers go with its node."""
    return derive(key, "lane", position, level)


def copy_lane(lane: Key, copy: int) -> Key:
    """The lane of the `copy`-th copy (from 0) that a scope makes of the rows of one lane."""
    return lane if copy == 0 else derive(lane, "copy", copy)


def draw_key(root: Key, lane: Key, draw: int) -> Key:
    """The key of the `draw`-th number (from 0) that a scope draws on one lane."""
    return derive(root, "draw", lane, draw)


def draw(distribution: str, key: Key, arguments: Sequence[float | int | None] = ()) -> float | None:
    """One number of a distribution of `tts_lang.plan.expr.DISTRIBUTIONS`.

    Missing where it has no such number: a missing argument, a beta parameter that is not above 0.
    """
    numbers = [argument for argument in arguments if argument is not None]
    if len(numbers) < len(arguments):
        return None
    return DRAWS[distribution](key, numbers)


def _normal(key: Key, first: int) -> float:
    """Box and Muller 1958, from draws `first` and `first + 1`."""
    radius = sqrt(-2.0 * log(uniform(key, first)))
    return radius * cos(2.0 * pi * uniform(key, first + 1))


def _log_gamma_number(key: Key, shape: float) -> float:
    """Logarithm of a gamma number (Marsaglia and Tsang 2000), which cannot underflow."""
    boost = 0.0
    if shape < _SMALL_SHAPE:
        boost = log(uniform(key, 0)) / shape
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    number = 1
    while True:
        x = _normal(key, number)
        u = uniform(key, number + 2)
        number += 3
        v = (1.0 + c * x) ** 3
        if v > 0 and log(u) < 0.5 * x * x + d - d * v + d * log(v):
            return log(d * v) + boost


def _beta(key: Key, a: float, b: float) -> float | None:
    """X / (X + Y) of two gamma numbers."""
    if a <= 0 or b <= 0:
        return None
    first = _log_gamma_number(derive(key, "first"), a)
    second = _log_gamma_number(derive(key, "second"), b)
    # exp overflows beyond 709; so far apart, the ratio is 0 to machine precision.
    return 1.0 / (1.0 + exp(min(700.0, second - first)))


DRAWS: dict[str, Callable[[Key, Sequence[float | int]], float | None]] = {
    "uniform": lambda key, _: uniform(key),
    "normal": lambda key, _: _normal(key, 0),
    "gumbel": lambda key, _: gumbel_number(key),
    "beta": lambda key, shapes: _beta(key, shapes[0], shapes[1]),
}
