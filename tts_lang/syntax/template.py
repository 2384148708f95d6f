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
    for found in _SLOT.finditer(text.value):
        literal += text.value[position : found.start()]
        position = found.end()
        if found.group(1) is None:
            literal += found.group()[0]
            continue
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(WrittenSlot(found.group(1), found.group(2), next(places, text.span)))
    literal += text.value[position:]
    return (*parts, literal) if literal else tuple(parts)


@dataclass(frozen=True, slots=True)
class NearSlot:
    """Braces that hold no slot, but look as if they should: `{text:.2f}`, `{{problem}}`."""

    text: str
    name: str
    span: Span

    @property
    def meant(self) -> str:
        """The slot that was probably meant."""
        many = re.search(r"\d+", self.text)
        if self.name == "attempts" and many is not None:
            return f"{{attempts last {many[0]}}}"
        return f"{{{self.name}}}"


#: Doubled, or with a format as in Python.
_NEAR = re.compile(
    r"(?<!\{)\{\{ *(?P<doubled>[A-Za-z_][\w.]*) *\}\}(?!\})"
    r"|\{ *(?P<formatted>[A-Za-z_][\w.]*) *[:!\[ ][^{}\n]*\}",
    re.ASCII,
)


def near_slots(text: Text, source: Source, names: frozenset[str]) -> list[NearSlot]:
    """Braces around one of these names that are no slot."""
    start = text.span.start
    found = []
    for near in _NEAR.finditer(source.slice(text.span)):
        name = near["doubled"] or near["formatted"]
        if name in names and not _SLOT.fullmatch(near.group() if near["formatted"] else ""):
            span = Span(start + near.start(), start + near.end())
            found.append(NearSlot(near.group(), name, span))
    return found


def _places(text: Text, source: Source | None) -> list[Span]:
    """The spans of the slots: slots hold no line breaks, so the raw text has the same ones."""
    if source is None:
        return []
    start = text.span.start
    raw = source.slice(text.span)
    return [
        Span(start + found.start(), start + found.end())
        for found in _SLOT.finditer(raw)
        if found.group(1) is not None
    ]
