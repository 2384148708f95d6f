"""Literals, names, operators: scalar expressions."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.columns import column, is_column_name
from tts_lang.check.context import Fixed, NameValue, PoolValue, Scalar, StrategyContext, Unset
from tts_lang.check.dispatch import Site, scalar_rule
from tts_lang.check.resolve import unknown, unset
from tts_lang.check.scope import ROLE_WORDS, Role
from tts_lang.check.types import DEFAULT, POISON, WORDS, ScalarType, Typed
from tts_lang.check.values import expect, not_a_scalar, scalar
from tts_lang.diagnostics import suggest
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import Column, Const, Delimiter
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import Operator


@scalar_rule(nodes.Number)
def _number(context: StrategyContext, node: nodes.Number, site: Site) -> Typed:
    del context, site
    return Typed(ScalarType.NUMBER, Const(node.fraction), node.kind is nodes.NumberKind.PERCENT)


@scalar_rule(nodes.Text)
def _text(context: StrategyContext, node: nodes.Text, site: Site) -> Typed:
    del context, site
    return Typed(ScalarType.TEXT, Const(node.value))


@scalar_rule(nodes.Name)
def _name(context: StrategyContext, node: nodes.Name, site: Site) -> Typed:
    name = node.text
    parameter = context.parameters.get(name)
    if isinstance(parameter, Typed):
        return parameter
    binding = context.env.get(name)
    if isinstance(binding, Fixed):
        return binding.typed
    if isinstance(binding, Scalar):
        return site.inputs.read(binding)
    if isinstance(binding, PoolValue) or name in builtins.POOLS:
        not_a_scalar(context, node)
        return POISON
    if isinstance(binding, Unset):
        unset(context, node, binding)
        return POISON
    if name == builtins.UNSET:
        return DEFAULT
    if name in builtins.DELIMITERS:
        if name == "end_of_thought":
            context.thinks = True
        return Typed(ScalarType.TEXT, Delimiter(name, context.default_policy))
    if is_column_name(context, name):
        return column(context, node, site)
    declared = context.scope.names.get(name)
    role = declared.role if declared else None
    if isinstance(parameter, NameValue):
        role = parameter.role
    if role is not None:
        _not_a_value(context, node, ROLE_WORDS[role], role)
    elif name in builtins.FUNCTIONS:
        _not_a_value(context, node, "a function", None)
    else:
        columns = tuple(site.row.columns or ()) if site.row else ()
        unknown(context, node, columns, in_row=site.row is not None)
    return POISON


def _not_a_value(
    context: StrategyContext, node: nodes.Name, actual: str, role: Role | None
) -> None:
    if node.text in context.reported:
        return
    help_ = None
    if role is Role.STRATEGY:
        help_ = f"call it: `{node.text}(...)` gives a pool"
    if role is None:
        help_ = f"call it: `{node.text}(...)`"
    context.error("TTS206", f"a value is needed here, and `{node.text}` is {actual}", node, help_)


@scalar_rule(nodes.UnaryExpression)
def _unary(context: StrategyContext, node: nodes.UnaryExpression, site: Site) -> Typed:
    negate = node.operator is nodes.UnaryOperator.NEGATE
    expected = ScalarType.NUMBER if negate else ScalarType.FLAG
    operand = expect(context, scalar(context, node.operand, site), expected, node.operand)
    if operand.type is ScalarType.UNKNOWN:
        return POISON
    return Typed(expected, fold("neg" if negate else "not", operand.expr))


_LOGIC = {Operator.AND, Operator.OR}
_EQUALITY = {Operator.EQUAL, Operator.UNEQUAL}
_ORDER = {Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL}
_TESTS = {Operator.ENDS_WITH, Operator.CONTAINS}


@scalar_rule(nodes.BinaryExpression)
def _binary(context: StrategyContext, node: nodes.BinaryExpression, site: Site) -> Typed:
    left, right = scalar(context, node.left, site), scalar(context, node.right, site)
    operator = node.operator
    if operator in _EQUALITY:
        return _equality(context, node, left, right)
    if operator is Operator.ADD and ScalarType.TEXT in (left.type, right.type):
        expected, result = ScalarType.TEXT, ScalarType.TEXT
    elif operator in _LOGIC:
        expected, result = ScalarType.FLAG, ScalarType.FLAG
    elif (operator in _ORDER and left.type is right.type is ScalarType.TEXT) or operator in _TESTS:
        expected, result = ScalarType.TEXT, ScalarType.FLAG
    else:
        expected, result = (
            ScalarType.NUMBER,
            ScalarType.FLAG if operator in _ORDER else ScalarType.NUMBER,
        )
    left = expect(context, left, expected, node.left)
    right = expect(context, right, expected, node.right)
    if ScalarType.UNKNOWN in (left.type, right.type):
        return POISON
    return Typed(result, fold(operator.value, left.expr, right.expr))


def _equality(
    context: StrategyContext, node: nodes.BinaryExpression, left: Typed, right: Typed
) -> Typed:
    if left.type is ScalarType.STEPS:
        left = expect(context, left, ScalarType.NUMBER, node.left)
    if right.type is ScalarType.STEPS:
        right = expect(context, right, ScalarType.NUMBER, node.right)
    if ScalarType.UNKNOWN in (left.type, right.type):
        return POISON
    if left.type is not right.type:
        context.error(
            "TTS206",
            f"{WORDS[left.type]} and {WORDS[right.type]} are never equal",
            node,
            'texts such as answers are compared with texts: `answer == "42"`'
            if ScalarType.TEXT in (left.type, right.type)
            else None,
        )
        return POISON
    for side, other, place in ((left, right, node.right), (right, left, node.left)):
        if side.expr == Column("finish") and isinstance(other.expr, Const):
            _known_finish(context, str(other.expr.value), place)
    return Typed(ScalarType.FLAG, fold(node.operator.value, left.expr, right.expr))


def _known_finish(context: StrategyContext, value: str, node: nodes.Expression) -> None:
    if value in builtins.FINISHES:
        return
    close = suggest(value, builtins.FINISHES)
    context.error(
        "TTS211",
        f'`finish` is never "{value}"',
        node,
        f'did you mean "{close}"?' if close else None,
        expected=tuple(f'"{each}"' for each in builtins.FINISHES),
    )


@scalar_rule(nodes.ConditionalExpression)
def _conditional(context: StrategyContext, node: nodes.ConditionalExpression, site: Site) -> Typed:
    condition = expect(
        context, scalar(context, node.condition, site), ScalarType.FLAG, node.condition
    )
    then, otherwise = scalar(context, node.then, site), scalar(context, node.otherwise, site)
    if then.type is ScalarType.STEPS:
        then = expect(context, then, ScalarType.NUMBER, node.then)
    if ScalarType.UNKNOWN in (condition.type, then.type, otherwise.type):
        return POISON
    otherwise = expect(context, otherwise, then.type, node.otherwise)
    if otherwise.type is ScalarType.UNKNOWN:
        return POISON
    return Typed(then.type, fold("if", condition.expr, then.expr, otherwise.expr))
