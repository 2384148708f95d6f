r"""Scalars and relations: a sympy tree of their LaTeX (`parser`), then a normal form.

No clock: every step is bounded by sizes checked beforehand, so that what is "too hard" does not
depend on the machine (C42). sympy, slow to import, is imported on first use.
"""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tts_runtime.answers.latex import depth
from tts_runtime.answers.numbers import date_key, number_key

MAXIMUM_LENGTH = 200
MAXIMUM_DEPTH = 8

# Commands that the parser turns into unevaluated trees. Others (\int, \det, \operatorname{eig}...)
# make it compute while it parses, without limits.
_COMMANDS = frozenset(
    re.findall(
        r"\S+",
        r"\frac \sqrt \pi \infty \cdot \times \div \sin \cos \tan \cot \sec \csc \arcsin \arccos "
        r"\arctan \sinh \cosh \tanh \ln \log \exp \le \ge \ne \alpha \beta \gamma \delta \epsilon "
        r"\theta \lambda \mu \nu \rho \sigma \tau \phi \varphi \psi \omega \zeta \eta \kappa \xi "
        r"\Delta \Omega \Phi \Psi \Sigma \Lambda \Theta \iota \upsilon \chi \Gamma \Xi \Pi "
        r"\Upsilon \hbar \ell \binom \lfloor \rfloor \lceil \rceil",
    )
)
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)")
_CHARACTERS = re.compile(r"[A-Za-z0-9+\-*/^_{}()\[\]|!.=<>\\ ]*")
_UNREADABLE = re.compile(
    r"[0-9] [0-9.]"  # the parser would add 3 and 4 in "3 4", taking it for a mixed number
    r"|(?<![0-9.])[0-9]+_|[0-9]\.[0-9]*\.|[0-9] *[ap]\.?m(?![A-Za-z])|!!"
)
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{4,}")
_BINOMIAL = re.compile(r"\\binom\{([0-9]{1,3})\}\{([0-9]{1,3})\}")
_BINOMIAL_OF_ALL = re.compile(r"\\binom\{([^{}]{1,12})\}\{([^{}]{1,12})\}")
# `5C2`, `{}_5C_2`, `^{5}P_{2}`: what is counted stands before, what is chosen behind.
_CHOSEN = re.compile(
    r"(?<![A-Za-z0-9.)}])(?:\{\}\s*)?[_^]?(?:\{([0-9]{1,3})\}|([0-9]{1,3}))([CP])"
    r"_?(?:\{([0-9]{1,3})\}|([0-9]{1,3}))(?![0-9A-Za-z._])"
)
_OF_SEVERAL: dict[str, Callable[..., int]] = {
    "gcd": math.gcd,
    "lcm": math.lcm,
    "max": max,
    "min": min,
}
_SEVERAL = re.compile(
    rf"\\({'|'.join(_OF_SEVERAL)})\s*(?:\(|\\\{{)"
    r"(-?[0-9]{1,40}(?:, ?-?[0-9]{1,40}){1,15})(?:\)|\\\})"
)
_DOUBLE_FACTORIAL = re.compile(r"(?<![A-Za-z0-9.)}])([0-9]{1,3})!!(?!!)")
_BINOMIAL_OF = re.compile(r"\\binom\{([^{}]{1,12})\}\{([1-4])\}")
# The parser reads "2(3)" and "(2)(3)" as mixed numbers, too.
_POWER_OF_FUNCTION = re.compile(r"(\\(?:sin|cos|tan|cot|sec|csc|ln|log)\^)([0-9])")
_PRODUCTS = re.compile(r"(?<=[0-9)])(?<!_[0-9])(?=\()")


@lru_cache(maxsize=8192)
def scalar_key(text: str) -> str | None:
    """The canonical form of one cleaned expression, equation or inequality; None if too hard."""
    parsed = parse(text)
    return None if parsed is None else _key(parsed)


def parse(text: str) -> Any | None:
    """The unevaluated sympy tree of a cleaned scalar, None if unreadable or too large."""
    if len(text) > MAXIMUM_LENGTH or depth(text) > MAXIMUM_DEPTH:
        return None
    text = _DOUBLE_FACTORIAL.sub(lambda match: f"({math.prod(range(int(match[1]), 0, -2))})", text)
    text = _SEVERAL.sub(
        lambda match: f"({_OF_SEVERAL[match[1]](*map(int, match[2].split(',')))})", text
    )
    commands = set(_COMMAND.findall(text))
    if date_key(text) is not None or not commands <= _COMMANDS or not _CHARACTERS.fullmatch(text):
        return None
    if _UNREADABLE.search(text) or _WORD.search(_COMMAND.sub(" ", text)):
        return None
    return _parse(_prepare(text))


def _prepare(text: str) -> str:
    text = _BINOMIAL.sub(lambda match: f"({math.comb(int(match[1]), int(match[2]))})", text)
    text = _CHOSEN.sub(_chosen, _BINOMIAL_OF.sub(_falling, text))
    text = _BINOMIAL_OF_ALL.sub(r"(\\frac{(\1)!}{(\2)!(\1-(\2))!})", text)
    text = re.sub(r"(?<![0-9])\.(?=[0-9])", "0.", text)
    text = _POWER_OF_FUNCTION.sub(r"\1{\2}", text)
    return _PRODUCTS.sub(r"\\cdot ", text)


def _chosen(match: re.Match[str]) -> str:
    count, drawn = int(match[1] or match[2]), int(match[4] or match[5])
    return f"({(math.comb if match[3] == 'C' else math.perm)(count, drawn)})"


def _falling(match: re.Match[str]) -> str:
    r"""`\binom{n}{2}` as `n(n-1)` over 2."""
    factors = "".join(f"({match[1]}-{less})" for less in range(int(match[2])))
    return rf"(\frac{{{factors}}}{{{math.factorial(int(match[2]))}}})"


def _parse(text: str) -> Any | None:
    import tts_runtime.answers.parser as parser

    try:
        return parser.parse(text)
    except (parser.NotReadableError, ZeroDivisionError):
        return None


def _key(parsed: Any) -> str | None:
    import tts_runtime.answers.normal_form as normal_form

    try:
        form = normal_form.normalise(parsed)
    except normal_form.TooHard:
        return None
    # As for the parser: sympy's own failures on odd input are many and mean "not understood".
    except Exception:  # noqa: BLE001
        return None
    return number_key(form) or form
