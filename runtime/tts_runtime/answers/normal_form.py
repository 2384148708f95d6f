"""A normal form of sympy trees whose cost is bounded before each step. Imports sympy.

Not a decision procedure: equal values can keep different forms (that costs votes, never
correctness), different values never share one. In order: evaluate bottom-up, remove radicals from
numeric denominators, unnest square roots, expand, and write quotients over one denominator.
"""

import math
import re
from typing import Any

import sympy
from sympy.core.relational import Relational
from sympy.simplify.radsimp import radsimp
from sympy.simplify.sqrtdenest import sqrtdenest

from tts_runtime.answers.parser import IMAGINARY, Chain

MAXIMUM_NODES = 120
MAXIMUM_BITS = 2000
MAXIMUM_TERMS = 200
MAXIMUM_DEGREE = 60
MAXIMUM_QUOTIENT_DEGREE = 12
MAXIMUM_QUOTIENT_SYMBOLS = 4
MAXIMUM_FACTORIAL = 200
MAXIMUM_RADICALS = 3
MAXIMUM_NESTING = 2
MAXIMUM_COMPLEX_NESTING = 1

_FUNCTIONS: tuple[type, ...] = (
    sympy.Add,
    sympy.Mul,
    sympy.Abs,
    sympy.log,
    sympy.exp,
    sympy.sin,
    sympy.cos,
    sympy.tan,
    sympy.cot,
    sympy.sec,
    sympy.csc,
    sympy.asin,
    sympy.acos,
    sympy.atan,
    sympy.sinh,
    sympy.cosh,
    sympy.tanh,
)
_ATOMS: tuple[type, ...] = (
    sympy.Rational,
    sympy.Symbol,
    type(sympy.pi),
    type(sympy.E),
    type(sympy.I),
    type(sympy.oo),
    type(-sympy.oo),
)
_ROUNDED = (sympy.floor, sympy.ceiling)
_KNOWN = (*_FUNCTIONS, *_ATOMS, sympy.Pow, sympy.factorial, *_ROUNDED)
_NOT_COUNTED = (sympy.I, sympy.Function, sympy.exp)
_SPACE_AFTER = re.compile(r"(?<=[0-9)}\]]) (?![0-9])")
_SQUARE_ROOTS = (sympy.Rational(1, 2), sympy.Rational(-1, 2))


class TooHard(Exception):
    """The expression is beyond the size limits, or of a kind that has no normal form here."""


def normalise(parsed: Any) -> str:
    """The normal form of a parsed scalar, equation or inequality, in compact LaTeX.

    Raises TooHard.
    """
    if isinstance(parsed, Chain):
        if sum(map(nodes, parsed.relations)) > MAXIMUM_NODES:
            raise TooHard
        return _chain(*parsed.relations)
    if nodes(parsed) > MAXIMUM_NODES:
        raise TooHard
    if isinstance(parsed, Relational):
        return _relation(parsed)
    if not isinstance(parsed, sympy.Expr):
        raise TooHard
    return write(expression(parsed))


def nodes(tree: Any) -> int:
    """The number of nodes of a tree."""
    return sum(1 for _ in sympy.preorder_traversal(tree))


def expression(parsed: Any) -> Any:
    """The normal form of an expression as a sympy tree. Raises TooHard."""
    # To answer its own questions about signs sympy evaluates numerically, which for functions of
    # functions, above all of complex numbers, took minutes.
    complex_number = parsed.has(IMAGINARY, sympy.I)
    if nesting(parsed) > (MAXIMUM_COMPLEX_NESTING if complex_number else MAXIMUM_NESTING):
        raise TooHard
    value = _expand(_evaluate(parsed))
    if not all(isinstance(node, _KNOWN) for node in sympy.preorder_traversal(value)):
        raise TooHard  # nan, complex infinity, bounds such as cos(oo)
    if value.has(sympy.oo, -sympy.oo) and not value.is_Atom:
        raise TooHard
    _, denominator = sympy.fraction(sympy.together(value))
    if denominator.free_symbols:
        value = _quotient(value)
    return value


def nesting(node: Any) -> int:
    """The nesting depth of functions, and of powers that are not algebraic."""
    inner = max((nesting(argument) for argument in node.args), default=0)
    if isinstance(node, sympy.Pow):
        plain = node.exp.is_Integer or (node.exp.is_Rational and inner == 0)
        return inner if plain else inner + 1
    return inner + isinstance(node, sympy.Function)


def write(value: Any) -> str:
    """An expression in compact LaTeX that parses back to itself."""
    if isinstance(value, sympy.Rational):
        return str(value)
    text: str = sympy.latex(value, ln_notation=True, inv_trig_style="full")
    # Behind a number with a space, letters would be a unit: "2 m" is 2, "2m" is a product.
    return _SPACE_AFTER.sub("", text.replace(r"\left", "").replace(r"\right", ""))


def _evaluate(node: Any) -> Any:
    """Rebuild a tree with evaluation, refusing what would grow beyond the limits."""
    if isinstance(node, sympy.Float):
        return sympy.Rational(str(node))
    if node == IMAGINARY:
        return sympy.I
    if isinstance(node, _ATOMS):
        return node
    arguments = [_evaluate(argument) for argument in node.args]
    if isinstance(node, sympy.Pow):
        return _power(arguments[0], arguments[1])
    if isinstance(node, sympy.factorial):
        return _factorial(arguments[0])
    if isinstance(node, _ROUNDED):
        return _rounded(node.func, arguments[0])
    if not isinstance(node, _FUNCTIONS):
        raise TooHard
    if isinstance(node, (sympy.asin, sympy.acos)) and not arguments[0].free_symbols:
        size = abs(arguments[0].evalf(10))
        if not (size.is_Float or size.is_Rational) or size > 1:
            raise TooHard  # complex: what sympy asks itself about such numbers takes seconds
    if isinstance(node, sympy.Mul):
        _check_terms(math.prod(_terms(argument) for argument in arguments))
    if isinstance(node, (sympy.exp, sympy.cosh, sympy.sinh, sympy.tanh)):
        _check_exponent(arguments[0])
    value = node.func(*arguments)
    _check_bits(value)
    return value


def _power(base: Any, exponent: Any) -> Any:
    _check_exponent(exponent)
    if base.is_zero and not exponent.is_positive:
        raise TooHard  # undefined, though sympy says 1 for 0^0
    if exponent.is_Rational:
        size = abs(exponent.p) / exponent.q
        if size * _bits(base) > MAXIMUM_BITS or size > MAXIMUM_BITS:
            raise TooHard
        if base.free_symbols and size > MAXIMUM_DEGREE:
            raise TooHard
        if exponent.is_Integer and base.is_Add:
            _check_terms(math.comb(_terms(base) + abs(exponent.p) - 1, abs(exponent.p)))
        if base.is_Rational and base < 0 and exponent.q % 2 and exponent.q > 1:
            # School's real root: the cube root of -8 is -2.
            return (-1) ** exponent.p * (-base) ** exponent
    value = base**exponent
    if not base.is_Add or base.free_symbols or _radicals(base) > MAXIMUM_RADICALS:
        return value
    base = _expand(base)
    if exponent.is_Integer and exponent < 0 and base.is_Add:
        return radsimp(1 / _expand(base**-exponent), max_terms=MAXIMUM_RADICALS)
    if exponent in _SQUARE_ROOTS:
        root = sqrtdenest(sympy.sqrt(base))
        return root if exponent > 0 else radsimp(1 / root, max_terms=MAXIMUM_RADICALS)
    return base**exponent


def _check_exponent(exponent: Any) -> None:
    """Towers of powers have values too large even to estimate their size."""
    if exponent.is_Rational:
        _check_bits(exponent)
        return
    for power in exponent.atoms(sympy.Pow, sympy.exp, sympy.cosh, sympy.sinh):
        base, inner = power.as_base_exp()
        if not base.free_symbols and abs(inner) != sympy.Rational(1, 2) and inner != -1:
            raise TooHard
    if _bits(exponent) > 32:
        raise TooHard


def _factorial(argument: Any) -> Any:
    if argument.is_Integer and not 0 <= argument <= MAXIMUM_FACTORIAL:
        raise TooHard
    if not argument.is_Integer and (not argument.free_symbols or argument.has(*_NOT_COUNTED)):
        raise TooHard  # what sympy asks itself about the gamma function takes seconds
    return sympy.factorial(argument)


def _rounded(kind: Any, argument: Any) -> Any:
    if not argument.is_Rational and (not argument.free_symbols or argument.has(*_NOT_COUNTED)):
        raise TooHard  # how near a constant is to a whole number is for the grader
    if not all(isinstance(each, (sympy.Rational, sympy.Symbol)) for each in argument.atoms()):
        raise TooHard
    return kind(_expand(argument))


def _expand(value: Any) -> Any:
    """Expand products and powers whose size `_evaluate` has already bounded, factor by factor."""
    _check_terms(_expanded_terms(value))
    return sympy.expand(value)


def _quotient(value: Any) -> Any:
    symbols = value.free_symbols
    if value.atoms(sympy.Function):
        return value  # identities between functions are for the grader
    if len(symbols) > MAXIMUM_QUOTIENT_SYMBOLS:
        raise TooHard
    for power in value.atoms(sympy.Pow):
        exponent = power.exp
        if not exponent.is_Rational:
            raise TooHard
        if power.base.free_symbols and not exponent.is_Integer:
            raise TooHard
        if power.base.free_symbols and abs(exponent) > MAXIMUM_QUOTIENT_DEGREE:
            raise TooHard
    return sympy.cancel(value)


def _relation(relation: Any) -> str:
    left, right = (expression(side) for side in relation.args)
    if isinstance(relation, sympy.Eq):
        return _equation(left, right)
    if isinstance(relation, (sympy.StrictGreaterThan, sympy.GreaterThan)):
        left, right = right, left
    elif not isinstance(relation, (sympy.StrictLessThan, sympy.LessThan)):
        raise TooHard
    strict = isinstance(relation, (sympy.StrictGreaterThan, sympy.StrictLessThan))
    difference = expression(right - left)
    if not difference.free_symbols:
        raise TooHard  # true or false for every value: there is no unknown to bound
    line = _linear(difference)
    if line is not None:
        slope, bound = line
        if slope.is_positive:
            return f"{'(' if strict else '['}{write(bound)},\\infty)"
        return f"(-\\infty,{write(bound)}{')' if strict else ']'}"
    if sympy.fraction(difference)[1].free_symbols:
        raise TooHard  # multiplying by an unknown denominator may turn the inequality round
    return f"{write(_primitive(difference))}{'>' if strict else '>='}0"


def _equation(left: Any, right: Any) -> str:
    difference = _primitive(_numerator(left - right))
    if difference == 0:
        # True for every value: only as good as another form of the same sides.
        return f"{write(left)}={write(right)}"
    if not difference.free_symbols:
        raise TooHard  # never true
    line = _linear(difference)
    if line is not None:
        return write(line[1])
    if difference.could_extract_minus_sign():
        difference = sympy.expand(-difference)
    return f"{write(difference)}=0"


def _linear(difference: Any) -> tuple[Any, Any] | None:
    """Slope and zero of a line in one unknown, None for everything else."""
    if len(difference.free_symbols) != 1:
        return None
    (unknown,) = difference.free_symbols
    slope = difference.coeff(unknown, 1)
    rest = sympy.expand(difference - slope * unknown)
    if rest.free_symbols or slope.free_symbols or slope.has(sympy.I) or rest.has(sympy.I):
        return None
    if slope.is_positive is None or slope == 0:
        return None
    return slope, expression(-rest / slope)


def _chain(first: Any, second: Any) -> str:
    """`a < 2x + 1 <= b` as the interval in which the unknown lies."""
    upward: Any = (sympy.StrictLessThan, sympy.LessThan)
    downward: Any = (sympy.StrictGreaterThan, sympy.GreaterThan)
    if isinstance(first, downward) and isinstance(second, downward):
        first, second = _turned(second), _turned(first)
    if not isinstance(first, upward) or not isinstance(second, upward):
        raise TooHard
    low, middle, high = (
        expression(side) for side in (first.args[0], first.args[1], second.args[1])
    )
    line = _linear(middle)
    if line is None or low.free_symbols or high.free_symbols:
        raise TooHard
    slope, zero = line
    opening = "(" if isinstance(first, sympy.StrictLessThan) else "["
    closing = ")" if isinstance(second, sympy.StrictLessThan) else "]"
    low, high = (
        bound if slope == 1 and zero == 0 else expression(bound / slope + zero)
        for bound in (low, high)
    )
    if not slope.is_positive:
        low, high = high, low
        opening, closing = "(["[closing == "]"], ")]"[opening == "["]
    return f"{opening}{write(low)},{write(high)}{closing}"


def _turned(relation: Any) -> Any:
    strict = isinstance(relation, sympy.StrictGreaterThan)
    kind: Any = sympy.StrictLessThan if strict else sympy.LessThan
    return kind(relation.args[1], relation.args[0], evaluate=False)


def _numerator(difference: Any) -> Any:
    return expression(sympy.fraction(sympy.together(expression(difference)))[0])


def _primitive(value: Any) -> Any:
    """Divide by the positive rational content: `2x - 4` and `x - 2` say the same about zero."""
    content, primitive = value.primitive()
    return value if content == 0 else sympy.expand(primitive)


def _terms(value: Any) -> int:
    return len(value.args) if isinstance(value, sympy.Add) else 1


def _expanded_terms(value: Any) -> int:
    """An upper bound of the number of terms after expansion."""
    if isinstance(value, sympy.Add):
        return sum(_expanded_terms(argument) for argument in value.args)
    if isinstance(value, sympy.Mul):
        return math.prod(_expanded_terms(argument) for argument in value.args)
    if isinstance(value, sympy.Pow) and value.exp.is_Integer:
        power, terms = abs(int(value.exp)), _expanded_terms(value.base)
        return math.comb(terms + power - 1, power) if terms > 1 else 1
    return max((_expanded_terms(argument) for argument in value.args), default=1)


def _check_terms(terms: int) -> None:
    if terms > MAXIMUM_TERMS:
        raise TooHard


def _bits(value: Any) -> int:
    """The size of the largest number in a tree."""
    return max(
        (
            max(abs(number.p).bit_length(), number.q.bit_length())
            for number in value.atoms(sympy.Rational)
        ),
        default=0,
    )


def _check_bits(value: Any) -> None:
    if _bits(value) > MAXIMUM_BITS:
        raise TooHard


def _radicals(value: Any) -> int:
    return len({power for power in value.atoms(sympy.Pow) if not power.exp.is_Integer})
