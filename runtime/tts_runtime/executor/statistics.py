"""Statistics of sampled tokens over spans of a path: confidence, certainty, entropy, margin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import ceil, isnan
from typing import Final

from tts_lang.values import mean, present
from tts_runtime.executor.model import Node
from tts_runtime.steps import NOTHING


def path_values(node: Node, name: str) -> list[float]:
    """The statistic of every sampled token of the path; forced tokens have none."""
    return _known(
        value for edge in node.edges() if edge.sampled for value in edge.statistics.get(name, ())
    )


def _known(values: Iterable[float]) -> list[float]:
    """Without those that a server did not tell."""
    return [value for value in values if not isnan(value)]


def _between(node: Node, name: str, first: int, last: int) -> list[float]:
    """The statistic of the sampled tokens at positions `first` to `last - 1`."""
    found: list[float] = []
    for edge in node.edges():
        start = edge.position - len(edge.ids)
        if edge.sampled:
            values = edge.statistics.get(name, ())
            found.extend(values[max(0, first - start) : max(0, last - start)])
    return _known(found)


def last_step(node: Node, name: str) -> list[float]:
    """Values of the last step's tokens, the closing delimiter's included."""
    segments = NOTHING
    ends = [0]
    position = 0
    for edge in node.edges():
        for token in edge.ids:
            position += 1
            closed = len(segments.closed)
            segments = segments.add(edge.policy.pieces[token], edge.policy.delimiter)
            ends.extend([position] * (len(segments.closed) - closed))
    if segments.steps == len(ends):  # an open step counts
        ends.append(position)
    return _between(node, name, ends[-2], ends[-1]) if len(ends) > 1 else []


def answer_tokens(node: Node, name: str) -> list[float]:
    """Values of the tokens that hold the answer, as it stands last in the text."""
    written = node.written
    if written is None:
        return []
    data = node.data
    found = data.rfind(written.encode())
    if found < 0:
        return []
    end = found + len(written.encode())
    first = last = position = size = 0
    for edge in node.edges():
        for token in edge.ids:
            if size <= found:
                first = position
            size += len(edge.policy.pieces[token])
            position += 1
            if size < end:
                last = position
    return _between(node, name, first, last + 1)


def last_values(node: Node, name: str, window: int) -> list[float]:
    """The last `window` values of the path, found without going through all of it."""
    parts: list[Sequence[float]] = []
    missing = window
    edge: Node | None = node
    while edge is not None and missing > 0:
        if edge.sampled:
            part = edge.statistics.get(name, ())[-missing:]
            parts.append(part)
            missing -= len(part)
        edge = edge.parent
    return _known(value for part in reversed(parts) for value in part)


def tail(values: Sequence[float], window: int, complete: bool) -> float | None:
    """Mean of the last `window` values; `complete`: missing while there are fewer (C27)."""
    if window < 1 or (complete and len(values) < window):
        return None
    return mean(values[-window:])


def lowest(
    values: Sequence[float], window: int, share: float | None, complete: bool
) -> float | None:
    """The lowest mean over windows of `window` values, or the mean of the lowest share of them.

    DeepConf (Fu et al. 2025): a path shorter than a window is one window, except while tokens
    stream (`complete`), where it is none yet (C27).
    """
    if window < 1 or not values or (complete and len(values) < window):
        return None
    width = min(window, len(values))
    means = present([mean(values[at : at + width]) for at in range(len(values) - width + 1)])
    if share is None or not means:
        return min(means, default=None)
    many = max(1, ceil(Fraction(str(share)) * len(means)))
    return mean(sorted(means)[:many])


#: Values of the tokens that a span holds, for the spans without a window.
SPANS: Final[dict[str, Callable[[Node, str], list[float]]]] = {
    "all": path_values,
    "step": last_step,
    "answer": answer_tokens,
}
#: Spans with a window, in tokens.
WINDOWS: Final = ("tail", "lowest")
