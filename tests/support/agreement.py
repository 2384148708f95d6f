"""Runs one plan on one random world, by the executor and by the reference interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from tests.support import reference
from tests.support.invariants import drawn_in_two_contexts
from tts_lang.compiler import compile_strategy
from tts_lang.optimise.early_exit import SELECT_BY_ROW
from tts_lang.plan.graph import Plan
from tts_lang.source import Source
from tts_runtime.binding import Defaults
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import Rates, SimModel
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Outcome, bind, execute, execute_all
from tts_runtime.problems import Problem
from tts_runtime.tokens import to_bytes, to_text

PROBLEMS = (
    Problem("a", "2 a b", "2", {"pass_rate": 0.5}),
    Problem("b", "", "1", {"pass_rate": 1}),
    Problem("c", "b\n\nc 3\n\n", "3", {"pass_rate": 0}),
)


@dataclass(frozen=True, slots=True)
class World:
    """Random engines: which models, what their texts look like, how scores fall."""

    seed: int
    rates: Rates
    context: int
    levels: int
    missing: float
    defaults: Defaults

    def policies(self, plan: Plan, latency: Latency) -> dict[str, SimPolicy]:
        """Every policy of a plan, all with one tokenizer."""
        found: dict[str, SimPolicy] = {}
        for number, name in enumerate(plan.policies):
            model = SimModel(self.seed * 2 + number, self.rates)
            binding = model.binding(self.context, self.defaults)
            found[name] = SimPolicy(model, binding, latency)
        return found

    def scorers(self, plan: Plan, latency: Latency) -> dict[str, SimScorer]:
        """Every scorer of a plan that needs an engine: the same name, the same scores."""
        return {
            scorer.name: SimScorer(
                self.seed + crc32(scorer.name.encode()),
                steps=scorer.steps,
                levels=self.levels,
                missing=self.missing,
                latency=latency,
            )
            for scorer in plan.scorers
            if scorer.judge is None and scorer.field is None
        }


def world(seed: int) -> World:
    """The world of a seed; small vocabularies of scores make ties, short contexts make ends."""
    return World(
        seed,
        Rates(
            step=(0.2, 0.4, 0.1)[seed % 3],
            end=(0.08, 0.25, 0.15, 0.02)[seed % 4],
            answer=(0.15, 0.4)[seed % 2],
            thought=(0.1, 0.9)[seed // 2 % 2],
            spread=(1.0, 0.3)[seed // 3 % 2],
        ),
        context=(140, 400, 90)[seed % 3],
        levels=(0, 3, 0, 2)[seed // 2 % 4],
        missing=(0.0, 0.3)[seed // 5 % 2],
        defaults=Defaults(top_k=(0, 0, 6)[seed // 7 % 3]),
    )


def compiled(source: str) -> Plan:
    """The plan of a text's strategy `main`."""
    return compile_strategy(Source.of(source, "main.tts"), "main")


INSTANT = Latency(token=0.0)
#: The pass that changes neither what is asked for nor what is given, only when.
BY_ROW = (SELECT_BY_ROW,)


def latency(seed: int) -> Latency:
    """Service times that change how many requests run at once and in which order they end."""
    slots = (0, 1, 7, 64)[seed % 4]
    return Latency(token=0.01, overhead=0.005, slots=slots, jitter=(0.0, 5.0)[seed % 2], seed=seed)


def by_reference(
    plan: Plan, world: World, problem: Problem, seed: int
) -> reference.ReferenceOutcome:
    """The reference interpreter's outcome."""
    return reference.run(
        plan, problem, world.policies(plan, INSTANT), world.scorers(plan, INSTANT), seed
    )


def by_executor(
    plan: Plan, world: World, problem: Problem, seed: int, speed: Latency = INSTANT
) -> Outcome:
    """The executor's outcome, on engines of some speed.

    Strict, as the reference is: what is wrong with one candidate fails the problem.
    """
    policies, scorers = world.policies(plan, speed), world.scorers(plan, speed)
    bound = bind(plan, policies, scorers, BY_ROW, strict=True)

    async def one() -> Outcome:
        return await execute(bound, problem, seed)

    return run_virtual(one())


def side_by_side(
    plan: Plan, world: World, problems: Sequence[Problem], seed: int, speed: Latency
) -> list[Outcome]:
    """The executor's outcomes of one run over several problems, in the order they finished."""
    policies, scorers = world.policies(plan, speed), world.scorers(plan, speed)
    bound = bind(plan, policies, scorers, BY_ROW, strict=True)
    found: list[Outcome] = []
    run_virtual(execute_all(bound, problems, seed, found.append))
    return found


GENERATED = ("expand", "ask")


def disagreement(
    plan: Plan, world: World, problem: Problem, seed: int, speed: Latency = INSTANT
) -> str | None:
    """What executor and reference say differently of one problem; None if they agree.

    Noise that the reference draws in two contexts (invariant U) is a disagreement too.
    """
    found = by_executor(plan, world, problem, seed, speed)
    try:
        expected = by_reference(plan, world, problem, seed)
    except (reference.StrategyFailure, EngineError) as error:
        return None if found.error is not None else f"the reference fails: {error}"
    if found.error is not None:
        return f"the executor fails: {found.error}"
    twice = drawn_in_two_contexts(expected.drawn)
    if twice is not None:
        return f"drawn in two contexts: {twice}"
    counts = found.counts
    for what, mine, theirs in (
        ("candidates", made_by_reference(expected), made_by_executor(found)),
        ("answer", expected.answer, found.answer),
        ("answer key", expected.answer_key, found.answer_key),
        ("policy calls", expected.counts.policy_calls, counts.policy_calls),
        ("policy tokens", expected.counts.policy_tokens, counts.policy_tokens),
    ):
        if mine != theirs:
            return f"{what}:\n{_side_by_side(mine, theirs)}"
    if counts.scorer_calls > expected.counts.scorer_calls:
        return f"scorer calls: {counts.scorer_calls}, more than {expected.counts.scorer_calls}"
    return None


def made_by_reference(outcome: reference.ReferenceOutcome) -> list[tuple[object, ...]]:
    """Every sampled candidate in program order: texts, lengths, lineage, scores."""
    places = {row.uid: place for place, (_, row) in enumerate(outcome.rows, 1)}
    found: list[tuple[object, ...]] = []
    for operation, row in outcome.rows:
        node = row.node
        parent = row.recorded_parent
        start = 0 if row.parent is None or operation == "ask" else row.parent.node.position
        added = to_text(to_bytes(node.tokenizer, node.ids[start:]))
        found.append(
            (
                operation,
                added if operation in GENERATED else "",
                node.position,
                node.tokens,
                node.segments.steps,
                None if node.finish is None else node.finish.value,
                node.done,
                node.logprob,
                None if parent is None else places.get(parent.uid, 0),
                None if row.root is None else places[row.root],
                dict(outcome.scores[row.uid]) if operation in GENERATED else {},
            )
        )
    return found


def made_by_executor(outcome: Outcome) -> list[tuple[object, ...]]:
    """The same of the executor's records."""
    places = {record.uid: place for place, record in enumerate(outcome.candidates, 1)}
    return [
        (
            record.op,
            record.added if record.op in GENERATED else "",
            record.ids,
            record.tokens,
            record.steps,
            record.finish,
            record.done,
            record.logprob,
            None if record.parent is None else places.get(record.parent, 0),
            None if record.root is None else places[record.root],
            dict(record.scores) if record.op in GENERATED else {},
        )
        for record in outcome.candidates
    ]


def _side_by_side(mine: object, theirs: object) -> str:
    if not isinstance(mine, list) or not isinstance(theirs, list):
        return f"  reference {mine!r}\n  executor  {theirs!r}"
    lines = [f"  {len(mine)} by the reference, {len(theirs)} by the executor"]
    for place, (left, right) in enumerate(zip(mine, theirs, strict=False), 1):
        if left != right:
            lines += [f"  reference {place}: {left}", f"  executor  {place}: {right}"]
            break
    return "\n".join(lines)
