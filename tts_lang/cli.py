"""The `tts-compile` command.

Built on argparse: Typer imports pydantic for its arguments, which alone takes longer than compiling
and explaining a strategy (`benchmarks/compile_speed.py` measures the whole process). What a run
needs is imported when it is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tts_lang.diagnostics import Diagnostic, DiagnosticError, did_you_mean, file_error, render_text
from tts_lang.explain.forms import FORMATS
from tts_lang.optimise.command import FLAGS as OPTIMISER_FLAGS
from tts_lang.optimise.command import add_options, explain
from tts_lang.process import MISTAKE, run_as_process

if TYPE_CHECKING:
    from tts_lang.check.settings import Settings
    from tts_lang.explain.assume import Assumed
    from tts_lang.plan.expr import Scalar
    from tts_lang.plan.graph import Plan


class _Parser(argparse.ArgumentParser):
    """With a suggestion for mistyped options; usage mistakes exit with code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"error: {message}\n  help: {self.prog} --help lists the options\n")

    def arguments(self, given: Sequence[str] | None) -> argparse.Namespace:
        options, unknown = self.parse_known_intermixed_args(given)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings]
            hint = did_you_mean(unknown[0].partition("=")[0], known)
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
    add("--strict", action="store_true", help="warnings are errors")
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
        print(f"error: {error}", file=sys.stderr)
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
        fine = _checked(options.strategies, found)
    if options.json:
        from tts_lang.diagnostics import render_json

        print(render_json(found))
    else:
        report(found)
    if any(one.is_error or options.strict for one in found):
        return 2
    if options.output:
        from tts_lang.plan.codec import to_json

        _write(options.output, to_json(plans[0]) + "\n")
    if explaining:
        from shutil import get_terminal_size

        form, width = options.form or "text", max(60, get_terminal_size((100, 24)).columns)
        color = in_color(sys.stdout)
        texts = [explain(options, plan, form, assumed, width=width, color=color) for plan in plans]
        sys.stdout.write("\n".join(texts))
    elif not options.json and options.output != "-" and not limits:
        print("\n".join(f"ok: {text}" for text in fine))
    for plan in plans if limits else ():
        from tts_lang.explain.budget import check
        from tts_lang.optimise import optimise

        check(optimise(plan).plan, limits, assumed)
        if not explaining and not options.json and options.output != "-":
            print(f"ok: {called(plan.strategy, plan.parameters)}")
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
    if explaining or options.output or options.assume or options.strict:
        parser.error("--laws and --equiv go with --show, --trials, --seed, --trial and --json only")
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
        print(f"error: {error}", file=sys.stderr)
        return 2


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


def parse_settings(settings: Sequence[str]) -> Mapping[str, str]:
    """`--set K=V` options by name; the compiler reads the values.

    Raises:
        DiagnosticError: Not of the form K=V, or a parameter set twice.
    """
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not name.isidentifier() or not text:
            message = f"`{setting}`: expected NAME=VALUE"
            raise DiagnosticError(
                [file_error("TTS556", message, "--set", suggestion="for example --set n=64")]
            )
        if name in values:
            message = f"`{name}` is set twice"
            raise DiagnosticError([file_error("TTS556", message, "--set")])
        values[name] = text
    return values


# ------------------------------------------------------------------------------ plans


def plan_from(
    strategies: Sequence[str],
    settings: Settings,
    found: list[Diagnostic] | None = None,
) -> list[Plan]:
    """Compiles every strategy (or reads the plan, of a `.json` file).

    Args:
        strategies: `FILE[:STRATEGY]`, `NAME` or `PLAN.json`.
        settings: Each goes to every strategy that has the parameter.
        found: Takes warnings; with it, errors too, and the other strategies are still compiled.

    Raises:
        DiagnosticError: A setting that no strategy has; without `found`, also what is wrong with
            the first strategy that cannot be compiled.
        PlanError: A plan file that cannot be used.
    """
    from tts_lang.compiler import compile_with_warnings, parameters_of

    plans: list[Plan] = []
    known: list[str] = []
    for strategy in strategies:
        if strategy.endswith(".json"):
            plans.append(_read_plan(strategy))
            continue
        try:
            names = parameters_of(strategy) if settings else ()
            known.extend(names)
            chosen = {name: value for name, value in settings.items() if name in names}
            compiled = compile_with_warnings(strategy, settings=chosen)
        except DiagnosticError as error:
            if found is None:
                raise
            found.extend(error.diagnostics)
            continue
        plans.append(compiled.plan)
        if found is not None:
            found.extend(compiled.warnings)
    broken = found is not None and any(one.is_error for one in found)
    for name in settings:
        if name not in known and not broken:
            raise DiagnosticError([_no_parameter(name, known, strategies)])
    return plans


def _no_parameter(name: str, known: Sequence[str], strategies: Sequence[str]) -> Diagnostic:
    who = strategies[0] if len(strategies) == 1 else "--set"
    message = f"there is no parameter `{name}`"
    if len(strategies) > 1:
        message = f"none of the strategies has a parameter `{name}`"
    if known:
        help_ = did_you_mean(name, known) or f"known: {', '.join(dict.fromkeys(known))}"
    elif all(strategy.endswith(".json") for strategy in strategies):
        help_ = "the parameters of a plan are fixed: compile the strategy again"
    else:
        help_ = "there are no parameters"
    return file_error("TTS555", message, who, suggestion=help_)


def _checked(strategies: Sequence[str], found: list[Diagnostic]) -> list[str]:
    """Checks strategies at their defaults (all of a file); returns those without errors."""
    from tts_lang.compiler import check_path

    fine: list[str] = []
    for strategy in strategies:
        if strategy.endswith(".json") or not Path(strategy).exists():
            plans = plan_from([strategy], {}, found)
            fine.extend(called(plan.strategy, plan.parameters) for plan in plans)
            continue
        result = check_path(strategy)
        found.extend(result.diagnostics)
        if result.ok:
            declared = [called(each.name, each.parameters) for each in result.strategies]
            fine.extend(declared or [f"{strategy} (no strategies)"])
    return fine


def _read_plan(name: str) -> Plan:
    from tts_lang.plan.codec import from_json
    from tts_lang.plan.verify import PlanError

    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PlanError(f"{name} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{name}: not a plan: the file is not UTF-8 text") from error
    try:
        return from_json(text)
    except PlanError as error:
        raise PlanError(f"{name}: {error}") from error


# ------------------------------------------------------------------------------ what it prints


def called(strategy: str, parameters: Mapping[str, Scalar]) -> str:
    """`beam_search (n = 16, width = 4, depth = 40)`; a parameter without a value is bare."""
    from tts_lang.plan.phrases import constant

    given = (
        name if value is None else f"{name} = {constant(value)}"
        for name, value in parameters.items()
    )
    return f"{strategy} ({', '.join(given)})"


def in_color(stream: object) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text (NO_COLOR)."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and not os.environ.get("NO_COLOR")


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Errors and warnings to standard error."""
    sys.stdout.flush()
    sys.stderr.write(render_text(diagnostics, color=in_color(sys.stderr)))


def report_compile_error(error: DiagnosticError) -> None:
    """What was found wrong with a strategy, to standard error."""
    report(error.diagnostics)


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
