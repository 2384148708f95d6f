"""What `tts-run` does, in which order.

What takes a while to import (numpy, pydantic, engines) comes after everything that can be wrong
with the command line, the strategies and the problems.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tts_lang.arguments import parse_settings, plan_from
from tts_lang.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from tts_lang.optimise import optimise
from tts_lang.option_hints import option_hint
from tts_lang.plan.serialize import PlanError
from tts_lang.printable import printable
from tts_lang.printing import report
from tts_lang.process import INTERRUPTED, MISTAKE
from tts_runtime.cli.options import (
    OptionError,
    engine_names,
    left_out,
    limit_of,
    limits_of,
    names_of,
    share_of,
)
from tts_runtime.problems import ProblemFileError, Selection, SelectionError, problems_named
from tts_runtime.runs.defaults import PROBLEMS, UnnamedError, completed
from tts_runtime.runs.sweeps import Shift, SweepError, swept

if TYPE_CHECKING:
    from rich.console import Console

    from tts_lang.plan.graph import Plan
    from tts_runtime.cli.display import Status
    from tts_runtime.runs.results import Result

#: Some problem failed; the others have their answers.
FAILED = 3

_MISTAKES = (OptionError, PlanError, ProblemFileError, SelectionError, SweepError, UnnamedError)

#: Options by the names that other tools have for them.
_OTHERS = {
    "--policy ENGINE": ("model", "model_name", "model_path", "llm", "engine", "generator"),
    "--scorer prm=ENGINE": ("prm", "prm_path", "reward_model", "rm", "verifier"),
    "--scorer orm=ENGINE": ("orm",),
    "--problems FILE": ("dataset", "dataset_name", "data", "input", "questions", "benchmark"),
    "--out DIR": ("output", "output_dir", "save", "save_dir", "run_dir"),
    "--limit N": ("num_problems", "max_problems", "head"),
    "--concurrency N": ("batch_size", "workers", "num_workers", "parallel", "jobs"),
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

#: Typer brings a copy of Click or uses the package, depending on its version: in both, this class.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tts-run {version('tts-lang')}")
        raise typer.Exit


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def tts_run(
    strategies: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_NAME[:STRATEGY]",
            help="Strategy files, shipped names, or plan.json files",
            show_default=False,
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="K=V", help="A parameter, for each strategy that has it; repeat"
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V,V,...",
            help="Strategies at several values of a parameter (also 1..16, 1,2,4,...,256); what "
            "they share is drawn once; repeat",
        ),
    ] = None,
    problems: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A file (JSONL, JSON, CSV, Parquet; - for standard input), a published set "
            "(math500, aime24, gsm8k...), hf:ID[:SPLIT], or arith, the bundled problems: the "
            "default of the bundled policy",
        ),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART=FIELD,...",
            help="Which fields of the file hold what: problem=Question,answer=Key,id=No; repeat",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE",
            help="Only problems whose field has this value (also != < <= > >=); repeat",
        ),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(metavar="ID,...", help="Only these problems, in this order; repeat"),
    ] = None,
    shuffle: Annotated[
        str | None, typer.Option(metavar="SEED", help="Problems in a random order")
    ] = None,
    offset: Annotated[
        str | None, typer.Option(metavar="N", help="Leave out the first N problems")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="N", help="At most N problems, after --offset")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]ENGINE",
            help="Engine of a policy (NAME is `policy` if left out): bundled, the default, sim, "
            "transformers:MODEL, vllm:MODEL, openai:URL#MODEL or a model's folder; repeat",
        ),
    ] = None,
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ENGINE",
            help="Engine of a scorer: bundled (the default of `prm` beside the bundled policy), "
            "sim, field:NAME, auto:MODEL, http:URL#MODEL or a model's folder (docs/engines.md has "
            "more); repeat",
        ),
    ] = None,
    grader: Annotated[
        str | None,
        typer.Option(
            metavar="GRADER",
            help="What says whether an answer is right: math, text, number, choice, none, "
            "exec:python?field=TESTS, python:MODULE:NAME, judge:ENGINE; default: the problem "
            "set's own, else math",
        ),
    ] = None,
    seed: Annotated[
        str, typer.Option(metavar="N", help="Seed of all random streams, a whole number")
    ] = "0",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a run directory; an interrupted run in it is continued"
        ),
    ] = None,
    concurrency: Annotated[
        str | None,
        typer.Option(metavar="N", help="At most so many problems in flight; default all"),
    ] = None,
    no_pass: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Leave out a pass of the optimiser, short_circuit or lazy_first (`all`: all of "
            "them); repeat",
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="tokens=N",
            help="Refuse strategies that may cost more per problem (also calls, flops, rows...); "
            "without it: 10 million rows in a pool, or calls",
        ),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N,...",
            help="What budgets and --analyze take for granted, as for tts-compile: context=N, "
            "prompt=N, params=N, SCORER_params=N",
        ),
    ] = None,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Show what each operation did beside the expected")
    ] = False,
    speculate: Annotated[
        str | None,
        typer.Option(
            metavar="FRACTION",
            help="Let likely survivors of a selection run ahead in free slots; waste at most this "
            "part of the tokens. Same answers; default 0",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="A candidate without a text or a score fails its problem, instead of being left "
            "out and counted",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per strategy instead of the table")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version"),
    ] = False,
) -> None:
    """Run strategies over problems and compare what they reach and cost."""
    most, flying = limit_of("--limit", limit), limit_of("--concurrency", concurrency)
    start = limit_of("--seed", seed, least=None) or 0
    ahead = share_of("--speculate", speculate)
    policies = engine_names("--policy", policy or [], default="policy")
    scorers = engine_names("--scorer", scorer or [])
    limits = limits_of(budget or (), assume or ())
    shifting: list[Shift] = []
    if not sweep:
        plans = _plans(strategies, settings or [])
    else:
        plans, shifting = swept(strategies, parse_settings(settings or []), sweep)
    policies.check_used({name for plan in plans for name in plan.policies})
    scorers.check_used({scorer.name for plan in plans for scorer in plan.scorers})
    _check_engines(policies.given, scorers.given, grader)
    named = completed(plans, policies.given, scorers.given, problems is not None)
    problem_set = PROBLEMS if problems is None else problems
    selection = Selection(
        where or (),
        [each for text in ids or () for each in text.split(",") if each],
        limit_of("--shuffle", shuffle, least=None),
        limit_of("--offset", offset, least=0) or 0,
        most,
    )
    chosen = selection.of(problems_named(problem_set, names=names_of(fields or ())))

    from rich.console import Console

    from tts_runtime.cli.display import named_in, remarks, shown_on
    from tts_runtime.cli.tables import CAPTION, run_line, table
    from tts_runtime.runs.runner import Settings, run

    without, disabled = left_out(no_pass or [])
    plans = [optimise(plan, without=without).plan for plan in plans]
    for plan in plans:
        limits.check(plan)
    console = Console(stderr=True)
    _show_notices(console)
    showing: AbstractContextManager[Status] = shown_on(console)
    with showing as progress:
        try:
            results = run(
                plans,
                chosen,
                settings=Settings(
                    *named,
                    start,
                    out,
                    flying,
                    disabled,
                    analyze,
                    ahead,
                    problem_set,
                    strict,
                    limits.assumed.models,
                    grader,
                ),
                progress=progress,
            )
        except KeyboardInterrupt:
            progress.stop()
            # After a second Ctrl-C asyncio would print the traceback of what that stopped.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            typer.echo(printable(_interrupted(out, progress)), err=True)
            raise typer.Exit(INTERRUPTED) from None
    summaries = [result.summary for result in results]
    if as_json:
        for summary in summaries:
            typer.echo(printable(summary.model_dump_json()))
    else:
        printed = Console()
        # Nobody has to read a pipe's lines at once, unless a width is asked for.
        fixed = printed.is_terminal or "COLUMNS" in os.environ
        typer.echo(table(summaries, printed.width if fixed else None))
        for line in (
            *(CAPTION, run_line(summaries[0]), printable(named_in(summaries))),
            *remarks(summaries),
        ):
            printed.print(line, style="italic", highlight=False, markup=False, soft_wrap=not fixed)
    for plan, result in zip(plans, results, strict=True):
        if result.op_stats is not None:
            from tts_runtime.cli.analyze import analyzed

            text = printable(analyzed(plan, result, limits.assumed))
            typer.echo("\n" + text, nl=False, err=as_json)
    if out is not None and not progress.total:
        typer.echo(f"everything was finished before: read from {printable(out)}", err=True)
    _remarks(results, shifting)
    failed = [answer for result in results for answer in result.answers if answer.error]
    if failed:
        answers = sum(len(result.answers) for result in results)
        typer.echo(
            f"{len(failed)} of {answers} problems failed; the first, "
            f"{printable(failed[0].id, line=True)}:\n{printable(failed[0].error)}",
            err=True,
        )
        if out is not None:
            typer.echo("the same command tries them again", err=True)
        raise typer.Exit(FAILED)


def _check_engines(
    policies: Mapping[str, str], scorers: Mapping[str, str], grader: str | None
) -> None:
    """Refuses an engine's name that is none, before anything else about it.

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


def _remarks(results: Sequence[Result], shifting: Sequence[Shift]) -> None:
    """What a reader of the numbers should know."""
    from tts_runtime.reliability import warnings_of

    for result in results:
        for warning in warnings_of(result.summary.reliability):
            typer.echo(printable(f"warning: {result.summary.strategy}: {warning}"), err=True)
    if len(results) > 1:
        fresh = [a for result in results for a in result.answers if a.id not in result.resumed]
        alone = sum(answer.policy_tokens for answer in fresh)
        drawn = results[0].work.policy_tokens
        if drawn < alone:
            typer.echo(f"shared: {drawn:,} tokens drawn instead of {alone:,}", err=True)
    for shift in shifting:
        cost = "nothing is shared there"
        if shift.calls is not None:
            cost += f", {shift.calls:,} calls a problem at most where {shift.nested:,} would do"
        typer.echo(
            f"note: {printable(shift.site)}: other children at each value, since an earlier "
            f"expansion of the same rows changes (C14): {cost}",
            err=True,
        )
    if not all(result.summary.exact for result in results):
        typer.echo("note: not exact: an engine cannot follow the random streams", err=True)


def _interrupted(out: Path | None, progress: Status) -> str:
    """What is left of a run that the user stopped."""
    done = f"{progress.done:,} of {progress.total:,} problems"
    if not progress.total:
        return "interrupted before the first problem"
    if out is None:
        return (
            f"interrupted after {done}: nothing is kept (--out DIR keeps what has finished, and "
            "goes on from there)"
        )
    return (
        f"interrupted: {done} are kept in {out} (answers.jsonl, candidates.jsonl)\n"
        "  help: the same command goes on from there"
    )


def _show_notices(console: Console) -> None:
    """What engines say of themselves (what they chose, that memory ran out), above the progress."""
    from rich.logging import RichHandler

    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
    handler.addFilter(_escaped)
    logger = logging.getLogger("tts_runtime")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


def _escaped(record: logging.LogRecord) -> bool:
    """A log record's text, safe to print; every record passes."""
    record.msg, record.args = printable(record.getMessage()), ()
    return True


def _plans(strategies: list[str], settings: list[str]) -> list[Plan]:
    """Compiles every strategy; warnings about these settings go to standard error.

    Raises:
        DiagnosticError, PlanError: What cannot be compiled, or a setting that fits no strategy.
    """
    found: list[Diagnostic] = []
    plans = plan_from(strategies, parse_settings(settings), found)
    if any(diagnostic.is_error for diagnostic in found):
        raise DiagnosticError(found)
    report(found)
    return plans


def run_command(arguments: Sequence[str]) -> int:
    """Runs `tts-run` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    command = typer.main.get_command(app)
    try:
        # Not Typer's own main: it would end the process with codes of its own for closed pipes.
        with command.make_context("tts-run", list(arguments)) as context:
            command.invoke(context)
        return 0
    except typer.Exit as ended:
        return ended.exit_code
    except DiagnosticError as error:
        report(error.diagnostics)
    except _MISTAKES as error:
        _say(error)
    except _UsageError as error:
        _say(_usage(error, arguments), "  help: tts-run --help lists the options")
    except Exception as error:
        if not isinstance(error, _late_errors()):
            raise
        _say(error)
    return MISTAKE


def _usage(error: Exception, arguments: Sequence[str]) -> str:
    """What Click found wrong with the command line, in one line."""
    message = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    if message.startswith("Missing argument"):
        return "no strategy: give files, or names of those that tts-compile --list shows"
    message, _, options = message.partition(" (Possible options: ")
    option = getattr(error, "option_name", None)
    if message.startswith("No such option") and option:
        hint = option_hint(option, arguments, _OTHERS)
        message, options = (f"{message}; {hint}", "") if hint else (message, options)
    if options:
        close = options.rstrip(")").split(", ")
        message += f"; {did_you_mean(option or '', close) or f'did you mean {close[0]!r}?'}"
    return message[:1].lower() + message[1:]


def _say(*lines: object) -> None:
    sys.stdout.flush()
    first, *others = lines
    print(f"error: {printable(first)}", *others, sep="\n", file=sys.stderr)


def _late_errors() -> tuple[type[Exception], ...]:
    """Mistakes that show once engines are there: their modules are loaded then."""
    from tts_runtime.binding import BindingError
    from tts_runtime.engines.base import EngineError
    from tts_runtime.executor import BindError
    from tts_runtime.runs.rundir import RunDirectoryError

    return BindError, BindingError, EngineError, RunDirectoryError
