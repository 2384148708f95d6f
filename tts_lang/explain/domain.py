"""The abstract domain of the cost walk: numbers, pools and costs without a run.

The walk (`walk`) and the rules of the operators (`rules`) are written once, over a `Domain`. In
`bound_domain.BoundDomain` numbers are intervals and every figure is an upper bound; in
`mean_domain.MeanDomain` numbers are points and every figure is the mean in a world where all steps
and all solutions are equally long.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from operator import add
from typing import ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

from tts_lang.explain.interval import INFINITY, product
from tts_lang.explain.models import Model, Models, attended
from tts_lang.plan import graph
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Plan, Scorer, Unit, operations
from tts_lang.plan.operator import entry

Number = TypeVar("Number")
#: A policy, and which of the problem's conversations it reads the prompt of (`AbstractPool.own`);
#: or a process scorer, and 0.
Prompt: TypeAlias = tuple[str, int]
#: A side of a choice: its weight, and what holds there.
Weighted: TypeAlias = "tuple[float, AbstractPool | Number]"

# ------------------------------------------------------------------------------ costs


class Cost(NamedTuple):
    """Resources spent; infinite if unbounded.

    Args:
        policy_calls: Generations requested from policies, look-ahead and judges included.
        open_calls: Those of them that only the context window ends.
        sampled_tokens: Tokens sampled in them.
        prefilled_tokens: Tokens that policies read without having sampled them, each once: prompts,
            forced text, what other policies sampled. Prompts of the problem are added at the end
            (`Domain.prompts`).
        cached_tokens: Tokens before the calls that the policy has read or sampled already.
        scorer_calls: Rows given to scorers that are no judges; fields of the problem included.
        scorer_tokens: Tokens of solution text that they read.
        whole_scorer_tokens: The same, if scorers remembered nothing between reads.
        rounds: Engine calls that wait for one another if the plan runs statement by statement.
        flops: Of policies and scorers whose size is known.
        operations: Statements executed, and rounds of loops.
        rows: Rows of the output pools.
        new_rows: Rows that did not exist before.
    """

    policy_calls: float = 0
    open_calls: float = 0
    sampled_tokens: float = 0
    prefilled_tokens: float = 0
    cached_tokens: float = 0
    scorer_calls: float = 0
    scorer_tokens: float = 0
    whole_scorer_tokens: float = 0
    rounds: float = 0
    flops: float = 0
    operations: float = 0
    rows: float = 0
    new_rows: float = 0

    def plus(self, other: Cost) -> Cost:
        """One after the other."""
        if other is NOTHING:
            return self
        return other if self is NOTHING else Cost(*map(add, self, other))

    def minus(self, other: Cost) -> Cost:
        """The cost added since `other`; unbounded costs stay unbounded."""
        return Cost(*(0 if a == b else a - b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float) -> Cost:
        """The cost of `factor` executions, one after another."""
        if factor == 1 or self is NOTHING:
            return self
        return Cost(*(product(value, factor) for value in self)) if factor else NOTHING

    def side_by_side(self, factor: float) -> Cost:
        """The cost of `factor` executions at once: the rounds are those of one."""
        return self.times(factor)._replace(rounds=self.rounds if factor else 0)


NOTHING = Cost()
#: The cost of executing any statement.
STATEMENT = Cost(operations=1)


class Paths(NamedTuple):
    """Some of the paths through a part of a plan.

    Args:
        weight: How likely they are; of bounds, 1 if they are possible and 0 if not.
        cost: Their cost times their weight.
    """

    weight: float = 0
    cost: Cost = NOTHING

    def after(self, earlier: Paths) -> Paths:
        """The paths that continue earlier ones."""
        if earlier is STRAIGHT:
            return self
        cost = earlier.cost.times(self.weight).plus(self.cost.times(earlier.weight))
        return Paths(self.weight * earlier.weight, cost)


#: The path through a part that costs nothing; and none at all.
STRAIGHT, NO_PATHS = Paths(1), Paths()

# ------------------------------------------------------------------------------ pools


class PoolPart(NamedTuple):
    """A pool's rows come one by one from those rows of `source` for which `condition` is `truth`.

    Rows for which it is true and rows for which it is not share no row of the source (C37), so two
    such pools together have at most as many rows as it has.
    """

    source: tuple[int, int]  # value number, and which of its executions
    condition: object
    truth: bool
    rows: float


class AbstractPool(NamedTuple):
    """An abstract pool: every figure is an upper bound, or a mean.

    Args:
        least: Rows at least; says nothing in means.
        rows: Rows.
        parents, roots: Distinct values of these keys (what `per parent` can make).
        problem: It may hold the problem itself.
        finished: It may hold done rows, which `expand` passes through once (C18).
        length: Tokens of a row's path in this conversation.
        forced: Those of them that nobody sampled.
        prompt: Tokens of the conversation's prompt.
        unread: Per process scorer, tokens of a row's path that it has not read yet; all of them
            for a scorer that is not listed.
        closed: Rows that can still grow end with a closed step, so none has to be read again (C32).
        parts: What parts of which pools the rows come from, the outermost first; only within one
            region and round.
        own: Which of the problem's conversations rows may be in: 1 the usual one, 2 that of
            thinking, 3 both.
        conversations: Other conversations that rows are in.
        seen: Policies that have read every row's prompt, each with the tokens of a row's path that
            it has neither read nor sampled.
    """

    least: float = 0
    rows: float = 0
    parents: float = 0
    roots: float = 0
    problem: bool = False
    finished: bool = False
    length: float = 0
    forced: float = 0
    prompt: float = 0
    unread: tuple[tuple[str, float], ...] = ()
    closed: bool = True
    parts: tuple[PoolPart, ...] = ()
    own: int = 0
    conversations: float = 0
    seen: tuple[tuple[str, float], ...] = ()

    @property
    def tokens(self) -> float:
        """Sampled tokens of a row's path."""
        return self.length - self.forced

    def groups(self, key: str | None) -> float:
        """Distinct values of a key column; one group without a key."""
        if key is None:
            return min(self.rows, 1)
        if key == "parent":
            return min(self.rows, self.parents)
        if key == "root":
            return min(self.rows, self.roots + self.problem)
        return min(self.rows, 2) if key == "done" else self.rows

    def sized(self, least: float, rows: float) -> AbstractPool:
        """The same kind of rows, another number of them."""
        return self._replace(
            least=min(least, rows),
            rows=rows,
            parents=min(self.parents, rows),
            roots=min(self.roots, rows),
            conversations=min(self.conversations, rows),
        )

    def to_read(self, scorer: str) -> float:
        """Tokens of a row that the scorer has not read yet."""
        return dict(self.unread).get(scorer, self.length)

    def alone(self) -> AbstractPool:
        """Without relations to other pools: those of another round are other pools."""
        return self._replace(parts=()) if self.parts else self


def shared_part(left: AbstractPool, right: AbstractPool) -> tuple[float, tuple[PoolPart, ...]]:
    """The rows of both pools, and the pools that they are parts of: two halves make up one."""
    for index, (a, b) in enumerate(zip(left.parts, right.parts, strict=False)):
        if (a.source, a.condition) != (b.source, b.condition):
            break
        if a.truth != b.truth:
            return min(left.rows + right.rows, a.rows), left.parts[:index]
    return left.rows + right.rows, ()


# ------------------------------------------------------------------------------ the protocol


class Domain(ABC, Generic[Number]):
    """The state of an abstract run, and its arithmetic.

    Attributes:
        values: The abstract value of every value, after the newest execution of its operation.
        executions: How often each value has been defined.
        meanings: The expressions of computed values, with their inputs.
        prompts: Prompts of the problem that the operation under way may be the first to read, with
            their weights.
        read: Prompts that have been read, with how likely that is; of bounds, only certain ones.
        called: Policies that may have been called.
        lanes: Executions of the region under way that run side by side.
    """

    #: Whether figures are those of the worst case: bounds, not means.
    worst: ClassVar[bool]
    #: A number, text or flag of which nothing is known.
    unknown: Number
    #: Operations interpreted before rounds are no longer followed one by one.
    followed: ClassVar[int]
    #: Tokens of a call that nothing else ends, and of the units that have a length.
    longest: float
    unit_tokens: Mapping[Unit, float]

    def __init__(self, plan: Plan, context: float, prompt: float, models: Models) -> None:
        self.context = context
        self.prompt = min(prompt, context)
        self.models = models
        self.scorers = {scorer.name: scorer for scorer in plan.scorers}
        specs = {type(operation.spec) for operation in operations(plan.body)}
        self.default = plan.policies[0] if plan.policies else "policy"
        self.policies = frozenset((*plan.policies, self.default))
        self.has_foreign_text = len(plan.policies) > 1 or any(entry(spec).foreign for spec in specs)
        self.asks = graph.Ask in specs
        self.values: dict[int, AbstractPool | Number] = {}
        self.executions: dict[int, int] = {}
        self.meanings: dict[int, tuple[Expr, tuple[int, ...]]] = {}
        self.prompts: dict[Prompt, float] = {}
        self.read: Mapping[Prompt, float] = {}
        self.called: frozenset[str] = frozenset()
        self.lanes = 1.0

    # -------------------------------------------------------------------- numbers

    @abstractmethod
    def evaluate(
        self, expression: Expr, inputs: tuple[int, ...], pool: AbstractPool | None = None
    ) -> Number:
        """An expression of an operation with these inputs; in `pool`, for each of its rows."""

    @abstractmethod
    def count(self, number: Number, otherwise: float) -> tuple[float, float]:
        """A count, least and most; `otherwise` where a mean is not known."""

    @abstractmethod
    def limit(self, number: Number, otherwise: float) -> float:
        """A limit of tokens; `otherwise` where a mean is not known."""

    @abstractmethod
    def odds(self, flag: Number, *, loop: bool = False) -> tuple[float, float]:
        """Weights of a condition being true, and of it being false or missing (C38).

        `loop`: it ends a loop.
        """

    @abstractmethod
    def share_of_rows(self, flag: Number) -> tuple[float, float]:
        """The share of rows for which a condition holds, least and most."""

    @abstractmethod
    def share(self, part: Number) -> float:
        """A share of rows, between 0 and 1."""

    # -------------------------------------------------------------------- lengths

    @abstractmethod
    def conversation(self, quoted: float) -> float:
        """Tokens of a prompt that quotes this many tokens."""

    @abstractmethod
    def sampled(self, pool: AbstractPool) -> float:
        """Tokens that have certainly been sampled of every row's path."""

    @abstractmethod
    def live(self, pool: AbstractPool, tokens: float) -> bool | None:
        """Whether all rows (`True`) or none (`False`) can be continued by `tokens` tokens."""

    # -------------------------------------------------------------------- choices

    @abstractmethod
    def mix(self, sides: Sequence[Weighted[Number]]) -> AbstractPool | Number:
        """The join of the sides: holds on every one of them."""

    @abstractmethod
    def mix_read(
        self, sides: Sequence[tuple[float, Mapping[Prompt, float]]]
    ) -> Mapping[Prompt, float]:
        """Prompts read on either side."""

    @abstractmethod
    def either(self, left: Paths, right: Paths) -> Paths:
        """Paths of both sides of a choice."""

    # -------------------------------------------------------------------- conditions

    def mark(self) -> int:
        """A point to come back to with `undo`."""
        return 0

    def undo(self, mark: int) -> None:
        """Drops what conditions have told since the mark."""

    def assume(self, flag: int, truth: bool) -> None:
        """Narrows values by a flag being true, or being false or missing."""

    # -------------------------------------------------------------------- what policies read

    @abstractmethod
    def unread(self, pool: AbstractPool) -> float:
        """Tokens of a row's path that a policy that is not in `seen` may not have read."""

    @abstractmethod
    def first_read(self, pool: AbstractPool, policy: str, calls: float, *, certain: bool) -> bool:
        """Notes the prompts of the problem that calls on a pool's rows may be the first to read.

        Returns:
            Whether one of the calls is certain to find nothing cached.
        """

    def cached(self, before: float, read: float) -> float:
        """Cached tokens, of those that stand before calls, where at most `read` are not cached."""
        return before if self.worst else before - read

    def nothing_is_first(self) -> None:
        """From here on, operations may run several times, so none is the first to call a policy."""
        self.called = self.policies

    def continuing(
        self,
        pool: AbstractPool,
        policy: str,
        calls: float,
        tokens: float,
        *,
        certain: bool = False,
    ) -> Cost:
        """The reading cost of calls that continue the rows of a pool, by `tokens` tokens each.

        A policy reads every token of a conversation once and keeps it for the rest of the problem
        (a prefix cache that never evicts); what it samples it has read. The problem's own prompt is
        read once by each policy, whichever operation comes first: it is noted in `prompts`.
        `certain`: there is at least one call.
        """
        if not calls:
            return NOTHING
        start = min(self.context, pool.prompt + pool.length)
        seen = dict(pool.seen)
        unread = min(start, seen.get(policy, self.unread(pool)))
        first, others = False, 0.0
        if policy not in seen:
            first = self.first_read(pool, policy, calls, certain=certain)
            others = pool.conversations
        self.called |= {policy}
        model = self.models.of_policy(policy)
        read = product(pool.rows, unread) + product(others, pool.prompt)
        return Cost(
            prefilled_tokens=read,
            # One of the calls that begin with an unread prompt has to read it.
            cached_tokens=self.cached(product(calls - first, start) if calls > first else 0, read),
            flops=_flops(model, calls, tokens, min(self.context, start + tokens))
            + _flops(model, pool.rows, unread, start)
            + _flops(model, others, pool.prompt, pool.prompt),
        )

    def opening(
        self, policy: str, prompts: float, calls: float, tokens: float, prompt: float
    ) -> Cost:
        """The reading cost of calls in new conversations, each with a prompt of this length.

        Any of them may be read already: rows on one node are asked in one conversation.
        """
        model = self.models.of_policy(policy)
        read = product(prompts, prompt)
        return Cost(
            prefilled_tokens=read,
            cached_tokens=self.cached(product(calls, prompt), read),
            flops=_flops(model, calls, tokens, min(self.context, prompt + tokens))
            + _flops(model, prompts, prompt, prompt),
        )

    def scoring(self, scorer: Scorer, reads: float, tokens: float, length: float) -> Cost:
        """Reads of `tokens` new tokens each, at the end of paths of this length.

        A process scorer reads the problem once, which is noted in `prompts`; others with each path.
        """
        end = min(self.context, self.prompt + length)
        if not scorer.steps:
            tokens = end
        elif reads:
            self.first_scored(scorer.name, reads)
        return Cost(flops=_flops(self.models.of_scorer(scorer.name), reads, min(tokens, end), end))

    @abstractmethod
    def first_scored(self, scorer: str, reads: float) -> None:
        """Notes that these reads of a process scorer may be the first, with the problem."""

    def seen_after(
        self, pool: AbstractPool, policy: str, tokens: float, *, fresh: bool
    ) -> tuple[tuple[str, float], ...]:
        """`seen` after rows have been continued; `fresh`: all of them were called."""
        seen = {
            # Another policy cuts a text into tokens of its own.
            name: self.context if self.worst else unread + tokens
            for name, unread in pool.seen
            if name != policy
        }
        before = dict(pool.seen)
        if fresh:
            seen[policy] = 0.0
        elif policy in before:  # rows that are done pass through as they were
            seen[policy] = before[policy]
        return tuple(sorted(seen.items()))

    def seen_with(self, pool: AbstractPool, added: float) -> tuple[tuple[str, float], ...]:
        """`seen` after every path got `added` tokens that nobody sampled."""
        return tuple((name, min(self.context, unread + added)) for name, unread in pool.seen)

    def read_prompts(self, cost: Cost, prompts: Mapping[Prompt, float]) -> Cost:
        """The cost with that of reading the problem's prompts, which were left out of it."""
        read = product(sum(times for (_, kind), times in prompts.items() if kind), self.prompt)
        flops = 0.0
        for (name, kind), times in sorted(prompts.items()):
            model = self.models.of_policy(name) if kind else self.models.of_scorer(name)
            flops += _flops(model, times, self.prompt, self.prompt)
        return cost._replace(
            prefilled_tokens=cost.prefilled_tokens + read,
            cached_tokens=self.cached(cost.cached_tokens, read),
            flops=cost.flops + flops,
        )

    # -------------------------------------------------------------------- pools

    def pool(self, value: int) -> AbstractPool:
        """The abstract value of a pool."""
        abstract = self.values[value]
        return abstract if isinstance(abstract, AbstractPool) else AbstractPool()

    def number(self, value: int) -> Number:
        """The abstract value of a number, text or flag."""
        abstract = self.values[value]
        return self.unknown if isinstance(abstract, AbstractPool) else abstract

    def problem(self, thinks: bool) -> AbstractPool:
        """The problem itself, in its usual conversation or in that of thinking."""
        return AbstractPool(1, 1, problem=True, own=2 if thinks else 1, prompt=self.prompt)

    def union(self, left: AbstractPool, right: AbstractPool) -> AbstractPool:
        """The rows of both; a row in both counts once (C51)."""
        if not left.rows or not right.rows:
            return left if left.rows else right
        rows, parts = shared_part(left, right)
        total = left.rows + right.rows
        part = left.rows / total if total < INFINITY else 0.5
        mixed = self.mix([(part, left), (1 - part, right)])
        assert isinstance(mixed, AbstractPool)
        return mixed._replace(
            least=min(rows, max(left.least, right.least)),
            rows=rows,
            parents=min(rows, left.parents + right.parents),
            roots=min(rows, left.roots + right.roots),
            parts=parts,
            conversations=min(rows, left.conversations + right.conversations),
        )


def _flops(model: Model | None, times: float, tokens: float, end: float) -> float:
    if model is None:
        return 0.0
    if INFINITY in (tokens, end):
        return INFINITY if times and tokens else 0.0
    return product(times, model.flops(tokens, attended(min(tokens, end), end)))
