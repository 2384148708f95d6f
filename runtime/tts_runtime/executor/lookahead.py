"""Look-ahead: greedy rollouts that are scored in a row's stead and thrown away (C11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tts_lang.plan.graph import Score, Unit
from tts_runtime.engines.base import GenerateRequest, Generation
from tts_runtime.executor.children import child_node
from tts_runtime.executor.model import Candidate, Node, Row
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.program import Builder
from tts_runtime.executor.settings import Settings
from tts_runtime.executor.views import View


class LookAhead:
    """The `looking ahead k steps` of one score operation, or nothing."""

    def __init__(self, builder: Builder, spec: Score) -> None:
        self._steps = builder.compiler.optional(spec.ahead)
        self._policy = builder.program.default
        self._greedy = replace(self._policy.defaults, temperature=0.0)

    def settings(self, problem: Row, view: View) -> Settings | None:
        """How rollouts are generated; `None` for no look-ahead, or of no steps."""
        steps = 0 if self._steps is None else view.whole(self._steps(problem, view))
        if steps <= 0:
            return None
        return Settings(self._policy, self._greedy, Unit.STEPS, steps)


def roll_out(
    run: ProblemRun, node: Node, settings: Settings, arrived: Callable[[Node], None]
) -> bool:
    """Starts a rollout from a node; false if it is done or has no room, and stands as it is."""
    room = settings.room(node)
    if node.done or room <= 0:
        return False
    request = GenerateRequest(
        node.conversation.prompt(settings.policy),
        node.path(),
        node.key,
        settings.sampling,
        settings.limits(room),
        node.segments,
        None,
        run.bound.program.statistics,
    )

    def generated(generation: Generation) -> None:
        arrived(child_node(node, node.key, settings, room, generation))

    run.generate(settings, node, request, generated)
    return True


def rolled_out(
    run: ProblemRun, pool: Pool, settings: Settings | None, originals: dict[Candidate, Row]
) -> Pool:
    """The rows with their rollouts in their stead; `originals` gets the rows themselves."""
    if settings is None:
        return pool
    chosen = settings

    def work(row: Row, slot: PendingRow | None) -> Content:
        originals[row.candidate] = row
        target = PendingRow() if slot is None else slot

        def arrived(node: Node) -> None:
            run.resolve(target, Row(node, row.candidate, row.lets, row.scores, row.known))

        return target if roll_out(run, row.node, chosen, arrived) else row

    return run.map(pool, work)
