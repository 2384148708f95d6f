"""Items of a line, in any order and punctuation: values with their kinds, and small words.

Whatever is an expression over names that are known here is one part, written as this language
writes it; other words are looked up in the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tts_lang.repair.conditions import ConditionReader
from tts_lang.repair.lexicon import (
    COLUMNS_MEANT,
    FUNCTIONS_MEANT,
    MEANINGS,
    ROWS,
    SCORES,
    UNITS,
    VERB_WORDS,
)
from tts_lang.repair.parts import Item


class LineReader(ConditionReader):
    """Reads the parts of a line."""

    def items(self) -> list[Item]:
        """All parts of the line."""
        parts: list[Item] = []
        at = 0
        while at < len(self.tokens):
            item, at = self._next(at, parts)
            parts.append(replace(item, at=at))
            parts += self.pending
            self.pending.clear()
            if item.kind == "pool" and self._word(at) == "[":
                part, at = self._index(item.text, at)
                parts[-1:] = part or parts[-1:]
        return parts

    def _next(self, at: int, before: Sequence[Item]) -> tuple[Item, int]:
        last = before[-1] if before else None
        word = self._word(at)
        if last is not None and last.text == "let" and last.kind == "mark" and len(before) == 1:
            return Item("word", self.tokens[at]), at + 1
        labelled = self._word(at + 1) in {"=", ":"} and self._word(at - 1) in {"(", ","}
        if labelled and (value := self._sum(at + 2)) is not None:
            if word in UNITS and value[0].kind == "num":
                self.pending.append(Item("unit", UNITS[word]))
                return value
            if value[0].kind == "text" and value[0].text.strip('"') in UNITS:
                return Item("unit", UNITS[value[0].text.strip('"')]), value[1]
            meanings = MEANINGS.get(word.replace("_", " "), frozenset())
            return Item("mark", word, meanings | {"nothing"}), at + 2
        counted = last is not None and last.kind in {"num", "row"}
        if counted and self._word(at + 1)[:1] not in {*"<>=!+-*/"}:
            for size, phrase in self._phrases(at):
                if phrase in UNITS:
                    return Item("unit", UNITS[phrase]), at + size
            if (
                last is not None
                and last.kind == "num"
                and word in ROWS
                and self.tokens[at] not in self.names.pools
            ):
                meanings = MEANINGS.get(word, frozenset()) & {"times"}
                return Item("mark", word, meanings | {"nothing", "rows"}), at + 1
        for size, phrase in self._phrases(at):
            if size > 1 and phrase in MEANINGS and not self._value_at(at, size):
                return Item("mark", phrase, MEANINGS[phrase]), at + size
        follows = self._word(at + 1)
        column = word in COLUMNS_MEANT or word in SCORES
        names = {*self.names.pools, *self.names.strategies}
        first_verb = not before and word in MEANINGS and self.tokens[at] not in names
        if follows == "(" and word in FUNCTIONS_MEANT:
            first_verb = False
        if word == "policy" and follows == "(":
            return Item("mark", word, frozenset({"sample"})), at + 1
        if first_verb and word in VERB_WORDS and follows[:1] not in set(".=[<>+-*/"):
            return Item("mark", word, MEANINGS[word]), at + 1
        label = not before or follows in {"=", ":"} or follows[:1].isdigit()
        if column and follows != "(" and label and word in MEANINGS:
            return Item("mark", word, MEANINGS[word]), at + 1
        if not (word in SCORES and (last is None or last.kind != "mark")):
            value = self.expression(at)
            if value is not None:
                return value
        if before and word in UNITS:
            return Item("unit", UNITS[word]), at + 1
        if word in MEANINGS:
            return Item("mark", word, MEANINGS[word]), at + 1
        for part in re.split(r"_|(?<=[a-z])(?=[A-Z])", self.tokens[at]):
            if (part.lower() in MEANINGS) and part != self.tokens[at]:
                phrase = re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", self.tokens[at]).lower()
                meanings = MEANINGS.get(phrase, MEANINGS[part.lower()])
                return Item("mark", phrase, meanings), at + 1
        if (unit := UNITS.get(word)) is not None:
            return Item("unit", unit), at + 1
        return Item("word", self.tokens[at]), at + 1

    def _value_at(self, at: int, size: int) -> bool:
        """Whether a phrase begins with a name that is known here, or holds one."""
        values = {*self.names.pools, *self.names.numbers, *self.names.prompts, *self.names.scored}
        return any(self.tokens[at + n] in values for n in range(size)) or (
            self.tokens[at] in self.names.all and self.tokens[at] not in UNITS
        )

    def _index(self, pool: str, at: int) -> tuple[list[Item], int]:
        """`pool[:4]`, `pool[0]`, `pool[-1]` as pools; other brackets are read on their own."""
        end = self._closing(at)
        inside = self.tokens[at + 1 : end]
        text = {"0": f"first of {pool}", "- 1": f"best of {pool} by index"}.get(" ".join(inside))
        start = 2 if inside[:2] == ["0", ":"] else 1 if inside[:1] == [":"] else 0
        value = self._whole(inside[start:])
        if start and value is not None and value.kind == "num":
            text = f"first {value.text} of {pool}"
        elif value is not None and value.kind == "flag":
            text = f"{pool} where {value.text}"
        if text is None:
            return [], at + 1
        return [Item("pool", text, simple=False)], end + 1
