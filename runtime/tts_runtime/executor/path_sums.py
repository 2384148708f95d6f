"""Sums of log-probabilities along paths: exact, then rounded once, for all nodes of a problem."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import frexp, fsum, isfinite, ldexp, nan
from typing import Final

from tts_runtime.executor.nodes import Node

#: Bits of a float's significand.
_BITS: Final = 53
#: Sums that are larger are nobody's log-probabilities.
_LARGE: Final = 2.0**500


def path_logprobs(nodes: Sequence[Node]) -> list[float | None]:
    """`Node.logprob` of each, in an order in which parents come before children; `None`: not known.

    What is added up for one node is not added up again for those that continue it.
    """
    values = _in_units(nodes)
    if values is None:
        values = _one_by_one(nodes)
    errors = [node.error for node in nodes]
    if isfinite(sum(values)) and errors.count(None) == len(nodes):
        return [*values]
    return [
        value if error is None and isfinite(value) else None
        for value, error in zip(values, errors, strict=True)
    ]


# ------------------------------------------------------------------ all at once


def _in_units(nodes: Sequence[Node]) -> list[float] | None:
    """The sums by plain addition, where that is exact.

    Each number is a multiple of some unit and a rest, which is a multiple of a smaller unit. So few
    units are in all of them together that floats hold every sum of either exactly, in any order.
    `None`: the rests are finer than that, as numbers differ much in size, or some node continues
    one that is not here.
    """
    try:
        import numpy as np  # which a browser need not have
    except ImportError:
        return None
    doubles_of = [node.doubles if node.sampled else b"" for node in nodes]
    doubles = [each if type(each) is bytes else array("d", each).tobytes() for each in doubles_of]
    data = np.frombuffer(b"".join(doubles))
    total = float(np.abs(data).sum())
    all_finite = isfinite(total)
    finite = np.isfinite(data)
    if not all_finite:  # nothing is known of what a server replies without them
        data = np.where(finite, data, 0.0)
        total = float(np.abs(data).sum())
    if not total < _LARGE:
        return None
    exponent = max(frexp(total)[1], 0)
    unit = ldexp(1.0, exponent - _BITS + 1)
    parts = np.rint(data / unit) * unit
    rests = data - parts
    if rests.any():
        small = ldexp(unit, data.size.bit_length() - _BITS - 1)
        in_small = rests / small
        if (in_small != np.rint(in_small)).any():
            return None
        parts = parts + 1j * rests
    if not all_finite:
        parts[~finite] = nan
    counts = np.array([len(each) for each in doubles]) >> 3
    starts = counts.cumsum() - counts
    own = np.add.reduceat(np.append(parts, 0.0), starts)
    own[counts == 0] = 0.0
    sums: dict[Node | None, complex] = {None: 0.0}
    for node, new in zip(nodes, own.tolist(), strict=True):
        start = sums.get(node.parent)
        if start is None:
            first = node.parent
            if first is None or first.sampled or first.parent is not None:
                return None
            start = sums[first] = 0.0
        sums[node] = start + new
    totals = [sums[node] for node in nodes]
    ends = [node.end_logprob for node in nodes]
    if any(ends):
        return [
            fsum((each.real, each.imag, end)) if isfinite(each.real) and isfinite(end) else nan
            for each, end in zip(totals, ends, strict=True)
        ]
    return [each.real + each.imag for each in totals]


# ------------------------------------------------------------------ one by one


def _one_by_one(nodes: Sequence[Node]) -> list[float]:
    """The sums, whatever the numbers are."""
    #: Few numbers whose sum is that of the sampled ones on the path.
    sums: dict[Node | None, tuple[float, ...]] = {None: ()}
    totals: list[float] = []
    for node in nodes:
        parts = _parts(node, sums)
        if node.end_logprob:
            parts = _exact([*parts, node.end_logprob])
        totals.append(parts[0] if parts else 0.0)
    return totals


def _parts(node: Node, sums: dict[Node | None, tuple[float, ...]]) -> tuple[float, ...]:
    """The same of one node, and of all before it."""
    new: list[Node] = []
    at: Node | None = node
    while (parts := sums.get(at)) is None:
        assert at is not None
        new.append(at)
        at = at.parent
    for each in reversed(new):
        if each.sampled:
            parts = _exact([*parts, *each.logprobs])
        sums[each] = parts
    return parts


def _exact(numbers: list[float]) -> tuple[float, ...]:
    """Few numbers of the same exact sum: it, rounded once, then the rest in the same way."""
    parts: list[float] = []
    try:
        first = fsum(numbers)
        numbers.append(-first)
        part = fsum(numbers)
        if not part:  # as a rule
            return (first,) if first else ()
        parts.append(first)
        while part and isfinite(first):
            parts.append(part)
            numbers.append(-part)
            part = fsum(numbers)
    except (OverflowError, ValueError):  # beyond the largest number, or of both infinities
        return (nan,)
    return tuple(parts)
