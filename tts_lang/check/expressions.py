"""Literals, names, operators: scalar expressions."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.columns import column, is_column_name
from tts_lang.check.constants import fold
from tts_lang.check.dispatch import Site, scalar_rule
from tts_lang.check.frame import Fixed, Frame, NameValue, Pool, Scalar, Unset
from tts_lang.check.kinds import POISON, WORDS, Sort, Typed
from tts_lang.check.resolve import unknown, unset
from tts_lang.check.scope import ROLE_WORDS, Role
from tts_lang.check.values import expect, not_a_scalar, scalar
from tts_lang.diagnostics import suggest
from tts_lang.plan.expr import Column, Const, Delimiter
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import Operator


@scalar_rule(nodes.Number)
def _number(frame: Frame, node: nodes.Number, site: Site) -> Typed:
    del frame, site
    return Typed(Sort.NUMBER, Const(node.fraction), node.kind is nodes.NumberKind.PERCENT)


@scalar_rule(nodes.Text)
def _text(frame: Frame, node: nodes.Text, site: Site) -> Typed:
    del frame, site
    return Typed(Sort.TEXT, Const(node.value))


@scalar_rule(nodes.Name)
def _name(frame: Frame, node: nodes.Name, site: Site) -> Typed:
    name = node.text
    given = frame.parameters.get(name)
    if isinstance(given, Typed):
        return given
    binding = frame.env.get(name)
    if isinstance(binding, Fixed):
        return binding.typed
    if isinstance(binding, Scalar):
        return site.inputs.read(binding)
    if isinstance(binding, Pool) or name in builtins.POOLS:
        not_a_scalar(frame, node)
        return POISON
    if isinstance(binding, Unset):
        unset(frame, node, binding)
        return POISON
    if name in builtins.DELIMITERS:
        if name == "end_of_thought":
            frame.thinks = True
        return Typed(Sort.TEXT, Delimiter(name, frame.default_policy))
    if is_column_name(frame, name):
        return column(frame, node, site)
    declared = frame.scope.names.get(name)
    role = given.role if isinstance(given, NameValue) else declared.role if declared else None
    if role is not None:
        _not_a_value(frame, node, ROLE_WORDS[role], role)
    elif name in builtins.FUNCTIONS:
        _not_a_value(frame, node, "a function", None)
    else:
        columns = tuple(site.row.columns or ()) if site.row else ()
        unknown(frame, node, columns, in_row=site.row is not None)
    return POISON


def _not_a_value(frame: Frame, node: nodes.Name, actual: str, role: Role | None) -> None:
    if node.text in frame.reported:
        return
    help_ = None
    if role is Role.STRATEGY:
        help_ = f"call it: `{node.text}(...)` gives a pool"
    if role is None:
        help_ = f"call it: `{node.text}(...)`"
    frame.error("TTS206", f"a value is needed here, and `{node.text}` is {actual}", node, help_)


@scalar_rule(nodes.Unary)
def _unary(frame: Frame, node: nodes.Unary, site: Site) -> Typed:
    negate = node.operator is nodes.UnaryOperator.NEGATE
    wanted = Sort.NUMBER if negate else Sort.FLAG
    operand = expect(frame, scalar(frame, node.operand, site), wanted, node.operand)
    if operand.sort is Sort.UNKNOWN:
        return POISON
    return Typed(wanted, fold("neg" if negate else "not", operand.expr))


_LOGIC = {Operator.AND, Operator.OR}
_EQUALITY = {Operator.EQUAL, Operator.UNEQUAL}
_ORDER = {Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL}
_TESTS = {Operator.ENDS_WITH, Operator.CONTAINS}


@scalar_rule(nodes.Binary)
def _binary(frame: Frame, node: nodes.Binary, site: Site) -> Typed:
    left, right = scalar(frame, node.left, site), scalar(frame, node.right, site)
    operator = node.operator
    if operator in _EQUALITY:
        return _equality(frame, node, left, right)
    if operator is Operator.ADD and Sort.TEXT in (left.sort, right.sort):
        wanted, result = Sort.TEXT, Sort.TEXT
    elif operator in _LOGIC:
        wanted, result = Sort.FLAG, Sort.FLAG
    elif operator in _TESTS:
        wanted, result = Sort.TEXT, Sort.FLAG
    else:
        wanted, result = Sort.NUMBER, Sort.FLAG if operator in _ORDER else Sort.NUMBER
    left = expect(frame, left, wanted, node.left)
    right = expect(frame, right, wanted, node.right)
    if Sort.UNKNOWN in (left.sort, right.sort):
        return POISON
    return Typed(result, fold(operator.value, left.expr, right.expr))


def _equality(frame: Frame, node: nodes.Binary, left: Typed, right: Typed) -> Typed:
    if left.sort is Sort.STEPS:
        left = expect(frame, left, Sort.NUMBER, node.left)
    if right.sort is Sort.STEPS:
        right = expect(frame, right, Sort.NUMBER, node.right)
    if Sort.UNKNOWN in (left.sort, right.sort):
        return POISON
    if left.sort is not right.sort:
        frame.error(
            "TTS206",
            f"{WORDS[left.sort]} and {WORDS[right.sort]} are never equal",
            node,
            'texts such as answers are compared with texts: `answer == "42"`'
            if Sort.TEXT in (left.sort, right.sort)
            else None,
        )
        return POISON
    for side, other, place in ((left, right, node.right), (right, left, node.left)):
        if side.expr == Column("finish") and isinstance(other.expr, Const):
            _known_finish(frame, str(other.expr.value), place)
    return Typed(Sort.FLAG, fold(node.operator.value, left.expr, right.expr))


def _known_finish(frame: Frame, value: str, node: nodes.Expression) -> None:
    if value in builtins.FINISHES:
        return
    close = suggest(value, builtins.FINISHES)
    frame.error(
        "TTS211",
        f'`finish` is never "{value}"',
        node,
        f'did you mean "{close}"?' if close else None,
        expected=tuple(f'"{each}"' for each in builtins.FINISHES),
    )


@scalar_rule(nodes.Conditional)
def _conditional(frame: Frame, node: nodes.Conditional, site: Site) -> Typed:
    condition = expect(frame, scalar(frame, node.condition, site), Sort.FLAG, node.condition)
    then, otherwise = scalar(frame, node.then, site), scalar(frame, node.otherwise, site)
    if then.sort is Sort.STEPS:
        then = expect(frame, then, Sort.NUMBER, node.then)
    if Sort.UNKNOWN in (condition.sort, then.sort, otherwise.sort):
        return POISON
    otherwise = expect(frame, otherwise, then.sort, node.otherwise)
    if otherwise.sort is Sort.UNKNOWN:
        return POISON
    return Typed(then.sort, fold("if", condition.expr, then.expr, otherwise.expr))
