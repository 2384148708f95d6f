"""Plain numbers, without sympy: votes ask for these constantly.

Reads integers (with thousands separators), decimals, scientific notation, fractions and mixed
numbers, in plain or LaTeX notation, and writes each value in one way: `5`, `-3/4`.
"""

import math
import re
from collections.abc import Sequence
from fractions import Fraction

# Longer answers are compared as they stand, apart from white space; whole numbers have any length.
MAXIMUM_LENGTH = 1000

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


def number_value(key: str) -> Fraction | None:
    """The value of a canonical number, None for any other text and beyond the size limits."""
    if len(key) > MAXIMUM_DIGITS or _CANONICAL.fullmatch(key) is None:
        return None
    return Fraction(key)


def ratio_key(keys: Sequence[str]) -> str | None:
    """Numbers in proportion as the smallest whole numbers: `4:6` is `2:3`."""
    values = [number_value(each) for each in keys]
    positive = [value for value in values if value is not None and value > 0]
    if len(positive) < len(values):
        return None
    scale = math.lcm(*(value.denominator for value in positive))
    whole = [int(value * scale) for value in positive]
    divisor = math.gcd(*whole)
    return ":".join(str(each // divisor) for each in whole)


_CONTINENTAL = re.compile(
    r"([+-]?[1-9][0-9]{0,2})((?:\.[0-9]{3})+,[0-9]{2}|(?:\.[0-9]{3}){2,}(?:,[0-9]+)?)"
)
# Without a sign of money only if some group begins with 0, as no number of a list does.
_INDIAN = re.compile(r"(?:₹|Rs\.?)? ?[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?")


def grouped(text: str) -> str:
    """`1.234,50`, `1.234.567` and `1,00,000` without what groups their digits."""
    continental = _CONTINENTAL.fullmatch(text)
    if continental is not None:
        whole, _, decimals = text.replace(".", "").partition(",")
        return f"{whole}.{decimals}" if decimals else whole
    plain = text.replace("{,}", ",")
    if _INDIAN.fullmatch(plain) and (",0" in plain or plain != text or not text[0].isdigit()):
        return plain.replace(",", "")
    return text


_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?P<sign>/|-(?=..-..$))(?P<month>0?[1-9]|1[0-2])(?P=sign)"
    r"(?P<day>0?[1-9]|[12][0-9]|3[01])"
)


def date_key(text: str) -> str | None:
    """A date that begins with its year as `2020-01-05`, None for all else.

    `2020-1-5` is a difference, `1/5/2020` a quotient or a date of two orders.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    return f"{match['year']}-{int(match['month']):02}-{int(match['day']):02}"


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"(?:the )?(?P<day>[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?:,? ?(?P<year>[0-9]{4}))?"
_DATES_IN_WORDS = (
    re.compile(rf"{_MONTH} ?{_DAY}{_YEAR}"),
    re.compile(rf"{_DAY} (?:of )?{_MONTH}{_YEAR}"),
)


def date_of(text: str) -> str | None:
    """A date with its month by name, in one form: `4 July 2020` is `2020-07-04`, `4th of July` is
    `Jul 4`; None for all else."""
    match = next(filter(None, (pattern.fullmatch(text) for pattern in _DATES_IN_WORDS)), None)
    if match is None:
        return None
    name = match["month"][:3]
    if match["year"] is None:
        return f"{name} {match['day']}"
    return f"{match['year']}-{_MONTHS.index(name.lower()) + 1:02}-{int(match['day']):02}"


_CANONICAL = re.compile(r"-?[0-9]+(?:/[0-9]+)?")
_REPEATING = re.compile(
    r"(?<![0-9.])(?P<whole>[0-9]{0,40})\.(?P<fixed>[0-9]{0,40})"
    r"(?:(?:\\(?:overline|bar|dot)\s*\{\s*(?P<braced>[0-9]{1,40})\s*\}"
    r"|\\(?:overline|bar|dot)\s*(?P<one>[0-9]))"
    r"(?P<more>(?:[0-9]{0,40}\\dot\s*(?:[0-9]|\{\s*[0-9]\s*\})){0,40})"  # over the last digit, too
    r"|\((?P<round>[0-9]{1,40})\)|(?P<dots>\\[lc]?dots(?![A-Za-z])|\.\.\.+))"
)
_PERIOD = re.compile(r"([0-9])\1\1+$|([0-9]{2,6}?)\2+$")


def repeating_decimals(text: str) -> str:
    r"""Decimals with a period as fractions: `0.\overline{3}`, `0.1\bar6`, `0.(3)`, `0.333...`."""
    if "." not in text:
        return text

    def fraction(match: re.Match[str]) -> str:
        fixed, period = match["fixed"], match["braced"] or match["one"] or match["round"]
        if match["more"]:
            period += re.sub(r"[^0-9]", "", match["more"])
        if period is None:
            repeated = _PERIOD.search(fixed)
            if repeated is None:
                return match[0]
            fixed, period = fixed[: repeated.start()], repeated[1] or repeated[2]
        nines = (10 ** len(period) - 1) * 10 ** len(fixed)
        top = int((match["whole"] + fixed + period) or 0) - int((match["whole"] + fixed) or 0)
        divisor = math.gcd(top, nines)
        return rf"\frac{{{top // divisor}}}{{{nines // divisor}}}"

    return _REPEATING.sub(fraction, text)
