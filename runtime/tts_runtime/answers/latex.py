r"""The little LaTeX that is needed before a parser sees the answer: braces and arguments."""

import re

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_ARGUMENTS = {r"\frac": 2, r"\sqrt": 1, r"\binom": 2}
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def balanced_end(text: str, start: int) -> int | None:
    """The position after the brace that closes the one at `start`, or None."""
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return None


def matching(text: str, start: int) -> int | None:
    """The position of the bracket that closes the round one at `start`, or None."""
    nesting = 0
    for position in range(start, len(text)):
        nesting += {"(": 1, ")": -1}.get(text[position], 0)
        if nesting == 0:
            return position
    return None


def brace_arguments(text: str) -> str:
    r"""Write the arguments of `\frac` and `\sqrt` with braces: `\frac43`, `\sqrt2`, `\frac\pi2`."""
    if not any(command in text for command in _ARGUMENTS):
        return text
    pieces: list[str] = []
    position = 0
    while position < len(text):
        token = _token(text, position)
        position += len(token)
        pieces.append(token)
        if token == r"\sqrt":
            index = re.compile(r"\s*(\[[^\[\]]*\])").match(text, position)
            if index is not None:
                pieces.append(index[1])
                position = index.end()
        for _ in range(_ARGUMENTS.get(token, 0)):
            while position < len(text) and text[position] == " ":
                position += 1
            if position >= len(text) or text[position] in "{}":
                end = balanced_end(text, position) if text[position : position + 1] == "{" else None
                if end is None:
                    break
                pieces.append("{" + brace_arguments(text[position + 1 : end - 1]) + "}")
                position = end
                continue
            argument = _token(text, position)
            if argument in _ARGUMENTS:
                break
            pieces.append("{" + argument + "}")
            position += len(argument)
    return "".join(pieces)


def _token(text: str, position: int) -> str:
    match = _TOKEN.match(text, position)
    return match[0] if match is not None else ""


def depth(text: str) -> int:
    """The nesting depth of brackets of all kinds; unbalanced ones count too."""
    deepest = current = 0
    for character in text:
        if character in "([{":
            current += 1
            deepest = max(deepest, current)
        elif character in ")]}":
            current = max(0, current - 1)
    return deepest


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a separator outside all brackets."""
    parts: list[str] = []
    nesting = 0
    begin = position = 0
    while position < len(text):
        if nesting == 0 and text.startswith(separator, position):
            parts.append(text[begin:position])
            position += len(separator)
            begin = position
            continue
        token = _token(text, position)
        if token in ("(", "[", "{", r"\{"):
            nesting += 1
        elif token in (")", "]", "}", r"\}"):
            nesting -= 1
        position += len(token)
    parts.append(text[begin:])
    return parts


def enclosed(text: str, openings: str, closings: str) -> bool:
    """Whether the first bracket, one of `openings`, closes with the last, one of `closings`."""
    if len(text) < 2 or text[0] not in openings or text[-1] not in closings:
        return False
    nesting = 0
    for position, character in enumerate(text):
        if character in "([{":
            nesting += 1
        elif character in ")]}":
            nesting -= 1
            if nesting == 0:
                return position == len(text) - 1
    return False
