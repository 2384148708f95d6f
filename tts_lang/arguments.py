"""Strategies, plans and settings, as command-line arguments name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, DiagnosticError, did_you_mean, file_error
from tts_lang.readers import is_there

if TYPE_CHECKING:
    from tts_lang.check.settings import Settings
    from tts_lang.plan.expr import Scalar
    from tts_lang.plan.graph import Plan


#: Ends of arguments that are files, whatever is in their names.
_FILES = (".tts", ".json")


def split_settings(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits positional arguments into strategies and plain `NAME=VALUE` settings.

    A file whose name contains `=` is a strategy if it exists, or if its name ends in `.tts` or
    `.json` (before a `:STRATEGY`). `majority@n=4`, as `tts-serve` lists models, is no setting.
    """
    strategies: list[str] = []
    settings: list[str] = []
    for argument in arguments:
        file, colon, strategy = argument.rpartition(":")
        name = file if colon and strategy.isidentifier() else argument
        key, equals, _ = name.partition("=")
        plain = equals and "@" not in key and not name.endswith(_FILES) and not is_there(Path(name))
        (settings if plain else strategies).append(argument)
    return strategies, settings


def parse_settings(settings: Sequence[str]) -> Mapping[str, str]:
    """`NAME=VALUE` settings by name; the compiler reads the values.

    Raises:
        DiagnosticError: Not of the form NAME=VALUE, or a parameter set twice.
    """
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not name.isidentifier() or not text:
            message, help_ = f"`{setting}`: expected NAME=VALUE", "for example n=64"
            if equals and not text and name.isidentifier():
                message, help_ = f"`{setting}`: `{name}` has no value", f"for example {name}=64"
            if setting == "=":
                help_ = "write n=64 without spaces"
            raise DiagnosticError([file_error("TTS556", message, "command line", suggestion=help_)])
        if name in values:
            message = f"`{name}` is set twice"
            raise DiagnosticError([file_error("TTS556", message, "command line")])
        values[name] = text
    return values


def plan_from(
    strategies: Sequence[str],
    settings: Settings,
    diagnostics: list[Diagnostic] | None = None,
) -> list[Plan]:
    """Compiles every strategy (or reads the plan, of a `.json` file).

    Args:
        strategies: `FILE[:STRATEGY]`, `NAME` or `PLAN.json`.
        settings: Each goes to every strategy that has the parameter.
        diagnostics: Is extended by warnings and errors; a strategy with errors is left out.

    Raises:
        DiagnosticError: A setting that no strategy has; without `diagnostics`, also the errors of
            the first strategy that cannot be compiled.
        PlanError: A plan file that cannot be used.
    """
    from tts_lang.compiler import compile_with_warnings, settings_of

    plans: list[Plan] = []
    declared: list[str] = []
    for strategy in strategies:
        if strategy.endswith(".json"):
            plans.append(_read_plan(strategy))
            continue
        try:
            names = settings_of(strategy) if settings else ()
            declared.extend(names)
            chosen = {name: value for name, value in settings.items() if name in names}
            compiled = compile_with_warnings(strategy, settings=chosen)
        except DiagnosticError as error:
            if diagnostics is None:
                raise
            diagnostics.extend(error.diagnostics)
            continue
        plans.append(compiled.plan)
        if diagnostics is not None:
            diagnostics.extend(compiled.warnings)
    broken = diagnostics is not None and any(one.is_error for one in diagnostics)
    for name in settings:
        if name not in declared and not broken:
            raise DiagnosticError([_no_parameter(name, declared, strategies)])
    return plans


def _no_parameter(name: str, declared: Sequence[str], strategies: Sequence[str]) -> Diagnostic:
    who = strategies[0] if len(strategies) == 1 else "parameters"
    message = f"there is no parameter `{name}`"
    if len(strategies) > 1:
        message = f"none of the strategies has a parameter `{name}`"
    if declared:
        help_ = did_you_mean(name, declared) or f"known: {', '.join(dict.fromkeys(declared))}"
    elif all(strategy.endswith(".json") for strategy in strategies):
        help_ = "the parameters of a plan are fixed: compile the strategy again"
    else:
        help_ = "there are no parameters"
    return file_error("TTS555", message, who, suggestion=help_)


def checked(strategies: Sequence[str], diagnostics: list[Diagnostic]) -> list[str]:
    """Checks strategies at their defaults (all of a file); returns those without errors."""
    from tts_lang.compiler import check_path, helped

    fine: list[str] = []
    for strategy in strategies:
        if strategy.endswith(".json") or not is_there(Path(strategy)):
            plans = plan_from([strategy], {}, diagnostics)
            fine.extend(called(plan.strategy, plan.parameters) for plan in plans)
            continue
        result = check_path(strategy)
        diagnostics.extend(helped(result.diagnostics))
        if result.ok:
            declared = [called(each.name, each.parameters) for each in result.strategies]
            fine.extend(declared or [f"{strategy} (no strategies)"])
    return fine


def _read_plan(name: str) -> Plan:
    from tts_lang.plan.serialize import from_json
    from tts_lang.plan.verify import PlanError
    from tts_lang.readers import MAX_PLAN_BYTES, read_written

    try:
        text = read_written(Path(name), MAX_PLAN_BYTES).decode()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PlanError(f"{name} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{name}: not a plan: the file is not UTF-8 text") from error
    try:
        return from_json(text)
    except PlanError as error:
        raise PlanError(f"{name}: {error}") from error


def called(strategy: str, parameters: Mapping[str, Scalar]) -> str:
    """`beam_search (n = 16, width = 4, depth = 40)`; a parameter without a value is bare."""
    from tts_lang.plan.pretty import constant

    shown = (
        name if value is None else f"{name} = {constant(value)}"
        for name, value in parameters.items()
    )
    return f"{strategy} ({', '.join(shown)})"
