"""Expressions to canonical text, with the parentheses that precedence asks for and no others."""

from __future__ import annotations

from enum import IntEnum

from tts_lang.plan.operator import fill
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.syntax import nodes
from tts_lang.syntax.literals import string_literal
from tts_lang.syntax.nodes import ClauseKind, Number, NumberKind, Operator, TokenRange, Unit


class _Level(IntEnum):
    """Precedence of expressions, loosest first, as in the grammar."""

    PHRASE = 0
    WHERE = 1
    VALUE = 2
    OR = 3
    AND = 4
    NOT = 5
    COMPARISON = 6
    SUM = 7
    TERM = 8
    FACTOR = 9
    ATOM = 10


_BINARY_LEVELS = {
    Operator.OR: _Level.OR,
    Operator.AND: _Level.AND,
    Operator.ADD: _Level.SUM,
    Operator.SUBTRACT: _Level.SUM,
    Operator.MULTIPLY: _Level.TERM,
    Operator.DIVIDE: _Level.TERM,
    Operator.POWER: _Level.FACTOR,
}


def print_expression(expression: nodes.SyntaxNode, *, phrase: bool = False) -> str:
    """The text of an expression; `phrase`: where a verb phrase needs no parentheses."""
    return _at(expression, _Level.PHRASE if phrase else _Level.WHERE)


def _at(expression: nodes.SyntaxNode, least: _Level) -> str:
    level, text = _show(expression)
    return text if level >= least else f"({text})"


def _show(expression: nodes.SyntaxNode) -> tuple[_Level, str]:
    match expression:
        case nodes.Name(text):
            return _Level.ATOM, text
        case nodes.Number():
            return _Level.ATOM, _number(expression)
        case nodes.Text(value):
            return _Level.ATOM, string_literal(value)
        case nodes.CallExpression(function, arguments, fresh):
            word = "fresh " if fresh else ""
            return _Level.ATOM, f"{word}{function.text}({_arguments(arguments)})"
        case nodes.AggregateExpression():
            return _Level.ATOM, _aggregate(expression)
        case nodes.UnaryExpression(nodes.UnaryOperator.NOT, operand):
            return _Level.NOT, f"not {_at(operand, _Level.NOT)}"
        case nodes.UnaryExpression(_, operand):
            return _Level.FACTOR, f"-{_at(operand, _Level.FACTOR)}"
        case nodes.BinaryExpression():
            return _binary(expression)
        case nodes.ConditionalExpression(condition, then, otherwise):
            shown = (_at(then, _Level.OR), _at(condition, _Level.OR), _at(otherwise, _Level.VALUE))
            return _Level.VALUE, "{} if {} else {}".format(*shown)
        case nodes.QuantifiedExpression(every, pool):
            word = "all" if every else "any"
            return _Level.COMPARISON, f"{word} {_at(pool, _Level.ATOM)} done"
        case nodes.WhereExpression(pool, condition):
            shown_pool = _at(pool, _Level.ATOM)
            return _Level.WHERE, f"{shown_pool} where {_at(condition, _Level.VALUE)}"
        case nodes.InTurn(keys):
            return _Level.ATOM, f"({', '.join(_at(key, _Level.WHERE) for key in keys)})"
        case nodes.TokenSpan():
            return _Level.PHRASE, _token_span(expression)
        case _:
            return _Level.PHRASE, _phrase(expression)


def _number(number: Number) -> str:
    if number.literal:
        return number.literal
    value = repr(number.value)
    if number.kind is NumberKind.FLOAT and not set(value) & set(".e"):
        value += ".0"
    return value + ("%" if number.kind is NumberKind.PERCENT else "")


def _binary(node: nodes.BinaryExpression) -> tuple[_Level, str]:
    level = _BINARY_LEVELS.get(node.operator, _Level.COMPARISON)
    if node.operator is Operator.POWER:
        sides = _at(node.left, _Level.ATOM), _at(node.right, _Level.FACTOR)
    elif level is _Level.COMPARISON:  # comparisons do not chain
        sides = _at(node.left, _Level.SUM), _at(node.right, _Level.SUM)
    else:
        sides = _at(node.left, level), _at(node.right, _Level(level + 1))
    return level, f"{sides[0]} {node.operator.value} {sides[1]}"


# ------------------------------------------------------------------------------ calls


def _arguments(arguments: tuple[nodes.Argument, ...]) -> str:
    return ", ".join(map(_argument, arguments))


def _argument(argument: nodes.Argument) -> str:
    if isinstance(argument.value, nodes.TokenSpan):
        return _token_span(argument.value)
    value = print_expression(argument.value)
    return value if argument.name is None else f"{argument.name.text} = {value}"


def print_optional_arguments(arguments: tuple[nodes.Argument, ...]) -> str:
    """`(arguments)`, or nothing."""
    return f"({_arguments(arguments)})" if arguments else ""


def print_parameters(parameters: tuple[nodes.Parameter, ...]) -> str:
    """The parameters of a header, without the parentheses."""
    return ", ".join(
        p.name.text if p.default is None else f"{p.name.text} = {print_expression(p.default)}"
        for p in parameters
    )


def _token_span(span: nodes.TokenSpan) -> str:
    text = span.range.value
    if span.width is not None and span.range in {TokenRange.TAIL, TokenRange.LOWEST}:
        text += f" {print_expression(span.width)}"
    if span.share is not None:
        text += f" share {print_expression(span.share)}"
    return text


def _aggregate(node: nodes.AggregateExpression) -> str:
    parts = [print_expression(part) for part in (node.value, node.pool) if part is not None]
    head = " of ".join(parts)
    if node.below:
        head += " below"
    if node.on is not None:
        head += f" on {node.on.text}"
    if node.weight is not None:
        head += f" weighted by {print_expression(node.weight)}"
    if node.per is not None:
        head += f" per {node.per.text}"
    return f"{node.function.text}({', '.join([head, *map(_argument, node.arguments)])})"


# ------------------------------------------------------------------------------ phrases


def _count_of(unit: Unit | None, number: nodes.Expression) -> str:
    if unit is None:
        return ""
    one = isinstance(number, Number) and number.value == 1
    return " " + (unit.value.removesuffix("s") if one else unit.value)


def _amount(amount: nodes.AmountPhrase) -> str:
    count = print_expression(amount.count)
    if amount.length is None:
        return count + _count_of(amount.unit, amount.count)
    length = print_expression(amount.length)
    return f"{count} x {length}{_count_of(amount.unit, amount.length)}"


def print_clauses(clauses: tuple[nodes.Clause, ...]) -> str:
    """Decoding clauses, each with a space before it."""
    return "".join(f" {_clause(clause)}" for clause in clauses)


def _clause(clause: nodes.Clause) -> str:
    words = ", ".join(map(print_expression, clause.words))
    if clause.value is None:
        return f"{clause.kind.value} {words}".rstrip()
    if words:
        return f"{clause.kind.value} {words} by {print_expression(clause.value)}"
    text = f"{clause.kind.value} {print_expression(clause.value)}"
    if clause.kind in {ClauseKind.MAX, ClauseKind.WITHIN, ClauseKind.AT_LEAST}:
        text += _count_of(Unit.TOKENS, clause.value)
    return text


def _per(name: nodes.Name | None, word: str = "per") -> str:
    return "" if name is None else f" {word} {name.text}"


def _optional(word: str, value: nodes.Expression | None) -> str:
    return "" if value is None else f" {word} {print_expression(value)}"


def _phrase(node: nodes.SyntaxNode) -> str:
    show = print_expression
    match node:
        case nodes.SamplePhrase(amount, clauses):
            return f"sample {_amount(amount)}{print_clauses(clauses)}"
        case nodes.ExpandPhrase(pool, dealing, amount, weight, rounding_up, per, clauses):
            weighted = _optional("weighted by", weight) + (" rounding up" if rounding_up else "")
            tail = f"{weighted}{_per(per)}{print_clauses(clauses)}"
            return f"expand {show(pool)} {dealing.value} {_amount(amount)}{tail}"
        case nodes.SelectPhrase(count, pool, by, per):
            return f"select top {show(count)} of {show(pool)} by {show(by)}{_per(per)}"
        case nodes.BestPhrase(pool, by, per):
            return f"best of {show(pool)} by {show(by)}{_per(per)}"
        case nodes.FirstPhrase(count, pool, per):
            return f"first{_first_count(count)} of {show(pool)}{_per(per)}"
        case nodes.AskPhrase(prompt, arguments, pool, together, per, amount, clauses, history):
            listed = print_optional_arguments(arguments)
            shared = (" together" if together else "") + _per(per)
            shared += " with history" if history else ""
            number = "" if amount is None else f" by {_amount(amount)}"
            about = f"{prompt.text}{listed} about {show(pool)}"
            return f"ask {about}{shared}{number}{print_clauses(clauses)}"
        case nodes.PoolVerbPhrase():
            return _pool_verb(node)
        case nodes.CallOnPhrase(call, pool):
            return f"{show(call)} on {show(pool)}"
        case _:
            raise ValueError(f"a {type(node).__name__} has no text")


def _pool_verb(node: nodes.PoolVerbPhrase) -> str:
    values = {clause.field: clause.value for clause in node.clauses}

    def shown(place: str) -> str:
        value = node.pool if place == "0" else values[place]
        if not isinstance(value, Unit):
            return print_expression(value)
        length = values.get("length")
        one = isinstance(length, Number) and length.value == 1
        return value.value.removesuffix("s") if one else value.value

    return fill(str(POOL_VERBS[node.verb].form), values.__contains__, shown)


def _first_count(count: nodes.Expression | None) -> str:
    if count is None:
        return ""
    # `first ends ...` would read on as `first ends with ...`.
    named = (
        count.function
        if isinstance(count, nodes.CallExpression | nodes.AggregateExpression)
        else count
    )
    bare = isinstance(count, Number) or (
        isinstance(named, nodes.Name) and named.text not in {"ends", "contains"}
    )
    return f" {print_expression(count)}" if bare else f" ({print_expression(count)})"
