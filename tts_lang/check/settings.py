"""Values that the user gives to a strategy's parameters (`--set n=64`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import TypeAlias

import tts_lang.library as library
from tts_lang.check.builtins import UNSET
from tts_lang.check.calls import argument_value, sort_name
from tts_lang.check.context import CheckContext, NameValue, Parameter, StrategyContext
from tts_lang.check.file import defaults
from tts_lang.check.imports import Loader
from tts_lang.check.resolve import new_context
from tts_lang.check.sampling import sampling_parameters
from tts_lang.check.scope import Declared, Role
from tts_lang.check.types import DEFAULT, ScalarType, Typed
from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.expr import REDUCTIONS, Const
from tts_lang.syntax import nodes
from tts_lang.syntax.literals import number_problem, number_value
from tts_lang.syntax.parser import parse_value
from tts_lang.values import LARGEST, is_number

#: Values by parameter: numbers, or texts as on a command line ("64", "10%", "last").
Settings: TypeAlias = Mapping[str, "str | int | float"]


def parameters(
    check: CheckContext, declared: Declared, settings: Settings
) -> dict[str, Parameter] | None:
    """The parameters with given values in place of defaults; `None` after a message."""
    before = len(check.diagnostics)
    context = new_context(check, declared, {})
    written = {parameter.name.text: parameter for parameter in declared.strategy.parameters}
    usual = defaults(check, declared)
    values: dict[str, Parameter] = {}
    sampling = sampling_parameters(declared)
    for name, raw in settings.items():
        value = _plain(raw)
        if value is None:
            context.error(
                "TTS556",
                f"`{name}` is a number or a text, and not {raw!r:.60}",
                declared.strategy.name,
                f"it is of type `{type(raw).__name__}`",
            )
            continue
        if name in sampling:
            values[name] = _sampling(context, name, value)
            continue
        if name not in written:
            takes = ", ".join(f"`{each}`" for each in written) or "no parameters"
            context.error(
                "TTS555",
                f"`{declared.name}` has no parameter `{name}`",
                declared.strategy.name,
                did_you_mean(name, (*written, *sampling)) or f"it has {takes}",
            )
            continue
        setting = _value(context, written[name], usual[name], value)
        if setting is not None:
            values[name] = setting
    for name, parameter in written.items():
        if parameter.default is None and name not in settings:
            context.error(
                "TTS557",
                f"`{name}` of `{declared.name}` needs a value",
                parameter,
                f"give it: `--set {name}=...`",
            )
    if any(each.is_error for each in check.diagnostics[before:]):
        return None
    return defaults(check, declared, values)


def _plain(value: object) -> str | int | float | None:
    """A value as Python's own type, also where it is of NumPy; `None`: no number and no text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else None


def _value(
    context: StrategyContext, parameter: nodes.Parameter, usual: Parameter, value: str | int | float
) -> Parameter | None:
    if isinstance(usual, NameValue):
        return _name(context, parameter, usual, str(value))
    if usual.type is ScalarType.TEXT:
        return Typed(ScalarType.TEXT, Const(str(value)))
    if usual.type is ScalarType.NUMBER and value == UNSET:
        return DEFAULT
    number = _number(value)
    if number is not None and usual.share:
        return _share(context, parameter, number, value)
    if number is not None:
        return number
    if usual.type is ScalarType.UNKNOWN:
        named = _named(context, parameter, str(value))
        if isinstance(named, _Refused):
            return None
        return named if named is not None else Typed(ScalarType.TEXT, Const(str(value)))
    _wrong(context, parameter, value, usual)
    return None


def _sampling(context: StrategyContext, name: str, value: str | int | float) -> Parameter:
    """The value of a sampling parameter: a number, or `default`."""
    number = DEFAULT if value == UNSET else _number(value)
    if number is None:
        context.error(
            "TTS556",
            f"`{name}` is a number, and not `{_shown(value)}`",
            context.strategy.name,
            f"`{name}=0.8`, or `{name}={UNSET}` for that of the binding",
        )
    return number or DEFAULT


def _share(
    context: StrategyContext, parameter: nodes.Parameter, number: Typed, value: str | int | float
) -> Parameter | None:
    """A percentage: `10%`, or the fraction 0.1."""
    inner = number.expr.value if isinstance(number.expr, Const) else None
    if isinstance(inner, int | float) and 0 <= inner <= 1:
        return Typed(ScalarType.NUMBER, number.expr, share=True)
    context.error(
        "TTS556",
        f"`{parameter.name.text}` is a percentage, between 0% and 100%, and not {_shown(value)}",
        parameter,
        f"`--set {parameter.name.text}={_shown(value)}%`",
    )
    return None


def _number(value: str | int | float) -> Typed | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Typed(ScalarType.NUMBER, Const(value)) if is_number(value) else None
    literal = value.strip()
    sign = -1 if literal.startswith("-") else 1
    literal = literal.lstrip("+-") if literal[:2].strip("+-") else ""
    if number_problem(literal) != (None, None):
        return None
    share = literal.endswith("%")
    number = sign * number_value(literal)
    return Typed(ScalarType.NUMBER, Const(number / 100 if share else number), share)


def _named(
    context: StrategyContext, parameter: nodes.Parameter, value: str
) -> NameValue | _Refused | None:
    """The name that a value is, perhaps with arguments: `beam_search(width=8)` (C71).

    Names are those of the strategy's file, then those of shipped strategies.
    """
    name, opens, _ = value.partition("(")
    name = name.strip()
    if not name.isidentifier() or name in context.parameters or "\n" in value:
        return None
    scope = context.scope
    if name not in scope.names and name in library.names():
        loaded = Loader().path(library.names()[name])
        scope = replace(scope, names={**scope.names, name: loaded.names[name]})
    before = len(context.check.diagnostics)
    if not opens:
        home = replace(context, scope=scope)
        setting = argument_value(home, nodes.Name(name))
        del context.check.diagnostics[before:]
        return setting if isinstance(setting, NameValue) else None
    setting_name = parameter.name.text
    expression, parsed = parse_value(setting_name, value, f"--set {setting_name}")
    if expression is None:
        if name not in scope.names or parsed.ok:
            return None
        context.check.diagnostics += parsed.diagnostics
        return _Refused()
    home = replace(context, scope=replace(scope, source=parsed.source))
    setting = argument_value(home, expression)
    if any(each.is_error for each in context.check.diagnostics[before:]):
        return _Refused()
    return setting if isinstance(setting, NameValue) else None


class _Refused:
    """A value is wrong, and the error has been reported."""


def _name(
    context: StrategyContext, parameter: nodes.Parameter, usual: NameValue, value: str
) -> NameValue | None:
    setting = _named(context, parameter, value)
    if isinstance(setting, NameValue) and setting.role is usual.role:
        return setting
    if not isinstance(setting, _Refused):
        _wrong(context, parameter, value, usual)
    return None


def _shown(value: str | int | float) -> str:
    """A value as written, cut if it is long."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return "a number of more than 308 digits"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _wrong(
    context: StrategyContext, parameter: nodes.Parameter, value: str | int | float, usual: Parameter
) -> None:
    close = None
    if isinstance(usual, NameValue):
        options = [*context.scope.of_role([usual.role]), *REDUCTIONS]
        if usual.role is Role.STRATEGY:
            options += library.names()
        close = did_you_mean(str(value).partition("(")[0], options)
        if close is None and usual.role is Role.REDUCTION:
            close = f"it is one of {', '.join(REDUCTIONS)}"
    context.error(
        "TTS556",
        f"`{parameter.name.text}` is {sort_name(usual)}, and not `{_shown(value)}`",
        parameter,
        close,
    )
