"""The `tts-run` command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tts_lang.cli import parse_settings, plan_from, report, report_compile_error
from tts_lang.compiler import CompileError
from tts_lang.diagnostics import Diagnostic, did_you_mean
from tts_lang.explain.budget import budget as read_budget
from tts_lang.explain.budget import check as check_budget
from tts_lang.optimise import ALL, NAMES, UnknownPass, optimise
from tts_lang.plan.codec import PlanError
from tts_lang.plan.graph import Plan
from tts_runtime.binding import BindingError
from tts_runtime.engines.base import EngineError
from tts_runtime.executor import PASSES, BindError
from tts_runtime.problems import ProblemFileError
from tts_runtime.rundir import RunDirectoryError, finished
from tts_runtime.sweeps import SweepError, swept

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

#: What a wrong command line, file or engine raises before anything is spent.
USER_ERRORS = (
    BindError,
    BindingError,
    EngineError,
    PlanError,
    ProblemFileError,
    RunDirectoryError,
    SweepError,
)


@app.command()
def tts_run(
    strategies: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_NAME...", help="Strategy files, shipped names, or plan.json files"
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="K=V", help="A parameter, for each strategy that has it; repeat"
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="K=V,V,...",
            help="Each strategy at several values of a parameter; what they share is drawn once",
        ),
    ] = None,
    problems: Annotated[
        str,
        typer.Option(
            metavar="arith|FILE.jsonl",
            help="arith (bundled; also arith:calibration, arith:train) or a file",
        ),
    ] = "arith",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many problems")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]ENGINE", help="Engine of a policy; NAME is `policy` if left out; repeat"
        ),
    ] = None,
    scorer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ENGINE", help="Engine of a scorer; repeat"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random streams")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a run directory (must be new)")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="At most so many problems in flight; default all")
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
            help="Refuse strategies that may cost more per problem (also calls, scorer_tokens)",
        ),
    ] = None,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Show what each operation did beside the expected")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per strategy instead of the table")
    ] = False,
) -> None:
    """Run strategies over problems and compare what they reach and cost."""
    # Engines and pydantic models take a while to import: `--help` and bad names need not wait.
    from tts_runtime.analysis import analysed
    from tts_runtime.progress import Screen, table
    from tts_runtime.runner import Progress, Settings, problems_named, run, scorer_names

    shifting: list[str] = []
    if sweep is None:
        plans = _plans(strategies, settings or [])
    else:
        plans, shifting = swept(strategies, parse_settings(settings or []), sweep)
    chosen = problems_named(problems, limit)
    without, disabled = _left_out(no_pass or [])
    used = {name for plan in plans for name in plan.policies}
    policies = {"policy": "bundled", **_engines(policy or [], "--policy", "policy", used)}
    used = {name for plan in plans for name in scorer_names(plan)}
    scorers = {"prm": "bundled", **_engines(scorer or [], "--scorer", None, used)}
    plans = [optimise(plan, without=without).plan for plan in plans]
    _within(plans, budget or [])
    console = Console(stderr=True)
    _show_notices(console)
    showing = Screen(console) if console.is_terminal else nullcontext(Progress())
    try:
        with showing as progress:
            results = run(
                plans,
                chosen,
                settings=Settings(policies, scorers, seed, out, concurrency, disabled, analyze),
                progress=progress,
            )
    except KeyboardInterrupt:
        typer.echo(_interrupted(out, len(plans) * len(chosen)), err=True)
        raise typer.Exit(130) from None
    summaries = [result.summary for result in results]
    if as_json:
        for summary in summaries:
            typer.echo(summary.model_dump_json())
    else:
        Console().print(table(summaries))
    for plan, result in zip(plans, results, strict=True):
        if result.made is not None:
            typer.echo("\n" + analysed(plan, result.made), nl=False, err=as_json)
    if results and results[0].shared is not None:
        drawn, alone = results[0].shared.policy_tokens, sum(s.policy_tokens for s in summaries)
        console.print(f"shared: {drawn:,} tokens drawn instead of {alone:,}", highlight=False)
    for site in shifting:
        console.print(
            f"note: {site}: other children at each value, since an earlier expansion of the same "
            "rows changes (C14): nothing is shared there",
            highlight=False,
            markup=False,
        )
    if not all(summary.exact for summary in summaries):
        console.print("note: not exact: an engine cannot follow the random streams")
    failed = [answer for result in results for answer in result.answers if answer.error]
    if failed:
        answers = sum(len(result.answers) for result in results)
        message = f"{len(failed)} of {answers} problems failed; the first, {failed[0].id}:"
        console.print(message, markup=False, highlight=False)
        console.print(failed[0].error, markup=False)
        raise typer.Exit(3)


def _interrupted(out: Path | None, problems: int) -> str:
    """What is left of a run that the user stopped."""
    if out is None:
        return "interrupted: nothing is kept (--out DIR keeps what has finished)"
    return f"interrupted: {finished(out)} of {problems} problems are kept in {out}"


def _show_notices(console: Console) -> None:
    """What engines say of themselves (what they chose, that memory ran out), above the progress."""
    from rich.logging import RichHandler

    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
    logger = logging.getLogger("tts_runtime")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


def _plans(strategies: list[str], settings: list[str]) -> list[Plan]:
    """Compiles every strategy; warnings about these settings go to standard error.

    Raises:
        CompileError, PlanError: What cannot be compiled, or a setting that fits no strategy.
    """
    found: list[Diagnostic] = []
    plans = plan_from(strategies, parse_settings(settings), found)
    if any(diagnostic.is_error for diagnostic in found):
        raise CompileError(found)
    report(found)
    return plans


def _left_out(names: list[str]) -> tuple[list[str], frozenset[str]]:
    """`--no-pass` names: those of the optimiser, and those of passes that happen while it runs."""
    running = frozenset(PASSES).intersection(names)
    if ALL in names:
        running = frozenset(PASSES)
    for name in names:
        if name not in (*NAMES, *PASSES, ALL):
            known = (*NAMES, *PASSES)
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise UnknownPass(f"there is no pass `{name}`; {hint}")
    return [name for name in names if name not in PASSES], running


def _within(plans: list[Plan], budgets: list[str]) -> None:
    """Refuses plans whose bound is beyond a budget.

    Raises:
        OverBudget: What may cost too much.
        typer.BadParameter: A budget that cannot be read.
    """
    for text in budgets:
        try:
            kind, limit = read_budget(text)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--budget") from error
        for plan in plans:
            check_budget(plan, kind, limit)


def _engines(
    options: list[str], flag: str, default: str | None, used: set[str]
) -> Mapping[str, str]:
    """`NAME=ENGINE` options as a mapping; an `=` inside the engine's own options does not count.

    Raises:
        typer.BadParameter: Not of this form, a name given twice, or one that no strategy uses.
    """
    engines: dict[str, str] = {}
    for option in options:
        name, equals, engine = option.partition("=")
        if not equals or not name.isidentifier():
            if default is None:
                raise typer.BadParameter(
                    f"`{option}`: expected NAME=ENGINE, for example prm=bundled", param_hint=flag
                )
            name, engine = default, option
        if name in engines:
            raise typer.BadParameter(f"`{name}` is given twice", param_hint=flag)
        if name not in used:
            kind = flag.lstrip("-")
            known = f"they use: {', '.join(sorted(used))}" if used else "they use none"
            raise typer.BadParameter(
                f"no strategy here uses a {kind} `{name}`; {did_you_mean(name, used) or known}",
                param_hint=flag,
            )
        if not engine:
            raise typer.BadParameter(f"`{option}`: which engine?", param_hint=flag)
        engines[name] = engine
    return engines


def main() -> None:
    """Entry point: every mistake of the user's ends with a message and exit code 2."""
    try:
        app()
    except CompileError as error:
        report_compile_error(error)
        sys.exit(2)
    except USER_ERRORS as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
