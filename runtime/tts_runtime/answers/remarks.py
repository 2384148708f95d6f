"""What is said around an answer: its source, the rest of its sentence, words to the reader."""

import re

# Behind a value: "3.14 (rounded to 2 places)", "7 (see Figure 2)", "(Problem 3 of 2019)".
REMARK = re.compile(
    r"\((?:see|rounded|correct to|to the nearest|confidence|certainty|note|since|because|using"
    r"|problem|fig\.?|figure|eq\.?|equation|page|step|table|source|cf"
    r"|(?:from|by) (?:part|step|eq\w*|the|our|problem))\b[^()$\\\n]{0,80}\)",
    re.IGNORECASE,
)
#: Between two sentences.
SENTENCE_GAP = re.compile(r"\n|[。！？]|(?<=[^\W_]{2}[.!?])\s|(?<=[)\]*$0-9][.!?])\s")
# "**Option 2**" and "**7 days:**" are labels. The mark that closes the last one may be gone with
# the end of its sentence.
_BOLD = re.compile(
    r"(?<![*\w])\*\*(?![\s*]|[A-Za-z]{2})(?P<content>[^*\n]{1,80})(?<![\s:])"
    r"(?:\*\*(?![*\w]|\s?:)|$)"
)
# Between a value and a number that only says of what, when or why: "205 miles from home after 4
# hours", "3 mph to reach 4"; but "for 5 years, he pays 12", "5 workers need 12 days".
_BESIDE = re.compile(
    r"(?=.*\b(?:in|of|at|from|for|over|after|per|to|by|with|within|during|on|than)\b)"
    r"(?:(?!\b(?:is|are|was|were|equals?|makes?|gives?|gets?|costs?|takes?|needs?)\b)[^,=\n])*",
    re.IGNORECASE,
)
_OFFER = (
    r"(?:please |just )?(?:let me know|feel free|ask|tell me|say so"
    r"|i (?:can|could) (?:help|explain|show|give|provide|go)"
    r"|i(?:['’]d| would|['’]ll| will|['’]m| am) (?:be )?(?:happy|glad))"
)
# Whole sentences at the end: "Good luck in 2024!", "Let me know if you need 2 more". "If you want
# to know the sum, it is 20." is none: it offers nothing.
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


def emphasised(text: str, place: int) -> str | None:
    """What alone is in bold in the sentence around a number, if the number only adds to it.

    `**7 eggs** in 4 weeks`; a label such as `**Option 2**` is none. `place`: where the number is.
    """
    begin, end = 0, len(text)
    for gap in SENTENCE_GAP.finditer(text):
        if gap.end() > place:
            end = gap.start()
            break
        begin = gap.end()
    bold = list(_BOLD.finditer(text, begin, end))
    if len(bold) != 1:
        return None
    adds = bold[0].end() >= place or _BESIDE.fullmatch(text, bold[0].end(), place)
    return bold[0]["content"] if adds else None
