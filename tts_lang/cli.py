"""The `tts-compile` command.

Built on argparse: Typer imports pydantic for its arguments, which alone takes longer than compiling
and explaining a strategy (`benchmarks/compile_speed.py` measures the whole process). What a run
needs is imported when it is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tts_lang.arguments import called, checked, parse_settings, plan_from
from tts_lang.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from tts_lang.explain.forms import FORMATS
from tts_lang.optimise.command import FLAGS as OPTIMISER_FLAGS
from tts_lang.optimise.command import add_options, explain
from tts_lang.option_hints import option_hint
from tts_lang.printable import printable
from tts_lang.printing import in_color, report
from tts_lang.process import MISTAKE, run_as_process

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from tts_lang.explain.assume import Assumed
    from tts_lang.plan.graph import Plan

#: What only a run has.
_OTHERS = {
    f"tts-run {rest}": names
    for rest, names in (
        ("--policy ENGINE", ("policy", "model")),
        ("--scorer prm=ENGINE", ("scorer", "prm", "reward_model")),
        ("--problems FILE", ("problems", "dataset")),
        ("--limit N", ("limit",)),
    )
}


class _Parser(argparse.ArgumentParser):
    """With a suggestion for mistyped options; usage mistakes exit with code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            MISTAKE, f"error: {printable(message)}\n  help: {self.prog} --help lists the options\n"
        )

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse would swallow that a pipe is closed.
        (file or sys.stderr).write(message)

    def arguments(self, given: Sequence[str] | None) -> argparse.Namespace:
        options, unknown = self.parse_known_intermixed_args(given)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings]
            hint = option_hint(unknown[0], given or sys.argv[1:], _OTHERS) or did_you_mean(
                unknown[0].partition("=")[0], known
            )
            self.error(f"no such option: {unknown[0]}" + (f"; {hint}" if hint else ""))
        return options


def _parser() -> _Parser:
    parser = _Parser(
        prog="tts-compile",
        description="Check strategies; explain, draw or store their plans; format their files.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "strategies",
        nargs="*",
        metavar="FILE_OR_NAME[:STRATEGY]",
        help="strategy files, shipped names, or plan.json files",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        dest="settings",
        help="a parameter, for each strategy that has it; repeat",
    )
    add("--explain", action="store_true", help="print the plan with bounds of its rows and cost")
    add("--format", metavar="|".join(FORMATS), dest="form", help="form of --explain")
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="write the plan as JSON, which tts-run takes; - for standard output",
    )
    add(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=N,...",
        help="context=N and prompt=N: tokens of a window and a problem at most; step=N,steps=N: "
        "tokens in a step, steps in a solution, for expected costs; params=N, SCORER_params=N: "
        "parameters of models, for FLOPs",
    )
    add("--stats", metavar="DIR", help="take lengths and sizes of models from a run directory")
    add(
        "--budget",
        action="append",
        default=[],
        metavar="tokens=N",
        help="refuse plans that may cost more per problem (also calls, flops, rows, rounds...)",
    )
    add("--laws", action="store_true", help="prove or refute the laws of files")
    add("--equiv", metavar="OTHER", help="prove or refute that OTHER gives the same answers")
    add("--show", action="store_true", help="with --laws or --equiv: print normal forms")
    add(
        "--trials",
        type=_whole,
        metavar="N",
        help="random runs that a law which is not proved must survive (default: 200)",
    )
    add("--seed", type=_whole, metavar="N", help="which random runs (default: 0)")
    add("--trial", type=_whole, metavar="N", help="replay one of the random runs")
    add_options(parser)
    add(
        "--strict",
        action="store_true",
        help="warnings are errors; with --laws or --equiv: exit 3 if something is undecided",
    )
    add("--json", action="store_true", help="errors and warnings as JSON on standard output")
    add("--list", action="store_true", help="list the shipped strategies")
    add("--version", action="store_true", help="show the version")
    add("--fmt", action="store_true", help="format files in place; - for standard input")
    add("--check", action="store_true", help="with --fmt: list files that would change, exit 1")
    return parser


def _whole(text: str) -> int:
    """A whole number of an option, not below 0."""
    digits = text.replace("_", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise argparse.ArgumentTypeError(f"expected a whole number, found `{text}`")
    return int(digits)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-compile`.

    Exit code: 0, 2 for any mistake of the user's (with a message), 1 from `--fmt --check`, and
    those of `run_as_process`.
    """
    run_as_process(lambda: _compile(arguments))


def _compile(arguments: Sequence[str] | None) -> int:
    from tts_lang.plan.verify import PlanError

    try:
        return tts_compile(_parser(), arguments)
    except DiagnosticError as error:
        report(error.diagnostics)
    except PlanError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
    return MISTAKE


def tts_compile(parser: _Parser, arguments: Sequence[str] | None) -> int:
    """Runs the command; returns its exit code.

    Raises:
        DiagnosticError, PlanError: A mistake of the user's.
        SystemExit: A mistake in the command line (code 2), or `--help`.
    """
    options = parser.arguments(arguments)
    if options.list:
        return _list()
    if options.version:
        from importlib.metadata import version

        print(f"tts-compile {version('tts-lang')}")
        return 0
    if not all(options.strategies) or not options.strategies:
        parser.error("no strategy: give files, or names of those that --list shows")
    explaining = options.explain or options.form is not None
    if options.check and not options.fmt:
        parser.error("--check belongs to --fmt: checking a strategy needs no flag")
    if options.fmt:
        given = (options.settings, options.output, options.json, options.strict, options.assume)
        if explaining or any(given):
            parser.error("--fmt goes with --check only")
        from tts_lang.format_command import format_files

        return format_files(options.strategies, check_only=options.check)
    if not explaining and (flags := [f for f in OPTIMISER_FLAGS if getattr(options, f)]):
        parser.error(f"--{flags[0].replace('_', '-')} goes with --explain")
    deciding = options.laws or options.equiv is not None
    _check_law_options(parser, options, deciding, explaining)
    if options.json and (explaining or options.output):
        parser.error("--json prints errors and warnings: it does not go with --explain or -o")
    if options.output and len(options.strategies) > 1:
        parser.error(f"-o writes one plan, and {len(options.strategies)} strategies are given")
    if options.form is not None and options.form not in FORMATS:
        hint = did_you_mean(options.form, FORMATS) or f"it is one of {', '.join(FORMATS)}"
        parser.error(f"--format: `{options.form}` is unknown; {hint}")
    settings = parse_settings(options.settings)
    if deciding:
        return _decide(options, settings)
    assumed = _assumed(parser, options.assume, options.stats)
    limits = [_budget(parser, text) for text in options.budget]
    found: list[Diagnostic] = []
    plans: list[Plan] = []
    fine: list[str] = []
    if explaining or options.output or settings or limits:
        plans = plan_from(options.strategies, settings, found)
        fine = [called(plan.strategy, plan.parameters) for plan in plans]
    else:
        fine = checked(options.strategies, found)
    if options.json:
        from tts_lang.diagnostics import render_json

        print(render_json(found))
    else:
        report(found)
    if any(one.is_error or options.strict for one in found):
        return 2
    if options.output:
        from tts_lang.plan.serialize import to_json

        _write(options.output, to_json(plans[0]) + "\n")
    if explaining:
        from shutil import get_terminal_size

        form, width = options.form or "text", max(60, get_terminal_size((100, 24)).columns)
        color = in_color(sys.stdout)
        texts = [explain(options, plan, form, assumed, width=width, color=color) for plan in plans]
        sys.stdout.write("\n".join(texts))
    elif not options.json and options.output != "-" and not limits:
        print("\n".join(f"ok: {printable(text)}" for text in fine))
    for plan in plans if limits else ():
        from tts_lang.explain.budget import check
        from tts_lang.optimise import optimise

        check(optimise(plan).plan, limits, assumed)
        if not explaining and not options.json and options.output != "-":
            print(f"ok: {printable(called(plan.strategy, plan.parameters))}")
    return 0


def _list() -> int:
    from shutil import get_terminal_size
    from textwrap import shorten

    from tts_lang.library import listed

    strategies = listed()
    widest = max(map(len, strategies), default=0)
    room = max(40, get_terminal_size((100, 24)).columns - widest - 2)
    for name, summary in strategies.items():
        print(f"{name:{widest}}  {shorten(summary, room, placeholder='...')}".rstrip())
    return 0


def _check_law_options(
    parser: _Parser, options: argparse.Namespace, deciding: bool, explaining: bool
) -> None:
    """What goes with --laws and --equiv, and what goes with nothing else."""
    if not deciding:
        for name in ("show", "trials", "seed", "trial"):
            if getattr(options, name) not in (None, False):
                parser.error(f"--{name} belongs to --laws or --equiv")
        return
    if options.laws and options.equiv is not None:
        parser.error("--laws checks the laws of files, --equiv compares two strategies: choose one")
    if explaining or options.output or options.assume:
        parser.error(
            "--laws and --equiv go with --show, --trials, --seed, --trial, --strict and --json only"
        )
    if options.laws and options.settings:
        parser.error("--set goes with --equiv: a law gives its own arguments")
    if options.equiv is not None and len(options.strategies) != 1:
        parser.error(
            f"--equiv compares two strategies, and {1 + len(options.strategies)} are given"
        )


def _decide(options: argparse.Namespace, settings: Mapping[str, str]) -> int:
    from tts_lang.laws.command import decide
    from tts_lang.laws.hunting import LawError

    try:
        return decide(options, settings)
    except LawError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return MISTAKE


def _assumed(
    parser: argparse.ArgumentParser, assumptions: Sequence[str], stats: str | None
) -> Assumed:
    """What `--assume` and `--stats` say of problems and models."""
    from tts_lang.explain.assume import AssumeError, assumed
    from tts_lang.explain.lengths import LengthError

    try:
        return assumed(assumptions, None if stats is None else Path(stats))
    except AssumeError as error:
        parser.error(f"--assume: {error}")
    except LengthError as error:
        parser.error(f"--stats: {error}")


def _budget(parser: _Parser, text: str) -> tuple[str, float]:
    from tts_lang.explain.budget import budget

    try:
        return budget(text)
    except ValueError as error:
        parser.error(f"--budget: {error}")


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
