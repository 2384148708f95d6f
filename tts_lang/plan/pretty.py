"""Expressions and operations in the language's own notation.

One wording for the text form of plans, for EXPLAIN and for drawings. Inputs are shown under names
that the caller chooses: `%3` in the text form, the strategy's own variables elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeAlias, TypeVar

from tts_lang.plan import expr, graph
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.operator import entry, fill

Result = TypeVar("Result")
#: A text and how tightly it binds, loosest first (the language's precedence).
_Bound: TypeAlias = tuple[str, int]

_CONDITIONAL, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _NEGATIVE, _POWER, _ATOM = range(10)

_INFIX = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "ends with", "contains"), _COMPARISON),
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "**": _POWER,
}
_RENAMED = {"least": "min", "greatest": "max"}


def fold(expression: Expr, combine: Callable[[Expr, list[Result]], Result]) -> Result:
    """Computes bottom-up: `combine(node, results of its children in order)`.

    Without recursion, because a sum of a thousand terms is a thousand levels deep.
    """
    results: list[Result] = []
    for node in reversed(list(expr.walk(expression))):
        parts = [results.pop() for _ in expr.children(node)]
        results.append(combine(node, parts))
    return results[-1]


def expression(value: Expr, names: Sequence[str]) -> str:
    """The expression as the language writes it; `names[i]` stands for `Input(i)` and pool `i`."""
    return fold(value, lambda node, parts: _expression(node, parts, names))[0]


def constant(value: expr.Scalar) -> str:
    """A literal as the language writes it (`missing` and flags have no literal there)."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _fence(part: _Bound, at_least: int) -> str:
    text, level = part
    return text if level >= at_least else f"({text})"


def _expression(node: Expr, parts: list[_Bound], names: Sequence[str]) -> _Bound:
    match node:
        case expr.Const(value):
            negative = isinstance(value, int | float) and not isinstance(value, bool) and value < 0
            return constant(value), _NEGATIVE if negative else _ATOM
        case expr.Input(index):
            return names[index], _ATOM
        case expr.Delimiter(name, policy):
            return name if policy == "policy" else f"{name} of {policy}", _ATOM
        case expr.Column(name):
            return name, _ATOM
        case expr.Reduce(how, column):
            texts = [text for text, _ in parts]
            if node.taken is not None:
                column = f"take({column}, {texts.pop()})"
            return f"{how}({', '.join([column, *texts])})", _ATOM
        case expr.JudgeWords(column):
            return f"{column}.words", _ATOM
        case expr.Apply(function):
            return _apply(function, parts)
        case expr.Aggregate():
            return _aggregate(node, [text for text, _ in parts], names)
        case expr.PoolWide(how):
            of, *heat = (text for text, _ in parts)
            group = f" per {node.per}" if node.per is not None else ""
            return f"{how}({', '.join([of + group, *heat])})", _ATOM
        case expr.Random(how):
            return f"{how}({', '.join(text for text, _ in parts)})", _ATOM
        case expr.Statistic():
            return _statistic(node, [text for text, _ in parts]), _ATOM


def _apply(function: str, parts: list[_Bound]) -> _Bound:
    if function == "if":
        condition, then, otherwise = parts
        inner = _CONDITIONAL + 1
        return (
            f"{_fence(then, inner)} if {_fence(condition, inner)} else "
            f"{_fence(otherwise, _CONDITIONAL)}",
            _CONDITIONAL,
        )
    if function == "not":
        return f"not {_fence(parts[0], _NOT)}", _NOT
    if function == "neg":
        return f"-{_fence(parts[0], _NEGATIVE + 1)}", _NEGATIVE
    level = _INFIX.get(function)
    if level is None:
        arguments = ", ".join(text for text, _ in parts)
        return f"{_RENAMED.get(function, function)}({arguments})", _ATOM
    # Comparisons do not chain, power groups to the right, everything else to the left.
    left = level + 1 if function == "**" or level == _COMPARISON else level
    right = level if function == "**" else level + 1
    return f"{_fence(parts[0], left)} {function} {_fence(parts[1], right)}", level


def _aggregate(node: expr.Aggregate, parts: list[str], names: Sequence[str]) -> _Bound:
    pool = names[node.pool]
    if node.how in ("all done", "any done"):
        return f"{node.how.split()[0]} {pool} done", _COMPARISON
    rest = iter(parts)
    inside = f"{next(rest)} of {pool}" if node.of is not None else pool
    if node.below:
        inside += " below"
    if node.on != "answer":
        inside += f" on {node.on}"
    if node.weight is not None:
        inside += f" weighted by {next(rest)}"
    if node.per is not None:
        inside += f" per {node.per}"
    if node.quantile is not None:
        inside += f", {next(rest)}"
    return f"{node.how}({inside})", _ATOM


def _statistic(node: expr.Statistic, parts: list[str]) -> str:
    rest = iter(parts)
    inside = node.span
    if node.window is not None:
        inside += f" {next(rest)}"
    if node.share is not None:
        inside += f" share {next(rest)}"
    return f"{node.how}({inside})"


def amount(value: graph.Amount, names: Sequence[str], *, brief: bool = False) -> str:
    """`4 steps`, `1 x 3 steps`, `8 x 256 tokens`; `brief`: `1 step`."""
    count, unit = expression(value.count, names), value.unit.value
    unit = unit.removesuffix("s") if brief and count == "1" else unit
    length = "" if value.length is None else f" x {expression(value.length, names)}"
    return f"{count}{length} {unit}"


def decoding(value: graph.Decoding, names: Sequence[str], *, brief: bool = False) -> str:
    """Decoding clauses, each with a space before it; `brief` leaves out `from policy`."""
    clauses: list[str] = []
    for word, setting, unit in (
        ("at temperature", value.temperature, ""),
        ("top_p", value.top_p, ""),
        ("top_k", value.top_k, ""),
        ("min_p", value.min_p, ""),
        ("at least", value.at_least, " tokens"),
        ("max", value.max_tokens, " tokens"),
        ("within", value.within, " tokens"),
        ("stop at", value.stop_at, ""),
        ("stop when", value.stop_when, ""),
        ("end when", value.end_when, ""),
    ):
        if setting is not None:
            text = expression(setting, names)
            clauses.append(f" {word} {text}{unit if text != '1' else unit.removesuffix('s')}")
    if value.matching:
        clauses.append(f" matching {expression(Const(value.matching), names)}")
    for word, texts in (("one of", value.one_of), ("avoiding", value.avoiding)):
        if texts:
            listed = ", ".join(expression(Const(text), names) for text in texts)
            clauses.append(f" {word} {listed}")
    if value.avoided_by is not None:
        clauses.append(f" by {expression(value.avoided_by, names)}")
    if value.likeliest:
        clauses.append(" likeliest")
    if not brief or value.policy != "policy":
        clauses.append(f" from {value.policy}")
    return "".join(clauses)


def operation(done: graph.Operation, names: Sequence[str], *, brief: bool = False) -> str:
    """The text of an operation, without its outputs and regions.

    Args:
        done: The operation.
        names: A name for each of its inputs.
        brief: For people: `1 step`, and the default policy is not mentioned.
    """
    spec = done.spec
    values: dict[str, Any] = {field.name: getattr(spec, field.name) for field in fields(spec)}

    def shown(place: str) -> str:
        if place.isdecimal():
            return names[int(place)] if int(place) < len(names) else ""
        match values[place]:
            case graph.Amount() as value:
                return amount(value, names, brief=brief)
            case graph.Decoding() as value:
                return decoding(value, names, brief=brief)
            case graph.Unit(value=text):
                return str(text)
            case tuple() as pairs:
                return _arguments(pairs, names)
            case str() | int() as plain:
                return str(plain)
            case value:
                return expression(value, names)

    def present(name: str) -> bool:
        return bool(values[name] != _default(type(spec), name))

    return fill(entry(spec).text(spec, brief=brief), present, shown)


def _arguments(pairs: Sequence[tuple[str, Expr | int]], names: Sequence[str]) -> str:
    """`(name = value)`, where a whole number stands for an input; nothing without arguments."""
    listed = ", ".join(
        f"{name} = {names[value] if isinstance(value, int) else expression(value, names)}"
        for name, value in pairs
    )
    return f"({listed})" if listed else ""


def _default(spec: type[Any], name: str) -> Any:
    return next(field.default for field in fields(spec) if field.name == name)
