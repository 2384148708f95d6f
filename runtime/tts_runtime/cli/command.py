"""`tts-run`: the steps of the command, in order.

What takes a while to import (numpy, pydantic, engines) comes after everything that can be wrong
with the command line, the strategies and the problems.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tts_lang.arguments import parse_settings, plan_from
from tts_lang.cli.completion import complete
from tts_lang.cli.parser import CommandParser, UsageError, usage_error
from tts_lang.cli.printing import report
from tts_lang.cli.process import INTERRUPTED, MISTAKE
from tts_lang.cli.shared import check_strategies, place_settings, shared
from tts_lang.diagnostics import Diagnostic, DiagnosticError, render_text
from tts_lang.optimise import optimise
from tts_lang.plan.verify import PlanError
from tts_lang.printable import printable
from tts_runtime.cli.options import (
    cluster_of,
    engine_names,
    ids_of,
    kept_of,
    left_out,
    limit_of,
    limits_of,
    names_of,
    seeds_of,
    shard_of,
    share_of,
    with_engine_args,
)
from tts_runtime.cli.parser import parser as run_parser
from tts_runtime.cli.sources import ValueSource, configured, unread_variables
from tts_runtime.problems import (
    QUESTION,
    Problem,
    ProblemFileError,
    Selection,
    SelectionError,
    problems_named,
)
from tts_runtime.runs.defaults import UnnamedError, completed, problem_set, unknown_to_bundled
from tts_runtime.runs.sweeps import Shift, SweepError, swept

if TYPE_CHECKING:
    from rich.console import Console

    from tts_lang.plan.graph import Plan
    from tts_runtime.runs.results import Result
    from tts_runtime.runs.settings import Settings

#: Some problem failed; the others have their answers.
FAILED = 3

_MISTAKES = (PlanError, ProblemFileError, SelectionError, SweepError, UnnamedError)
#: Several values where `--sweep` is meant.
_SEVERAL = re.compile(r"\w+=[\d.]+(,[\d.]+)+|\w+=\d+\.\.\d+")
#: Options that choose problems, which `--ask` replaces.
_CHOOSING = ("problems", "fields", "where", "ids", "shuffle", "offset", "limit")


def run_command(arguments: Sequence[str]) -> int:
    """Runs `tts-run` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    command = run_parser()
    complete(command)
    sources: list[ValueSource] = []
    try:
        options = command.parse(arguments)
        if shared(options):
            return 0
        return _run(command, options, sources)
    except UsageError as error:
        return usage_error(command.prog, error, _notes_on(sources, str(error)))
    except DiagnosticError as error:
        report(error.diagnostics)
        _note(_notes_on(sources, render_text(error.diagnostics)))
    except _MISTAKES as error:
        _say(error, sources)
    except Exception as error:
        if not isinstance(error, _late_errors()):
            raise
        _say(error, sources)
    return MISTAKE


@dataclass(frozen=True, slots=True)
class _RunRequest:
    """A run as the options say it, checked as far as this needs no engine."""

    plans: Sequence[Plan]
    shifts: Sequence[Shift]
    problems: Sequence[Problem]
    settings: Settings


def _run(command: CommandParser, options: Namespace, sources: list[ValueSource]) -> int:
    """Runs the strategies and prints their results; `sources` takes values of other sources."""
    place_settings(options)
    replaced: Sequence[str] = ()
    if options.ask is not None:
        _check_question(options)
        replaced = _CHOOSING
    sources += configured(command, options, os.environ, replaced)
    if options.quiet and options.verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    check_strategies(command, options)
    for setting in options.settings:
        if _SEVERAL.fullmatch(setting):
            raise UsageError(
                f"`{setting}`: a parameter has one value; `--sweep {setting}` runs several"
            )
    if not options.quiet:
        for line in unread_variables(command, os.environ):
            print(f"warning: {printable(line)}", file=sys.stderr)
    if options.verbose:
        for source in sources:
            print(printable(f"note: {source}"), file=sys.stderr)
    request = _request(options)

    from rich.console import Console

    import tts_runtime.cli.ask as ask
    from tts_runtime.cli.display import Status, shown_on
    from tts_runtime.cli.report import (
        interrupted,
        print_failures,
        print_remarks,
        print_table,
        say,
    )
    from tts_runtime.runs.session import run

    plans = request.plans
    console = Console(stderr=True, emoji=False)
    level = logging.ERROR if options.quiet else logging.DEBUG if options.verbose else logging.INFO
    _show_notices(console, level)
    progress = Status() if options.quiet else shown_on(console)
    with progress:
        try:
            results = run(plans, request.problems, settings=request.settings, progress=progress)
        except KeyboardInterrupt:
            progress.stop()
            # After a second Ctrl-C asyncio and Python would print tracebacks of what that stopped.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            sys.unraisablehook = _unsaid
            say(printable(interrupted(request.settings.out, progress.done, progress.total)))
            return INTERRUPTED
    if options.ask is not None:
        replies = [
            ask.reply(plan.strategy, progress.outcomes[place]) for place, plan in enumerate(plans)
        ]
        if options.json:
            for reply, result in zip(replies, results, strict=True):
                print(ask.as_json(reply, result))
        else:
            print(ask.shown(replies, results))
    elif options.json:
        for result in results:
            print(printable(result.summary.model_dump_json()))
    else:
        print_table(results)
    _print_analysis(request, results, sys.stderr if options.json else sys.stdout)
    if not options.quiet:
        if request.settings.out is not None and not progress.total:
            say(f"everything was finished before: read from {printable(request.settings.out)}")
        print_remarks(results, request.shifts)
    return FAILED if print_failures(results, request.settings.out) else 0


def _request(options: Namespace) -> _RunRequest:
    """Reads the options; compiles strategies and loads problems.

    Raises:
        UsageError, DiagnosticError, PlanError, ProblemFileError, SelectionError, SweepError,
        UnnamedError, EngineError: What is wrong, with a message for the user.
    """
    strategies, settings = options.strategies, options.settings
    concurrency = limit_of("--concurrency", options.concurrency)
    seeds = seeds_of("--seeds", options.seed)
    ahead = share_of("--speculate", options.speculate)
    if options.ask is not None and len(seeds) > 1:
        raise UsageError("--ask answers one question once: it goes with one seed")
    policies = engine_names("--policy", options.policy, default="policy")
    scorers = engine_names("--scorer", options.scorer)
    shifts: list[Shift] = []
    if options.sweep:
        plans, shifts = swept(strategies, parse_settings(settings), options.sweep)
    else:
        plans = _plans(strategies, settings, quiet=options.quiet)
    limits = limits_of(options.budget, options.assume, plans)
    policies.check_used({name for plan in plans for name in plan.policies})
    scorers.check_used({scorer.name for plan in plans for scorer in plan.scorers})
    policy_engines, scorer_engines = with_engine_args(policies, scorers, options.engine_arg)
    _check_engines(policy_engines, scorer_engines, options.grader)
    named = options.problems is not None or options.ask is not None
    engines = completed(plans, policy_engines, scorer_engines, named)
    named_set = options.problems or problem_set(policy_engines)
    problems = _problems(options, named_set)
    used = {name: engines[0].get(name) for plan in plans for name in plan.policies}
    unknown = unknown_to_bundled(used, [each.text for each in problems])
    if unknown and not options.quiet:
        print(f"note: {unknown}", file=sys.stderr)
    without, disabled = left_out(options.no_pass)
    plans = [optimise(plan, without=without).plan for plan in plans]
    for plan in plans:
        limits.check(plan)
    if options.out is not None and not options.out:
        raise UsageError("--out: expected a directory")
    shard = shard_of("--shard", options.shard)
    if shard is not None and (options.out is None or options.ask is not None):
        raise UsageError("--shard: name the directory of the whole run with --out, and no --ask")
    replicas = limit_of("--replicas", options.replicas)
    cluster = cluster_of("--cluster", options.cluster)
    if cluster is None and replicas is not None:
        raise UsageError("--replicas: they run on a cluster: name one with --cluster ray")
    if cluster is not None and options.ask is not None:
        raise UsageError("--ask asks one question: it does not go with --cluster")

    from tts_runtime.runs.settings import Settings

    return _RunRequest(
        plans,
        shifts,
        problems,
        Settings(
            *engines,
            seeds=seeds,
            out=None if options.out is None else Path(options.out),
            concurrency=concurrency,
            disabled=disabled.union(without),
            analyze=options.analyze,
            speculate=ahead,
            problem_set=None if options.ask is not None else named_set,
            strict=options.strict,
            keep=kept_of(options.keep, options.out),
            models=limits.assumed.models,
            grader=options.grader,
            shard=shard,
            cluster=cluster,
            replicas=replicas or 1,
            command=[printable(each) for each in sys.argv],
            limits=limits,
        ),
    )


def _problems(options: Namespace, named_set: str) -> Sequence[Problem]:
    """The question of `--ask`, or the chosen problems of a set.

    Raises:
        UsageError, ProblemFileError, SelectionError: They cannot be used.
    """
    selection = Selection(
        options.where,
        ids_of(options.ids),
        limit_of("--shuffle", options.shuffle, least=None),
        limit_of("--offset", options.offset, least=0) or 0,
        limit_of("--limit", options.limit),
    )
    if options.ask is None:
        names = names_of(options.fields)
        return selection.of(problems_named(named_set, names=names))
    _check_question(options)
    text = sys.stdin.read() if options.ask == "-" else options.ask
    if not text.strip():
        raise UsageError("--ask: the question is empty")
    return [Problem(QUESTION, text)]


def _check_question(options: Namespace) -> None:
    for name in _CHOOSING:
        if getattr(options, name):
            raise UsageError(f"--ask asks one question: it does not go with --{name}")


def _plans(strategies: list[str], settings: list[str], *, quiet: bool) -> list[Plan]:
    """Compiles every strategy; warnings about these settings go to standard error.

    Raises:
        DiagnosticError, PlanError: What cannot be compiled, or a setting that fits no strategy.
    """
    diagnostics: list[Diagnostic] = []
    plans = plan_from(strategies, parse_settings(settings), diagnostics)
    if any(diagnostic.is_error for diagnostic in diagnostics):
        raise DiagnosticError(diagnostics)
    if not quiet:
        report(diagnostics)
    return plans


def _check_engines(
    policies: Mapping[str, str], scorers: Mapping[str, str], grader: str | None
) -> None:
    """Refuses an unknown engine, engine option or grader, before anything else about it.

    Raises:
        EngineError: With what was probably meant.
    """
    if grader is not None:
        from tts_runtime.graders import find_grader

        find_grader(grader)
    if not policies and not scorers:
        return
    from tts_runtime.engines.registry import find_policy, find_scorer

    for name in policies.values():
        find_policy(name)
    for name in scorers.values():
        find_scorer(name)


def _unsaid(_: sys.UnraisableHookArgs, /) -> None:
    """Errors of coroutines that were stopped where they stood: nobody can act on them."""


def _print_analysis(request: _RunRequest, results: Sequence[Result], stream: TextIO) -> None:
    """With `--analyze`: EXPLAIN ANALYZE of every strategy."""
    for plan, result in zip(request.plans, results, strict=True):
        if result.op_stats is not None:
            from tts_runtime.cli.analyze import analyzed

            text = printable(analyzed(plan, result, request.settings.limits.assumed))
            print("\n" + text, end="", file=stream)


def _show_notices(console: Console, level: int) -> None:
    """Shows what engines report (choices they made, a lack of memory) above the progress."""
    from rich.logging import RichHandler

    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
    handler.addFilter(_escaped)
    logger = logging.getLogger("tts_runtime")
    logger.handlers = [handler]
    logger.setLevel(level)


def _escaped(record: logging.LogRecord) -> bool:
    """Makes a log record's text safe to print; every record passes."""
    record.msg, record.args = printable(record.getMessage()), ()
    return True


def _notes_on(sources: Sequence[ValueSource], message: str) -> list[str]:
    """The sources of the values that an error is about."""
    return [str(source) for source in sources if source.concerns(message)]


def _note(lines: Sequence[str]) -> None:
    for line in lines:
        print(printable(f"  note: {line}"), file=sys.stderr)


def _say(error: Exception, sources: Sequence[ValueSource]) -> None:
    sys.stdout.flush()
    print(f"error: {printable(error)}", file=sys.stderr)
    _note(_notes_on(sources, str(error)))


def _late_errors() -> tuple[type[Exception], ...]:
    """Mistakes that show once engines are there: their modules are loaded then."""
    from tts_runtime.binding import BindingError
    from tts_runtime.engines.base import EngineError
    from tts_runtime.executor import BindError
    from tts_runtime.runs.rundir import RunDirectoryError

    return BindError, BindingError, EngineError, RunDirectoryError
