"""What each operator makes of its input pools, and what it costs: upper bounds, one rule each.

Counts are read by interval arithmetic (`n - count(finished)`), floored and never below 0. A rule
may be loose, never wrong: a run must stay inside it for every policy, scorer and problem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tts_lang.explain.calls import Ledger
from tts_lang.explain.cost import NOTHING, Cost, Part, Pool
from tts_lang.explain.interval import INFINITY, Interval, Reading, evaluate, product, whole
from tts_lang.plan import graph
from tts_lang.plan.expr import Apply, Column, Const, Expr, Random, walk
from tts_lang.plan.graph import Amount, Decoding, Operation, Scorer, Unit


def problem(thinks: bool = False) -> Pool:
    """The problem itself, in its usual conversation or in that of thinking."""
    return Pool(low=1, high=1, problem=True, own=2 if thinks else 1)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule sees: its input pools (those inputs that are), and how to read expressions.

    `inputs` are the operation's inputs, each with the number of its execution.
    """

    pools: tuple[Pool, ...]
    reading: Reading
    ledger: Ledger
    inputs: tuple[tuple[int, int], ...] = ()

    def number(self, expression: Expr) -> Interval:
        """The interval of an expression of the operator."""
        return evaluate(expression, self.reading)

    def count(self, expression: Expr) -> tuple[float, float]:
        """Least and greatest value of a count."""
        return whole(self.number(expression))


def call_limit(amount: Amount | None, decoding: Decoding, sight: Sight) -> tuple[float, bool]:
    """Tokens of one policy call at most, and whether only the context window says so.

    The least of `max E tokens`, `within E tokens`, the length of a unit of tokens, and the context.
    """
    said = [decoding.max_tokens, decoding.within]
    if amount is not None and amount.unit is Unit.TOKENS:
        said.append(amount.length)
    limits = [sight.number(limit) for limit in said if limit is not None]
    least = min((whole(limit)[1] for limit in limits if not limit.missing), default=INFINITY)
    context = sight.reading.context
    return min(least, context), context <= least


def _sampled(calls: float, limit: tuple[float, bool]) -> Cost:
    tokens, is_open = limit
    return Cost(
        calls=calls,
        tokens=product(calls, tokens),
        open_calls=calls if is_open else 0,
        rounds=1 if calls else 0,
        made=calls,
    )


def _continued(pool: Pool, limit: float, decoding: Decoding, unit: Unit, context: float) -> Pool:
    """Path lengths after one more generation of at most `limit` tokens."""
    per_call = (decoding.max_tokens, decoding.stop_at, decoding.stop_when)
    return pool._replace(
        finished=True,
        length=min(context, pool.length + limit),
        unread=tuple((name, min(context, unread + limit)) for name, unread in pool.unread),
        # A step's end closes it, and a path limit ends the row; these two leave pieces open.
        closed=unit in (Unit.STEPS, Unit.SOLUTIONS) and all(part is None for part in per_call),
    )


def _expand(spec: graph.Expand, sight: Sight) -> tuple[Pool, Cost]:
    """By: live rows give `count` children each, done rows pass once. To: `count` children in all
    (in each group), and every done row is extra (C18). At most one call a child."""
    pool, decoding = sight.pools[0], spec.decoding
    least, most = sight.count(spec.amount.count)
    limit = call_limit(spec.amount, decoding, sight)
    # All rows are live and have tokens left, so the counts are exact.
    fresh = pool.length == 0 and not pool.finished and limit[0] > 0
    if spec.deal:
        groups = 1 if spec.per is None else pool.groups(spec.per)
        calls = product(most, min(groups, pool.high))
        low = least if spec.per is None and pool.low else 0
        # A path limit of this call may be one that rows have reached without being done before.
        passing = pool.finished or (decoding.within is not None and pool.length > 0)
        high = max(pool.high, pool.high - 1 + calls) if passing and pool.high else calls
        low = low if fresh else min(low, pool.low, 1)
        new_roots = calls
    else:
        calls = product(pool.high, most)
        low = product(pool.low, least if fresh else min(least, 1))
        high = calls if fresh else max(calls, pool.high)
        new_roots = most
    out = _continued(pool, limit[0], decoding, spec.amount.unit, sight.reading.context)
    out = out.sized(low, high)._replace(
        parents=min(pool.high, high),
        roots=min(high, pool.roots + (new_roots if pool.problem else 0)),
        problem=pool.problem and not fresh,
        parts=pool.parts if not spec.deal and most <= 1 else (),
        seen=sight.ledger.seen_after(pool, decoding.policy, fresh=fresh),
    )
    certain = fresh and pool.low >= 1 and least >= 1
    read = sight.ledger.going_on(pool, decoding.policy, calls, limit[0], certain=certain)
    return out, _sampled(calls, limit).plus(read)


def _ask(spec: graph.Ask, sight: Sight) -> tuple[Pool, Cost]:
    """One conversation a row (`together`: one in all, or one a group), `count` children of each."""
    pool = sight.pools[0]
    least, most = sight.count(spec.amount.count)
    limit, policy = call_limit(spec.amount, spec.decoding, sight), spec.decoding.policy
    about, sure = pool.high, pool.low
    if spec.together:
        about = min(pool.high, 1 if spec.per is None else pool.groups(spec.per))
        sure = min(pool.low, 1) if spec.per is None else 0
    calls = product(about, most)
    out = _continued(Pool(), limit[0], spec.decoding, spec.amount.unit, sight.reading.context)
    out = out.sized(product(sure, least), calls)._replace(
        parents=min(pool.high, calls),
        roots=min(calls, pool.roots + (calls if pool.problem or spec.together else 0)),
        asked=min(about, calls),
        seen=((policy, 0.0),),
    )
    asked = about if most else 0.0
    return out, _sampled(calls, limit).plus(sight.ledger.opening(policy, asked, calls, limit[0]))


def _score(spec: graph.Score, scorer: Scorer, sight: Sight) -> tuple[Pool, Cost]:
    """A process scorer reads each path from where it last read it (C32), any other the whole path;
    a field of the problem is looked up. A judge's reading is a policy call, asked again at most
    `retries` times (C34), or one call for each of the likeliest first tokens. Looking ahead is one
    greedy call a row, of which the scorer reads all."""
    pool, context = sight.pools[0], sight.reading.context
    times = 1 if spec.times is None else sight.count(spec.times)[1]
    cost = NOTHING
    whole = pool.length
    length = pool.to_read(scorer.name) if scorer.steps else whole
    if spec.ahead is not None and sight.count(spec.ahead)[1] > 0:
        ledger = sight.ledger
        cost = _sampled(pool.high, (context, True))._replace(made=0)
        cost = cost.plus(ledger.going_on(pool, ledger.default, pool.high, context))
        length = whole = context
    if scorer.judge is not None:
        judge = scorer.judge
        asked = pool.high
        if judge.pairwise:
            asked = product(pool.high, max(0, pool.high - 1))
        elif scorer.together:
            asked = min(pool.high, 1 if spec.per is None else pool.groups(spec.per))
        if judge.read == "probability":
            tries, limit, prompts = graph.PROBABILITY_RANKS, (1.0, False), 1
        else:
            tries, limit = 1 + judge.retries, call_limit(None, judge.decoding, sight)
            prompts = tries
        asked = product(asked, times)
        readings = _sampled(product(asked, tries), limit)
        cost = cost.plus(readings._replace(made=0, rounds=product(readings.rounds, tries)))
        cost = cost.plus(
            sight.ledger.opening(
                judge.decoding.policy, product(asked, prompts), readings.calls, limit[0]
            )
        )
    elif scorer.field is not None:
        cost = cost.plus(Cost(reads=pool.high))
    else:
        reads = product(pool.high, times)
        read = Cost(
            reads=reads,
            read_tokens=product(reads, length),
            whole_tokens=product(reads, whole),
            rounds=1 if reads else 0,
        )
        cost = cost.plus(read.plus(sight.ledger.scoring(scorer.name, reads, length, whole)))
    if not scorer.steps or not pool.closed:
        return pool, cost
    known = {**dict(pool.unread), scorer.name: 0.0}
    return pool._replace(unread=tuple(sorted(known.items()))), cost


def _force(spec: graph.Force, sight: Sight) -> tuple[Pool, Cost]:
    """Reopens rows, so their last piece has to be read again; a token holds at least one byte."""
    pool, context = sight.pools[0], sight.reading.context
    match spec.text:
        case Const(str() as text):
            longer = float(len(text.encode()))
        case _:
            longer = context
    out = pool._replace(
        length=min(context, pool.length + longer),
        unread=(),
        closed=False,
        finished=True,
        seen=sight.ledger.seen_with(pool, longer),
    )
    return out, Cost(made=pool.high)


def _cut(sight: Sight) -> tuple[Pool, Cost]:
    pool = sight.pools[0]
    return pool._replace(unread=(), closed=False, finished=True), Cost(made=pool.high)


def _only_live(condition: Expr) -> bool:
    """Whether a row for which the condition holds is never done."""
    match condition:
        case Apply("not", (Column("done"),)):
            return True
        case Apply("and", (left, right)):
            return _only_live(left) or _only_live(right)
    return False


def _where(spec: graph.Where, sight: Sight) -> tuple[Pool, Cost]:
    pool = sight.pools[0]
    sure = sight.number(spec.condition).low >= 1
    live = _only_live(spec.condition)
    out = pool._replace(low=pool.low if sure else 0, finished=pool.finished and not live)
    return out._replace(parts=pool.parts + _part(spec.condition, pool.high, sight)), NOTHING


def _part(condition: Expr, rows: float, sight: Sight) -> tuple[Part, ...]:
    """The half of the pool that a condition keeps; a random condition has no other half."""
    if any(isinstance(node, Random) for node in walk(condition)):
        return ()
    truth = True
    while isinstance(condition, Apply) and condition.function == "not":
        condition, truth = condition.arguments[0], not truth
    return (Part(sight.inputs[0], (condition, sight.inputs[1:]), truth, rows),)


def _best(pool: Pool, least: float, most: float, per: str | None) -> Pool:
    """At most `most` rows of the pool, or of each of its groups (rows without a key form none)."""
    groups = 1 if per is None else pool.groups(per)
    low = min(pool.low, least) if per is None else 0
    return pool.sized(low, min(pool.high, product(groups, most)))


def _select(spec: graph.Select, sight: Sight) -> tuple[Pool, Cost]:
    pool = sight.pools[0]
    if spec.share is None:
        least, most = sight.count(spec.count) if spec.count is not None else (1, 1)
        return _best(pool, least, most, spec.per), NOTHING
    share = sight.number(spec.share)
    groups = 1 if spec.per is None else pool.groups(spec.per)
    # The ceiling of each group's share is less than one row more than the share itself (C39).
    high = product(pool.high, min(1, max(0, share.high))) + groups
    high = max(1, math.ceil(high - 1)) if spec.per is None and high < INFINITY else high
    return pool.sized(min(pool.low, 1) if spec.per is None else 0, min(pool.high, high)), NOTHING


def _resample(spec: graph.Resample, sight: Sight) -> tuple[Pool, Cost]:
    pool = sight.pools[0]
    least, most = sight.count(spec.count)
    groups = 1 if spec.per is None else pool.groups(spec.per)
    high = product(min(groups, pool.high), most)
    out = pool.sized(least if pool.low and spec.per is None else 0, high)
    return out._replace(parents=min(high, pool.high), parts=()), Cost(made=high)


def _fork(spec: graph.Fork, sight: Sight) -> tuple[Pool, Cost]:
    pool = sight.pools[0]
    least, most = sight.count(spec.count)
    high = product(pool.high, most)
    out = pool.sized(product(pool.low, least), high)
    out = out._replace(parents=min(high, pool.high), roots=high, problem=False, parts=())
    return out, Cost(made=high)


def _split(spec: graph.Split, sight: Sight) -> tuple[Pool, Cost]:
    pool = sight.pools[0]
    pieces = INFINITY if spec.most is None else sight.count(spec.most)[1]
    high = product(pool.high, pieces)
    out = pool.sized(0, high)._replace(parents=high, roots=high, unread=(), closed=False)
    seen = sight.ledger.seen_with(pool, sight.reading.context)
    return out._replace(finished=True, problem=False, parts=(), seen=seen), Cost(made=high)


def _union(sight: Sight) -> Pool:
    left, right = sight.pools[:2]
    if left.high == 0 or right.high == 0:
        return right if left.high == 0 else left
    return left.union(right)


def _difference(sight: Sight) -> Pool:
    left, right = sight.pools
    return left.sized(max(0, left.low - right.high), left.high)


def _descend(spec: graph.Descend, sight: Sight) -> Pool:
    pool = sight.pools[0]
    most = 1 if spec.times is None else sight.count(spec.times)[1]
    return pool.sized(min(pool.low, most, 1), min(pool.high, most))


def transfer(
    operation: Operation, sight: Sight, scorers: Mapping[str, Scorer]
) -> tuple[Pool, Cost]:
    """The output pool of an operator without regions, and its cost."""
    match operation.spec:
        case graph.Expand() as spec:
            return _expand(spec, sight)
        case graph.Ask() as spec:
            return _ask(spec, sight)
        case graph.Score() as spec:
            return _score(spec, scorers[spec.scorer], sight)
        case graph.Force() as spec:
            return _force(spec, sight)
        case graph.Cut():
            return _cut(sight)
        case graph.Where() as spec:
            return _where(spec, sight)
        case graph.Select() as spec:
            return _select(spec, sight)
        case graph.First(count, per):
            return _best(sight.pools[0], *sight.count(count), per), NOTHING
        case graph.Vote(per=per):
            return _best(sight.pools[0], 0, 1, per)._replace(low=0), NOTHING
        case graph.Resample() as spec:
            return _resample(spec, sight)
        case graph.Fork() as spec:
            return _fork(spec, sight)
        case graph.Split() as spec:
            return _split(spec, sight)
        case graph.Descend() as spec:
            return _descend(spec, sight), NOTHING
        case graph.Union():
            same = operation.inputs[0] == operation.inputs[1]
            return sight.pools[0] if same else _union(sight), NOTHING
        case graph.Difference():
            return _difference(sight), NOTHING
        case graph.Leaves() | graph.Dedupe(per=None):
            pool = sight.pools[0]
            return pool.sized(min(pool.low, 1), pool.high), NOTHING
        case graph.Dedupe() | graph.Sort(per=str()):
            pool = sight.pools[0]
            return pool.sized(0, pool.high), NOTHING  # rows without a key form no group
        case graph.Let() | graph.Sort() | graph.Backup():
            return sight.pools[0], NOTHING
        case graph.Empty():
            return Pool(), NOTHING
    raise TypeError(f"{operation.spec.op} has regions or gives a number: it has no transfer rule")
