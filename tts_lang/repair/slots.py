"""Slots of forms: the parts of a line that fit them, and their texts there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tts_lang.plan.columns import COLUMNS
from tts_lang.repair.parts import Item, marks_before
from tts_lang.repair.scope import KnownNames

#: Kinds of items that fit the letters of forms.
KINDS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("P", "T", "Q"), frozenset({"pool"})),
    **dict.fromkeys(("k", "n", "N"), frozenset({"num"})),
    **dict.fromkeys(("E", "F"), frozenset({"row", "scorer", "num"})),
    "C": frozenset({"flag"}),
    "TEXT": frozenset({"text"}),
    "S": frozenset({"scorer"}),
    "PROMPT": frozenset({"prompt"}),
    "POLICY": frozenset({"policy"}),
    "KEY": frozenset({"row"}),
    "NAME": frozenset({"word"}),
    "AMOUNT": frozenset(),
}
#: Conditions on a pool, which hold for all of its rows or none.
_POOLED = re.compile(
    r"\b\w+\((?:[^()]|\([^()]*\))* of \w+\)|\b(?:count|share|lead)\([^()]*\)|\b(?:all|any) \w+ done"
)
_KEYS = frozenset({"root", "parent", "answer", "text"})
UNUSED = 8.0


@dataclass(frozen=True, slots=True)
class FormSlot:
    """A place of a form: its letter, the words before it, whether it may be left out."""

    letter: str
    before: str
    optional: bool
    after: str = ""

    @property
    def marker(self) -> str:
        """The word before it that marks it."""
        return self.before.strip().removeprefix("top").strip()


@dataclass(frozen=True, slots=True)
class Frame:
    """A form as words and slots; `flags` are optional words without a slot."""

    verb: str
    parts: tuple[str | FormSlot, ...]
    flags: tuple[str, ...]

    @property
    def slots(self) -> tuple[FormSlot, ...]:
        """Its slots, in order."""
        return tuple(part for part in self.parts if isinstance(part, FormSlot))

    @property
    def needed(self) -> tuple[FormSlot, ...]:
        """Slots that may not stay empty."""
        return tuple(slot for slot in self.slots if not slot.optional)


def complement(
    frame: Frame, values: dict[FormSlot, str], pool: str, order: str
) -> tuple[dict[FormSlot, str], str]:
    """`drop the worst 4`: all but 4 of the others."""
    slot = frame.slots[0]
    number = values.get(slot)
    if number is None:
        return values, order
    if re.fullmatch(r"\d+%", number):
        left = f"{100 - int(number[:-1])}%"
    else:
        left = f"count({pool or values.get(frame.slots[1], 'P')}) - {number}"
    return values | {slot: left}, "" if order == "low" else "low"


def directed(
    by: FormSlot, order: str, values: dict[FormSlot, str], cost: float
) -> tuple[dict[FormSlot, str], float]:
    """The order put into the expression to order by."""
    expression = values.get(by)
    if expression is None:
        if order == "reversed":
            return values | {by: "index"}, cost
        expressions = {
            "short": "-tokens",
            "long": "tokens",
            "random": "uniform()",
            "latest": "index",
        }
        if order in expressions:
            return values | {by: expressions[order]}, cost
        return values, cost
    if order in {"low", "short", "reversed"} and not expression.startswith("-"):
        simple = re.fullmatch(r"\w+(?:\([^()]*\))?|\([^()]*\)", expression)
        return values | {by: f"-{expression}" if simple else f"-({expression})"}, cost
    if order in {"random", "latest", "long"}:
        return values, cost + (0 if expression == "tokens" else UNUSED)
    return values, cost


def value_of(slot: FormSlot, item: Item, names: KnownNames, items: Sequence[Item], at: int) -> str:
    """The text of an item in a slot."""
    if slot.letter in {"E", "F"} and item.kind == "scorer" and item.text in names.steps:
        return f"last({item.text})"
    if slot.letter == "S":
        return re.sub(r"last\((\w+)\)", r"\1", item.text)
    if slot.letter == "C" and item.kind == "pool":
        return f"count({item.text}) > 0"
    if slot.letter == "C" and item.kind == "row" and item.text == "answer":
        return "has(answer)"
    if slot.letter == "C" and slot.marker in {"until", "if"}:
        # A pool's rows are done, all of them; `all beams done` says so already.
        text = re.sub(r"(?<!\w )\bdone\b", f"all {names.pools[0]} done", item.text)
        item = replace(item, text=text)
    marks = marks_before(items, at)
    going = any(each.means("while") and not each.means("until") for each in marks)
    if slot.letter == "C" and slot.marker == "until" and going:
        return _negated(item)
    if slot.letter == "C" and slot.before.endswith("not "):
        return item.bound
    if (
        slot.letter == "C"
        and any(each.text == "unless" for each in marks_before(items, at))
        and slot.marker == "if"
    ):
        return _negated(item)
    if slot.letter == "k" and slot.optional and item.text.endswith("%"):  # `first half of P`
        return f"count({names.pools[0]}) * {item.text}"
    if slot.letter == "TEXT" and item.kind == "word":
        return f'"{item.text}"'
    if slot.letter in {"P", "T", "Q", "TEXT"} or slot.before.strip() == "into":
        return item.bound
    return unwrapped(item.text)


def unwrapped(text: str) -> str:
    """A text without parentheses around all of it."""
    whole = re.fullmatch(r"\(((?:[^()]|\([^()]*\))*)\)", text)
    return whole[1] if whole is not None else text


def pooled(text: str, names: KnownNames) -> bool:
    """Whether a condition is on a pool, and says nothing of a row."""
    rest = _POOLED.sub("", text)
    rows = names.columns | names.steps | names.solutions
    return rest != text and not rows & {*re.findall(r"\w+", rest)}


def _negated(item: Item) -> str:
    if item.text.startswith("not ") and " and " not in item.text and " or " not in item.text:
        return item.text.removeprefix("not ")
    opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
    signs = re.findall(r" ([<>=!]=?) ", item.text)
    if len(signs) == 1 and " and " not in item.text and " or " not in item.text:
        return item.text.replace(f" {signs[0]} ", f" {opposite[signs[0]]} ")
    return f"not {item.bound}" if item.simple else f"not ({item.text})"


def fits(frame: Frame, slot: FormSlot, items: Sequence[Item], at: int, names: KnownNames) -> bool:
    item = items[at]
    if slot.letter == "KEY":
        if item.text in names.groups:
            return slot.marker in {"on", "per"}
        if item.text not in _KEYS and item.text not in names.columns:
            return False
        if any(mark.text == "weighted by" for mark in marks_before(items, at)):
            return False  # a weight, though it is a column
    elif slot.letter == "NAME" and item.text in names.columns and item.text not in COLUMNS:
        return not any(each.kind == "pool" for each in items[:at])
    elif slot.letter == "TEXT" and frame.verb == "force" and item.kind == "word":
        return item.text[:1].isupper()
    elif slot.letter == "S" and re.fullmatch(r"last\((\w+)\)", item.text):
        return frame.verb == "score"
    elif slot.letter == "C" and frame.verb in {"if", "repeat"} and item.kind == "pool":
        return True
    elif slot.letter == "C" and frame.verb in {"where", "where not"} and pooled(item.text, names):
        return False
    elif slot.letter == "C" and item.text == "answer":
        return frame.verb in {"where", "where not"}
    elif item.kind not in KINDS[slot.letter]:
        return slot.letter in {"E"} and frame.verb == "let" and item.kind in {"flag", "text"}
    if slot.letter in {"E", "F"} and item.text in {"text", "answer", "finish"}:
        return frame.verb == "let"
    numbers = frame.verb in {"cut", "let", "choose"}
    if slot.letter in {"E", "F"} and item.kind == "num" and not numbers:
        return False
    if slot.letter == "E" and frame.verb == "cut" and item.kind != "num":
        return item.kind == "row"
    if slot.letter in {"k", "n", "N"} and (" of " in item.text or item.means("truth")):
        return False
    if slot.letter == "E" and slot.marker == "weighted by" and item.text in names.groups:
        return False
    if slot.optional:
        marks = marks_before(items, at) + [
            each for each in items[at + 1 : at + 2] if each.kind == "mark" and slot.letter == "k"
        ]
        if slot.marker in {"", "weighted by"}:
            return True
        if slot.letter == "KEY" and slot.marker in {"by", "on"}:
            return any(each.means("by", frame.verb) for each in marks)
        if slot.letter == "C":
            return any(each.means("until", "while", "if") for each in marks)
        return any(each.means(slot.marker) for each in marks)
    return True


def marked(slot: FormSlot, items: Sequence[Item], at: int) -> float:
    """The distance between the words before a value and the slot's marker."""
    marks = marks_before(items, at)
    marker = slot.marker
    if not marker or slot.letter in {"C", "Q"}:
        return 0
    if not marks:
        return 0.3
    for mark in marks:
        if mark.text == marker:
            return 0
    if any(each.means(*marker.split(), marker) for each in marks):
        return 0.2
    return 0.6
