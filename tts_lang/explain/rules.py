"""The output and cost of each operator: one rule each, over any `Domain`.

How many rows it gives is in the table of operators (`plan.ops`), counted here by `Execution`; the
rules add lengths and costs. Their figures are upper bounds or means, as the domain has it. Bounds
may be loose, never wrong: a run must stay inside them for every policy, scorer and problem.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeAlias

from tts_lang.explain.domain import NOTHING, AbstractPool, Cost, Domain, Number, PoolPart
from tts_lang.explain.interval import INFINITY, product
from tts_lang.plan import graph
from tts_lang.plan.expr import Apply, Column, Const, Expr, Random, walk
from tts_lang.plan.graph import Amount, Decoding, Operation, Scorer, Spec, Unit
from tts_lang.plan.operator import Makes, Numbers, OperatorEntry, entry

#: Bytes of a token of forced text, of means; a token has at least one.
_TOKEN_BYTES: Final = 4


class Count(NamedTuple):
    """A number of rows: at least and at most, or twice the mean."""

    low: float
    high: float


class Execution(Generic[Number]):
    """One execution of an operation, as its rule sees it; and how its rows are counted
    (`plan.rows.RowCounts`).

    Attributes:
        pools: The inputs that are pools.
        inputs: All inputs, each with the number of its execution.
    """

    __slots__ = ("_inputs", "_spec", "domain", "inputs", "pools")

    def __init__(self, domain: Domain[Number], operation: Operation) -> None:
        self.domain = domain
        self._spec: Any = operation.spec
        self._inputs = operation.inputs
        self.inputs = tuple((each, domain.executions.get(each, 0)) for each in operation.inputs)
        values = (domain.values[each] for each in operation.inputs)
        self.pools = tuple(each for each in values if isinstance(each, AbstractPool))

    # -------------------------------------------------------------------- expressions

    def number(self, expression: Expr, pool: AbstractPool | None = None) -> Number:
        """An expression of the operation, once altogether or for the rows of a pool."""
        return self.domain.evaluate(expression, self._inputs, pool)

    def count(self, clause: Expr | None, otherwise: float = 1) -> Count:
        """A count; `otherwise` where the strategy says nothing."""
        if clause is None:
            return Count(otherwise, otherwise)
        return Count(*self.domain.count(self.number(clause), otherwise))

    def limit(self, expression: Expr | None, otherwise: float = INFINITY) -> float:
        """A limit of tokens; `otherwise` where there is none."""
        if expression is None:
            return otherwise
        pool = self.pools[0] if self.pools else None
        return self.domain.limit(self.number(expression, pool), otherwise)

    # -------------------------------------------------------------------- rows

    def rows(self, place: int = 0) -> Count:
        return Count(self.pools[place].least, self.pools[place].rows)

    def pieces(self, most: Expr | None) -> Count:
        worst = self.domain.worst
        return self._up_to(self.count(most, INFINITY if worst else 1.0).high)

    def groups(self, key: str | None) -> Count:
        return self.exactly(1) if key is None else self._up_to(self.pools[0].groups(key))

    def fraction(self, condition: Expr) -> Count:
        return Count(*self.domain.share_of_rows(self.number(condition, self.pools[0])))

    def share(self, share: Expr, key: str | None) -> Count:
        pool = self.pools[0]
        rows = product(pool.rows, self.domain.share(self.number(share)))
        if not self.domain.worst:
            return Count(rows, rows)
        # The ceiling of each group's share is less than one row more than the share itself.
        rows += self.groups(key).high
        if key is not None or rows == INFINITY:
            return Count(0, rows)
        return Count(1, max(1, math.ceil(rows - 1)))

    def live(self, within: Expr | None) -> bool:
        del within  # part of the operation
        tokens = call_tokens(self._spec.amount, self._spec.decoding, self.pools[0], self)[0]
        return self.domain.live(self.pools[0], tokens) is True

    def extra(self, within: Expr | None) -> bool:
        pool = self.pools[0]
        # A path limit of this call may be one that rows have reached without being done before.
        return pool.finished or (within is not None and pool.length > 0)

    def union(self) -> Count:
        pool = _union(self._spec, self, self.pools[0])[0]
        return Count(pool.least, pool.rows)

    def difference(self) -> Count:
        left, right = self.rows(0), self.rows(1)
        rows = left.high if self.domain.worst else max(0, left.high - right.high)
        return Count(max(0, left.low - right.high), rows)

    def exactly(self, number: float) -> Count:
        return Count(number, number)

    def product(self, left: Count, right: Count) -> Count:
        return Count(product(left.low, right.low), product(left.high, right.high))

    def sum(self, left: Count, right: Count) -> Count:
        return Count(left.low + right.low, left.high + right.high)

    def less_one(self, rows: Count) -> Count:
        return Count(max(0, rows.low - 1), max(0, rows.high - 1))

    def least(self, left: Count, right: Count) -> Count:
        return Count(min(left.low, right.low), min(left.high, right.high))

    def either(self, left: Count, right: Count) -> Count:
        if not self.domain.worst:
            return left
        return Count(min(left.low, right.low), max(left.high, right.high))

    def up_to(self, low: Count, high: Count) -> Count:
        return Count(low.low, high.high) if self.domain.worst else high

    def _up_to(self, high: float) -> Count:
        return self.up_to(self.exactly(0), self.exactly(high))


Run: TypeAlias = Execution[Any]
Result: TypeAlias = tuple[AbstractPool, Cost]

# ------------------------------------------------------------------------------ calls


def call_tokens(
    amount: Amount | None, decoding: Decoding, pool: AbstractPool, run: Run
) -> tuple[float, bool]:
    """Tokens of one policy call that continues a row, and whether only the context window or the
    end of the solution limits it.

    The least of `max E tokens`, `within E tokens`, the length of the unit or of the longest text
    that `matching` or `one of` allows, and what is left.
    """
    domain = run.domain
    before = domain.sampled(pool)
    limits = [run.limit(decoding.max_tokens), run.limit(decoding.within) - before]
    if amount is not None and amount.unit in domain.unit_tokens:
        limits.append(product(run.limit(amount.length, 1), domain.unit_tokens[amount.unit]))
    limits.append(1 + decoding.longest)  # no token is empty, and an end follows
    least, left = max(0.0, min(limits)), max(0.0, domain.longest - before)
    return min(least, left), left <= least


def _sampling(calls: float, limit: tuple[float, bool], *, new: bool = True) -> Cost:
    """Calls side by side; `new`: each makes a row."""
    tokens, is_open = limit
    return Cost(
        policy_calls=calls,
        sampled_tokens=product(calls, tokens),
        open_calls=calls if is_open else 0,
        rounds=1 if calls else 0,
        new_rows=calls if new else 0,
    )


def _continued(
    pool: AbstractPool, tokens: float, spec: graph.Expand | graph.Ask, run: Run
) -> AbstractPool:
    """Path lengths after one more generation of `tokens` tokens."""
    context, decoding = run.domain.context, spec.decoding
    per_call = (decoding.max_tokens, decoding.stop_at, decoding.stop_when)
    return pool._replace(
        finished=True,
        length=min(context, pool.length + tokens),
        unread=tuple((name, min(context, unread + tokens)) for name, unread in pool.unread),
        # A step's end closes it, and a path limit ends the row; these two leave pieces open.
        closed=spec.amount.unit in (Unit.STEPS, Unit.SOLUTIONS)
        and all(part is None for part in per_call),
    )


def _expand(spec: graph.Expand, run: Run, out: AbstractPool) -> Result:
    """At most one call per child."""
    pool, decoding, domain, rows = run.pools[0], spec.decoding, run.domain, out.rows
    least, most = run.count(spec.amount.count)
    limit = call_tokens(spec.amount, decoding, pool, run)
    live = domain.live(pool, limit[0])
    if live is False or not pool.rows:
        return pool, NOTHING
    fresh = live is True
    calls = product(pool.groups(spec.per) if spec.deal else pool.rows, most)
    new_roots = (calls if spec.deal else most) if pool.problem else 0
    out = _continued(out, limit[0], spec, run)._replace(
        parents=min(pool.rows, rows),
        roots=min(rows, pool.roots + new_roots),
        problem=pool.problem and not fresh,
        parts=pool.parts if not spec.deal and most <= 1 else (),
        seen=domain.seen_after(pool, decoding.policy, limit[0], fresh=fresh),
    )
    certain = fresh and pool.least >= 1 and least >= 1
    read = domain.continuing(pool, decoding.policy, calls, limit[0], certain=certain)
    return out, _sampling(calls, limit).plus(read)


def _ask(spec: graph.Ask, run: Run, out: AbstractPool) -> Result:
    """One conversation per row (`together`: one in all, or one per group)."""
    pool, policy, domain, calls = run.pools[0], spec.decoding.policy, run.domain, out.rows
    most = run.count(spec.amount.count).high
    limit = call_tokens(spec.amount, spec.decoding, AbstractPool(), run)
    about, prompt = _conversations(pool, spec.per, run, together=spec.together)
    if spec.history:
        prompt = min(domain.context, prompt + pool.prompt + pool.length)
    new = _continued(AbstractPool(out.least, calls, prompt=prompt), limit[0], spec, run)._replace(
        parents=min(pool.rows, calls),
        roots=min(calls, pool.roots + (calls if pool.problem or spec.together else 0)),
        conversations=min(about, calls),
        seen=((policy, 0.0),),
    )
    conversations = about if most else 0.0
    return new, _sampling(calls, limit).plus(
        domain.opening(policy, conversations, calls, limit[0], prompt)
    )


def _conversations(
    pool: AbstractPool, per: str | None, run: Run, *, together: bool
) -> tuple[float, float]:
    """The number of conversations about rows, and the tokens of each one's prompt."""
    about, quoted = pool.rows, 1.0
    if together:
        about = pool.groups(per)
        quoted = pool.rows / about if 0 < about < INFINITY else pool.rows
    return about, run.domain.conversation(product(quoted, pool.length))


# ------------------------------------------------------------------------------ scores


def _score(spec: graph.Score, run: Run, pool: AbstractPool) -> Result:
    """A process scorer reads each path from where it last read it (C32), any other the whole path;
    a field of the problem is looked up. Looking ahead is one greedy call per row, of which the
    scorer reads all."""
    domain = run.domain
    scorer: Scorer = domain.scorers[spec.scorer]
    whole = pool.length
    length = pool.to_read(scorer.name) if scorer.steps else whole
    cost = NOTHING
    if spec.ahead is not None and run.count(spec.ahead, 0)[1] > 0:
        steps = Amount(Const(1), Unit.STEPS, spec.ahead)
        limit = call_tokens(steps, Decoding(), pool, run)
        if limit[0]:
            cost = _sampling(pool.rows, limit, new=False)
            cost = cost.plus(domain.continuing(pool, domain.default, pool.rows, limit[0]))
        whole = min(domain.context, whole + limit[0])
        length = min(domain.context, length + limit[0])
    times = run.count(spec.times)[1]
    if scorer.judge is not None:
        cost = cost.plus(_judging(spec, scorer.judge, scorer.together, times, run))
    elif scorer.field is not None:
        cost = cost.plus(Cost(scorer_calls=pool.rows))
    else:
        paths = product(pool.rows, times)
        reads = paths if length or not scorer.steps else 0.0  # every step is known already
        cost = cost.plus(
            Cost(
                scorer_calls=reads,
                scorer_tokens=product(reads, length),
                whole_scorer_tokens=product(paths, whole),
                rounds=1 if reads else 0,
            )
        ).plus(domain.scoring(scorer, reads, length, whole))
    if not scorer.steps or (domain.worst and not pool.closed):
        return pool, cost
    return pool._replace(
        unread=tuple(sorted({**dict(pool.unread), scorer.name: 0.0}.items()))
    ), cost


def _judging(spec: graph.Score, judge: graph.Judge, together: bool, times: float, run: Run) -> Cost:
    """A judge's reading is a policy call, repeated at most `retries` times (C34), or one call for
    each of the likeliest first tokens."""
    pool, domain = run.pools[0], run.domain
    about, prompt = _conversations(pool, spec.per, run, together=together)
    if judge.pairwise:
        about = product(pool.rows, max(0, pool.rows - 1))
        prompt = domain.conversation(product(min(pool.rows, 2), pool.length))
    if judge.history:
        prompt = min(domain.context, prompt + pool.prompt + pool.length)
    about = product(about, times)
    if judge.read == "probability":
        limit, tries, prompts = (1.0, False), graph.PROBABILITY_RANKS, about
    else:
        limit = call_tokens(None, judge.decoding, AbstractPool(), run)
        tries = 1 + judge.retries
        prompts = product(about, tries)
    if not domain.worst:  # every reply can be read
        tries, prompts = 1, about
    readings = _sampling(product(about, tries), limit, new=False)
    readings = readings._replace(rounds=product(readings.rounds, tries))
    policy = judge.decoding.policy
    return readings.plus(domain.opening(policy, prompts, readings.policy_calls, limit[0], prompt))


# ------------------------------------------------------------------------------ edits


def _force(spec: graph.Force, run: Run, pool: AbstractPool) -> Result:
    """Reopens rows: their last piece is read again, and where it begins is not known."""
    context, worst = run.domain.context, run.domain.worst
    match spec.text:
        case Const(str() as text):
            longer = len(text.encode()) / (1 if worst else _TOKEN_BYTES)
        case _:
            longer = context if worst else 0.0
    out = pool._replace(
        length=min(context, pool.length + longer),
        forced=min(context, pool.forced + longer),
        unread=() if worst else tuple((name, unread + longer) for name, unread in pool.unread),
        closed=False,
        finished=True,
        seen=run.domain.seen_with(pool, longer),
    )
    return out, Cost(new_rows=pool.rows)


def _cut(spec: graph.Cut, run: Run, pool: AbstractPool) -> Result:
    length = pool.length
    if not run.domain.worst:
        tokens = product(run.count(spec.length, 0).high, run.domain.unit_tokens[spec.unit])
        length = pool.forced + min(pool.tokens, tokens)
    out = pool._replace(length=length, unread=(), closed=False, finished=True)
    return out, Cost(new_rows=pool.rows)


def _split(_: graph.Split, run: Run, out: AbstractPool) -> Result:
    out = out._replace(
        parents=out.rows,
        roots=out.rows,
        unread=(),
        closed=False,
        finished=True,
        problem=False,
        parts=(),
        seen=run.domain.seen_with(out, run.domain.context),
    )
    return out, Cost(new_rows=out.rows)


def _copies(operator: OperatorEntry, run: Run, out: AbstractPool) -> Result:
    out = out._replace(parents=min(out.rows, run.pools[0].rows), parts=())
    if operator.numbers is Numbers.COPIES:  # each is a tree of its own (C3)
        out = out._replace(roots=out.rows, problem=False)
    return out, Cost(new_rows=out.rows)


# ------------------------------------------------------------------------------ choices


def _where(spec: graph.Where, run: Run, out: AbstractPool) -> Result:
    return out._replace(
        finished=out.finished and not _only_live(spec.condition),
        parts=out.parts + _part(spec.condition, run.pools[0].rows, run),
    ), NOTHING


def _only_live(condition: Expr) -> bool:
    """Whether a row for which the condition holds is never done."""
    match condition:
        case Apply("not", (Column("done"),)):
            return True
        case Apply("and", (left, right)):
            return _only_live(left) or _only_live(right)
    return False


def _part(condition: Expr, rows: float, run: Run) -> tuple[PoolPart, ...]:
    """The half of the pool that a condition keeps; a random condition has no other half."""
    if any(isinstance(node, Random) for node in walk(condition)):
        return ()
    truth = True
    while isinstance(condition, Apply) and condition.function == "not":
        condition, truth = condition.arguments[0], not truth
    return (PoolPart(run.inputs[0], (condition, run.inputs[1:]), truth, rows),)


def _union(_: graph.Union, run: Run, __: AbstractPool) -> Result:
    left, right = run.pools[:2]
    return left if run.inputs[0] == run.inputs[1] else run.domain.union(left, right), NOTHING


#: Rules of operators that do more than select or copy rows of their first input.
RULES: Final[Mapping[type[Spec], Callable[[Any, Run, AbstractPool], Result]]] = {
    graph.Expand: _expand,
    graph.Ask: _ask,
    graph.Score: _score,
    graph.Force: _force,
    graph.Cut: _cut,
    graph.Split: _split,
    graph.Where: _where,
    graph.Union: _union,
}


def transfer(operation: Operation, domain: Domain[Any]) -> Result:
    """The output pool of an operator without regions, and its cost."""
    spec, operator = operation.spec, entry(operation.spec)
    assert operator.rows is not None, f"{operator.name} gives no pool, or its regions decide"
    run = Execution(domain, operation)
    if operator.makes is Makes.NOTHING:
        return AbstractPool(), NOTHING
    out = run.pools[0].sized(*operator.rows(spec, run))
    rule = RULES.get(type(spec))
    if rule is not None:
        return rule(spec, run, out)
    if operator.makes is Makes.COPIES:
        return _copies(operator, run, out)
    # Selecting rows or adding a column costs nothing.
    assert operator.makes.subset, f"no rule of costs for {operator.name}"
    return out, NOTHING
