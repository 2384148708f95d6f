"""Words that are a whole answer: numbers by name, and phrases that say the same."""

import re

_ONES = re.findall(
    r"\S+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen",
)
_TENS = re.findall(r"\S+", "twenty thirty forty fifty sixty seventy eighty ninety")
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5}
_FRACTION = re.compile(rf"({'|'.join(_ONES[1:10])})[ -]({'|'.join(_PARTS)})s?")
_NUMBERS = {name: str(value) for value, name in enumerate(_ONES)}
for _at, _ten in enumerate(_TENS, start=2):
    _NUMBERS[_ten] = str(10 * _at)
    for _one, _name in enumerate(_ONES[1:10], start=1):
        _NUMBERS[f"{_ten} {_name}"] = str(10 * _at + _one)
_SAME = {
    "dne": "does not exist",
    "no solutions": "no solution",
    "no real solutions": "no real solution",
}
# Not the letter of a choice: at least three letters follow, or "x-axis".
_ARTICLE = re.compile(r"(?:(?:an?|the) )+(?=[a-z]{3}|[a-z]{1,2}-[a-z])")


def number_of(text: str) -> str | None:
    """`twenty-one` as `21`, `two thirds` as `2/3`, None for all other words."""
    text = text.strip().lower()
    fraction = _FRACTION.fullmatch(text)
    if fraction is not None:
        return f"{_NUMBERS[fraction[1]]}/{_PARTS[fraction[2]]}"
    return _NUMBERS.get(text.replace("-", " "))


def plain_words(text: str) -> str:
    """Words in lower case without an article before them, and in one of several ways to say it."""
    text = text.lower()
    article = _ARTICLE.match(text)
    text = text[article.end() :] if article is not None else text
    return _SAME.get(text, text)
