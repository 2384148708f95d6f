"""The passes in their order, and the optimisation of a plan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from tts_lang.diagnostics import did_you_mean
from tts_lang.optimise.engine import PassTrace, run
from tts_lang.optimise.passes.eliminate_dead import ELIMINATE_DEAD
from tts_lang.optimise.passes.fold_constants import FOLD_CONSTANTS
from tts_lang.optimise.passes.fuse_expansions import FUSE_EXPANSIONS
from tts_lang.optimise.passes.push_down_selections import PUSH_DOWN_SELECTIONS
from tts_lang.optimise.passes.simplify_selections import SIMPLIFY_SELECTIONS
from tts_lang.optimise.rules import Pass
from tts_lang.plan.graph import Ask, Plan, Score, operations
from tts_lang.plan.verify import PlanError, verify

#: Each runs once, in this order. tests/optimise/test_order.py swaps those whose order matters.
PASSES: tuple[Pass, ...] = (
    # First: a literal count says how many rows there are, and a loop of one round, unrolled, no
    # longer grows a pool.
    FOLD_CONSTANTS,
    # Before eliminate_dead: a selection that keeps everything still reads the score it selects by.
    SIMPLIFY_SELECTIONS,
    # Before the last two: they would move an unread score instead of removing it, and one between
    # two generations keeps them apart.
    ELIMINATE_DEAD,
    PUSH_DOWN_SELECTIONS,
    FUSE_EXPANSIONS,
)

NAMES = tuple(passed.name for passed in PASSES)

#: Stands for every pass.
ALL = "all"


class UnknownPass(PlanError):
    """There is no pass of that name; the message has a suggestion."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A plan after a pass, and the pass's trace."""

    plan: Plan
    trace: PassTrace


@dataclass(frozen=True, slots=True)
class Optimised:
    """A plan before and after.

    Attributes:
        raw: The plan as compiled.
        stages: After each pass that ran, in order.
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
        check: Verify the plan after every pass (a failure is a defect of the optimiser).

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
        after, trace = run(passed, stages[-1].plan if stages else plan)
        if trace.fired:
            after = _declared(after)
            if check:
                _verify(after, trace)
        stages.append(Stage(after, trace))
    return Optimised(plan, tuple(stages))


def _verify(plan: Plan, trace: PassTrace) -> None:
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
