"""Runs strategies over problems: the Python side of `tts-run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from tts_lang.cli import plan_from
from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.graph import Plan
from tts_runtime.analysis import Made
from tts_runtime.answers import grade
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.engines.registry import policy_engine, scorer_engine
from tts_runtime.executor import (
    PASSES,
    Bound,
    Counts,
    Observer,
    Outcome,
    bind,
    check_names,
    execute_together,
)
from tts_runtime.problems import (
    BadLine,
    Problem,
    ProblemFileError,
    bundled_problems,
    load_problems,
)
from tts_runtime.results import Answer, Summary, Tally
from tts_runtime.rundir import RunDirectoryError, StrategyWriter, check_new, create

Engine = TypeVar("Engine", PolicyEngine, ScorerEngine)


@dataclass(frozen=True, slots=True)
class Result:
    """What one strategy did: the summary, and the answers in the order of the problems.

    `shared`: what the engines did for all strategies of the run together, if there were several;
    each summary says what its strategy costs alone. `made`: with `Settings.analyze`, what each
    operation made.
    """

    summary: Summary
    answers: tuple[Answer, ...]
    shared: Counts | None = None
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run: engines by their names in the strategies, problems, seed, where to write.

    Args:
        policies, scorers: Engine names (`bundled`, `field:pass_rate`...) or open engines by the
            name that strategies give them.
        seed: Of all random streams.
        out: A new run directory; nothing is written when absent.
        concurrency: At most this many problems in flight; all of them when absent.
        disabled: Names of passes (`executor.PASSES`) that are left out.
        analyze: Keep what each operation made (`Result.made`).
    """

    policies: Mapping[str, str | PolicyEngine] = field(
        default_factory=lambda: {"policy": "bundled"}
    )
    scorers: Mapping[str, str | ScorerEngine] = field(default_factory=lambda: {"prm": "bundled"})
    seed: int = 0
    out: Path | None = None
    concurrency: int | None = None
    disabled: frozenset[str] = frozenset()
    analyze: bool = False


class Progress(Observer):
    """What a caller may follow; every method does nothing here."""

    def run_starts(self, plans: Sequence[Plan], problems: int) -> None:
        """Strategies begin, all of them over so many problems."""

    def problem_done(self, strategy: int, answer: Answer) -> None:
        """A problem finished or failed; `strategy` is the place of its plan."""

    def run_ends(self) -> None:
        """The last problem finished."""


def problems_named(name: str, limit: int | None = None) -> list[Problem]:
    """The bundled problems (`arith`, `arith:calibration`, `arith:train`) or a file's.

    Raises:
        ProblemFileError: Neither a bundled set nor a file, or a file with bad lines.
    """
    kind, _, split = name.partition(":")
    if kind == "arith":
        return load_problems(bundled_problems(split or "test"), limit)
    path = Path(name)
    if not path.suffix and not path.exists():
        hint = did_you_mean(kind, ["arith"]) or "bundled are arith, arith:calibration, arith:train"
        raise ProblemFileError(path, (BadLine(0, f"neither a file nor a bundled set; {hint}"),))
    return load_problems(path, limit)


def run(
    strategies: str | Plan | Sequence[str | Plan],
    problems: str | Sequence[Problem] = "arith",
    *,
    settings: Settings | None = None,
    parameters: Mapping[str, int | float | str] | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Runs each strategy (a shipped name, a file, a plan or its file) over all problems.

    Args:
        strategies: One or several.
        problems: A problem set's name or file, or the problems themselves.
        settings: Engines, seed, run directory.
        parameters: Values for the parameters of strategies given by name; each goes to every
            strategy that has it, and at least one must.
        progress: Told what happens.

    Raises:
        DiagnosticError, PlanError, BindError, EngineError, ProblemFileError, RunDirectoryError:
            Before anything is spent, with a message for the user.
    """
    given = [strategies] if isinstance(strategies, str | Plan) else list(strategies)
    named = [item for item in given if isinstance(item, str)]
    compiled = iter(plan_from(named, parameters or {}))
    plans = [item if isinstance(item, Plan) else next(compiled) for item in given]
    chosen = problems_named(problems) if isinstance(problems, str) else list(problems)
    return asyncio.run(run_plans(plans, chosen, settings or Settings(), progress or Progress()))


async def run_plans(
    plans: Sequence[Plan], problems: Sequence[Problem], settings: Settings, progress: Progress
) -> list[Result]:
    """`run` for compiled plans, inside an event loop."""
    # What needs no engine is checked before models take their time to load.
    for plan in plans:
        check_names(plan, settings.policies, settings.scorers)
    if settings.out is not None:
        check_new(settings.out)
    used = {name for plan in plans for name in (*plan.policies, *scorer_names(plan))}
    async with AsyncExitStack() as stack:
        # An engine that no plan uses is not opened: a model takes seconds to load.
        policies = {
            name: await _opened(stack, engine, policy_engine)
            for name, engine in settings.policies.items()
            if name in used
        }
        scorers = {
            name: await _opened(stack, engine, scorer_engine)
            for name, engine in settings.scorers.items()
            if name in used
        }
        passes = [name for name in PASSES if name not in settings.disabled]
        bounds = [bind(plan, policies, scorers, passes) for plan in plans]
        directory = _new_directory(plans, problems, settings)
        return await _run_bound(bounds, problems, settings, progress, directory)


def scorer_names(plan: Plan) -> list[str]:
    """The scorers that a plan needs."""
    return [scorer.name for scorer in plan.scorers]


async def _run_bound(
    bounds: Sequence[Bound],
    problems: Sequence[Problem],
    settings: Settings,
    progress: Progress,
    directory: Path | None,
) -> list[Result]:
    tallies = [Tally() for _ in bounds]
    made = [Made() for _ in bounds]
    answers: list[dict[str, Answer]] = [{} for _ in bounds]
    ended = [0.0] * len(bounds)
    gold = {problem.id: problem.answer for problem in problems}
    start = perf_counter()
    with ExitStack() as files:
        writers = [
            files.enter_context(StrategyWriter(directory, bound.plan.strategy, bound.plan))
            for bound in bounds
            if directory is not None
        ]

        def finished(place: int, outcome: Outcome) -> None:
            answer = _graded(outcome, gold[outcome.problem_id])
            tallies[place].add(answer)
            answers[place][answer.id] = answer
            ended[place] = perf_counter()
            if settings.analyze:
                made[place].add(outcome.candidates)
            if writers:
                writers[place].problem(answer, outcome.candidates)
            progress.problem_done(place, answer)

        progress.run_starts([bound.plan for bound in bounds], len(problems))
        together = await execute_together(
            bounds,
            problems,
            settings.seed,
            finished,
            concurrency=settings.concurrency,
            observer=progress,
        )
        progress.run_ends()
        summaries = [
            tally.summary(
                strategy=bound.plan.strategy,
                params=bound.plan.parameters,
                wall_s=max(0.0, end - start),
                exact=bound.exact,
                seed=settings.seed,
                policies=_names(settings.policies, bound.plan.policies),
                scorers=_names(settings.scorers, scorer_names(bound.plan)),
            )
            for bound, tally, end in zip(bounds, tallies, ended, strict=True)
        ]
        for writer, summary in zip(writers, summaries, strict=False):
            writer.summary(summary)
    return [
        Result(
            summary,
            tuple(found[problem.id] for problem in problems),
            together if len(bounds) > 1 else None,
            counted if settings.analyze else None,
        )
        for summary, found, counted in zip(summaries, answers, made, strict=True)
    ]


def _graded(outcome: Outcome, gold: str | None) -> Answer:
    counts = outcome.counts
    return Answer(
        id=outcome.problem_id,
        answer=outcome.answer,
        key=outcome.answer_key,
        gold=gold,
        correct=None if gold is None else grade(outcome.answer, gold),
        error=outcome.error,
        policy_calls=counts.policy_calls,
        policy_tokens=counts.policy_tokens,
        prompt_tokens=counts.prompt_tokens,
        scorer_calls=counts.scorer_calls,
        scorer_tokens=counts.scorer_tokens,
        cancelled_calls=counts.cancelled_calls,
    )


async def _opened(
    stack: AsyncExitStack, engine: str | Engine, open_engine: Callable[[str], Engine]
) -> Engine:
    """An engine that the caller opened stays open; one opened here closes with the run."""
    if not isinstance(engine, str):
        return engine
    opened = open_engine(engine)
    stack.push_async_callback(opened.close)
    return opened


def _names(
    engines: Mapping[str, str | PolicyEngine] | Mapping[str, str | ScorerEngine],
    used: Sequence[str],
) -> dict[str, str]:
    return {
        name: engine if isinstance(engine, str) else type(engine).__name__
        for name, engine in engines.items()
        if name in used
    }


def _new_directory(
    plans: Sequence[Plan], problems: Sequence[Problem], settings: Settings
) -> Path | None:
    if settings.out is None:
        return None
    names = [plan.strategy for plan in plans]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RunDirectoryError(
            f"two strategies are called {twice[0]}: run them into different directories"
        )
    configuration = {
        "version": version("tts-lang"),
        "strategies": {plan.strategy: dict(plan.parameters) for plan in plans},
        "problems": [problem.id for problem in problems],
        "seed": settings.seed,
        "without": sorted(settings.disabled),
        "policies": _names(settings.policies, list(settings.policies)),
        "scorers": _names(settings.scorers, list(settings.scorers)),
    }
    return create(settings.out, configuration)
