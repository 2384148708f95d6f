"""Values of formulas at points: whether two of them are equal, for the grader.

Formulas are evaluated as they are written, node by node in high precision, and nothing is
simplified or solved. So the cost is bounded by the number of nodes, and by limits on the size of
what powers and functions are given.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
import sympy

import tts_runtime.answers.expression as expression
from tts_runtime.answers.normal_form import MAXIMUM_NODES, TooHard, nodes
from tts_runtime.answers.parser import IMAGINARY

_CONTEXT = mpmath.MPContext()
_CONTEXT.dps = 60
_EQUAL = _CONTEXT.mpf(10) ** -40
# Beyond this size, sixty digits do not tell a number from its neighbours.
_LARGEST = _CONTEXT.mpf(10) ** 35
MAXIMUM_EXPONENT = 10_000
MAXIMUM_ARGUMENT = 10**12
MAXIMUM_FACTORIAL = 1000
MAXIMUM_BITS = 20_000
MINIMUM_POINTS = 3

# Unknowns are given these values, each of them starting elsewhere.
_POINTS = (
    "0.7390851",
    "1.3247179",
    "-0.5671432",
    "2.6651441",
    "-1.7556231",
    "0.1819754",
    "3.5911214",
)
_WHOLE_POINTS = ("2", "3", "5", "8", "7", "11", "4")

_UNARY: dict[type, Callable[[Any], Any]] = {
    sympy.sin: _CONTEXT.sin,
    sympy.cos: _CONTEXT.cos,
    sympy.tan: _CONTEXT.tan,
    sympy.cot: _CONTEXT.cot,
    sympy.sec: _CONTEXT.sec,
    sympy.csc: _CONTEXT.csc,
    sympy.asin: _CONTEXT.asin,
    sympy.acos: _CONTEXT.acos,
    sympy.atan: _CONTEXT.atan,
}
_GROWING: dict[type, Callable[[Any], Any]] = {
    sympy.exp: _CONTEXT.exp,
    sympy.sinh: _CONTEXT.sinh,
    sympy.cosh: _CONTEXT.cosh,
    sympy.tanh: _CONTEXT.tanh,
}


@lru_cache(maxsize=4096)
def constant(text: str) -> Any | None:
    """The value of a cleaned constant as a complex number of mpmath, None if it has none."""
    tree = _tree(text)
    if tree is None or _unknowns(tree):
        return None
    return _value(tree, {})


@lru_cache(maxsize=4096)
def equal(first: str, second: str) -> bool:
    """Whether two cleaned formulas agree wherever both are tried and defined.

    Two equations, or inequalities, agree if one is a multiple of the other.
    """
    trees = _tree(first), _tree(second)
    if trees[0] is None or trees[1] is None:
        return False
    related = [isinstance(tree, sympy.core.relational.Relational) for tree in trees]
    if related[0] != related[1]:
        return False
    return _same_relation(*trees) if related[0] else _same_value(*trees)


def _tree(text: str) -> Any | None:
    tree = expression.parse(text)
    if tree is None or not isinstance(tree, (sympy.Expr, sympy.core.relational.Relational)):
        return None
    if nodes(tree) > MAXIMUM_NODES:
        return None
    return tree


def _unknowns(*trees: Any) -> list[str]:
    symbols = {symbol for tree in trees for symbol in tree.free_symbols} - {IMAGINARY}
    return sorted(symbol.name for symbol in symbols)


def _samples(first: Any, second: Any, whole: bool) -> list[tuple[Any, Any]]:
    """Values of both at the points where both are defined; real ones unless `i` occurs."""
    names = _unknowns(first, second)
    if not names:
        points: list[dict[str, Any]] = [{}]
    else:
        values = [_CONTEXT.mpf(value) for value in (_WHOLE_POINTS if whole else _POINTS)]
        points = [
            {name: values[(at + 2 * of) % len(values)] + of // 3 for of, name in enumerate(names)}
            for at in range(len(values))
        ]
    complex_allowed = not names or first.has(IMAGINARY) or second.has(IMAGINARY)
    pairs = [(_value(first, point), _value(second, point)) for point in points]
    return [
        (left, right)
        for left, right in pairs
        if left is not None
        and right is not None
        and (complex_allowed or (not left.imag and not right.imag))
    ]


def _same_value(first: Any, second: Any) -> bool:
    exact = _rational(first), _rational(second)
    if exact[0] is not None and exact[1] is not None:
        return exact[0] == exact[1]
    for whole in (False, True):
        pairs = _samples(first, second, whole)
        if len(pairs) >= (MINIMUM_POINTS if _unknowns(first, second) else 1):
            return all(_agree(left, right) for left, right in pairs)
    return False


def _agree(left: Any, right: Any) -> bool:
    size = max(abs(left), abs(right))
    if size > _LARGEST:
        return False
    return bool(abs(left - right) <= _EQUAL * size)


def _same_relation(first: Any, second: Any) -> bool:
    kinds = [type(relation) for relation in (first, second)]
    sides = [list(relation.args) for relation in (first, second)]
    for at, kind in enumerate(kinds):
        if kind in (sympy.StrictGreaterThan, sympy.GreaterThan):
            sides[at].reverse()
            kinds[at] = sympy.StrictLessThan if kind is sympy.StrictGreaterThan else sympy.LessThan
    if kinds[0] is not kinds[1] or not _unknowns(first, second):
        return False
    differences = [
        sympy.Add(left, sympy.Mul(-1, right, evaluate=False), evaluate=False)
        for left, right in sides
    ]
    if _unknowns(differences[0]) != _unknowns(differences[1]):
        return False
    pairs = _samples(differences[0], differences[1], whole=False)
    ratios = []
    for left, right in pairs:
        # Zero on both sides is an identity, or no evidence.
        if abs(left) < _EQUAL or abs(right) < _EQUAL:
            return False
        ratios.append(left / right)
    if len(ratios) < MINIMUM_POINTS or not all(_agree(ratio, ratios[0]) for ratio in ratios):
        return False
    return kinds[0] is sympy.Eq or (not ratios[0].imag and ratios[0].real > 0)


def _rational(node: Any) -> Fraction | None:
    """The exact value of a constant of rational numbers; None for all else and what is too large:
    sixty digits do not tell `1 - 2^{-140}` from 1, nor a number of forty digits from the next."""
    if isinstance(node, sympy.Float):
        return Fraction(str(node))
    if isinstance(node, sympy.Rational):
        return Fraction(int(node.p), int(node.q))
    values = [_rational(argument) for argument in node.args]
    exact = [value for value in values if value is not None]
    if not exact or len(exact) < len(values):
        return None
    value: Fraction | None = None
    if isinstance(node, sympy.Add):
        value = sum(exact, Fraction(0))
    elif isinstance(node, sympy.Mul):
        value = math.prod(exact, start=Fraction(1))
    elif isinstance(node, sympy.Abs):
        value = abs(exact[0])
    elif isinstance(node, (sympy.floor, sympy.ceiling)):
        value = Fraction((math.floor if isinstance(node, sympy.floor) else math.ceil)(exact[0]))
    elif isinstance(node, sympy.factorial):
        if exact[0].denominator == 1 and 0 <= exact[0] <= MAXIMUM_FACTORIAL:
            value = Fraction(math.factorial(int(exact[0])))
    elif isinstance(node, sympy.Pow):
        base, exponent = exact
        if exponent.denominator > 1 or (base == 0 and exponent <= 0):
            return None
        if abs(exponent) * _bits(base) <= MAXIMUM_BITS:
            value = base ** int(exponent)
    return value if value is not None and _bits(value) <= MAXIMUM_BITS else None


def _bits(value: Fraction) -> int:
    return max(abs(value.numerator), value.denominator).bit_length()


def _value(tree: Any, point: Mapping[str, Any]) -> Any | None:
    try:
        return _CONTEXT.mpc(_at(tree, point))
    except (TooHard, ZeroDivisionError, OverflowError, ValueError, TypeError):
        return None  # undefined there, or too large
    except (mpmath.libmp.ComplexResult, mpmath.NoConvergence):
        return None


def _at(node: Any, point: Mapping[str, Any]) -> Any:
    if isinstance(node, sympy.Float):
        return _CONTEXT.mpf(str(node))
    if isinstance(node, sympy.Rational):
        return _CONTEXT.mpf(int(node.p)) / int(node.q)
    if isinstance(node, sympy.Symbol):
        return _CONTEXT.mpc(0, 1) if node == IMAGINARY else point[node.name]
    if node == sympy.pi:
        return +_CONTEXT.pi
    if node == sympy.E:
        return +_CONTEXT.e
    if node == sympy.I:
        return _CONTEXT.mpc(0, 1)
    if isinstance(node, (sympy.floor, sympy.ceiling)) and node.free_symbols:
        raise TooHard  # steps agree between the points where they do not
    values = [_at(argument, point) for argument in node.args]
    if isinstance(node, sympy.Add):
        return sum(values, _CONTEXT.mpf(0))
    if isinstance(node, sympy.Mul):
        return _CONTEXT.fprod(values)
    if isinstance(node, sympy.Pow):
        return _power(values[0], values[1])
    return _function(type(node), values)


def _function(kind: type, values: list[Any]) -> Any:
    limited = kind is not sympy.Abs
    if not values or (limited and any(abs(value) > MAXIMUM_ARGUMENT for value in values)):
        raise TooHard
    if kind in _UNARY:
        return _UNARY[kind](values[0])
    if kind in _GROWING:
        if abs(values[0]) > MAXIMUM_EXPONENT:
            raise TooHard
        return _GROWING[kind](values[0])
    if kind is sympy.Abs:
        return abs(values[0])
    if kind in (sympy.floor, sympy.ceiling):
        if _CONTEXT.im(values[0]) or abs(values[0] - _CONTEXT.nint(values[0])) < _EQUAL:
            raise TooHard  # a rounding error decides on which side it lies
        return (_CONTEXT.floor if kind is sympy.floor else _CONTEXT.ceil)(values[0])
    if kind is sympy.log:
        if any(value == 0 for value in values):
            raise TooHard
        return _CONTEXT.log(*values)
    if kind is sympy.factorial:
        if abs(values[0]) > MAXIMUM_FACTORIAL:
            raise TooHard
        return _CONTEXT.gamma(values[0] + 1)
    raise TooHard


def _power(base: Any, exponent: Any) -> Any:
    if base == 0:
        if _CONTEXT.re(exponent) <= 0:
            raise TooHard
        return _CONTEXT.mpf(0)
    if (
        abs(exponent) > MAXIMUM_EXPONENT
        or abs(exponent * _CONTEXT.log(abs(base))) > MAXIMUM_EXPONENT
    ):
        raise TooHard
    real = not _CONTEXT.im(base) and not _CONTEXT.im(exponent)
    if real and _CONTEXT.re(base) < 0:
        for odd in (3, 5, 7, 9):
            top = _CONTEXT.re(exponent) * odd
            if _CONTEXT.isint(exponent):
                break
            if abs(top - _CONTEXT.nint(top)) < _EQUAL:
                # School's real root, as in the normal form.
                sign = -1 if int(_CONTEXT.nint(top)) % 2 else 1
                return sign * (-_CONTEXT.re(base)) ** _CONTEXT.re(exponent)
    return base**exponent
