"""`tts_runtime.Session`: engines opened once; `run` and `arun`: a session of one run."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeAlias, TypedDict, Unpack

from tts_lang.arguments import plan_from
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Plan
from tts_runtime.cluster.ray_cluster import Clusters
from tts_runtime.cluster.replica import Finished, ReplicaSetup
from tts_runtime.cluster.replicas import Task
from tts_runtime.engines.base import Exactness, PolicyEngine, ScorerEngine
from tts_runtime.engines.registry import find_policy, find_scorer
from tts_runtime.executor import (
    PASSES,
    Bound,
    Outcome,
    ProblemLike,
    Work,
    bind,
    execute,
    patient_collector,
    wants_logprobs,
)
from tts_runtime.executor.problem import Events
from tts_runtime.executor.speculation import Speculator
from tts_runtime.graders import Grader, Graders
from tts_runtime.problems import Problem, problem_given, problems_given, problems_named
from tts_runtime.problems.model import Trial
from tts_runtime.record.decisions import DecisionLog
from tts_runtime.runs.costs import ModelSizes
from tts_runtime.runs.defaults import completed, problem_set
from tts_runtime.runs.engine_set import (
    EngineSet,
    grader_given,
    policies_given,
    scorers_given,
    strategies_given,
    strategy_given,
)
from tts_runtime.runs.progress import Progress
from tts_runtime.runs.response import AnswerError, Response
from tts_runtime.runs.result_collector import answer_of
from tts_runtime.runs.results import Results
from tts_runtime.runs.runner import run_plans, setup_of
from tts_runtime.runs.seeds import distinct_seeds, one_seed
from tts_runtime.runs.settings import Settings
from tts_runtime.runs.waiting import waited_for

#: Strategies: a shipped name, a file, a plan or its file; one or several.
Strategies: TypeAlias = "str | Path | Plan | Sequence[str | Path | Plan]"
#: A problem: its text, a dict with the fields of a file, the messages of a chat.
ProblemGiven: TypeAlias = "Problem | str | Mapping[str, Any] | Sequence[Mapping[str, Any]]"

#: Strategies that stay bound to engines in a session; the oldest go first.
_BOUND: Final = 256


class RunOptions(TypedDict, total=False):
    """Settings that one run of a session may have of its own (`Settings`)."""

    seeds: int | Iterable[int]
    out: str | Path | None
    concurrency: int | None
    disabled: Iterable[str]
    analyze: bool
    speculate: float
    problem_set: str | None
    strict: bool
    keep: Collection[str]
    grader: str | Grader | Callable[..., Any] | None
    cluster: str | None
    replicas: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A strategy on open engines; `plan` is the one that was given."""

    plan: Plan
    bound: Bound
    sizes: ModelSizes


class Session:
    """Open engines, on which strategies answer problems: `async with Session(...) as session`.

    An engine opens when it is first needed, once; all answers and runs of a session share its
    batches, which changes none of them (engines that follow the streams). When the block ends,
    engines close, and what is in flight on them fails. A session belongs to the event loop that it
    was entered in.

    Args:
        policies: Engines by the name that strategies give them, as in `Settings`; `policy` is the
            bundled one if it is not among them.
        scorers: The same for scorers, which may be functions (`plugins.scorer`); `prm` is the
            bundled one beside the bundled policy.
        settings: What answers and runs take where they say nothing themselves.
        cluster: Where problems are answered (`ray`, `ray://HOST:PORT`), on engines of `replicas`
            processes there, which start when they are first needed and end with the session;
            absent: here.
        replicas: Processes, each with all engines of its own.

    Raises:
        EngineError: What is given is no engine; on entering: there is none of this name.
    """

    def __init__(
        self,
        policies: Mapping[str, str | PolicyEngine] | None = None,
        scorers: Mapping[str, str | ScorerEngine | Callable[..., Any]] | None = None,
        settings: Settings | None = None,
        *,
        cluster: str | None = None,
        replicas: int | None = None,
    ) -> None:
        base = settings or Settings()
        self.settings = replace(
            base,
            policies=policies_given({**base.policies, **(policies or {})}),
            scorers=scorers_given({**base.scorers, **(scorers or {})}),
            grader=grader_given(base.grader),
            cluster=base.cluster if cluster is None else cluster,
            replicas=base.replicas if replicas is None else replicas,
        )
        self._engines = EngineSet()
        self._clusters = Clusters()
        self._distant: OrderedDict[int, tuple[Plan, ReplicaSetup]] = OrderedDict()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._compiled: dict[tuple[object, ...], Plan] = {}
        self._bound: dict[int, Prepared] = {}
        self._ahead: Speculator | None = None

    async def __aenter__(self) -> Self:
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("the session is open already, and the inner block would close it")
        for policy in self.settings.policies.values():
            if isinstance(policy, str):
                find_policy(policy)
        for scorer in self.settings.scorers.values():
            if isinstance(scorer, str):
                find_scorer(scorer)
        Graders(self.settings.grader, ())
        self._loop = asyncio.get_running_loop()
        if self.settings.speculate > 0:
            self._ahead = Speculator(self.settings.speculate)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._loop = None
        self._bound.clear()
        self._distant.clear()
        await self._clusters.close()
        await self._engines.close()

    async def answer(
        self,
        strategy: str | Path | Plan,
        problem: ProblemGiven,
        /,
        *,
        seed: int | None = None,
        progress: Progress | None = None,
        subscribe: Callable[[Events], None] | None = None,
        **parameters: int | float | str,
    ) -> Response:
        """The answer of one strategy to one problem.

        Cancelling it cancels all that it has in flight.

        Args:
            strategy: A shipped name, a file, a plan (`tts_lang.compile`) or its file. A file is
                compiled each time, a plan never again.
            problem: A text, a `Problem`, a dict with the fields of a file, or a chat's messages.
                Graded if it has a gold answer. Its id decides the random numbers: a problem of a
                set is answered as in a run, one without an id as by `tts-run --ask`.
            seed: Of the random streams; the first of the session's settings if absent.
            progress: Told what happens.
            subscribe: Called with the events of the run before it starts (and again if it is
                replayed, C66), to subscribe to them; not on a cluster.
            parameters: Values for the strategy's parameters: `n=16`.

        Raises:
            AnswerError: The strategy failed on this problem.
            DiagnosticError, PlanError: The strategy has a mistake, or cannot take a parameter.
            UnnamedError, BindError, EngineError: Engines are missing, or do not fit.
            ProblemFileError: It is no problem.
            TypeError, ValueError: It is no strategy; the seed is no whole number.
        """
        chosen = problem_given(problem)
        shown = progress or Progress()
        plan = self._plan(strategy, parameters)
        seed = distinct_seeds(self.settings.seeds)[0] if seed is None else one_seed(seed)
        graders = Graders(self.settings.grader, [chosen])
        graders.open(self._engines.grader)
        if self.settings.cluster is not None:
            if subscribe is not None:
                raise ValueError("subscribe: on a cluster, events are those of other processes")
            return await self._answer_there(plan, chosen, seed, shown, graders)
        ready = self.prepare(plan, shown)
        decided, work = DecisionLog(), Work()

        def listen(problem: ProblemLike, events: Events) -> None:
            decided.subscribe(Trial(problem.id, seed), events)
            if subscribe is not None:
                subscribe(events)

        with patient_collector():
            outcome = await execute(
                ready.bound,
                chosen,
                seed,
                shown,
                speculator=self._ahead,
                work=work,
                subscribe=listen,
            )
        decisions = partial(decided.lines, Trial(chosen.id, seed))
        bound = ready.bound
        return await self._response(
            bound.plan, chosen, outcome, ready.sizes, decisions, work, bound.exactness, graders
        )

    async def _answer_there(
        self, plan: Plan, problem: Problem, seed: int, progress: Progress, graders: Graders
    ) -> Response:
        """`answer`, on a replica of the cluster."""
        settings = self.settings
        assert settings.cluster is not None
        if id(plan) not in self._distant:
            best = _optimised(plan, settings)
            policies, scorers = completed([best], settings.policies, settings.scorers, True)
            named = replace(settings, policies=policies, scorers=scorers)
            self._distant[id(plan)] = plan, setup_of([best], named, keeps=True, decisions=True)
            if len(self._distant) > _BOUND:
                self._distant.popitem(last=False)
        _, setup = self._distant[id(plan)]
        ready = await self._clusters.prepare(settings.cluster, settings.replicas, setup)
        settings.limits.check_on(setup.plans[0], ready.policies)
        work, outcomes = Work(), list[Finished]()

        async def finished(each: Finished) -> None:
            outcomes.append(each)

        await ready.run([Task(problem, seed, (0,))], finished, window=1, work=work)
        [reply] = outcomes
        progress.tokens_drawn(reply.outcome.counts.policy_tokens)
        progress.outcome_ready(reply.outcome)
        sizes = ModelSizes.of(ready.policies, ready.scorers, settings.models)
        return await self._response(
            setup.plans[0],
            problem,
            reply.outcome,
            sizes,
            lambda: reply.decisions,
            work,
            ready.exactness[0],
            graders,
        )

    async def _response(
        self,
        plan: Plan,
        problem: Problem,
        outcome: Outcome,
        sizes: ModelSizes,
        decisions: Callable[[], Sequence[dict[str, Any]]],
        work: Work,
        exactness: Exactness,
        graders: Graders,
    ) -> Response:
        if outcome.error is not None:
            raise AnswerError(outcome.error, by_engine=outcome.by_engine, wait=outcome.wait)
        grade = await graders.verdict(problem, outcome.answer, outcome.text)
        record = sizes.priced(answer_of(outcome, problem.answer, grade))
        return Response(plan, problem, outcome, record, decisions, work, exact=exactness.exact)

    async def run(
        self,
        strategies: Strategies,
        problems: str | Sequence[ProblemGiven] | None = None,
        *,
        parameters: Mapping[str, int | float | str] | None = None,
        progress: Progress | None = None,
        **options: Unpack[RunOptions],
    ) -> Results:
        """Runs each strategy over all problems on this session's engines.

        Arguments and errors are those of `tts_runtime.run`; `options` are settings of this run
        alone: `out="runs/x"`, `seeds=range(3)`...
        """
        changed: dict[str, Any] = {**options}
        unknown = next((name for name in changed if name not in RunOptions.__annotations__), None)
        if unknown is not None:
            raise TypeError(
                f"run: there is no option {unknown!r}; a strategy's parameter goes into "
                f"parameters={{{unknown!r}: {changed[unknown]!r}}}"
            )
        if "grader" in changed:
            changed["grader"] = grader_given(changed["grader"])
        settings = replace(self.settings, **changed)
        return await self._run(strategies, problems, settings, parameters, progress)

    async def _run(
        self,
        strategies: Strategies,
        problems: str | Sequence[ProblemGiven] | None,
        settings: Settings,
        parameters: Mapping[str, int | float | str] | None,
        progress: Progress | None,
        loading: AbstractContextManager[None] | None = None,
    ) -> Results:
        self._check_loop()
        listed = strategies_given(strategies)
        named = [item for item in listed if isinstance(item, str)]
        compiled = iter(plan_from(named, parameters or {}))
        plans = [item if isinstance(item, Plan) else next(compiled) for item in listed]
        named_set = problems is not None
        policies, scorers = completed(plans, settings.policies, settings.scorers, named_set)
        name = problem_set(policies) if problems is None else problems
        chosen = problems_named(name) if isinstance(name, str) else problems_given(name)
        if isinstance(name, str) and settings.problem_set is None:
            settings = replace(settings, problem_set=name)
        settings = replace(settings, policies=policies, scorers=scorers)
        plans = [_optimised(plan, settings) for plan in plans]
        shown = progress or Progress()
        return await run_plans(
            plans, chosen, settings, shown, self._engines, self._clusters, loading
        )

    def _plan(self, chosen: str | Path | Plan, parameters: Mapping[str, int | float | str]) -> Plan:
        """The strategy's plan; shipped ones are compiled once."""
        self._check_loop()
        strategy = strategy_given(chosen)
        if isinstance(strategy, Plan):
            if parameters:
                names = ", ".join(parameters)
                raise TypeError(f"a plan's parameters are fixed: compile it with {names}")
            return strategy
        # With its type: `n=True` and `n=1` are equal. As text: a list has no hash.
        values = sorted((key, str(type(value)), repr(value)) for key, value in parameters.items())
        name = (strategy, *values)
        if name in self._compiled:
            return self._compiled[name]
        [plan] = plan_from([strategy], parameters)
        if strategy.isidentifier() and not Path(strategy).exists():
            self._compiled[name] = plan
        return plan

    def prepare(self, plan: Plan, progress: Progress | None = None) -> Prepared:
        """A strategy on this session's engines, which open now if they have not yet.

        Raises:
            UnnamedError, BindError, EngineError: Engines are missing, or do not fit.
        """
        self._check_loop()
        prepared = self._bound.get(id(plan))
        if prepared is not None:
            return prepared
        settings = self.settings
        best = _optimised(plan, settings)
        policies, scorers = completed([best], settings.policies, settings.scorers, True)
        used = {*best.policies, *(scorer.name for scorer in best.scorers)}
        opened = self._engines.open(policies, scorers, used, progress or Progress(), [best])
        settings.limits.check_on(best, opened[0])
        bound = bind(
            best,
            *opened,
            [name for name in PASSES if name not in settings.disabled],
            settings.speculate > 0,
            settings.strict,
            wants_logprobs([best], settings.keep),
        )
        ready = Prepared(plan, bound, ModelSizes.of(*opened, settings.models))
        if len(self._bound) >= _BOUND:
            self._bound.pop(next(iter(self._bound)))
        self._bound[id(plan)] = ready
        return ready

    def _check_loop(self) -> None:
        if self._loop is None:
            raise RuntimeError("the session is not open: use it inside `async with Session(...)`")
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("the session belongs to another event loop: open one in this loop")


def _optimised(plan: Plan, settings: Settings) -> Plan:
    """The plan as it runs; optimising it again changes nothing."""
    return optimise(plan, without=settings.disabled.difference(PASSES)).plan


def run(
    strategies: Strategies,
    problems: str | Sequence[ProblemGiven] | None = None,
    *,
    settings: Settings | None = None,
    parameters: Mapping[str, int | float | str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Runs each strategy (a shipped name, a file, a plan or its file) over all problems.

    Works inside a running event loop too (a notebook's cell), in a thread of its own.

    Args:
        strategies: One or several.
        problems: A problem set's name or file, or the problems themselves: `Problem`s, texts, dicts
            with the fields of a file, or chats' messages. The bundled ones if absent, for the
            bundled policy only.
        settings: Engines, seed, run directory.
        parameters: Values for the parameters of strategies given by name; each goes to every
            strategy that has it, and at least one must.
        progress: Told what happens.

    Raises:
        DiagnosticError: A strategy has a mistake; this and what follows comes before anything is
            spent, with a message for the user.
        PlanError: A plan file cannot be used.
        UnnamedError: A scorer or the problems must be named.
        BindError: An engine cannot do what a strategy needs.
        EngineError: An engine or grader cannot be opened.
        ProblemFileError: The problems cannot be read.
        RunDirectoryError: The directory holds another run; also later, if the disk is full.
        KeyboardInterrupt: After Ctrl-C; what has finished is in the run directory.
    """

    async def once(loading: AbstractContextManager[None]) -> Results:
        async with Session(settings=settings) as session:
            return await session._run(
                strategies, problems, session.settings, parameters, progress, loading
            )

    return waited_for(once)


async def arun(
    strategies: Strategies,
    problems: str | Sequence[ProblemGiven] | None = None,
    *,
    settings: Settings | None = None,
    parameters: Mapping[str, int | float | str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """`run` for code that is asynchronous itself: in the running event loop."""
    async with Session(settings=settings) as session:
        return await session._run(strategies, problems, session.settings, parameters, progress)
