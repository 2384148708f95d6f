r"""A parser of cleaned LaTeX scalars: expressions, equations and inequalities as sympy trees.

The trees are not evaluated, so parsing costs time in proportion to the text; what is not in the
grammar is refused. Conventions where notation is ambiguous:

* `\sin 2x \cos x` is sin(2x) cos(x): a function takes the product behind it, up to a function;
* `a/bc` is a/(bc), but `1/2x` is x/2: a fraction of two whole numbers comes first;
* `3\frac12` is a mixed number, `x(x+1)` a product; a letter before one value in brackets, `y(0)`,
  is an unknown of its own, and `f(x+1)` no formula here (nothing says what f is);
* `\sqrt[3]{-8}` and `(-8)^{1/3}` are real roots, `\log` is the decimal logarithm, `e` and `i`
  are the constants.
"""

import re
from dataclasses import dataclass
from typing import Any

import sympy

from tts_runtime.answers.names import DERIVATIVE


class NotReadableError(ValueError):
    """The text is not in the grammar."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Two relations that share their middle: `a < x < b`."""

    relations: tuple[Any, ...]


IMAGINARY = sympy.Symbol("i", real=True)

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_TOKEN = re.compile(rf"\s*(?:{_NUMBER.pattern}|\\[A-Za-z]+|\S)")
_FUNCTIONS: dict[str, Any] = {
    r"\sin": sympy.sin,
    r"\cos": sympy.cos,
    r"\tan": sympy.tan,
    r"\cot": sympy.cot,
    r"\sec": sympy.sec,
    r"\csc": sympy.csc,
    r"\arcsin": sympy.asin,
    r"\arccos": sympy.acos,
    r"\arctan": sympy.atan,
    r"\sinh": sympy.sinh,
    r"\cosh": sympy.cosh,
    r"\tanh": sympy.tanh,
    r"\exp": sympy.exp,
    r"\ln": sympy.log,
    r"\log": sympy.log,
}
_INVERSE = {sympy.sin: sympy.asin, sympy.cos: sympy.acos, sympy.tan: sympy.atan}
_RELATIONS: dict[str, Any] = {
    "=": sympy.Eq,
    "<": sympy.StrictLessThan,
    ">": sympy.StrictGreaterThan,
    r"\le": sympy.LessThan,
    r"\ge": sympy.GreaterThan,
    r"\ne": sympy.Ne,
}
_TIMES = (r"\cdot", r"\times", "*")
_OVER = ("/", r"\div")
_CLOSING = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_ROUNDED = {r"\lfloor": sympy.floor, r"\lceil": sympy.ceiling}
_MIXED = re.compile(r"\\frac \{ [0-9]+ \} \{ [0-9]+ \}")
_GREEK = re.compile(
    r"\\(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|varphi|psi|omega|"
    r"zeta|eta|kappa|xi|iota|upsilon|chi|Delta|Omega|Phi|Psi|Sigma|Lambda|Theta|Gamma|Xi|Pi|Upsilon|"
    r"hbar|ell)"
)
# Letters that name functions when a bracket follows.
_FUNCTION_NAMES = frozenset(["\\Gamma", "\\zeta", *"fghFGHPQO"])


def parse(text: str) -> Any:
    """The sympy tree, or a `Chain`, of a cleaned scalar. Raises NotReadableError."""
    return _Parser(text).read()


def product(left: Any, right: Any) -> Any:
    """The unevaluated product."""
    return sympy.Mul(left, right, evaluate=False)


class _Parser:
    """Recursive descent; each level of the grammar is a method."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                break
            self._tokens.append(match[0].strip())
            position = match.end()
        if text[position:].strip():
            raise NotReadableError(text)
        self._tokens.append("")
        self._at = 0
        self._bars = 0

    def _next(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._tokens[self._at]
        if not token:
            raise NotReadableError("nothing follows")
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise NotReadableError(token)

    def read(self) -> Any:
        sides = [self._sum()]
        signs = []
        while self._next() in _RELATIONS:
            signs.append(_RELATIONS[self._take()])
            sides.append(self._sum())
        if self._next():
            raise NotReadableError(self._next())
        relations = [
            sign(sides[at], sides[at + 1], evaluate=False) for at, sign in enumerate(signs)
        ]
        if len(relations) > 2:
            raise NotReadableError("a long chain")
        if len(relations) == 2:
            return Chain(tuple(relations))
        return relations[0] if relations else sides[0]

    def _sum(self) -> Any:
        terms = [self._signed(self._product)]
        while self._next() in ("+", "-"):
            terms.append(self._signed(self._product))
        return terms[0] if len(terms) == 1 else sympy.Add(*terms, evaluate=False)

    def _signed(self, operand: Any) -> Any:
        negative = False
        while self._next() in ("+", "-"):
            negative ^= self._take() == "-"
        value = operand()
        if not negative:
            return value
        return -value if value.is_Rational else product(sympy.Integer(-1), value)

    def _product(self, *, functions: bool = True) -> Any:
        value = self._juxtaposed(functions)
        while self._next() in _TIMES or self._next() in _OVER:
            if not functions and self._tokens[self._at + 1] in _FUNCTIONS:
                break
            divides = self._take() in _OVER
            whole = divides and value.is_Integer and self._tokens[self._at].isdigit()
            operand = self._signed(
                self._fraction_bottom if whole else lambda: self._juxtaposed(functions)
            )
            if divides:
                operand = sympy.Pow(operand, -1, evaluate=False)
            value = product(value, operand)
            if whole:
                value = self._with_more(value, functions)
        return value

    def _fraction_bottom(self) -> Any:
        return self._postfix()

    def _juxtaposed(self, functions: bool) -> Any:
        return self._with_more(self._postfix(), functions)

    def _with_more(self, value: Any, functions: bool) -> Any:
        """Multiplies factors that stand side by side; a number is never a later factor."""
        while self._begins_factor(functions):
            after_number = self._tokens[self._at - 1][-1:].isdigit()
            if after_number and _NUMBER.fullmatch(self._next()):
                raise NotReadableError("two numbers side by side")
            value = product(value, self._postfix())
        return value

    def _begins_factor(self, functions: bool) -> bool:
        token = self._next()
        if not token:
            return False
        if token in _FUNCTIONS:
            return functions
        if token == "|":
            return self._bars == 0
        return (
            token.isalpha()
            or _NUMBER.fullmatch(token) is not None
            or token in _CLOSING
            or token in (r"\frac", r"\sqrt", r"\pi", r"\infty")
            or _GREEK.fullmatch(token) is not None
        )

    def _postfix(self) -> Any:
        value = self._atom()
        powers = 0
        while self._next() in ("^", "!"):
            if self._take() == "!":
                value = sympy.factorial(value, evaluate=False)
                continue
            powers += 1
            if powers > 1:
                raise NotReadableError("two exponents")
            value = sympy.Pow(value, self._exponent(), evaluate=False)
        return value

    def _exponent(self) -> Any:
        token = self._next()
        if token in ("+", "-"):
            return self._signed(self._exponent)
        if token == "{":
            return self._group()
        if token.isdigit():
            return self._number(self._take())
        value = self._atom()
        # 2^x^2 is a tower; TeX itself wants braces there.
        if self._next() == "^":
            self._take()
            value = sympy.Pow(value, self._exponent(), evaluate=False)
        return value

    def _group(self) -> Any:
        opening = self._take()
        bars, self._bars = self._bars, 0
        value = self._sum()
        self._bars = bars
        self._expect(_CLOSING[opening])
        if opening in _ROUNDED:
            return _ROUNDED[opening](value, evaluate=False)
        return value

    def _braced(self) -> Any:
        if self._next() != "{":
            raise NotReadableError(self._next())
        return self._group()

    def _atom(self) -> Any:
        token = self._next()
        if token in _CLOSING:
            return self._group()
        if token in _FUNCTIONS:
            return self._function()
        self._take()
        if _NUMBER.fullmatch(token):
            return self._number(token)
        if token == "|":
            self._bars += 1
            value = self._sum()
            self._bars -= 1
            self._expect("|")
            return sympy.Abs(value, evaluate=False)
        if token == r"\frac":
            derivative = self._derivative()
            if derivative is not None:
                return derivative
            top = self._braced()
            return product(top, sympy.Pow(self._braced(), -1, evaluate=False))
        if token == r"\sqrt":
            return self._root()
        if token in (r"\pi", r"\infty"):
            return sympy.pi if token == r"\pi" else sympy.oo
        if token.isalpha() or _GREEK.fullmatch(token):
            return self._letter(token)
        raise NotReadableError(token)

    def _derivative(self) -> Any | None:
        r"""`\frac{dy}{dx}` is an unknown of its own: its `d` is no factor to cancel."""
        tokens = self._tokens[self._at - 1 :]
        match = DERIVATIVE.match("".join(tokens))
        if match is None:
            return None
        if not match["function"]:
            raise NotReadableError("d without a function")
        end = 0
        while sum(map(len, tokens[:end])) < match.end():
            end += 1
        self._at += end - 1
        return sympy.Symbol(re.sub(r"\^\{(.)\}", r"^\1", match[0]), real=True)

    def _number(self, token: str) -> Any:
        value = sympy.Rational(token)
        # A whole number before a fraction of whole numbers: 3\frac{1}{2}.
        shape = self._tokens[self._at : self._at + 7]
        if token.isdigit() and _MIXED.fullmatch(" ".join(shape)) and int(shape[5]):
            self._at += 7
            return value + sympy.Rational(int(shape[2]), int(shape[5]))
        return value

    def _root(self) -> Any:
        degree: Any = sympy.Integer(2)
        if self._next() == "[":
            degree = self._group()
        inverse = sympy.Pow(degree, -1, evaluate=False)
        if degree.is_Integer and degree:
            inverse = sympy.Rational(1, int(degree))
        return sympy.Pow(self._braced(), inverse, evaluate=False)

    def _function(self) -> Any:
        name = self._take()
        function = _FUNCTIONS[name]
        base: Any = sympy.Integer(10) if name == r"\log" else None
        power: Any = None
        while self._next() in ("^", "_"):
            if self._take() == "^":
                if power is not None:
                    raise NotReadableError("two exponents")
                power = self._exponent()
            elif name == r"\log":
                base = self._group() if self._next() == "{" else self._atom()
            else:
                raise NotReadableError(name)
        if power == -1 and function in _INVERSE:
            function, power = _INVERSE[function], None
        argument = self._group() if self._next() in ("(", "{") else self._argument()
        value = (
            function(argument, base, evaluate=False)
            if base is not None
            else function(argument, evaluate=False)
        )
        return value if power is None else sympy.Pow(value, power, evaluate=False)

    def _argument(self) -> Any:
        if self._next() in _FUNCTIONS:
            return self._postfix()
        return self._signed(lambda: self._product(functions=False))

    def _letter(self, token: str) -> Any:
        subscript = ""
        if self._next() == "_":
            self._take()
            subscript = self._subscript()
        elif token == "e":
            return sympy.E
        if self._next() == "(":
            value = self._argument_value()
            if value:
                # As it is printed: sympy takes no name with braces apart.
                return sympy.Symbol(
                    token + (f"_{{{subscript}}}" if subscript else "") + value, real=True
                )
            if token in _FUNCTION_NAMES:
                raise NotReadableError(token)
        name = token.lstrip("\\")
        if subscript:
            name += f"_{subscript}" if subscript.isalnum() else f"_{{{subscript}}}"
        return sympy.Symbol(name, real=True)

    def _argument_value(self) -> str:
        """The bracket that follows if it holds one number or letter: of `y(0)`, `T(-1)`, `S(n)`."""
        end = self._at + 2 + (self._tokens[self._at + 1] in ("+", "-"))
        value = self._tokens[end - 1]
        single = value.isalpha() or _NUMBER.fullmatch(value) or _GREEK.fullmatch(value)
        if not (single or value == r"\pi") or self._tokens[end] != ")":
            return ""
        begin, self._at = self._at, end + 1
        return "".join(self._tokens[begin : self._at])

    def _subscript(self) -> str:
        if self._next() != "{":
            return self._take()
        self._take()
        parts = []
        while self._next() and (self._next().isalnum() or self._next() in ("+", "-")):
            parts.append(self._take())
        self._expect("}")
        if not parts:
            raise NotReadableError("_")
        return "".join(parts)
