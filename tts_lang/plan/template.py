"""Prompt templates: literal text with slots that are filled from candidates.

Slots (semantics.md, "Forms that the rules assume"): `{problem}`, `{text}`, `{solution}` (the text
after the thinking), `{answer}`, `{parent.text}`, `{candidates}` (every row of a `together` pool),
`{others}` (the pool's other rows), `{attempts last 4}` (the line of attempts that led to this row,
latest last), `{field.NAME}` of the problem, `{NAME}` for a parameter of the prompt or a column of
the row, `{candidates.NAME}` and `{others.NAME}` for that of each row, `{JUDGE.words}` for what a
judge wrote about the row. `{{` and `}}` are literal braces.
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


#: Slots that show one candidate; `candidates` shows the pool of a `together`.
ONE_ROW = frozenset({"text", "solution", "answer", "parent.text", "attempts", "others"})

#: Slots that show one row's text or answer; after `candidates.` or `others.`, those of each row.
TEXTS = ("text", "solution", "answer")
#: Slots that list rows.
LISTS = ("candidates", "others")


def split_slot(name: str) -> tuple[str, str]:
    """A slot's list and column: `others.said` is (`others`, `said`), `said` is (``, `said`).

    The first is one of `LISTS`, `field`, a judge (`grade.words`), or empty.
    """
    head, dot, rest = name.partition(".")
    if name in ROW_SLOTS or not dot:
        return ("", name) if name not in LISTS else (name, "")
    return head, rest


def shows_row(name: str) -> bool:
    """Whether a slot that is no parameter shows something of one row."""
    head, _ = split_slot(name)
    return name != "problem" and head not in ("field", "candidates")


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
