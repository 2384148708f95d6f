"""Runs a plan raw and optimised in one random world, and says what differs."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from tests.support.agreement import PROBLEMS, World, compiled, latency, world
from tts_lang.explain.costs import PlanBounds, bounds
from tts_lang.explain.formats import explained
from tts_lang.optimise import NAMES, Optimised, optimise
from tts_lang.plan.graph import Plan, Score, operations
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import CandidateRecord, Outcome, bind, execute
from tts_runtime.problems import Problem

COSTS = ("policy_calls", "policy_tokens", "prompt_tokens", "scorer_calls", "scorer_tokens")


#: Every pass alone, every pair, and all.
CHOICES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in NAMES),
    *combinations(NAMES, 2),
    NAMES,
)


def check(source: str, number: int) -> bool:
    """One program in one random world, raw and optimised: by all passes, and by one choice of them
    (every choice within sixteen programs). Returns whether the passes change it."""
    raw = compiled(source)
    here, problem = world(number), PROBLEMS[number % len(PROBLEMS)]
    made: list[Optimised] = []
    for only in dict.fromkeys((NAMES, CHOICES[number % len(CHOICES)])):
        optimised = optimise(raw, only=only, check=True)
        if all(optimised.plan.body != body for body in [raw.body, *(o.plan.body for o in made)]):
            made.append(optimised)
    if number % 4 == 0:
        assert explained(made[0].plan if made else raw)
    if not made:
        return False
    speed = latency(number)
    before = outcome(raw, raw, here, problem, number, speed)
    limits = bounds(raw, here.context)
    for optimised in made:
        passes = [stage.trace.passed.name for stage in optimised.stages if stage.trace.fired]
        after = outcome(optimised.plan, raw, here, problem, number, speed)
        found = difference(raw, before, after)
        assert found is None, f"{passes}: {found}\nin world {number}, in this program:\n{source}"
        # Bounds of the optimised plan hold wherever those of the raw plan do.
        if before.error is None and within(limits, before):
            assert within(bounds(optimised.plan, here.context), after)
    return True


def within(limits: PlanBounds, found: Outcome) -> bool:
    """Whether a run stayed inside what EXPLAIN promises of its plan."""
    counts, total = found.counts, limits.total
    return all(
        most is None or spent <= most
        for spent, most in (
            (counts.policy_calls, total.policy_calls),
            (counts.policy_tokens, total.sampled_tokens),
            (counts.prompt_tokens, total.prefilled_tokens),
            (counts.scorer_calls, total.scorer_calls),
        )
    )


def outcome(
    plan: Plan, raw: Plan, here: World, problem: Problem, seed: int, speed: Latency
) -> Outcome:
    """Of a plan, with the engines that the raw plan has: an optimised one may need fewer."""
    bound = bind(plan, here.policies(raw, speed), here.scorers(raw, speed))

    async def one() -> Outcome:
        return await execute(bound, problem, seed)

    return run_virtual(one())


def difference(raw: Plan, before: Outcome, after: Outcome) -> str | None:
    """What an optimised run does otherwise than the raw one; `None` if nothing that may not be.

    It may make fewer candidates, never others, and cost less, never more. A run that fails raw may
    succeed: what is removed cannot fail (C57).
    """
    if before.error is not None:
        return None
    if after.error is not None:
        return f"fails: {after.error}"
    if (before.answer, before.answer_key) != (after.answer, after.answer_key):
        return f"answers {after.answer!r}, not {before.answer!r}"
    for cost in COSTS:
        spent, allowed = getattr(after.counts, cost), getattr(before.counts, cost)
        if spent > allowed:
            return f"{cost}: {spent}, raw {allowed}"
    returned = [
        [_made(each) for each in run.candidates if each.uid == run.row] for run in (before, after)
    ]
    if returned[0] != returned[1]:
        return f"returns {returned[1]}, not {returned[0]}"
    # A record holds a scorer's latest reading, so only what is read once can be compared.
    times = Counter(
        each.spec.scorer for each in operations(raw.body) if isinstance(each.spec, Score)
    )
    known: dict[object, list[CandidateRecord]] = {}
    for record in before.candidates:
        known.setdefault(_made(record), []).append(record)
    for record in after.candidates:
        same = known.get(_made(record), [])
        if not same:
            return f"makes a candidate that the raw plan does not: {_made(record)}"
        scores = {name: s for name, s in record.scores.items() if times[name] == 1}
        if not any(scores.items() <= each.scores.items() for each in same):
            return f"scores a candidate {scores}"
    return None


def _made(record: CandidateRecord) -> tuple[object, ...]:
    """A whole path: lengths and the sum of log-probabilities tell texts apart."""
    return (
        record.prompt,
        record.ids,
        record.tokens,
        record.steps,
        record.done,
        record.logprob,
        record.answer,
    )
