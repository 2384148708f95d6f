"""What is said beside an answer: where it comes from, and what is said to the reader at the end."""

import re

# Behind a value: "3.14 (rounded to 2 places)", "7 (see Figure 2)", "(Problem 3 of 2019)".
REMARK = re.compile(
    r"\((?:see|rounded|correct to|to the nearest|confidence|certainty|note|since|because|using"
    r"|problem|fig\.?|figure|eq\.?|equation|page|step|table|source|cf"
    r"|(?:from|by) (?:part|step|eq\w*|the|our|problem))\b[^()$\\\n]{0,80}\)",
    re.IGNORECASE,
)
_OFFER = (
    r"(?:please |just )?(?:let me know|feel free|ask|tell me|say so"
    r"|i (?:can|could) (?:help|explain|show|give|provide|go)"
    r"|i(?:['’]d| would|['’]ll| will|['’]m| am) (?:be )?(?:happy|glad))"
)
# Whole sentences at the end: "Good luck in 2024!", "Let me know if you need 2 more". "If you want
#: to know the sum, it is 20." is none: it offers nothing.
_FAREWELL = re.compile(
    r"(?:^|(?<=\n)|(?<=\s\s)|(?<=[.!?)*\]$]\s))"
    r"(?:(?:(?:please )?(?:let me know|feel free)|good luck"
    r"|(?:i )?hope (?:this|that|it) (?:helps|is clear)"
    rf"|if you\b[^,.!?\n$\\]{{1,100}}, {_OFFER}|would you like|do you want me)\b"
    r"(?:[^\n$\\.!?]|\.(?=\d)){0,200}+(?:[.!?][^\w$\\]*+|$))++$",
    re.IGNORECASE,
)
_MAXIMUM_FAREWELL = 1000


def without_farewell(text: str) -> str:
    """The text without what is said to the reader at its end, unless that is all of it."""
    farewell = _FAREWELL.search(text, max(0, len(text) - _MAXIMUM_FAREWELL))
    return text[: farewell.start()] or text if farewell is not None else text
