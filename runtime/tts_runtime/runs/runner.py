"""Runs compiled plans over problems, and keeps what they do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tts_lang.explain.assumptions import LengthError
from tts_lang.explain.models import UNKNOWN, Models
from tts_lang.plan.graph import Plan
from tts_runtime.answers.boundary import warm_up
from tts_runtime.cluster.ray_cluster import ClusterAddress, Clusters
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
)
from tts_runtime.executor.problem import Events, ProblemLike
from tts_runtime.graders import DEFAULT, Grader, Graders
from tts_runtime.problems import Problem
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import REPLIES, read_manifest
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
    plan_text,
    write_models,
)
from tts_runtime.runs.seeds import distinct_seeds, trials_of
from tts_runtime.runs.shards import Shard
from tts_runtime.runs.window import default_window

#: What `Settings.keep` may have.
KEPT: Final = ("ids", "logprobs")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run: engines by their names in the strategies, problems, seed, where to write.

    Args:
        policies: Engine names (`bundled`, `vllm:MODEL`...) or open engines by the name that
            strategies give them. Without any other policy, `policy` and `prm` are the bundled ones.
        scorers: The same for scorers (`bundled`, `field:pass_rate`...).
        seeds: Of the random streams: a number, or several (`range(5)`), under each of which every
            problem is answered.
        out: A run directory, new or of the same run: what an earlier session has finished is read
            back there, and not run again. Nothing is written when absent.
        concurrency: At most this many problems in flight; when absent, a small multiple of what
            fills the engines (`default_window`).
        disabled: Passes of the optimiser or the executor that are left out, as `--no-pass` names
            them.
        analyze: Count rows and tokens per operation (`Result.op_stats`).
        problem_set: Name of the problems, for the summary; a file's or set's own if absent.
        speculate: Where engines have free slots, likely survivors of a selection run ahead; tokens
            drawn for nothing are never more than this part of the others. 0: nothing runs ahead.
        strict: What is wrong with one candidate (`engines.base.CandidateError`) fails its problem.
        models: Sizes of models, for FLOPs, where engines do not state them.
        grader: How answers are graded, a name as `--grader` takes it or a grader of your own (which
            stays open); absent: each problem's own, else `math`.
        shard: The part of the problems that is run here, in a folder of its own below `out`;
            `runs.merge.merge` puts the parts together.
        keep: What else a run directory has of every candidate: `ids` (of tokens, with those of the
            prompt), `logprobs` (of each).
        cluster: Where problems run (`ray`, `ray://HOST:PORT`), on engines of `replicas` processes;
            absent: here.
        replicas: Processes, each with all engines of its own.
        command: The command line, for the record.
    """

    policies: Mapping[str, str | PolicyEngine] = field(default_factory=dict)
    scorers: Mapping[str, str | ScorerEngine] = field(default_factory=dict)
    seeds: int | Iterable[int] = 0
    out: Path | None = None
    concurrency: int | None = None
    disabled: frozenset[str] = frozenset()
    analyze: bool = False
    speculate: float = 0.0
    problem_set: str | None = None
    strict: bool = False
    models: Models = UNKNOWN
    grader: str | Grader | None = None
    shard: Shard | None = None
    keep: Collection[str] = ()
    cluster: str | None = None
    replicas: int = 1
    command: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.out, str):  # what a notebook passes
            object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "seeds", distinct_seeds(self.seeds))
        if self.cluster is not None:
            ClusterAddress.parse(self.cluster)
        if self.replicas < 1:
            raise ValueError(f"replicas: at least 1, not {self.replicas}")
        unknown = sorted(set(self.keep).difference(KEPT))
        if unknown:
            raise ValueError(f"keep: expected {' or '.join(KEPT)}, found {unknown[0]!r}")


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
    # What needs no engine is checked before models take their time to load.
    for plan in plans:
        check_names(plan, settings.policies, settings.scorers)
    graders = Graders(settings.grader, problems)  # of the whole run, also in a shard
    part: ShardOf | None = None
    if settings.shard is not None:
        index, of = settings.shard.index, settings.shard.of
        part = ShardOf(index=index, of=of, problems=len(problems))
        problems = settings.shard.part(problems)
        if settings.out is not None:
            settings = replace(settings, out=settings.shard.folder(settings.out))
    trials = list(trials_of(problems, distinct_seeds(settings.seeds)))
    earlier = [FinishedProblems() for _ in plans]
    configuration: dict[str, Any] = {}
    identity = ""
    if settings.out is not None:
        configuration = configuration_of(plans, settings, graders.names)
        identity = identity_of(configuration)
        if check(settings.out, configuration, problems, plans):
            earlier = [resume.read(folder(settings.out, plan), plan, identity) for plan in plans]
            damaged = [*resume.read_shared(settings.out, identity)]
            damaged += [damage for each in earlier for damage in each.damaged]
            whole = all(trial in each.answers for each in earlier for trial in trials)
            # A run that was killed after its last answer has no summary of it, or kept replies.
            ended = not (settings.out / REPLIES).exists() and all(
                each.summary is not None and each.summary.trials >= len(trials) for each in earlier
            )
            if whole and ended and not damaged:
                return Results(
                    _read_back(plan, each, trials, settings, identity, graders.names)
                    for plan, each in zip(plans, earlier, strict=True)
                )
    used = {name for plan in plans for name in (*plan.policies, *_scorer_names(plan))}
    passes = [name for name in PASSES if name not in settings.disabled]
    policies: Mapping[str, PolicyEngine]
    scorers: Mapping[str, ScorerEngine]
    bounds: Sequence[Bound] | PreparedSetup
    async with AsyncExitStack() as stack:
        with loading or nullcontext():
            if settings.cluster is None:
                policies, scorers = engines.open(
                    settings.policies, settings.scorers, used, progress, plans
                )
                bounds = [
                    bind(plan, policies, scorers, passes, settings.speculate > 0, settings.strict)
                    for plan in plans
                ]
            else:
                keeps = settings.out is not None or settings.analyze
                setup = setup_of(plans, settings, keeps=keeps, decisions=settings.out is not None)
                bounds = await clusters.prepare(settings.cluster, settings.replicas, setup)
                policies, scorers = bounds.policies, bounds.scorers
            graders.open(engines.grader)
        writers: list[StrategyWriter | None] = [None] * len(plans)
        replies: ReplyLog | None = None
        if settings.out is not None:
            manifest = Manifest(
                schema=SCHEMA,
                configuration=configuration,
                seeds=sorted(distinct_seeds(settings.seeds)),
                problem_set=settings.problem_set,
                files=own_files(plans),
                shard=part,
                engines=_engines(settings, {**policies, **scorers}),
                sessions=[session_now(settings.command)],
            )
            resume.report(resume.read_shared(settings.out, identity), "it is written again")
            directory = stack.enter_context(opened(settings.out, manifest, problems))
            write_models(directory, identity, {**policies, **scorers})
            # Read again: the directory is nobody else's only now.
            earlier = [resume.read(folder(directory, plan), plan, identity) for plan in plans]
            for plan, each in zip(plans, earlier, strict=True):
                resume.report(each.damaged, "what it held is done again")
                resume.clear(folder(directory, plan), plan.strategy, identity, each)
            writers = [
                stack.enter_context(StrategyWriter(directory, plan, identity)) for plan in plans
            ]
            answered = [each.answers for each in earlier]
            replies = open_replies(
                directory,
                identity,
                {**policies, **scorers},
                lambda trial: all(trial in answers for answers in answered),
            )
            stack.enter_context(replies)
            resume.report(replies.damaged, "what it held is done again")
        return await _run_bound(
            plans,
            bounds,
            policies,
            scorers,
            graders,
            problems,
            settings,
            progress,
            writers,
            replies,
            earlier,
            identity,
        )


def setup_of(
    plans: Sequence[Plan], settings: Settings, *, keeps: bool, decisions: bool
) -> ReplicaSetup:
    """What replicas need for these plans; with their candidates, and what they decide."""
    passes = [name for name in PASSES if name not in settings.disabled]
    used = {name for plan in plans for name in (*plan.policies, *_scorer_names(plan))}
    return ReplicaSetup(
        plans,
        {name: each for name, each in settings.policies.items() if name in used},
        {name: each for name, each in settings.scorers.items() if name in used},
        passes,
        settings.speculate,
        settings.strict,
        settings.keep if keeps else None,
        decisions,
    )


async def _run_bound(
    plans: Sequence[Plan],
    bounds: Sequence[Bound] | PreparedSetup,
    policies: Mapping[str, PolicyEngine],
    scorers: Mapping[str, ScorerEngine],
    graders: Graders,
    problems: Sequence[Problem],
    settings: Settings,
    progress: Progress,
    writers: Sequence[StrategyWriter | None],
    replies: ReplyLog | None,
    earlier: Sequence[FinishedProblems],
    identity: str,
) -> Results:
    meter = RunMeter([each.summary for each in earlier], policies)
    sizes = ModelSizes.of(policies, scorers, settings.models)
    if isinstance(bounds, PreparedSetup):
        levels = bounds.exactness
    else:
        levels = [bound.exactness for bound in bounds]
    collectors = [
        ResultCollector(
            plan,
            RunInfo(
                exactness,
                _names(settings.policies, plan.policies),
                _names(settings.scorers, _scorer_names(plan)),
                settings.problem_set,
                graders.names,
            ),
            each,
            meter,
            sizes,
            op_stats=_op_stats(plan, settings, identity),
            writer=writer,
            keep=settings.keep,
        )
        for plan, exactness, writer, each in zip(plans, levels, writers, earlier, strict=True)
    ]
    by_id = {problem.id: problem for problem in problems}
    trials = list(trials_of(problems, distinct_seeds(settings.seeds)))
    progress.run_starts(plans, len(trials), policies)
    for place, each in enumerate(earlier):
        for trial in trials:
            if trial in each.answers:
                progress.problem_resumed(place, each.answers[trial])

    async def finished(
        place: int, outcome: Outcome, decisions: Sequence[dict[str, Any]] | None = None
    ) -> None:
        progress.outcome(place, outcome)
        problem = by_id[outcome.problem_id]
        grade = await graders.verdict(problem, outcome.answer, outcome.text)
        nodes = collectors[place].nodes(outcome)
        right = await graders.of_answers(problem, answers_in(nodes))
        answer = collectors[place].add(outcome, problem.answer, grade, nodes, right, decisions)
        if replies is not None and all(each.recorded(answer.trial) for each in collectors):
            replies.drop(answer.trial)
        progress.problem_done(place, answer)

    def done(place: int, problem: str, seed: int) -> bool:
        return collectors[place].has(Trial(problem, seed))

    def listen(place: int, problem: ProblemLike, seed: int, events: Events) -> None:
        collectors[place].listen(Trial(problem.id, seed), events)

    if DEFAULT in graders.names:
        warm_up(problem.answer for problem in problems)  # before the clock starts
    meter.start()

    async def arrived(each: Finished) -> None:
        progress.tokens_drawn(each.outcome.counts.policy_tokens)
        progress.outcome_ready(each.outcome)
        await finished(each.place, each.outcome, each.decisions)

    left = [trial for trial in trials if not all(each.has(trial) for each in collectors)]
    window = settings.concurrency or default_window(plans, policies.values())
    try:
        if isinstance(bounds, PreparedSetup):
            tasks = [
                Task(
                    by_id[trial.problem],
                    trial.seed,
                    [place for place, each in enumerate(collectors) if not each.has(trial)],
                )
                for trial in left
            ]
            await bounds.run(tasks, arrived, window=window, work=meter.work)
        else:
            await execute_together(
                bounds,
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
    finally:
        # Also of a run that was stopped, so that its directory says how far it got.
        for collector in collectors:
            collector.write_summary()
    progress.run_ends()
    return Results(collector.result(trials) for collector in collectors)


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
    used = (*plan.policies, *_scorer_names(plan))
    info = RunInfo(
        Exactness.weakest(_exactness(engines.get(name, {})) for name in used),
        _names(settings.policies, plan.policies),
        _names(settings.scorers, _scorer_names(plan)),
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


def _scorer_names(plan: Plan) -> list[str]:
    return [scorer.name for scorer in plan.scorers]


def _name(engine: str | PolicyEngine | ScorerEngine) -> str:
    return engine if isinstance(engine, str) else getattr(engine, "written", type(engine).__name__)


def _names(
    engines: Mapping[str, str | PolicyEngine] | Mapping[str, str | ScorerEngine],
    used: Sequence[str],
) -> dict[str, str]:
    return {name: _name(engine) for name, engine in engines.items() if name in used}


def configuration_of(
    plans: Sequence[Plan], settings: Settings, graders: Sequence[str]
) -> dict[str, Any]:
    """What makes a run: two of the same configuration give the same answers.

    Raises:
        RunDirectoryError: Two strategies of one name, which a directory cannot hold.
    """
    names = [plan.strategy for plan in plans]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RunDirectoryError(
            f"two strategies are called {twice[0]}: run them into different directories"
        )
    used = [name for plan in plans for name in (*plan.policies, *_scorer_names(plan))]
    return {
        "version": version("tts-lang"),
        "strategies": {plan.strategy: dict(plan.parameters) for plan in plans},
        "plans": {plan.strategy: _digest(plan_text(plan)[:-1]) for plan in plans},
        "without": sorted(settings.disabled),
        "strict": settings.strict,
        "keep": sorted(settings.keep),
        "graders": graders,
        "policies": _names(settings.policies, used),
        "scorers": _names(settings.scorers, used),
    }


def _engines(
    settings: Settings, opened: Mapping[str, PolicyEngine | ScorerEngine]
) -> dict[str, dict[str, Any]]:
    """What `run.json` says of each engine."""
    named = {**settings.policies, **settings.scorers}
    found: dict[str, dict[str, Any]] = {}
    for name, engine in opened.items():
        about: dict[str, Any] = {"engine": _name(named[name]), "exactness": engine.exactness}
        if engine.card is not None:
            about["parameters"] = engine.card.parameters
        if isinstance(engine, PolicyEngine):
            about["binding"] = engine.binding.model_dump(mode="json", exclude_defaults=True)
        found[name] = about
    return found


def _exactness(about: Mapping[str, Any]) -> Exactness:
    """Of an engine in `run.json`; before 0.3 it said `exact` only."""
    level = Exactness.BITS if about.get("exact", True) else Exactness.NONE
    return Exactness(about.get("exactness", level))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
