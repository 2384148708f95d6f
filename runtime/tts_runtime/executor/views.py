"""A view of an operation's inputs, for evaluating expressions: aggregates, groups, statistics.

Aggregates make evaluators out of compiled ones: a number over the rows of a pool, and values that
need the whole pool but differ from row to row. Statistics are those of sampled tokens over spans of
a path: confidence, certainty, entropy, margin. `expressions.py` compiles into both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any, Final, TypeAlias

import tts_lang.values as values
from tts_lang.plan.graph import Operation
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.problem import error_at
from tts_runtime.executor.rows import Candidate, Row
from tts_runtime.steps import NOTHING
from tts_runtime.streams import Key


class View:
    """One evaluation of an operation's expressions.

    Args:
        draw_key: Gives the key of a row's next random number.
        inputs: The operation's inputs; its pools as lists of rows where the expressions need them.
        rows: The rows of the pool at hand, if they are all known.
        streaming: A generation is being watched: windows must be complete (C27).

    `above` holds, while a tree is walked, the visits of each candidate's parent (C54).
    """

    __slots__ = ("_places", "above", "cache", "draw_key", "inputs", "rows", "streaming")

    def __init__(
        self,
        draw_key: Callable[[Row], Key],
        inputs: Sequence[Any],
        rows: Sequence[Row] | None = None,
        streaming: bool = False,
    ) -> None:
        self.draw_key = draw_key
        self.inputs = inputs
        self.rows = rows
        self.streaming = streaming
        self.above: Mapping[Candidate, int] | None = None
        self.cache: dict[object, Any] = {}
        self._places: dict[int, int] | None = None

    def index(self, row: Row) -> int:
        """The row's place in the pool, from 0."""
        if self._places is None:
            assert self.rows is not None
            self._places = {id(each): place for place, each in enumerate(self.rows)}
        return self._places[id(row)]

    def of(self, rows: Sequence[Row]) -> View:
        """A view of another pool."""
        other = View(self.draw_key, self.inputs, rows, self.streaming)
        other.above = self.above
        return other

    @staticmethod
    def whole(value: Any) -> int:
        """A value where a count is wanted: fractions are floored, missing counts as 0 (C39)."""
        return 0 if value is None else floor(value)


#: The value of an expression for a row of a view.
Evaluate: TypeAlias = Callable[[Row, View], Any]

#: The aggregate of some rows (seen in a view of their pool), for a row (seen in its own view).
Aggregate: TypeAlias = Callable[[Sequence[Row], View, Row, View], Any]

#: Aggregates of the rows themselves, not of numbers computed from them.
OF_ROWS: Final = ("count", "first", "quantile", "all done", "any done")

# ------------------------------------------------------------------ groups and orders


def groups(keys: Sequence[Any]) -> list[list[int]]:
    """Places of equal keys, in order of first row; rows without a key form no group."""
    found: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(place)
    return list(found.values())


def grouped(rows: Sequence[Row], per: Evaluate | None, view: View) -> list[list[int]]:
    """Places of each group's rows; one group of all rows without `per`."""
    if per is None:
        return [list(range(len(rows)))] if rows else []
    return groups([per(row, view) for row in rows])


def rank(row: Row, number: Any) -> tuple[int, Any]:
    """Sorts by falling number; behind them rows without one, then without a text (C39, C64)."""
    lack = 2 if row.node.error is not None else int(number is None)
    return lack, 0 if lack else -number


def descending(rows: Sequence[Row], places: Sequence[int], numbers: Sequence[Any]) -> list[int]:
    """Places by `rank`, ties in their order."""
    return sorted(places, key=lambda place: rank(rows[place], numbers[place]))


def ancestors(row: Row) -> list[Candidate]:
    """The ancestors of a row, nearest first, without itself."""
    found: list[Candidate] = []
    candidate = row.candidate
    while True:
        source = candidate.parent if candidate.before is None else candidate.before.candidate
        if source is None:
            return found
        candidate = source
        found.append(candidate)


# ------------------------------------------------------------------ weights


def weight_of(value: Any, row: Row, place: int, operation: Operation) -> float:
    """A weight: missing weighs nothing, below 0 is an error (C20, C43)."""
    if value is None:
        return 0.0
    if value < 0:
        raise error_at(
            operation,
            f"the weight of candidate {place + 1} ({excerpt(row)}) is {value}",
            "weights must be 0 or more: transform the score, as in `exp(E)` or `clip(E, 0, 1)`",
        )
    return float(value)


def excerpt(row: Row) -> str:
    """How messages name a row: the beginning of its text, in quotes."""
    text = " ".join(row.node.text.split())
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def weights_of(
    weight: Evaluate | None, rows: Sequence[Row], view: View, operation: Operation
) -> list[float]:
    """The weight of every row; 1 without an expression."""
    if weight is None:
        return [1.0] * len(rows)
    return [weight_of(weight(row, view), row, place, operation) for place, row in enumerate(rows)]


# ------------------------------------------------------------------ aggregates


def over_all(pool: int, number: Aggregate) -> Evaluate:
    """The aggregate of all rows of an input."""
    slot = object()

    def evaluate(row: Row, view: View) -> Any:
        if slot not in view.cache:
            rows: Sequence[Row] = view.inputs[pool]
            view.cache[slot] = number(rows, view.of(rows), row, view)
        return view.cache[slot]

    return evaluate


def below(pool: int, number: Aggregate) -> Evaluate:
    """The aggregate of the rows of an input that descend from the row at hand."""

    def evaluate(row: Row, view: View) -> Any:
        rows: Sequence[Row] = view.inputs[pool]
        key = ("below", pool)
        if key not in view.cache:
            view.cache[key] = [set(ancestors(each)) for each in rows]
        lines: list[set[Candidate]] = view.cache[key]
        chosen = [each for each, line in zip(rows, lines, strict=True) if row.candidate in line]
        return number(chosen, view.of(rows), row, view)

    return evaluate


def per_group(pool: int, column: Evaluate, number: Aggregate) -> Evaluate:
    """The aggregate of the rows of an input that share the key of the row at hand."""
    slot = object()

    def evaluate(row: Row, view: View) -> Any:
        if slot not in view.cache:
            rows: Sequence[Row] = view.inputs[pool]
            inner = view.of(rows)
            keys = [column(each, inner) for each in rows]
            by_key = {
                keys[places[0]]: number([rows[place] for place in places], inner, row, view)
                for places in groups(keys)
            }
            view.cache[slot] = by_key, number([], inner, row, view)
        by_key, none = view.cache[slot]
        return by_key.get(column(row, view), none)

    return evaluate


def of_rows(how: str, of: Evaluate | None, quantile: Evaluate | None) -> Aggregate:
    """An aggregate named in `OF_ROWS`."""
    if how == "count":
        return lambda rows, _inner, _row, _view: len(rows)
    if how == "all done":
        return lambda rows, _inner, _row, _view: all(each.node.done for each in rows)
    if how == "any done":
        return lambda rows, _inner, _row, _view: any(each.node.done for each in rows)
    assert of is not None
    if how == "first":
        return lambda rows, inner, _row, _view: of(rows[0], inner) if rows else None
    assert how == "quantile"
    assert quantile is not None

    def at_quantile(rows: Sequence[Row], inner: View, row: Row, view: View) -> Any:
        q = quantile(row, view)
        numbers = values.present([of(each, inner) for each in rows])
        return None if q is None else values.quantile(numbers, q)

    return at_quantile


def of_numbers(how: str, of: Evaluate) -> Aggregate:
    """An aggregate of one number per row, missing ones left out."""
    function = values.AGGREGATES[how]
    return lambda rows, inner, _row, _view: function(
        values.present([of(each, inner) for each in rows])
    )


def of_classes(how: str, key: Evaluate, weight: Evaluate | None, operation: Operation) -> Aggregate:
    """An aggregate of the weights of classes of equal keys; 0 without a class."""
    function = values.CLASSES[how]

    def aggregate(rows: Sequence[Row], inner: View, _row: Row, _view: View) -> float:
        weights = weights_of(weight, rows, inner, operation)
        keys = [key(each, inner) for each in rows]
        sums = [values.votes([weights[p] for p in places]) for places in groups(keys)]
        return function(sums) if sums else 0

    return aggregate


def pool_wide(
    how: str,
    of: Evaluate,
    temperature: Evaluate | None,
    per: Evaluate | None,
    operation: Operation,
    then: Sequence[Evaluate] = (),
) -> Evaluate:
    """softmax or rank of the row at hand among the rows of its pool, or of its group."""

    def heat(row: Row, view: View) -> float:
        value = 1.0 if temperature is None else temperature(row, view)
        if value is None or value <= 0:
            raise error_at(
                operation, f"the temperature of softmax is {value}", "it must be above 0"
            )
        return float(value)

    def compute(row: Row, view: View) -> list[Any]:
        rows = view.rows
        assert rows is not None
        numbers = [of(each, view) for each in rows]
        if then:
            others = [[part(each, view) for part in then] for each in rows]
            numbers = [values.in_turn((a, *b)) for a, b in zip(numbers, others, strict=True)]
        found: list[Any] = [None] * len(rows)
        keys = [0] * len(rows) if per is None else [per(each, view) for each in rows]
        for places in groups(keys):
            members = [numbers[place] for place in places]
            if how == "softmax":
                results: Sequence[Any] = values.softmax(members, heat(row, view))
            else:
                results = values.ranks(members)
            for place, value in zip(places, results, strict=True):
                found[place] = value
        return found

    slot = object()

    def evaluate(row: Row, view: View) -> Any:
        if slot not in view.cache:
            view.cache[slot] = compute(row, view)
        return view.cache[slot][view.index(row)]

    return evaluate


# ------------------------------------------------------------------ statistics of tokens


def path_values(node: Node, name: str) -> list[float]:
    """The statistic of every sampled token of the path; forced tokens have none."""
    return _known(
        value for edge in node.edges() if edge.sampled for value in edge.statistics.get(name, ())
    )


def _known(numbers: Iterable[float]) -> list[float]:
    """Without those that are none (C47): that a server did not tell, or of a probability of 0."""
    return [value for value in numbers if isfinite(value)]


def _between(node: Node, name: str, first: int, last: int) -> list[float]:
    """The statistic of the sampled tokens at positions `first` to `last - 1`."""
    found: list[float] = []
    for edge in node.edges():
        start = edge.position - len(edge.ids)
        if edge.sampled:
            numbers = edge.statistics.get(name, ())
            found.extend(numbers[max(0, first - start) : max(0, last - start)])
    return _known(found)


def last_step(node: Node, name: str) -> list[float]:
    """Values of the last step's tokens, the closing delimiter's included."""
    segments = NOTHING
    ends = [0]
    position = 0
    for edge in node.edges():
        for token in edge.ids:
            position += 1
            closed = segments.many_closed
            segments = segments.add(edge.policy.pieces[token], edge.policy.delimiter)
            ends.extend([position] * (segments.many_closed - closed))
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


def tail(numbers: Sequence[float], window: int, complete: bool) -> float | None:
    """Mean of the last `window` values; `complete`: missing while there are fewer (C27)."""
    if window < 1 or (complete and len(numbers) < window):
        return None
    return values.mean(numbers[-window:])


def lowest(
    numbers: Sequence[float], window: int, share: float | None, complete: bool
) -> float | None:
    """The lowest mean over windows of `window` values, or the mean of the lowest share of them.

    DeepConf (Fu et al. 2025): a path shorter than a window is one window, except while tokens
    stream (`complete`), where it is none yet (C27).
    """
    if window < 1 or not numbers or (complete and len(numbers) < window):
        return None
    width = min(window, len(numbers))
    means = values.present(
        [values.mean(numbers[at : at + width]) for at in range(len(numbers) - width + 1)]
    )
    if share is None or not means:
        return min(means, default=None)
    many = max(1, ceil(Fraction(str(share)) * len(means)))
    return values.mean(sorted(means)[:many])


#: Values of the tokens that a span holds, for the spans without a window.
SPANS: Final[dict[str, Callable[[Node, str], list[float]]]] = {
    "all": path_values,
    "step": last_step,
    "answer": answer_tokens,
}
