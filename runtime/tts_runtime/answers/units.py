r"""Units and other words behind a number: which they are, and what they multiply by.

What is counted is no closed list: `12 bags` is 12. A word that changes the value is no unit:
`5 million`, `10 pm`. Which unit an answer names matters only beside another one (`grade`).
"""

import re
from fractions import Fraction
from math import prod

_MULTIPLIERS = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "gross": 144,
    "lakh": 10**5,
    "crore": 10**7,
}
# Other languages; `billion` is a million millions in most of them.
_FOREIGN = {
    1000: "tausend mil mille mila тысяча тысячи тысяч тыс",
    1000000: "millionen mio millones millón millions milhões milhão milioni "
    "миллион миллиона миллионов млн",
    1000000000: "milliarde milliarden mrd milliard milliards miliardi "
    "миллиард миллиарда миллиардов млрд",
}
_FOREIGN_WORDS = {word: factor for factor, line in _FOREIGN.items() for word in line.split()}
_SIGNS = {
    **dict.fromkeys("百백", 10**2),
    **dict.fromkeys("千천", 10**3),
    **dict.fromkeys("万萬만", 10**4),
    **dict.fromkeys("亿億억", 10**8),
}
_FACTORS_BY_WORD = _MULTIPLIERS | _FOREIGN_WORDS
_MULTIPLE = re.compile(
    r"(?<![0-9.,/])(?P<value>[0-9][0-9,]{0,30}(?:\.[0-9]{1,30})?)[ ~]*(?P<text>\\text\{\s*)?"
    # `a`: letters that are an `i` or an `s` in any case, and that `lower` leaves, are none here.
    r"(?:(?P<word>(?ai:hundred|thousand|million|billion|trillion|dozen|lakh|crore)"
    r"|(?ai:gross)(?=\W*$| of\b))"
    r"s?\b(?: of\b)?"
    rf"|(?P<foreign>{'|'.join(_FOREIGN_WORDS)})\b\.?"
    # `千克`, `千米` and `百帕` are units, `百分` begins a percentage.
    rf"|(?P<signs>[{''.join(_SIGNS)}]+)(?<!千(?=[克米瓦卡伏焦帕赫牛欧安]))(?<!百(?=[帕分])))",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")
_MONEY = ("$", "€", "£", "¥", "₹")
# Words that belong to the value or make the answer a sentence.
_NOT_A_UNIT = re.compile(
    r"\b(?:and|or|am|pm|a\.m|p\.m|hundreds?|thousands?|millions?|billions?|trillions?|dozens?|base|"
    r"lakhs?|crores?|"
    r"mod|north|south|east|west|left|right|if|for|is|to|times|plus|minus|not|no|than|only|"
    r"otherwise|when|where|choose|factorial|squared|cubed|thirds?|halves|half|quarters?|remainder)"
    r"\b(?! north| south| east| west)",
    re.IGNORECASE,
)
_ALLOWED = re.compile(r"\btimes$", re.IGNORECASE)

# Names that may follow a number without a space, or are shorter than three letters.
_SHORT = (
    r"mm|cm|dm|km|mi|in|ft|yd|kg|mg|lbs?|oz|ml|mL|cc|hrs?|mins?|secs?|ms|mph|kph|kmh|rad|deg|pct|"
    r"USD|usd|EUR|GB|MB|KB|kB|Hz|kHz|MHz|kW|kJ|kPa|Pa|eV|mol|cal|kcal|sq|cu|rpm|bpm|km/h|m/s"
)
_WORD = rf"(?:{_SHORT}|[A-Za-z]{{3,}}|[^\W\d_]{{0,20}}[^\W\d_a-zA-Z][^\W\d_]{{0,40}})"
_POWER = r"(?:\s*\^\s*(?:\{-?[0-9]\}|-?[0-9]))?"
_LETTERS = "mghslLJNVWCFKA"
_OHM = r"(k|\\text\{\s*k\s*\})?\\Omega(?![A-Za-z(])"
_LETTER = rf"(?:(?:\\mu\s*)?[{_LETTERS}](?![A-Za-z(])|{_OHM})"
_MORE_LETTERS = "dtyMTPHS"  # units only where a font says that they are no unknowns
_JOIN = r"(?:\s*/\s*|\s*\\cdot\s*|\s*-\s*|\.?\s+)"
# After a space: any words. Directly at the number: a short name or a word of another script.
_BARE = re.compile(
    rf"(?<=[0-9)}}\]!])(?:\s+(?:(?:sq|cu)\.?\s+|of\s+(?:an?\s+|the\s+)?)?(?:{_WORD}|{_LETTER})"
    rf"|(?:{_SHORT}|[^\W\d_a-zA-Z]+)(?![A-Za-z]))"
    rf"{_POWER}(?:{_JOIN}(?:{_WORD}|[A-Za-z]{{2}}|[{_LETTERS}]){_POWER}){{0,8}}\.?$"
)
# A remark in brackets: `9 (apples)`, `5 (five)`.
_REMARK = re.compile(
    rf"(?<=[0-9])\s+\(\s*(?:{_WORD}|[{_LETTERS}](?=\s*[)/]))"
    rf"(?:[ \-/]+(?:{_WORD}|[a-z]{{1,2}})){{0,8}}\s*\)\.?$"
)
# A single letter in a font is a unit only if it may be one: `3\mathrm{i}` is a number.
_TEXT = (
    r"\\text\{(?!\s*[A-Za-z]\s*\})(?:[^{}]|\{[^{}]*\})*\}"
    rf"|\\text\{{\s*[{_LETTERS}{_MORE_LETTERS}]\s*\}}"
)
_TEXT_UNIT = re.compile(
    rf"(?:(?:\s|\\cdot(?![A-Za-z])|/|\*|-(?=\s*\\text))*"
    rf"(?:{_TEXT}|\\frac\s*\{{\s*(?:{_TEXT}){_POWER}\s*\}}\s*\{{\s*(?:{_TEXT}){_POWER}\s*\}}){_POWER})+\s*$"
)
_FRACTION = re.compile(rf"\\frac\s*\{{((?:{_TEXT}){_POWER})\s*\}}\s*\{{((?:{_TEXT}){_POWER})\s*\}}")
# Single letters behind other unknowns, and several small ones, are factors: `r^2 h`, `2 m g`.
_FACTORS = re.compile(r"[a-z](?: [A-Za-z])+")
_COMMAND = re.compile(r"\\text\{[^{}]*\}|\\[A-Za-z]+")
_HAS_VALUE = re.compile(r"[0-9]|\\pi|\\infty")


def multiply_out(text: str) -> str:
    """`2.5 million` as 2500000."""

    def product(match: re.Match[str]) -> str:
        word = (match["word"] or match["foreign"] or "").lower()
        if word == "gross" and match.string[: match.start()].rstrip()[-1:] in _MONEY:
            return match[0]  # a sum before taxes
        digits = match["value"]
        if _DECIMAL_COMMA.fullmatch(digits) is not None:
            digits = digits.replace(",", ".")
        elif _GROUPED.fullmatch(digits) is None:
            return match[0]
        # `5百万` is five times a hundred times ten thousand.
        factor = _FACTORS_BY_WORD[word] if word else prod(map(_SIGNS.__getitem__, match["signs"]))
        value = Fraction(digits.replace(",", "")) * factor
        written = str(value) if value.denominator == 1 else f"{float(value)!r}"
        return written + (r"\text{" if match["text"] else "")

    return _MULTIPLE.sub(product, text)


def split_unit(text: str) -> tuple[str, str]:
    """The answer and the unit written behind it; the unit is empty if there is none."""
    for pattern in (_TEXT_UNIT, _BARE, _REMARK):
        match = pattern.search(text)
        if match is None:
            continue
        before, unit = text[: match.start()].rstrip(), match[0]
        unit = re.sub(_OHM, lambda ohm: "kohm" if ohm[1] else "ohm", unit)
        unit = re.sub(r"\\mu(?![A-Za-z])\s*", "u", unit)
        words = re.sub(r"\\(?:text|frac|cdot)|[{}()]", " ", _FRACTION.sub(r"\1/\2", unit)).strip()
        reason = _NOT_A_UNIT.search(words) and not _ALLOWED.fullmatch(words)
        if before.endswith(r"\circ") and words in ("N", "S", "E", "W"):
            continue  # of the compass
        if not before or reason or not _HAS_VALUE.search(before) or before[-1] in "+-*/^_=<(,":
            continue
        if pattern is _BARE and (
            _FACTORS.fullmatch(words) or (len(words) == 1 and _has_unknowns(before))
        ):
            continue
        return before, words
    return text, ""


def _has_unknowns(text: str) -> bool:
    value = re.split(r"=|\\approx(?![A-Za-z])", text)[-1]
    return re.search(r"[A-Za-z]", _COMMAND.sub(" ", value)) is not None


_SYNONYMS: dict[str, str] = {}
for _line in (
    "kg kilogram kilo kgs",
    "g gram gm",
    "mg milligram",
    "t ton tonne",
    "lb pound lbs £ GBP",
    "oz ounce",
    "mm millimeter millimetre",
    "cm centimeter centimetre",
    "m meter metre",
    "km kilometer kilometre kms",
    "inch inches",  # "in" is a word, too
    "ft foot feet",
    "yd yard",
    "mi mile",
    "s second sec",
    "min minute",
    "h hour hr",
    "day 天",
    "week wk",
    "month",
    "year yr",
    "l liter litre L",
    "ml milliliter millilitre mL",
    "dollar $ usd USD buck dollars",
    "cent ¢",
    "euro € eur EUR",
    "yen ¥ yuan rmb 元",
    "rupee ₹ rs",
    "% percent pct percentage percentage-point",
    "degree ° deg",
    "C celsius",
    "F fahrenheit",
    "rad radian",
    "person people",
    "child children",
    "man men",
    "woman women",
    "foot feet",
):
    for _name in _line.split()[1:]:
        _SYNONYMS[_name] = _line.split()[0]
_SYNONYMS["foot"] = _SYNONYMS["feet"] = "ft"
_ABBREVIATIONS = {
    "mph": "mi/h",
    "kph": "km/h",
    "kmh": "km/h",
    "rpm": "revolution/min",
}
_IGNORED = frozenset(
    [
        "of",
        "the",
        "a",
        "an",
        "in",
        "total",
        "unit",
        "each",
        "old",
        "long",
        "tall",
        "wide",
        "high",
        "away",
        "more",
        "less",
    ]
)
_NUMERAL = re.compile(
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    r"sixteen|seventeen|eighteen|nineteen|twenty"
)
# `in total` begins with a preposition, `in long` with a unit.
_INCH = re.compile(r"\bin\b(?!\.?\s*(?!(?:long|tall|wide|high|deep|thick|per|of)\b)[A-Za-z])")
_TOKEN = re.compile(r"\^\s*\{?\s*(-?[0-9])\s*\}?|(/|\bper\b)|([^\W\d_]+|[$€£¥₹¢%°])")


def dimensions(unit: str) -> dict[str, int]:
    """Base units with their powers: `m/s^2` is m to the 1 and s to the -2."""
    for short, long in _ABBREVIATIONS.items():
        unit = re.sub(rf"\b{short}\b", long, unit)
    unit = _INCH.sub("inch", unit)
    powers: dict[str, int] = {}
    sign, last, factor = 1, "", 1
    for power, per, word in _TOKEN.findall(unit):
        if per:
            sign = -1
        elif power:
            if last:
                powers[last] += sign * (int(power) - 1)
        elif word.lower() in ("square", "sq", "squared"):
            factor = 2
        elif word.lower() in ("cubic", "cu", "cubed"):
            factor = 3
        else:
            last = base_unit(word)
            if last in _IGNORED or _NUMERAL.fullmatch(last):
                last = ""
                continue
            powers[last] = powers.get(last, 0) + sign * factor
            factor = 1
    return powers


def base_unit(word: str) -> str:
    """The shortest name of a unit: `h` for `hours`."""
    if word in _SYNONYMS:
        return _SYNONYMS[word]
    if len(word) <= 2:
        return word
    word = word.lower()
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in _SYNONYMS:
            return _SYNONYMS[form]
    return word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")


# What makes two measures different although their units are the same.
_OPPOSITES = tuple(
    (first, second)
    for line in (
        "more less",
        "more fewer",
        "higher lower",
        "longer shorter",
        "older younger",
        "faster slower",
        "earlier later",
        "early late",
        "before after",
        "profit loss",
        "gain loss",
        "increase decrease",
        "above below",
        "up down",
        "forward backward",
        "won lost",
    )
    for pair in (line.split(),)
    for first, second in (pair, reversed(pair))
)


def contradict(first: str, second: str) -> bool:
    """Whether both name a unit, and not the same one, or say the opposite of it."""
    words = [set(re.findall(r"[a-z]+", unit.lower())) for unit in (first, second)]
    if any(one in words[0] and other in words[1] for one, other in _OPPOSITES):
        return True
    left, right = dimensions(first), dimensions(second)
    if not left or not right:
        return False
    if "degree" in left and "degree" in right:
        scales = {"C", "F"}
        return bool(scales & set(left)) and bool(scales & set(right)) and left != right
    base_units = set(_SYNONYMS.values())
    if set(left) <= base_units and set(right) <= base_units:
        return left != right
    return not set(left) & set(right)
