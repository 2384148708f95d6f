"""The passes in their order, and a plan sent through them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from tts_lang.diagnostics import did_you_mean
from tts_lang.optimise.engine import PassTrace, run
from tts_lang.optimise.passes.fused import FUSED
from tts_lang.optimise.passes.late_scores import LATE_SCORES
from tts_lang.optimise.passes.selections import SELECTIONS
from tts_lang.optimise.passes.specialise import SPECIALISE
from tts_lang.optimise.passes.unread import UNREAD
from tts_lang.optimise.rules import Pass
from tts_lang.plan.graph import Ask, Plan, Score, operations
from tts_lang.plan.verify import PlanError, verify

#: Each runs once, in this order. tests/optimise/test_order.py swaps those whose order matters.
PASSES: tuple[Pass, ...] = (
    # First: a literal count says how many rows there are, and a loop of one round, unrolled, is
    # no longer one that may grow a pool.
    SPECIALISE,
    # Before UNREAD: a selection that keeps everything still reads the score that it selects by.
    SELECTIONS,
    # Before LATE_SCORES and FUSED: a score that nobody reads would be moved about instead of
    # removed, and stands between two generations.
    UNREAD,
    LATE_SCORES,
    FUSED,
)

NAMES = tuple(passed.name for passed in PASSES)

#: Stands for every pass.
ALL = "all"


class UnknownPass(PlanError):
    """There is no pass of that name; the message has a suggestion."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A plan behind a pass, and what the pass did."""

    plan: Plan
    trace: PassTrace


@dataclass(frozen=True, slots=True)
class Optimised:
    """A plan before and after.

    Attributes:
        raw: As the compiler made it.
        stages: Behind each pass that ran, in order.
    """

    raw: Plan
    stages: tuple[Stage, ...]

    @property
    def plan(self) -> Plan:
        """The optimised plan."""
        return self.stages[-1].plan if self.stages else self.raw


def optimise(
    plan: Plan,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    check: bool = False,
    passes: tuple[Pass, ...] = PASSES,
) -> Optimised:
    """A plan that gives the same answers, and never costs more tokens.

    Args:
        plan: A plan that `verify` accepts.
        only: Names of the passes to run; all of them when absent.
        without: Names of passes to leave out; `all` for every one.
        check: Verify the plan behind every pass (a failure is a defect of the optimiser).

    Raises:
        UnknownPass: `only` or `without` name a pass that does not exist.
        PlanError: With `check`, what a pass broke; the message names it.
    """
    for name in (*(only or ()), *without):
        if name not in (*NAMES, ALL):
            hint = did_you_mean(name, NAMES) or f"there are {', '.join(NAMES)}"
            raise UnknownPass(f"the optimiser has no pass `{name}`; {hint}")
    stages: list[Stage] = []
    for passed in passes:
        chosen = only is None or ALL in only or passed.name in only
        if not chosen or ALL in without or passed.name in without:
            continue
        made, trace = run(passed, stages[-1].plan if stages else plan)
        if trace.fired:
            made = _declared(made)
            if check:
                _verified(made, trace)
        stages.append(Stage(made, trace))
    return Optimised(plan, tuple(stages))


def _verified(plan: Plan, trace: PassTrace) -> None:
    try:
        verify(plan)
    except PlanError as error:
        fired = ", ".join(rule.rule.name for rule in trace.rules if rule.fired)
        raise PlanError(f"pass {trace.passed.name} ({fired}) broke the plan: {error}") from error


def _declared(plan: Plan) -> Plan:
    """The plan without scorers and prompts that it no longer uses, so that none need be bound."""
    scorers: set[str] = set()
    prompts: set[str] = set()
    for operation in operations(plan.body):
        if isinstance(operation.spec, Score):
            scorers.add(operation.spec.scorer)
        elif isinstance(operation.spec, Ask):
            prompts.add(operation.spec.prompt)
    return replace(
        plan,
        scorers=tuple(scorer for scorer in plan.scorers if scorer.name in scorers),
        prompts=tuple(prompt for prompt in plan.prompts if prompt.name in prompts),
    )
