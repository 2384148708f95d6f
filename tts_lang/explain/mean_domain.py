"""Means, if all steps and all solutions are equally long (`Lengths`): the domain in which numbers
are points.

What depends on scores or texts is not known in such a world: a condition on them keeps half of the
rows, a branch on them goes half each way, and a loop until they say so runs all its rounds. A rule
that gives a range takes its upper end. These are estimates; bounds are what always holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import tts_lang.values as values
from tts_lang.explain.assumptions import DEFAULT_PROMPT, Lengths
from tts_lang.explain.domain import AbstractPool, Domain, Paths, Prompt
from tts_lang.explain.interval import INFINITY
from tts_lang.explain.models import Models
from tts_lang.plan.expr import Aggregate, Apply, Column, Const, Expr, Input
from tts_lang.plan.graph import Plan, Unit

#: A number, text or flag; `None`: not known.
Point: TypeAlias = "float | str | bool | None"
#: Expressions nested deeper than this are not followed.
_DEEPEST = 200


class MeanDomain(Domain[Point]):
    """Mean figures."""

    worst = False
    unknown = None
    followed = 20_000

    def __init__(self, plan: Plan, lengths: Lengths, models: Models) -> None:
        prompt = DEFAULT_PROMPT if lengths.prompt is None else lengths.prompt
        super().__init__(plan, INFINITY, prompt, models)
        self.longest = lengths.solution
        self.unit_tokens = {Unit.STEPS: lengths.step, Unit.TOKENS: 1}

    # -------------------------------------------------------------------- numbers

    def evaluate(
        self, expression: Expr, inputs: tuple[int, ...], pool: AbstractPool | None = None
    ) -> Point:
        return self._value(expression, inputs, pool, 0)

    def _value(
        self, expression: Expr, inputs: tuple[int, ...], pool: AbstractPool | None, depth: int
    ) -> Point:
        match expression:
            case Const(value):
                return value
            case Input(index):
                return self.number(inputs[index])
            case Column("done") if pool is not None:
                return self._done(pool)
            case Column("tokens") if pool is not None:
                return pool.tokens
            case Aggregate():
                return self._aggregate(expression, inputs)
            case Apply(function, arguments) if depth < _DEEPEST:
                return apply(
                    function, [self._value(each, inputs, pool, depth + 1) for each in arguments]
                )
        return None

    def _aggregate(self, node: Aggregate, inputs: tuple[int, ...]) -> Point:
        if node.per is not None or node.below:
            return None
        pool = self.pool(inputs[node.pool])
        if node.how == "count":
            return float(pool.rows)
        if node.how in ("all done", "any done"):
            return self._done(pool) if pool.rows else node.how == "all done"
        return None

    def _done(self, pool: AbstractPool) -> bool:
        """Whether its rows are as long as solutions are."""
        return pool.tokens >= self.longest * (1 - 1e-9)

    def count(self, number: Point, otherwise: float) -> tuple[float, float]:
        mean = self.limit(number, otherwise)
        return mean, mean

    def limit(self, number: Point, otherwise: float) -> float:
        return max(0.0, float(number)) if isinstance(number, bool | int | float) else otherwise

    def odds(self, flag: Point, *, loop: bool = False) -> tuple[float, float]:
        if loop:
            return float(flag is True), float(flag is not True)
        return _share(flag), 1 - _share(flag)

    def share_of_rows(self, flag: Point) -> tuple[float, float]:
        return _share(flag), _share(flag)

    def share(self, part: Point) -> float:
        return min(1.0, self.limit(part, 1))

    # -------------------------------------------------------------------- lengths

    def conversation(self, quoted: float) -> float:
        return self.prompt + quoted

    def sampled(self, pool: AbstractPool) -> float:
        return pool.tokens

    def live(self, pool: AbstractPool, tokens: float) -> bool | None:
        return tokens > 0

    # -------------------------------------------------------------------- choices

    def mix(self, sides: Sequence[tuple[float, AbstractPool | Point]]) -> AbstractPool | Point:
        """Of pools, figure by figure; of other values, the value if all sides have the same."""
        first = sides[0][1]
        if not isinstance(first, AbstractPool):
            return first if all(value == first for _, value in sides) else None
        total = sum(weight for weight, _ in sides)
        pools = [(weight / total, pool) for weight, pool in sides if isinstance(pool, AbstractPool)]

        def mean(*figures: float) -> float:
            return sum(part * figure for (part, _), figure in zip(pools, figures, strict=True))

        scorers = sorted({name for _, pool in pools for name, _ in pool.unread})
        policies = sorted({name for _, pool in pools for name, _ in pool.seen})
        own = 0
        for _, pool in pools:
            own |= pool.own
        return first._replace(
            least=0,
            rows=mean(*(pool.rows for _, pool in pools)),
            parents=mean(*(pool.parents for _, pool in pools)),
            roots=mean(*(pool.roots for _, pool in pools)),
            problem=any(pool.problem for _, pool in pools),
            finished=any(pool.finished for _, pool in pools),
            length=mean(*(pool.length for _, pool in pools)),
            forced=mean(*(pool.forced for _, pool in pools)),
            prompt=mean(*(pool.prompt for _, pool in pools)),
            unread=tuple(
                (name, mean(*(pool.to_read(name) for _, pool in pools))) for name in scorers
            ),
            parts=(),
            own=own,
            conversations=mean(*(pool.conversations for _, pool in pools)),
            seen=tuple(
                (name, mean(*(dict(pool.seen).get(name, pool.length) for _, pool in pools)))
                for name in policies
            ),
        )

    def mix_read(
        self, sides: Sequence[tuple[float, Mapping[Prompt, float]]]
    ) -> Mapping[Prompt, float]:
        total = sum(weight for weight, _ in sides)
        prompts = {prompt for _, read in sides for prompt in read}
        return {
            prompt: sum(weight * read.get(prompt, 0.0) for weight, read in sides) / total
            for prompt in prompts
        }

    def either(self, left: Paths, right: Paths) -> Paths:
        return Paths(left.weight + right.weight, left.cost.plus(right.cost))

    # -------------------------------------------------------------------- what policies read

    def unread(self, pool: AbstractPool) -> float:
        return pool.length

    def first_read(self, pool: AbstractPool, policy: str, calls: float, *, certain: bool) -> bool:
        for kind in (1, 2):
            if pool.own & kind:
                self._first((policy, kind), calls)
        return False

    def first_scored(self, scorer: str, reads: float) -> None:
        self._first((scorer, 0), reads)

    def _first(self, prompt: Prompt, times: float) -> None:
        before = self.read.get(prompt, 0.0)
        after = min(1.0, before + min(1.0, self.lanes * times))
        self.prompts[prompt] = after - before
        self.read = {**self.read, prompt: after}


def _share(flag: Point) -> float:
    """The share of times that a condition holds: a half if nothing is known."""
    return 0.5 if flag is None else float(flag is True)


def apply(function: str, arguments: Sequence[Point]) -> Point:
    """A function of `plan.expr.FUNCTIONS` where its value is known; missing is not known either."""
    if function in ("and", "or"):
        decides = function == "or"
        if decides in [each for each in arguments if isinstance(each, bool)]:
            return decides
        return None if None in arguments else not decides
    if None in arguments:
        return None
    value: Point = values.apply(function, arguments)
    return value
