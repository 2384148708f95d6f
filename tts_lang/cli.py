"""The `tts-compile` command. What it needs is imported when it is needed: it should start fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts_lang.diagnostics import did_you_mean, render_text

if TYPE_CHECKING:
    from tts_lang.compiler import CompileError
    from tts_lang.diagnostics import Diagnostic
    from tts_lang.plan.graph import Plan

# Rich would be imported for every usage message; plain text serves as well.
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

FORMATS = ("text", "json", "dot", "mermaid")


@app.command()
def tts_compile(
    strategies: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_NAME[:STRATEGY]...",
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
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the plan with bounds of its rows and cost")
    ] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="Form of --explain", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write the plan as JSON, for tts-run; - for standard output",
        ),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(metavar="context=N", help="Context window in tokens that bounds assume"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Errors and warnings as JSON on standard output")
    ] = False,
    fmt: Annotated[
        bool, typer.Option("--fmt", help="Format files in place; - reads standard input")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --fmt: list files that would change, exit code 1")
    ] = False,
) -> None:
    """Check strategies; explain, draw or store their plans; format their files."""
    explaining = explain or form is not None
    if check and not fmt:
        raise usage("--check belongs to --fmt: checking a strategy needs no flag")
    if fmt:
        if explaining or settings or output or as_json or strict or assume:
            raise usage("--fmt goes with --check only")
        from tts_lang.format_command import format_files

        raise typer.Exit(format_files(strategies, check_only=check))
    if as_json and (explaining or output):
        raise usage("--json prints errors and warnings, and does not go with --explain or -o")
    if output is not None and len(strategies) > 1:
        raise usage(f"-o writes one plan, and {len(strategies)} strategies are given")
    chosen = chosen_format(form)
    context = assumed_context(assume or [])
    found: list[Diagnostic] = []
    plans = plan_from(strategies, parse_settings(settings or []), found)
    failed = any(one.is_error or strict for one in found)
    if as_json:
        from tts_lang.diagnostics import render_json

        typer.echo(render_json(found))
    else:
        report(found)
    if failed:
        raise typer.Exit(2)
    if output is not None:
        from tts_lang.plan.codec import to_json

        write(output, to_json(plans[0]) + "\n")
    for index, plan in enumerate(plans):
        if explaining:
            separator = "\n" if index and chosen == "text" else ""
            typer.echo(separator + explained(plan, chosen, context), nl=False)
        elif not as_json and output is None:
            typer.echo(f"ok: {called(plan)}")


# ------------------------------------------------------------------------------ the command line


def usage(message: str) -> typer.BadParameter:
    """A mistake in the command line: shown with the usage, exit code 2."""
    return typer.BadParameter(message)


def parse_settings(settings: Sequence[str]) -> Mapping[str, str]:
    """`--set K=V` options by name; the compiler reads the values.

    Raises:
        typer.BadParameter: Not of the form K=V, or a parameter set twice.
    """
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not name.isidentifier() or not text:
            raise typer.BadParameter(
                f"`{setting}`: expected NAME=VALUE, for example n=64", param_hint="--set"
            )
        if name in values:
            raise typer.BadParameter(f"`{name}` is set twice", param_hint="--set")
        values[name] = text
    return values


def chosen_format(form: str | None) -> str:
    """The value of --format, checked."""
    if form is None or form in FORMATS:
        return form or "text"
    hint = did_you_mean(form, FORMATS)
    message = f"`{form}` is none of {', '.join(FORMATS)}" + (f"; {hint}" if hint else "")
    raise typer.BadParameter(message, param_hint="--format")


def assumed_context(assume: Sequence[str]) -> int:
    """The context window of `--assume context=N`, or the bundled policy's."""
    from tts_lang.explain.bounds import DEFAULT_CONTEXT

    context = DEFAULT_CONTEXT
    for name, value in parse_settings(assume).items():
        if name != "context":
            hint = did_you_mean(name, ("context",)) or "only `context` can be assumed"
            raise typer.BadParameter(f"`{name}` is unknown; {hint}", param_hint="--assume")
        digits = value.replace("_", "")
        if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < 16 and int(digits)):
            raise typer.BadParameter(
                f"context={value}: expected a whole number of tokens", param_hint="--assume"
            )
        context = int(digits)
    return context


# ------------------------------------------------------------------------------ plans


def plan_from(
    strategies: Sequence[str],
    settings: Mapping[str, str],
    found: list[Diagnostic] | None = None,
) -> list[Plan]:
    """Compiles every strategy (or reads the plan, of a `.json` file).

    Args:
        strategies: `FILE[:STRATEGY]`, `NAME` or `PLAN.json`.
        settings: Each goes to every strategy that has the parameter.
        found: Takes warnings; with it, errors too, and the other strategies are still compiled.

    Raises:
        CompileError: What is wrong with the first strategy that cannot be compiled, where `found`
            is not given.
        PlanError: A plan file that cannot be used.
        typer.BadParameter: A setting that no strategy has.
    """
    from tts_lang.compiler import CompileError, compile_with_warnings, parameters_of

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
        except CompileError as error:
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
            raise typer.BadParameter(_no_parameter(name, known, strategies), param_hint="--set")
    return plans


def _no_parameter(name: str, known: Sequence[str], strategies: Sequence[str]) -> str:
    who = strategies[0] if len(strategies) == 1 else "none of the strategies"
    verb = "has no parameter" if len(strategies) == 1 else "has a parameter"
    said = f"{who} {verb} `{name}`"
    if not known:
        plans = all(strategy.endswith(".json") for strategy in strategies)
        return said + ("; the parameters of a plan are fixed" if plans else "; there are none")
    return f"{said}; {did_you_mean(name, known) or 'there are ' + ', '.join(dict.fromkeys(known))}"


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


def called(plan: Plan) -> str:
    """`beam_search (n = 16, width = 4, depth = 40)`."""
    from tts_lang.plan.phrases import constant

    given = ", ".join(f"{name} = {constant(value)}" for name, value in plan.parameters.items())
    return f"{plan.strategy} ({given})"


def explained(plan: Plan, form: str, context: int) -> str:
    """EXPLAIN of a plan in one of `FORMATS`, ending with a line end."""
    from tts_lang.explain.bounds import bounds

    bound = bounds(plan, context)
    if form in ("dot", "mermaid"):
        from tts_lang.explain.render import row_count
        from tts_lang.plan import draw

        notes = {value: row_count(rows) for value, rows in bound.rows.items()}
        return (draw.to_dot if form == "dot" else draw.to_mermaid)(plan, notes)
    from tts_lang.explain import render
    from tts_lang.explain.tree import explain as tree_of

    tree = tree_of(plan, bound)
    if form == "json":
        import json

        return json.dumps(render.to_values(tree), indent=2) + "\n"
    from shutil import get_terminal_size

    width = max(60, get_terminal_size((100, 24)).columns)
    return render.to_text(tree, width, color=in_color(sys.stdout))


def in_color(stream: object) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text (NO_COLOR)."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and not os.environ.get("NO_COLOR")


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Errors and warnings to standard error."""
    text = render_text(diagnostics, color=in_color(sys.stderr))
    if text:
        typer.echo(text, err=True, nl=False)


def report_compile_error(error: CompileError) -> None:
    """What was found wrong with a strategy, to standard error."""
    report(error.diagnostics)


def write(path: Path, text: str) -> None:
    """Writes a file (`-`: standard output).

    Raises:
        typer.BadParameter: The file cannot be written.
    """
    if str(path) == "-":
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(
            f"{path} cannot be written: {(error.strerror or 'error').lower()}", param_hint="-o"
        ) from error


def main() -> None:
    """Entry point of `tts-compile`."""
    from tts_lang.plan.verify import PlanError

    try:
        app()
    except PlanError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
