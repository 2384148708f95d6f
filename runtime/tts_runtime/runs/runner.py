"""Runs compiled plans over problems, and keeps what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tts_lang.explain.assumptions import LengthError
from tts_lang.plan.graph import Plan
from tts_runtime.answers.boundary import warm_up
from tts_runtime.cluster.ray_cluster import Clusters
from tts_runtime.cluster.replica import Finished, ReplicaSetup
from tts_runtime.cluster.replicas import PreparedSetup, Task
from tts_runtime.engines.base import Exactness, PolicyEngine, ScorerEngine
from tts_runtime.executor import (
    PASSES,
    Bound,
    Outcome,
    Work,
    bind,
    check_names,
    execute_together,
    wants_logprobs,
)
from tts_runtime.executor.problem import Events, ProblemLike
from tts_runtime.graders import DEFAULT, Graders
from tts_runtime.problems import Problem
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import REPLIES, digest_of, read_manifest
from tts_runtime.record.manifest import (
    SCHEMA,
    Manifest,
    ShardOf,
    identity_of,
    own_files,
    session_now,
)
from tts_runtime.record.nodes import answers_in
from tts_runtime.record.replies import ReplyLog
from tts_runtime.runs import resume
from tts_runtime.runs.compact import AnswerTable
from tts_runtime.runs.costs import ModelSizes, RunMeter
from tts_runtime.runs.described import (
    configuration_of,
    engines_of,
    exactness_of,
    names_of,
    scorer_names,
)
from tts_runtime.runs.engine_set import EngineSet
from tts_runtime.runs.op_stats import OpStats
from tts_runtime.runs.progress import Progress
from tts_runtime.runs.result_collector import ResultCollector
from tts_runtime.runs.results import Result, Results, RunInfo, summary_of
from tts_runtime.runs.resume import FinishedProblems
from tts_runtime.runs.rundir import (
    RunDirectoryError,
    StrategyWriter,
    check,
    folder,
    open_replies,
    opened,
    write_models,
)
from tts_runtime.runs.seeds import distinct_seeds, trials_of
from tts_runtime.runs.settings import Settings
from tts_runtime.runs.window import default_window


@dataclass(frozen=True, slots=True)
class _BoundPlans:
    """Open engines, and the plans bound to them: here, or in replicas that have engines too."""

    policies: Mapping[str, PolicyEngine]
    scorers: Mapping[str, ScorerEngine]
    bounds: Sequence[Bound] | PreparedSetup

    @property
    def engines(self) -> Mapping[str, PolicyEngine | ScorerEngine]:
        """All of them, by their names in strategies."""
        return {**self.policies, **self.scorers}

    @property
    def exactness(self) -> Sequence[Exactness]:
        """Of each plan."""
        if isinstance(self.bounds, PreparedSetup):
            return self.bounds.exactness
        return [bound.exactness for bound in self.bounds]


@dataclass(frozen=True, slots=True)
class _Record:
    """The record of a run.

    Args:
        identity: Of the run; empty without a run directory.
        earlier: Of each plan, the problems that earlier sessions finished.
        writers: Of each plan; `None` without a run directory.
        replies: Those to problems in flight.
    """

    identity: str
    earlier: Sequence[FinishedProblems]
    writers: Sequence[StrategyWriter | None]
    replies: ReplyLog | None = None


async def run_plans(
    plans: Sequence[Plan],
    problems: Sequence[Problem],
    settings: Settings,
    progress: Progress,
    engines: EngineSet,
    clusters: Clusters,
    loading: AbstractContextManager[None] | None = None,
) -> Results:
    """`Session.run` for compiled plans; what is not open yet is opened within `loading`.

    `settings` name every engine.
    """
    # Checks that need no engine come before models take their time to load.
    for plan in plans:
        check_names(plan, settings.policies, settings.scorers)
    graders = Graders(settings.grader, problems)  # of the whole run, also in a shard
    part: ShardOf | None = None
    if settings.shard is not None:
        index, of = settings.shard.index, settings.shard.of
        digest = digest_of(problems)
        part = ShardOf(index=index, of=of, problems=len(problems), digest=digest)
        problems = settings.shard.part(problems)
        if settings.out is not None:
            settings = replace(settings, out=settings.shard.folder(settings.out))
    configuration: dict[str, Any] = {}
    if settings.out is not None:
        configuration = configuration_of(plans, settings, graders.names)
        if check(settings.out, configuration, problems, plans):
            results = _finished_results(plans, problems, settings, configuration, graders)
            if results is not None:
                return results
    logprobs = wants_logprobs(plans, settings.keep)
    async with AsyncExitStack() as stack:
        with loading or nullcontext():
            bound = await _bind_plans(
                plans, settings, progress, engines, clusters, logprobs=logprobs
            )
            for plan in plans:
                settings.limits.check_on(plan, bound.policies)
            graders.open(engines.grader)
        record = _Record("", [FinishedProblems() for _ in plans], [None] * len(plans))
        if settings.out is not None:
            manifest = Manifest(
                schema=SCHEMA,
                configuration=configuration,
                seeds=sorted(distinct_seeds(settings.seeds)),
                problem_set=settings.problem_set,
                files=own_files(plans),
                shard=part,
                engines=engines_of(settings, bound.engines, logprobs=logprobs),
                sessions=[session_now(settings.command)],
            )
            record = _open_record(stack, settings.out, manifest, plans, problems, bound.engines)
        return await _run_bound(plans, problems, settings, progress, graders, bound, record)


def _finished_results(
    plans: Sequence[Plan],
    problems: Sequence[Problem],
    settings: Settings,
    configuration: Mapping[str, Any],
    graders: Graders,
) -> Results | None:
    """The results of a run whose directory has all of it; `None` if something is left to do."""
    assert settings.out is not None
    identity = identity_of(configuration)
    trials = list(trials_of(problems, distinct_seeds(settings.seeds)))
    earlier = [resume.read(folder(settings.out, plan), plan, identity) for plan in plans]
    whole = all(trial in past.answers for past in earlier for trial in trials)
    # A run that was killed after its last answer has no summary of it, or kept replies.
    ended = not (settings.out / REPLIES).exists() and all(
        past.summary is not None and past.summary.trials >= len(trials) for past in earlier
    )
    damaged = resume.read_shared(settings.out, identity) or any(past.damaged for past in earlier)
    if damaged or not whole or not ended:
        return None
    return Results(
        _read_back(plan, past, trials, settings, identity, graders.names)
        for plan, past in zip(plans, earlier, strict=True)
    )


async def _bind_plans(
    plans: Sequence[Plan],
    settings: Settings,
    progress: Progress,
    engines: EngineSet,
    clusters: Clusters,
    *,
    logprobs: bool,
) -> _BoundPlans:
    """Opens the engines that the plans use, here or on a cluster."""
    if settings.cluster is not None:
        recorded = settings.out is not None
        setup = setup_of(plans, settings, keeps=recorded or settings.analyze, decisions=recorded)
        replicas = await clusters.prepare(settings.cluster, settings.replicas, setup)
        return _BoundPlans(replicas.policies, replicas.scorers, replicas)
    used = _engines_used(plans)
    policies, scorers = engines.open(settings.policies, settings.scorers, used, progress, plans)
    passes = _passes(settings)
    ahead, strict = settings.speculate > 0, settings.strict
    return _BoundPlans(
        policies,
        scorers,
        [bind(plan, policies, scorers, passes, ahead, strict, logprobs) for plan in plans],
    )


def _open_record(
    stack: AsyncExitStack,
    out: Path,
    manifest: Manifest,
    plans: Sequence[Plan],
    problems: Sequence[Problem],
    engines: Mapping[str, PolicyEngine | ScorerEngine],
) -> _Record:
    """The run directory, locked until `stack` ends, without what is to be done again."""
    identity = identity_of(manifest.configuration)
    resume.report(resume.read_shared(out, identity), "it is written again")
    directory = stack.enter_context(opened(out, manifest, problems))
    write_models(directory, identity, engines)
    # Also of a directory that was read before: it is nobody else's only now.
    earlier = [resume.read(folder(directory, plan), plan, identity) for plan in plans]
    for plan, past in zip(plans, earlier, strict=True):
        resume.report(past.damaged, "what it held is done again")
        resume.clear(folder(directory, plan), plan.strategy, identity, past)
    writers = [stack.enter_context(StrategyWriter(directory, plan, identity)) for plan in plans]
    answered = [past.answers for past in earlier]
    replies = open_replies(
        directory,
        identity,
        engines,
        lambda trial: all(trial in answers for answers in answered),
    )
    stack.enter_context(replies)
    resume.report(replies.damaged, "what it held is done again")
    return _Record(identity, earlier, writers, replies)


def _passes(settings: Settings) -> list[str]:
    return [name for name in PASSES if name not in settings.disabled]


def _engines_used(plans: Sequence[Plan]) -> set[str]:
    return {name for plan in plans for name in (*plan.policies, *scorer_names(plan))}


def setup_of(
    plans: Sequence[Plan], settings: Settings, *, keeps: bool, decisions: bool
) -> ReplicaSetup:
    """The setup of replicas for these plans; optionally with candidates and decisions."""
    used = _engines_used(plans)
    return ReplicaSetup(
        plans,
        {name: each for name, each in settings.policies.items() if name in used},
        {name: each for name, each in settings.scorers.items() if name in used},
        _passes(settings),
        settings.speculate,
        settings.strict,
        settings.keep if keeps else None,
        decisions,
    )


async def _run_bound(
    plans: Sequence[Plan],
    problems: Sequence[Problem],
    settings: Settings,
    progress: Progress,
    graders: Graders,
    bound: _BoundPlans,
    record: _Record,
) -> Results:
    meter = RunMeter([each.summary for each in record.earlier], bound.policies)
    collectors = _collectors(plans, settings, graders, bound, record, meter)
    replies = record.replies
    by_id = {problem.id: problem for problem in problems}
    trials = list(trials_of(problems, distinct_seeds(settings.seeds)))
    progress.run_starts(plans, len(trials), bound.policies)
    for place, past in enumerate(record.earlier):
        for trial in trials:
            if trial in past.answers:
                progress.problem_resumed(place, past.answers[trial])

    async def finished(
        place: int, outcome: Outcome, decisions: Sequence[dict[str, Any]] | None = None
    ) -> None:
        progress.outcome(place, outcome)
        problem = by_id[outcome.problem_id]
        failed = outcome.error is not None
        grade = await graders.verdict(problem, outcome.answer, outcome.text, failed=failed)
        nodes = collectors[place].nodes(outcome)
        right = await graders.of_answers(problem, answers_in(nodes))
        answer = collectors[place].add(outcome, problem.answer, grade, nodes, right, decisions)
        if replies is not None and all(each.recorded(answer.trial) for each in collectors):
            replies.drop(answer.trial)
        progress.problem_done(place, answer)

    if DEFAULT in graders.names:
        warm_up(problem.answer for problem in problems)  # before the clock starts
    meter.start()
    left = [trial for trial in trials if not all(each.has(trial) for each in collectors)]
    window = settings.concurrency or default_window(plans, bound.policies.values())
    try:
        if isinstance(bound.bounds, PreparedSetup):

            async def arrived(reply: Finished) -> None:
                progress.tokens_drawn(reply.outcome.counts.policy_tokens)
                progress.outcome_ready(reply.outcome)
                await finished(reply.place, reply.outcome, reply.decisions)

            tasks = [
                Task(
                    by_id[trial.problem],
                    trial.seed,
                    [place for place, each in enumerate(collectors) if not each.has(trial)],
                )
                for trial in left
            ]
            await bound.bounds.run(tasks, arrived, window=window, work=meter.work)
        else:

            def done(place: int, problem: str, seed: int) -> bool:
                return collectors[place].has(Trial(problem, seed))

            def listen(place: int, problem: ProblemLike, seed: int, events: Events) -> None:
                collectors[place].listen(Trial(problem.id, seed), events)

            await execute_together(
                bound.bounds,
                [(by_id[trial.problem], trial.seed) for trial in left],
                finished,
                concurrency=window,
                observer=progress,
                done=done,
                speculate=settings.speculate,
                work=meter.work,
                subscribe=listen,
                kept=None
                if replies is None
                else lambda problem, seed: replies.of(Trial(problem.id, seed)),
            )
    except BaseException:
        # A run that was stopped says how far it got, too. What stopped it says more than a summary
        # that cannot be written for the same reason.
        with suppress(RunDirectoryError):
            _write_summaries(collectors)
        raise
    _write_summaries(collectors)
    progress.run_ends()
    return Results(collector.result(trials) for collector in collectors)


def _write_summaries(collectors: Sequence[ResultCollector]) -> None:
    for collector in collectors:
        collector.write_summary()


def _collectors(
    plans: Sequence[Plan],
    settings: Settings,
    graders: Graders,
    bound: _BoundPlans,
    record: _Record,
    meter: RunMeter,
) -> list[ResultCollector]:
    """Of each plan, the collector of its results."""
    sizes = ModelSizes.of(bound.policies, bound.scorers, settings.models)
    return [
        ResultCollector(
            plan,
            RunInfo(
                exactness,
                names_of(settings.policies, plan.policies),
                names_of(settings.scorers, scorer_names(plan)),
                settings.problem_set,
                graders.names,
            ),
            past,
            meter,
            sizes,
            op_stats=_op_stats(plan, settings, record.identity),
            writer=writer,
            keep=settings.keep,
        )
        for plan, exactness, writer, past in zip(
            plans, bound.exactness, record.writers, record.earlier, strict=True
        )
    ]


def _read_back(
    plan: Plan,
    earlier: FinishedProblems,
    trials: Sequence[Trial],
    settings: Settings,
    identity: str,
    graders: tuple[str, ...],
) -> Result:
    """The result of a run whose directory has all of it."""
    assert settings.out is not None
    try:
        sizes = ModelSizes.read(settings.out, plan, settings.models)
    except LengthError as error:
        raise RunDirectoryError(f"{error}; remove it to go without sizes") from error
    answers = AnswerTable(sizes.priced(earlier.answers[trial]) for trial in trials).listed(trials)
    last = earlier.summary
    engines = read_manifest(settings.out).engines
    used = (*plan.policies, *scorer_names(plan))
    info = RunInfo(
        Exactness.weakest(exactness_of(engines.get(name, {})) for name in used),
        names_of(settings.policies, plan.policies),
        names_of(settings.scorers, scorer_names(plan)),
        settings.problem_set,
        graders,
    )
    summary = summary_of(
        answers,
        strategy=plan.strategy,
        params=plan.parameters,
        wall_s=0.0 if last is None else last.wall_s,
        engines=Work() if last is None else last.engines,
        info=info,
    )
    stats = _op_stats(plan, settings, identity)
    return Result(summary, answers, op_stats=stats, resumed=frozenset(earlier.answers))


def _op_stats(plan: Plan, settings: Settings, identity: str) -> OpStats | None:
    """With `Settings.analyze`: counts per operation, starting with those of earlier sessions."""
    if not settings.analyze:
        return None
    stats = OpStats()
    if settings.out is not None:
        where = folder(settings.out, plan)
        for candidates in resume.candidates(where, plan.strategy, identity):
            stats.add(candidates)
    return stats
