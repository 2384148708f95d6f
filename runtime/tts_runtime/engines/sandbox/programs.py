"""Finds the program in a text; shows a program's output as a text."""

from __future__ import annotations

import re
from itertools import takewhile
from textwrap import dedent, indent
from typing import Final

from tts_runtime.engines.sandbox.box import ProgramResult

_FENCE: Final = re.compile(r"(`{3,}|~{3,})\s*([^\s`]*)")
_PYTHON: Final = ("python", "python3", "py", "py3")
_QUOTES: Final = re.compile(r"\"{3}|'{3}")
#: In a text in quotes, a fence that is indented by this many more than its opening is part of it.
_DEEPER: Final = 4
#: Lines that begin a program, and lines of words about one.
_BEGINS_CODE: Final = re.compile(
    r"(?:async[ ]+)?(?:def|class)[ ]+\w|import[ ]+\w|from[ ]+[\w.]+[ ]+import|@\w"
)
_WORDS: Final = re.compile(
    r"(?!(?:def|class|import|from|if|elif|else|for|while|with|try|except|finally|return|assert"
    r"|raise|del|global|async|await|match|case|lambda|not|yield|print|pass)\b)(?:[-*>][ ]+)?"
    r"[A-Za-z](?:[\w ]*[:!.]$"
    r"|[\w'’`]*(?:\(\))?[,:!.]?[ ]+(?:[\w'’`]+[,:]?[ ]+)?[a-z`][^=]*$)"
)
#: Characters of error output to show, from its end.
_ERRORS_SHOWN: Final = 2000
#: Control characters, but for tabs and line breaks.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_STOPPED: Final = {
    "time": "it ran too long",
    "memory": "it took too much memory",
    "processes": "it started too many processes",
    "disk": "it wrote too much",
    "output": "it printed too much",
}


def program_in(text: str, *functions: str) -> str:
    """The last block of code that is marked as Python, else the last without a mark, else the last,
    else all of it.

    LiveCodeBench takes a model's last block, too. An unclosed block extends to the end, or to the
    next that is marked as Python; a fence that closes what none opened ends the program. If one of
    several blocks, or the text before them, defines one of `functions`, the last that does counts:
    an example of its use may follow.
    """
    blocks: list[tuple[str, list[str]]] = []
    before: list[str] = []
    fence, margin, quotes = "", 0, ""
    for line in text.split("\n"):
        stripped = line.strip()
        opened = _FENCE.match(stripped)
        closes = fence and stripped.startswith(fence) and not stripped.strip(fence[0])
        if closes and not (quotes and _indent(line) - margin >= _DEEPER):
            fence = ""
        elif opened and (not fence or (_begins(opened, fence) and _indent(line) <= margin)):
            fence, margin, quotes = opened[1], _indent(line), ""
            blocks.append((opened[2].lower(), []))
        elif fence:
            blocks[-1][1].append(line)
            quotes = _quotes_after(line, quotes)
        elif not blocks:
            before.append(line)
    if not blocks:
        return _without_words(text, *functions) if definition(text, *functions) else text
    kinds = [kind for kind, _ in blocks]
    best = [kind for kind in kinds if kind in _PYTHON] or [kind for kind in kinds if not kind]
    programs = [dedent("\n".join(lines)) for kind, lines in blocks if kind in best or not best]
    defining = [program for program in programs if functions and definition(program, *functions)]
    if not defining:
        rest = "\n".join(before)
        closed = len(blocks) == 1 and fence and not kinds[0]
        # Behind a function's body there may be words about it.
        if closed and (not programs[0].strip() or re.match(r"\s*?(?:\t| {2})", rest)):
            return rest
        if functions and definition(rest, *functions):
            return rest
    return (defining or programs)[-1]


def _without_words(text: str, *functions: str) -> str:
    """A program without fences, without the words around and in it; words behind the definition of
    one of `functions` end it."""
    program: list[str] = []
    begun = defined = False
    quotes = ""
    for line in text.split("\n"):
        if not quotes and _WORDS.match(line):
            if defined:
                break
            if not begun:
                program.clear()
            continue
        begun = begun or _BEGINS_CODE.match(line) is not None
        defined = defined or definition(line, *functions) is not None
        program.append(line)
        quotes = _quotes_after(line, quotes)
    return "\n".join(program)


def _quotes_after(line: str, quotes: str) -> str:
    """The quotes of a text of several lines that a line leaves open, with those that it begins in;
    empty for none."""
    for mark in _QUOTES.findall(line):
        quotes = mark if not quotes else quotes.replace(mark, "")
    return quotes


def with_functions(program: str, *names: str) -> str:
    """The program, with those of these functions that it has as methods of a class, as functions.

    Models that have seen LeetCode write `class Solution`; tests call the function itself.
    """
    for name in names:
        method = re.search(rf"^[ \t]+(?:async[ ]+)?def[ ]+{re.escape(name)}\b", program, re.M)
        if method is None or re.search(
            rf"^(?:async[ ]+|def[ ]+|class[ ]+)*{re.escape(name)}\b", program, re.M
        ):
            continue
        heads = re.findall(r"^(?:class[ ]+(\w+)|\S)", program[: method.start()], re.M)
        if heads and heads[-1]:
            program = f"{program.rstrip()}\n\n{name} = {heads[-1]}().{name}\n"
    return program


def _begins(opened: re.Match[str], fence: str) -> bool:
    """Whether a fence begins a program, in a block that another one opened."""
    return opened[2].lower() in _PYTHON and opened[1].startswith(fence)


def definition(program: str, *names: str) -> re.Match[str] | None:
    """Where a program begins to define one of these functions."""
    name = f"(?:{'|'.join(map(re.escape, names))})"
    return re.search(
        rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b"
        rf"|^{name}[ \t]*(?::[^=\n]*)?=(?!=|[ \t]*{name}\b)",
        program,
        re.MULTILINE,
    )


def continued(prompt: str, rest: str) -> str:
    """A prompt that ends in a function, and the rest of it, however it is indented.

    A block of code has lost the indentation of all its lines, a reply that of its first one.
    """
    lines = rest.strip("\n").split("\n")
    if lines[0][:1].strip():
        following = [line for line in lines[1:] if line.strip()]
        inner = list(takewhile(lambda line: line[0].isspace(), following))
        least = min(map(_indent, inner), default=0)
        ends = lines[0].partition("#")[0].rstrip()[-1:]
        opens = ends in (*":([{,\\",) and inner and _indent(inner[0]) == least
        if inner and not opens:
            lines[0] = " " * least + lines[0]
        else:
            lines = [f" {line}" for line in lines]
    body = list(takewhile(lambda line: not line[:1].strip(), lines))
    last = prompt.rstrip().rpartition("\n")[2]
    margin = last[: _indent(last)] + "    " * last.endswith(":")
    moved = indent(dedent("\n".join(body)), margin).split("\n")
    return "\n".join([prompt.rstrip(), *moved, *lines[len(body) :]]) + "\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def reply_of(outcome: ProgramResult) -> str:
    """The output of a program, and the error if it failed."""
    parts = [_shown(outcome.output)]
    if not outcome.finished:
        parts.append(_shown(outcome.errors)[-_ERRORS_SHOWN:])
        if outcome.stopped:
            parts.append(f"Stopped: {_STOPPED.get(outcome.stopped, outcome.stopped)}.")
        elif not outcome.errors.strip():
            parts.append(f"It ended with code {outcome.code}.")
    return "\n".join(part.rstrip("\n") for part in parts if part.strip()) + "\n"


def _shown(data: bytes) -> str:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
