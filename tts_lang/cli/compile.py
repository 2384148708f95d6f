"""`tts-compile`: the steps in order; each imports what it needs when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tts_lang.cli.completion as completion
from tts_lang.arguments import called, checked, parse_settings, plan_from
from tts_lang.cli.parser import CommandParser, UsageError, usage_error
from tts_lang.cli.printing import in_color, report
from tts_lang.cli.process import MISTAKE
from tts_lang.cli.shared import (
    budget_option,
    check_strategies,
    library_options,
    place_settings,
    settings_option,
    shared,
)
from tts_lang.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from tts_lang.explain.formats import FORMATS
from tts_lang.optimise import NAMES as PASSES
from tts_lang.optimise.command import FLAGS as OPTIMISER_FLAGS
from tts_lang.optimise.command import explain
from tts_lang.printable import printable

if TYPE_CHECKING:
    from tts_lang.explain.assumptions import Assumed
    from tts_lang.plan.graph import Plan

#: Options that only a run has, and other names of ours.
_SYNONYMS = {
    "tts-run --policy ENGINE": ("policy", "model"),
    "tts-run --scorer prm=ENGINE": ("scorer", "prm", "reward_model"),
    "tts-run --problems FILE": ("problems", "dataset"),
    "tts-run --limit N": ("limit",),
    "tts-run --sweep NAME=VALUE,...": ("sweep",),
    "--out FILE": ("output",),
    "--fmt": ("reformat",),
    "--explain": ("show_plan", "plan", "dry_run"),
}

_NOTES = """
Examples:
  tts-compile beam_search n=64 --explain
  tts-compile --source beam_search > mine.tts
  tts-compile mine.tts --strict
  tts-compile mine.tts --equiv beam_search
  tts-compile mine.tts --out plan.json
  tts-compile --fmt strategies/
"""


def parser() -> CommandParser:
    """The options of `tts-compile`."""
    command = CommandParser(
        "tts-compile",
        "STRATEGY... [NAME=VALUE...] [OPTION...]",
        "Check strategies, explain what they cost, prove that two of them are equivalent, format "
        "their files. Without options: check, and print the parameters.",
        _NOTES,
        _SYNONYMS,
    )
    group = command.strategies(completion.strategies)
    settings_option(group)
    library_options(group)

    group = command.group("Plans")
    group.flag("--explain", help="print the plan, with bounds on its rows and costs")
    group.value(
        "--format",
        dest="form",
        metavar="FORMAT",
        help=f"print the plan as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}; implies --explain",
        completer=completion.fixed(*FORMATS),
    )
    group.value(
        "-o",
        "--out",
        metavar="FILE",
        help="write the plan as FILE.json, which tts-run accepts; - for standard output",
        completer=completion.files(".json"),
    )
    group.values(
        "--assume",
        metavar="NAME=N,...",
        help="assume these sizes: context=N (window) and prompt=N (problem), in tokens; step=N and "
        "steps=N (tokens per step, steps per solution), for expected costs; params=N and "
        "SCORER_params=N (model sizes), for FLOPs",
        completer=completion.pairs("context", "prompt", "step", "steps", "params"),
    )
    group.value(
        "--stats",
        metavar="DIR",
        help="take lengths and model sizes from a run directory",
        completer=completion.folders,
    )
    budget_option(group)
    group.values(
        "--no-pass",
        metavar="PASS",
        help="with --explain: leave out a pass of the optimiser, or `all` of them",
        completer=completion.fixed(*PASSES, "all"),
    )
    group.values(
        "--only-pass",
        metavar="PASS",
        help="with --explain: run only this pass of the optimiser",
        completer=completion.fixed(*PASSES, "all"),
    )
    group.flag("--verify", help="with --explain: verify the plan after every pass")
    group.flag("--trace", help="with --explain: list every rewrite rule, and why it did not apply")

    group = command.group("Laws")
    group.flag("--laws", help="prove or refute the laws that the files state")
    group.value(
        "--equiv",
        metavar="OTHER",
        help="prove or refute that this strategy gives the same answers",
        completer=completion.shipped,
    )
    group.flag("--show", help="print normal forms")
    group.value(
        "--trials",
        metavar="N",
        help="random runs to search for a counterexample where no proof is found (default: 200)",
    )
    group.value("--seed", metavar="N", help="seed of the random runs (default: 0)")
    group.value("--trial", metavar="N", help="replay this one of the random runs")

    group = command.group("Formatting")
    group.flag("--fmt", help="format files and folders in place; - for standard input")
    group.flag("--check", help="with --fmt: list the files that would change, and exit with 1")

    group = command.group("Output")
    group.flag(
        "--strict",
        help="treat warnings as errors; with --laws or --equiv: exit with 3 if one is undecided",
    )
    group.flag("--json", help="print errors, warnings and verdicts as JSON")
    command.common()
    return command


def run_command(arguments: Sequence[str]) -> int:
    """Runs `tts-compile` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    from tts_lang.plan.verify import PlanError

    command = parser()
    completion.complete(command)
    try:
        return tts_compile(command, arguments)
    except UsageError as error:
        return usage_error(command.prog, error)
    except DiagnosticError as error:
        report(error.diagnostics)
    except PlanError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
    return MISTAKE


def tts_compile(command: CommandParser, arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code.

    Raises:
        DiagnosticError, PlanError: A mistake of the user's.
        UsageError: A mistake in the command line.
        SystemExit: After `--help`.
    """
    options = command.parse(arguments)
    if shared(options):
        return 0
    if not (options.fmt and options.strategies):
        place_settings(options)
        check_strategies(command, options)
    for name in ("trials", "seed", "trial"):
        setattr(options, name, _whole(f"--{name}", getattr(options, name)))
    explaining = options.explain or options.form is not None
    if options.check and not options.fmt:
        raise UsageError("--check belongs to --fmt: checking a strategy needs no flag")
    if options.fmt:
        deciding = options.laws or options.equiv is not None or options.show
        counts = (options.trials, options.seed, options.trial, options.stats, options.out)
        others = (options.settings, options.budget, options.json, options.strict, options.assume)
        if explaining or deciding or any(others) or any(each is not None for each in counts):
            raise UsageError("--fmt goes with --check only")
        from tts_lang.cli.format import format_files

        return format_files(options.strategies, check_only=options.check)
    if not explaining and (flags := [f for f in OPTIMISER_FLAGS if getattr(options, f)]):
        raise UsageError(f"--{flags[0].replace('_', '-')} goes with --explain")
    deciding = options.laws or options.equiv is not None
    _check_law_options(options, deciding, explaining)
    if options.json and (explaining or options.out):
        raise UsageError(
            "--json prints errors and warnings: it does not go with --explain or --out"
        )
    if options.out is not None and options.out != "-" and not options.out.endswith(".json"):
        # `-o mine.tts` would replace the strategy, and a plan is read by this ending.
        raise UsageError(
            "--out: expected a file whose name ends in .json, or `-` for standard output"
            + (f"; what --format prints goes there by `> {options.out}`" if options.form else "")
        )
    if options.out and len(options.strategies) > 1:
        raise UsageError(
            f"--out writes one plan, and {len(options.strategies)} strategies are given"
        )
    if options.form is not None and options.form not in FORMATS:
        hint = did_you_mean(options.form, FORMATS) or f"it is one of {', '.join(FORMATS)}"
        raise UsageError(f"--format: `{options.form}` is unknown; {hint}")
    settings = parse_settings(options.settings)
    if deciding:
        return _decide(options, settings)
    assumed = _assumed(options.assume, options.stats)
    limits = [_budget(text) for text in options.budget]
    diagnostics: list[Diagnostic] = []
    plans: list[Plan] = []
    fine: list[str] = []
    if explaining or options.out or settings or limits:
        plans = plan_from(options.strategies, settings, diagnostics)
        if not any(one.is_error for one in diagnostics):  # else models are missing
            _check_sized(options.assume, plans)
        fine = [called(plan.strategy, plan.parameters) for plan in plans]
    else:
        fine = checked(options.strategies, diagnostics)
    if options.json:
        from tts_lang.diagnostics import render_json

        print(render_json(diagnostics))
    else:
        report(diagnostics)
    if any(one.is_error or options.strict for one in diagnostics):
        return MISTAKE
    if options.out:
        from tts_lang.plan.serialize import to_json

        _write(options.out, to_json(plans[0]) + "\n")
    if explaining:
        from shutil import get_terminal_size

        form, width = options.form or "text", max(60, get_terminal_size((100, 24)).columns)
        color = in_color(sys.stdout)
        texts = [explain(options, plan, form, assumed, width=width, color=color) for plan in plans]
        sys.stdout.write("\n".join(texts))
    elif not options.json and options.out != "-" and not limits:
        print("\n".join(f"ok: {printable(text)}" for text in fine))
    for plan in plans if limits else ():
        from tts_lang.explain.budget import check
        from tts_lang.optimise import optimise

        check(optimise(plan).plan, limits, assumed)
        if not explaining and not options.json and options.out != "-":
            print(f"ok: {printable(called(plan.strategy, plan.parameters))}")
    return 0


def _check_law_options(options: argparse.Namespace, deciding: bool, explaining: bool) -> None:
    """Refuses options that do not go with --laws and --equiv, or only go with them."""
    if not deciding:
        for name in ("show", "trials", "seed", "trial"):
            if getattr(options, name) not in (None, False):
                raise UsageError(f"--{name} belongs to --laws or --equiv")
        return
    if options.laws and options.equiv is not None:
        raise UsageError(
            "--laws checks the laws of files, --equiv compares two strategies: choose one"
        )
    if explaining or options.out or options.assume:
        raise UsageError(
            "--laws and --equiv go with --show, --trials, --seed, --trial, --strict and --json only"
        )
    if options.laws and options.settings:
        raise UsageError("--set goes with --equiv: a law states its own arguments")
    if options.equiv is not None and len(options.strategies) != 1:
        raise UsageError(
            f"--equiv compares two strategies, and {1 + len(options.strategies)} are given"
        )


def _decide(options: argparse.Namespace, settings: Mapping[str, str]) -> int:
    from tts_lang.diagnostics import DiagnosticError, render_json
    from tts_lang.laws.command import decide
    from tts_lang.laws.search import LawError

    try:
        return decide(options, settings)
    except DiagnosticError as error:
        if not options.json:
            raise
        print(render_json(error.diagnostics))
        return MISTAKE
    except LawError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return MISTAKE


def _assumed(assumptions: Sequence[str], stats: str | None) -> Assumed:
    """The assumptions that `--assume` and `--stats` give."""
    from tts_lang.explain.assumptions import AssumeError, LengthError, assumed

    try:
        return assumed(assumptions, None if stats is None else Path(stats))
    except AssumeError as error:
        raise UsageError(f"--assume: {error}") from error
    except LengthError as error:
        raise UsageError(f"--stats: {error}") from error


def _check_sized(assumptions: Sequence[str], plans: Sequence[Plan]) -> None:
    from tts_lang.explain.assumptions import AssumeError, check_sized

    try:
        check_sized(assumptions, plans)
    except AssumeError as error:
        raise UsageError(f"--assume: {error}") from error


def _budget(text: str) -> tuple[str, float]:
    from tts_lang.explain.budget import budget

    try:
        return budget(text)
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from error


def _write(name: str, text: str) -> None:
    """Writes the plan (`-`: to standard output)."""
    from tts_lang.plan.verify import PlanError

    if name == "-":
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PlanError(f"{name} cannot be written: {reason}") from error


def _whole(option: str, text: str | None) -> int | None:
    """A whole number of an option, not below 0.

    Raises:
        UsageError: Anything else.
    """
    if text is None:
        return None
    digits = text.replace("_", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise UsageError(f"{option}: expected a whole number, found `{text}`")
    return int(digits)
