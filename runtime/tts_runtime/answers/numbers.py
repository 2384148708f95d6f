"""Plain numbers, without sympy: votes ask for these constantly.

Reads integers (with thousands separators), decimals, scientific notation, fractions and mixed
numbers, in plain or LaTeX notation, and writes each value in one way: `5`, `-3/4`.
"""

import math
import re

# Beyond this a decimal or fraction stays text: reducing it would cost too much (and Python itself
# refuses to convert very long digit strings). Plain integers have no limit, they are only trimmed.
MAXIMUM_DIGITS = 300

_DECIMAL = re.compile(
    r"([+-]?)(?:([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]*))?|\.([0-9]+))"
    r"(?:[eE]([+-]?[0-9]{1,3}))?"
)
_FRACTION = re.compile(
    r"([+-]?)(?:([0-9]+)\ *(?=\\[dt]?frac|\ [0-9]+\ ?/))?\ *"  # the whole part of a mixed number
    r"(?:([+-]?[0-9]+)\ ?/\ ?([0-9]+)"
    r"|\\[dt]?frac\ *\{([+-]?[0-9]+)\}\ *\{([+-]?[0-9]+)\})"
)


def number_key(text: str) -> str | None:
    """The canonical form of a plain number, or None if `text` is not one.

    `1,000`, `1000.` and `1e3` give `1000`; `0.5`, `.50` and `1/2` give `1/2`.
    """
    if text.isascii() and text.isdigit():
        return text.lstrip("0") or "0"
    decimal = _DECIMAL.fullmatch(text)
    if decimal is not None:
        return _decimal_key(*decimal.groups())
    fraction = _FRACTION.fullmatch(text)
    if fraction is None or len(text) > MAXIMUM_DIGITS:
        return None
    sign, whole, plain_top, plain_bottom, latex_top, latex_bottom = fraction.groups()
    numerator = int(plain_top or latex_top)
    denominator = int(plain_bottom or latex_bottom)
    if whole is not None:
        if numerator < 0 or denominator <= 0:
            return None
        numerator += int(whole) * denominator
    return _ratio_key(-numerator if sign == "-" else numerator, denominator)


def _decimal_key(
    sign: str, integer: str | None, digits: str | None, bare_digits: str | None, power: str | None
) -> str | None:
    whole = (integer or "").replace(",", "").lstrip("0")
    part = (digits or bare_digits or "").rstrip("0")
    if not part and power is None:
        return (sign.replace("+", "") + whole) if whole else "0"
    exponent = int(power or 0) - len(part)
    if len(whole) + len(part) + abs(exponent) > MAXIMUM_DIGITS:
        return None
    value = int(whole + part or "0")
    if sign == "-":
        value = -value
    if exponent >= 0:
        return str(value * 10**exponent)
    return _ratio_key(value, int(10**-exponent))


def _ratio_key(numerator: int, denominator: int) -> str | None:
    if denominator == 0:
        return None
    divisor = math.gcd(numerator, denominator)
    if denominator < 0:
        divisor = -divisor
    numerator //= divisor
    denominator //= divisor
    return str(numerator) if denominator == 1 else f"{numerator}/{denominator}"
