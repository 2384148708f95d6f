"""Expressions and operations in the language's own notation.

One wording for the text form of plans, for EXPLAIN and for drawings. Inputs are shown under names
that the caller chooses: `%3` in the text form, the strategy's own variables elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from tts_lang.plan import expr, graph
from tts_lang.plan.expr import Expr

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
        taken = [results.pop() for _ in expr.children(node)]
        results.append(combine(node, taken))
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
            return f"{how}({column})", _ATOM
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


def amount(value: graph.Amount, names: Sequence[str]) -> str:
    """`4 steps`, `1 x 3 steps`, `8 x 256 tokens`."""
    count = expression(value.count, names)
    if value.length is not None:
        count += f" x {expression(value.length, names)}"
    return f"{count} {value.unit.value}"


def children(value: graph.Amount, names: Sequence[str]) -> str:
    """The same with its number: `1 step`."""
    count, unit = expression(value.count, names), value.unit.value
    if value.length is not None:
        count += f" x {expression(value.length, names)}"
    return f"{count} {unit.removesuffix('s') if count == '1' else unit}"


def clauses(decoding: graph.Decoding, names: Sequence[str], *, brief: bool = False) -> str:
    """The decoding clauses, each with a space before it; `brief` leaves out `from policy`."""
    said: list[str] = []
    for word, value, unit in (
        ("at temperature", decoding.temperature, ""),
        ("top_p", decoding.top_p, ""),
        ("top_k", decoding.top_k, ""),
        ("min_p", decoding.min_p, ""),
        ("at least", decoding.at_least, " tokens"),
        ("max", decoding.max_tokens, " tokens"),
        ("within", decoding.within, " tokens"),
        ("stop at", decoding.stop_at, ""),
        ("stop when", decoding.stop_when, ""),
        ("end when", decoding.end_when, ""),
    ):
        if value is not None:
            text = expression(value, names)
            said.append(f" {word} {text}{unit if text != '1' else unit.removesuffix('s')}")
    if decoding.likeliest:
        said.append(" likeliest")
    if not brief or decoding.policy != "policy":
        said.append(f" from {decoding.policy}")
    return "".join(said)


def operation(done: graph.Operation, names: Sequence[str], *, brief: bool = False) -> str:
    """What an operation does, without its outputs and regions.

    Args:
        done: The operation.
        names: A name for each of its inputs.
        brief: For people: `1 step`, and the default policy is not mentioned.
    """
    spec = done.spec

    def say(value: Expr) -> str:
        return expression(value, names)

    def per(key: str | None) -> str:
        return f" per {key}" if key is not None else ""

    first = names[0] if names else ""
    say_amount = children if brief else amount
    match spec:
        case graph.Empty():
            return "none"
        case graph.Compute(value):
            return say(value)
        case graph.Expand():
            weight = f" weighted by {say(spec.weight)}" if spec.weight is not None else ""
            weight += " rounding up" if spec.rounding_up else ""
            how = f"{'to' if spec.deal else 'by'} {say_amount(spec.amount, names)}{weight}"
            how += per(spec.per)
            return f"expand {first} {how}{clauses(spec.decoding, names, brief=brief)}"
        case graph.Fork(count):
            return f"fork {first} into {say(count)}"
        case graph.Score():
            given = ", ".join(f"{name} = {say(value)}" for name, value in spec.arguments)
            text = f"score {first} by {spec.scorer}" + (f"({given})" if given else "")
            text += f" times {say(spec.times)}" if spec.times is not None else ""
            text += f" looking ahead {say(spec.ahead)} steps" if spec.ahead is not None else ""
            return text + per(spec.per)
        case graph.Let(name, value):
            return f"let {name} of {first} = {say(value)}"
        case graph.Force(text):
            return f"force {say(text)} into {first}"
        case graph.Ask():
            given = ", ".join(
                f"{name} = {names[value] if isinstance(value, int) else say(value)}"
                for name, value in spec.arguments
            )
            text = f"ask {spec.prompt}" + (f"({given})" if given else "") + f" about {first}"
            text += " together" if spec.together else ""
            text += f"{per(spec.per)} by {say_amount(spec.amount, names)}"
            return text + clauses(spec.decoding, names, brief=brief)
        case graph.Where(condition):
            return f"{first} where {say(condition)}"
        case graph.Select():
            return (
                f"select top {_how_many(spec, names)} of {first} by {say(spec.by)}{per(spec.per)}"
            )
        case graph.First(count, key):
            return f"first {say(count)} of {first}{per(key)}"
        case graph.Sort(by, key):
            return f"sort {first} by {say(by)}{per(key)}"
        case graph.Vote():
            on = f" on {spec.on}" if spec.on != "answer" else ""
            weight = f" weighted by {say(spec.weight)}" if spec.weight is not None else ""
            return f"vote {first}{on}{weight}{per(spec.per)}"
        case graph.Resample():
            return f"resample {first} to {say(spec.count)} by {say(spec.by)}{per(spec.per)}"
        case graph.Descend():
            text = f"descend {first} by {say(spec.by)}"
            text += f" times {say(spec.times)}" if spec.times is not None else ""
            return text + (f" staying by {say(spec.staying)}" if spec.staying is not None else "")
        case graph.Backup(by):
            return f"backup {first} from {names[1]} by {say(by)}"
        case graph.Leaves():
            return f"leaves({first})"
        case graph.Dedupe(key, group):
            return f"dedupe {first}" + (f" by {key}" if key != "text" else "") + per(group)
        case graph.Union():
            return f"{first} + {names[1]}"
        case graph.Difference():
            return f"{first} - {names[1]}"
        case graph.Cut(length, unit):
            return f"cut {first} to {say(length)} {unit.value}"
        case graph.Split(at, most):
            return f"split {first} at {say(at)}" + (
                f" at most {say(most)}" if most is not None else ""
            )
        case graph.Call():
            text = f"fresh {spec.strategy}(...)" if spec.fresh else f"{spec.strategy}(...)"
            return f"{text} on {first}" if spec.on_rows else text
        case graph.Repeat(trips):
            rounds = "1 round" if trips == 1 else f"{trips} rounds"
            return f"repeat at most {rounds}" if brief else f"repeat {trips}"
        case graph.Branch():
            return f"if {first}"


def _how_many(spec: graph.Select, names: Sequence[str]) -> str:
    if spec.share is None:
        return expression(spec.count, names) if spec.count is not None else "1"
    if isinstance(spec.share, expr.Const) and isinstance(spec.share.value, int | float):
        return f"{100 * spec.share.value:g}%"
    return f"share {expression(spec.share, names)}"
