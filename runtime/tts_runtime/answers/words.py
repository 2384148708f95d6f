"""Words that are a whole answer: numbers by name, and phrases that say the same."""

import re

_ONES = re.findall(
    r"\S+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen",
)
_TENS = re.findall(r"\S+", "twenty thirty forty fifty sixty seventy eighty ninety")
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5}
_FRACTION = re.compile(rf"(?:({'|'.join(_ONES[1:10])}|an?)[ -])?({'|'.join(_PARTS)})s?")
_AND_A_PART = re.compile(
    rf"(?P<whole>[1-9][0-9]{{0,8}}|[a-z -]+) and "
    rf"(?P<part>(?:an?|[a-z]+)[ -](?:{'|'.join(_PARTS)})s?)"
)
_VALUES = {name: value for value, name in enumerate(_ONES)}
_VALUES |= {name: 10 * value for value, name in enumerate(_TENS, start=2)}
_SCALES = {"trillion": 10**12, "billion": 10**9, "million": 10**6, "thousand": 10**3}
_DIGIT = rf"(?:{'|'.join(_ONES[1:10])})"
_BELOW_HUNDRED = rf"(?:(?:{'|'.join(_TENS)})(?: {_DIGIT})?|(?:{'|'.join(_ONES[1:])}))"
_BELOW_THOUSAND = (
    rf"(?:(?:{_DIGIT}|an?) hundred(?:(?: and)? {_BELOW_HUNDRED})?|{_BELOW_HUNDRED}|an?(?= [tmb]))"
)
_WHOLE = re.compile(
    "".join(rf"(?:(?P<{scale}>{_BELOW_THOUSAND}) {scale}(?: |$))?" for scale in _SCALES)
    + rf"(?:(?:(?<= )and )?(?P<rest>{_BELOW_THOUSAND}))?"
)
# "two thousand, three hundred" is one number, "twenty, five" two.
_GROUP_COMMA = re.compile(r"(?:(?<=thousand)|(?<=illion)),(?= .*(?:hundred|thousand|illion))")
_SIGNED = re.compile(r"(?:minus|negative) (?=[a-z])")
_SAME = {
    "dne": "does not exist",
    "no solutions": "no solution",
    "no real solutions": "no real solution",
}
# Not the letter of a choice: at least three letters follow, or "x-axis".
_ARTICLE = re.compile(r"(?:(?:an?|the) )+(?=[a-z]{3}|[a-z]{1,2}-[a-z])")


def number_of(text: str) -> str | None:
    """`twenty-one` as `21`, `minus two thirds` as `-2/3`, None for all other words."""
    text = text.strip().lower()
    sign = _SIGNED.match(text)
    if sign is not None:
        value = number_of(text[sign.end() :])
        return f"-{value}" if value is not None and value[0] != "-" else None
    fraction = _FRACTION.fullmatch(text)
    if fraction is not None:
        counted = fraction[1] not in (None, "a", "an")
        if not counted and fraction[2] not in ("half", "third", "quarter"):
            return None
        if counted or fraction[1] or fraction[2] == "half":
            return f"{_VALUES[fraction[1]] if counted else 1}/{_PARTS[fraction[2]]}"
    both = _AND_A_PART.fullmatch(text)
    if both is not None:
        parts = (
            both["whole"] if both["whole"].isdigit() else number_of(both["whole"]),
            number_of(both["part"]),
        )
        whole = parts[0] is not None and parts[0].isdigit() and parts[1] is not None
        return f"{parts[0]} {parts[1]}" if whole else None
    if text == "zero":
        return "0"
    whole = _WHOLE.fullmatch(re.sub(r"[\s-]+", " ", _GROUP_COMMA.sub("", text))) if text else None
    if whole is None:
        return None
    groups = whole.groupdict()
    return str(
        sum(_value(groups[name] or "") * scale for name, scale in _SCALES.items())
        + _value(groups["rest"] or "")
    )


def _value(words: str) -> int:
    """The value of a number below a thousand by name."""
    hundreds, hundred, rest = words.rpartition("hundred")
    value = sum(_VALUES.get(word, 0) for word in rest.split())
    leading = hundreds.strip() or ("" if hundred else rest.strip())
    if leading in ("a", "an"):
        return value + (100 if hundred else 1)
    return value + (100 * _VALUES[leading] if hundred else 0)


def plain_words(text: str) -> str:
    """Words in lower case without an article before them, and in one of several ways to say it."""
    text = text.lower()
    article = _ARTICLE.match(text)
    if article is not None and number_of(text[article.end() :]) is None:
        text = text[article.end() :]
    return _SAME.get(text, text)
