"""Evaluates expressions by walking them, for one row or outside a pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, fsum

from tests.support.reference import spans, values
from tests.support.reference.model import Pool, Row, Scope, StrategyFailure, Value
from tts_lang.plan import expr
from tts_runtime.binding import Binding
from tts_runtime.randomness import draw as draw_number
from tts_runtime.randomness import draw_key
from tts_runtime.streams import Key


@dataclass(frozen=True, slots=True)
class Context:
    """What an expression may refer to.

    `pool` is the pool that the operator works on, `row` the current row and `index` its place;
    `inputs` are the operator's inputs; `column` gives a row's built-in columns. `streaming`: in
    a `stop when`, where a window of tokens that is not full yet has no mean (C27). `once`: what
    softmax and rank have evaluated of every row, so that each row draws its numbers once;
    `pool_numbers`: aggregates that are the same for every row, for the same reason.
    """

    scope: Scope
    root_key: Key
    bindings: Mapping[str, Binding]
    column: Callable[[Row, str], Value]
    inputs: Sequence[Pool | Value]
    pool: Pool | None = None
    row: Row | None = None
    index: int = 0
    parent_visits: Mapping[int, int] | None = None
    streaming: bool = False
    once: dict[int, list[float | int | None]] = field(default_factory=dict)
    pool_numbers: dict[int, Value] = field(default_factory=dict)

    def at(self, pool: Pool, index: int) -> Context:
        """For one row of a pool."""
        return replace(self, pool=pool, row=pool[index], index=index)


def each(expression: expr.Expr, pool: Pool, context: Context) -> list[Value]:
    """The expression's value for every row of a pool, in pool order."""
    fresh = replace(context, once={}, pool_numbers={})
    return [evaluate(expression, fresh.at(pool, index)) for index in range(len(pool))]


def key_of(row: Row, index: int, name: str, context: Context) -> Value:
    """The value of a key column (`per`, `on`)."""
    return column(name, row, index, context)


def groups(pool: Pool, per: str | None, context: Context) -> list[list[int]]:
    """Places of the rows of each group, groups in order of first row (`per KEY`)."""
    if per is None:
        return [list(range(len(pool)))] if pool else []
    found: dict[Value, list[int]] = {}
    for index, row in enumerate(pool):
        key = key_of(row, index, per, context)
        if key is not None:
            found.setdefault(key, []).append(index)
    return list(found.values())


def column(name: str, row: Row, index: int, context: Context) -> Value:
    """One column of one row."""
    if name == "index":
        return index
    if name == "parent_visits":
        visits = context.parent_visits
        return None if visits is None else visits[row.uid]
    if name in row.lets:
        return row.lets[name]
    if name in row.scores:
        score = row.scores[name]
        assert not isinstance(score, tuple), f"{name} is a step vector"
        return score
    return context.column(row, name)


def evaluate(expression: expr.Expr, context: Context) -> Value:
    """The value of an expression."""
    match expression:
        case expr.Const(value):
            return value
        case expr.Input(index):
            given = context.inputs[index]
            assert not isinstance(given, list)
            return given
        case expr.Delimiter(name, policy):
            binding = context.bindings[policy]
            if name == "end_of_step":
                return binding.step_delimiter
            assert binding.thinking is not None
            return binding.thinking.end
        case expr.Column(name):
            assert context.row is not None
            return column(name, context.row, context.index, context)
        case expr.Reduce(how, name, argument, taken):
            assert context.row is not None
            vector = context.row.scores[name]
            assert isinstance(vector, tuple)
            if taken is not None:
                steps = values.number(evaluate(taken, context))
                vector = () if steps is None else vector[: max(0, math.floor(steps))]
            if how not in expr.STEP_FUNCTIONS:
                return values.reduction(how, vector)
            given = None if argument is None else values.number(evaluate(argument, context))
            return values.of_steps(how, vector, given)
        case expr.JudgeWords(name):
            assert context.row is not None
            written = context.row.scores.get(f"{name}.words")
            assert not isinstance(written, tuple)
            return written
        case expr.Apply():
            return _apply(expression, context)
        case expr.Aggregate(per=None, below=False):
            if id(expression) not in context.pool_numbers:
                context.pool_numbers[id(expression)] = _aggregate(expression, context)
            return context.pool_numbers[id(expression)]
        case expr.Aggregate():
            return _aggregate(expression, context)
        case expr.PoolWide():
            return _pool_wide(expression, context)
        case expr.Statistic():
            return _statistic(expression, context)
        case expr.Random():
            return _random(expression, context)


def _apply(expression: expr.Apply, context: Context) -> Value:
    function = expression.function
    if function == "if":
        condition, then, otherwise = expression.arguments
        chosen = then if values.truth(evaluate(condition, context)) else otherwise
        return evaluate(chosen, context)
    if function in ("and", "or"):
        left, right = expression.arguments
        first = values.truth(evaluate(left, context))
        if first is (function == "or"):
            return first
        return values.truth(evaluate(right, context))
    given = [evaluate(argument, context) for argument in expression.arguments]
    if function == "not":
        return not values.truth(given[0])
    if function == "has":
        return given[0] is not None
    if function in ("extract", "number"):
        return values.of_text(function, given)
    if function in ("==", "!=", "<", "<=", ">", ">=", "ends with", "contains"):
        return values.compare(function, given[0], given[1])
    return values.arithmetic(function, given)


def _aggregate(expression: expr.Aggregate, context: Context) -> Value:
    source = context.inputs[expression.pool]
    assert isinstance(source, list)
    places = list(range(len(source)))
    if expression.per is not None:
        assert context.row is not None
        mine = column(expression.per, context.row, context.index, context)
        keys = [column(expression.per, row, place, context) for place, row in enumerate(source)]
        places = [place for place in places if mine is not None and keys[place] == mine]
    if expression.below:
        assert context.row is not None
        uid = context.row.uid
        places = [p for p in places if any(r.uid == uid for r in source[p].lineage()[1:])]
    how = expression.how
    if how == "count":
        return len(places)
    if how == "all done":
        return all(source[place].node.done for place in places)
    if how == "any done":
        return any(source[place].node.done for place in places)
    if how in ("share", "lead", "entropy"):
        return _votes(expression, source, places, context)
    assert expression.of is not None
    given = [evaluate(expression.of, context.at(source, place)) for place in places]
    if how == "first":
        return given[0] if given else None
    present = [x for x in map(values.number, given) if x is not None]
    if how == "quantile":
        assert expression.quantile is not None
        q = values.number(evaluate(expression.quantile, context))
        return None if q is None else values.quantile(present, q)
    return values.aggregate(how, present)


def _votes(expression: expr.Aggregate, source: Pool, places: list[int], context: Context) -> Value:
    classes: dict[Value, list[float]] = {}
    for place in places:
        key = key_of(source[place], place, expression.on, context)
        weight = 1.0
        if expression.weight is not None:
            given = evaluate(expression.weight, context.at(source, place))
            weight = checked_weight(given, "votes")
        if key is not None:
            classes.setdefault(key, []).append(weight)
    sums = [fsum(weights) for weights in classes.values()]
    return {"share": _share, "lead": values.lead, "entropy": values.entropy}[expression.how](sums)


def _share(sums: Sequence[float]) -> float:
    return values.share(sums) if sums else 0


def checked_weight(value: Value, what: str) -> float:
    """A weight: missing is 0, negative an error (C20, C43)."""
    weight = values.number(value)
    if weight is None:
        return 0.0
    if weight < 0:
        raise StrategyFailure(f"{what}: the weight {weight} is negative")
    return weight


def _pool_wide(expression: expr.PoolWide, context: Context) -> Value:
    assert context.pool is not None
    places = list(range(len(context.pool)))
    if expression.per is not None:
        found = groups(context.pool, expression.per, context)
        places = next((group for group in found if context.index in group), [])
    if expression.then:
        return _rank_in_turn(expression, places, context)
    if id(expression) not in context.once:
        context.once[id(expression)] = [
            values.number(value) for value in each(expression.of, context.pool, context)
        ]
    given = context.once[id(expression)]
    numbers = [given[place] for place in places]
    if not places:
        return None
    here = places.index(context.index)
    if expression.how == "softmax":
        temperature: Value = 1
        if expression.temperature is not None:
            temperature = evaluate(expression.temperature, context)
        heat = values.number(temperature)
        if heat is None or heat <= 0:
            raise StrategyFailure(f"softmax: the temperature is {heat}")
        return values.softmax(numbers, heat)[here]
    mine = numbers[here]
    if mine is None:
        return None
    return 1 + sum(other is not None and other > mine for other in numbers)


def _rank_in_turn(expression: expr.PoolWide, places: list[int], context: Context) -> Value:
    """1 and the rows that come before: the first number that differs decides, missing is last."""
    assert context.pool is not None
    found: list[list[float | int | None]] = []
    for part in (expression.of, *expression.then):
        if id(part) not in context.once:
            context.once[id(part)] = [
                values.number(value) for value in each(part, context.pool, context)
            ]
        found.append(context.once[id(part)])
    mine = [numbers[context.index] for numbers in found]
    if context.index not in places or all(number is None for number in mine):
        return None

    def before(place: int) -> bool:
        for numbers, own in zip(found, mine, strict=True):
            other = numbers[place]
            if other != own:
                return own is None or (other is not None and other > own)
        return False

    return 1 + sum(map(before, places))


def _statistic(expression: expr.Statistic, context: Context) -> Value:
    assert context.row is not None
    node, name = context.row.node, expression.how
    binding = context.bindings["policy"]
    if expression.span == "step":
        return _mean(spans.drawn(spans.last_step(node, binding.step_delimiter.encode()), name))
    if expression.span == "answer":
        written = spans.written_answer(node, binding)
        return _mean(spans.drawn(spans.answer_tokens(node, written), name))
    found = spans.drawn(node.path, name)
    if expression.span == "all":
        return _mean(found)
    width = 1
    if expression.window is not None:
        given = values.number(evaluate(expression.window, context))
        width = 0 if given is None else int(given)
    if width < 1 or not found or (context.streaming and len(found) < width):
        return None
    if expression.span == "tail":
        return _mean(found[-width:])
    width = min(width, len(found))
    means = [fsum(found[start : start + width]) / width for start in range(len(found) - width + 1)]
    if expression.share is None:
        return min(means)
    part = values.number(evaluate(expression.share, context))
    assert part is not None
    return _mean(sorted(means)[: max(1, ceil(Fraction(str(part)) * len(means)))])


def _mean(given: Sequence[float]) -> Value:
    return fsum(given) / len(given) if given else None


def _random(expression: expr.Random, context: Context) -> Value:
    arguments = [values.number(evaluate(a, context)) for a in expression.arguments]
    row = context.row if context.row is not None else context.scope.problem
    draw = context.scope.draws[row.lane]
    context.scope.draws[row.lane] += 1
    key = draw_key(context.root_key, row.lane, draw)
    return draw_number(expression.distribution, key, arguments)


def count_by(expression: expr.Expr | None, context: Context, default: int = 1) -> int:
    """A count: fractions are floored, missing counts nothing (C39)."""
    if expression is None:
        return default
    value = values.number(evaluate(expression, context))
    return 0 if value is None else int(value // 1)
