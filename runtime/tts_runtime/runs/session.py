"""`tts_runtime.run` and `arun`: strategies over problems, as functions."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

from tts_lang.arguments import plan_from
from tts_lang.plan.graph import Plan
from tts_runtime.problems import Problem, problems_given, problems_named
from tts_runtime.runs.defaults import PROBLEMS, completed
from tts_runtime.runs.progress import Progress
from tts_runtime.runs.results import Results
from tts_runtime.runs.runner import Settings, run_plans


def run(
    strategies: str | Plan | Sequence[str | Plan],
    problems: str | Sequence[Problem | str | Mapping[str, Any]] | None = None,
    *,
    settings: Settings | None = None,
    parameters: Mapping[str, int | float | str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Runs each strategy (a shipped name, a file, a plan or its file) over all problems.

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
    prepared = _prepared(strategies, problems, settings, parameters)
    shown = progress or Progress()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loading = (
            _stopped_at_once()
            if threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
            else nullcontext()
        )
        return asyncio.run(run_plans(*prepared, shown, loading))
    return _in_a_thread(run_plans(*prepared, shown))  # a notebook's cell: its loop is taken


async def arun(
    strategies: str | Plan | Sequence[str | Plan],
    problems: str | Sequence[Problem | str | Mapping[str, Any]] | None = None,
    *,
    settings: Settings | None = None,
    parameters: Mapping[str, int | float | str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """`run` for code that is asynchronous itself: in the running event loop."""
    prepared = _prepared(strategies, problems, settings, parameters)
    return await run_plans(*prepared, progress or Progress())


def _prepared(
    strategies: str | Plan | Sequence[str | Plan],
    problems: str | Sequence[Problem | str | Mapping[str, Any]] | None,
    settings: Settings | None,
    parameters: Mapping[str, int | float | str] | None,
) -> tuple[list[Plan], list[Problem], Settings]:
    """Plans, problems, and settings that name every engine."""
    listed = [strategies] if isinstance(strategies, str | Plan) else list(strategies)
    named = [item for item in listed if isinstance(item, str)]
    compiled = iter(plan_from(named, parameters or {}))
    plans = [item if isinstance(item, Plan) else next(compiled) for item in listed]
    settings = settings or Settings()
    policies, scorers = completed(plans, settings.policies, settings.scorers, problems is not None)
    name = PROBLEMS if problems is None else problems
    chosen = problems_named(name) if isinstance(name, str) else problems_given(name)
    if isinstance(name, str) and settings.problem_set is None:
        settings = replace(settings, problem_set=name)
    return plans, chosen, replace(settings, policies=policies, scorers=scorers)


def _in_a_thread(work: Coroutine[Any, Any, Results]) -> Results:
    """The results of `work`, from an event loop in another thread; Ctrl-C cancels it there."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def main() -> Results:
        task = asyncio.current_task()
        assert task is not None
        started.set_result((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1, "tts-run") as threads:
        result = threads.submit(asyncio.run, main())
        try:
            return result.result()
        except KeyboardInterrupt:
            loop, task = started.result()
            loop.call_soon_threadsafe(task.cancel)
            with suppress(BaseException):
                result.result()
            raise


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """Ctrl-C while a model loads stops that, where asyncio's handler would wait for the loop."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
