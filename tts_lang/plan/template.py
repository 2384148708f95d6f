"""Prompt templates: literal text with slots that are filled from candidates.

Slots (semantics.md, "Forms that the rules assume"): `{problem}`, `{text}`, `{solution}` (the text
after the thinking), `{answer}`, `{parent.text}`, `{candidates}` (every row of a `together` pool),
`{others}` (the pool's other rows), `{attempts last 4}` (the line of attempts that led to this row,
latest last), and `{NAME}` for a parameter of the prompt. `{{` and `}}` are literal braces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

#: Slots that every prompt has; any other name in braces must be a parameter.
ROW_SLOTS = (
    "problem",
    "text",
    "solution",
    "answer",
    "parent.text",
    "candidates",
    "others",
    "attempts",
)


#: Slots that show one candidate, and slots that show the pool of a `together`.
ONE_ROW = frozenset({"text", "solution", "answer", "parent.text", "attempts", "others"})
WHOLE_POOL = frozenset({"candidates"})


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to fill.

    Args:
        name: One of `ROW_SLOTS`, or a parameter of the prompt.
        last: With "attempts": at most this many, the latest; all when absent.
    """

    name: str
    last: int | None = None


Part: TypeAlias = "str | Slot"


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt's name and its text cut at the slots."""

    name: str
    parts: tuple[Part, ...]
