"""Slots in the texts of prompts and judges: `{problem}`, `{parent.text}`, `{attempts last 4}`.

Braces that hold no slot are plain text, so `\\boxed{}` can be written as it is; `{{` and `}}` stand
for single braces where a slot would be read otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts_lang.source import Source
    from tts_lang.syntax.nodes import Text

from tts_lang.source import Span

_SLOT = re.compile(
    r"\{\{|\}\}|\{ *([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?: +last +(\w+))? *\}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class WrittenSlot:
    """A place to fill: a dotted name, and how many of the latest to show (number or parameter)."""

    name: str
    last: str | None
    span: Span


def parse_template(text: Text, source: Source | None = None) -> tuple[str | WrittenSlot, ...]:
    """The literal parts and the slots of a text, in order.

    With the text's source, slots know their place; without it, they carry the span of the text.
    """
    places = iter(_places(text, source))
    parts: list[str | WrittenSlot] = []
    literal, position = "", 0
    for match in _SLOT.finditer(text.value):
        literal += text.value[position : match.start()]
        position = match.end()
        if match.group(1) is None:
            literal += match.group()[0]
            continue
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(WrittenSlot(match.group(1), match.group(2), next(places, text.span)))
    literal += text.value[position:]
    return (*parts, literal) if literal else tuple(parts)


@dataclass(frozen=True, slots=True)
class NearSlot:
    """A text that looks like a slot, and is none: `{text:.2f}`, `{{problem}}`, `%s`."""

    text: str
    name: str
    span: Span

    @property
    def meant(self) -> str:
        """The suggestion for it."""
        if self.name == "":
            return "a slot is a name in braces, such as `{problem}` and `{text}`"
        many = re.search(r"\d+", self.text)
        if self.name == "attempts" and many is not None:
            return f"write `{{attempts last {many[0]}}}`"
        return f"write `{{{self.name}}}`"


#: Doubled, with a format as in Python, a number, a `$` before it as in a shell (and none behind it
#: as in LaTeX), `%s`, a tag.
_NEAR = re.compile(
    r"(?<!\{)\{\{ *(?P<doubled>[A-Za-z_][\w.]*) *\}\}(?!\})"
    r"|\{ *(?P<formatted>[A-Za-z_][\w.]*) *[:!\[ ][^{}\n]*\}"
    r"|(?<![\w^}\\$])\{\d\}|(?<![\w%\\])%s\b"
    r"|\$\{ *(?P<shell>[A-Za-z_][\w.]*) *\}(?!\$)|<(?P<tag>[A-Za-z_]\w*)>",
    re.ASCII,
)


def near_slots(text: Text, source: Source, names: frozenset[str]) -> list[NearSlot]:
    """Texts around one of these names that look like slots, and are none."""
    start, raw = text.span.start, source.slice(text.span)
    slots = []
    for near in _NEAR.finditer(raw):
        name = near["doubled"] or near["formatted"] or near["shell"] or near["tag"] or ""
        if near["tag"] and f"</{name}>" in raw:
            continue
        is_name = name in names or name == ""
        if is_name and not _SLOT.fullmatch(near.group() if near["formatted"] else ""):
            span = Span(start + near.start(), start + near.end())
            slots.append(NearSlot(near.group(), name, span))
    return slots


def _places(text: Text, source: Source | None) -> list[Span]:
    """The spans of the slots: slots hold no line breaks, so the raw text has the same ones."""
    if source is None:
        return []
    start = text.span.start
    raw = source.slice(text.span)
    return [
        Span(start + match.start(), start + match.end())
        for match in _SLOT.finditer(raw)
        if match.group(1) is not None
    ]
