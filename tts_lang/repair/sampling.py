"""The sampling clauses and amount of a line, whatever they are called there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tts_lang.repair.parts import Item, marks_before


@dataclass(slots=True)
class SamplingWords:
    """Sampling clauses and amount of a line, and the items that are neither."""

    clauses: list[str]
    rest: list[Item]
    amount: str


_NUMBER_CLAUSES = (
    ("temperature", "at temperature {}"),
    ("top_p", "top_p {}"),
    ("top_k", "top_k {}"),
    ("min_p", "min_p {}"),
)
_TOKEN_CLAUSES = (
    ("within", "within {} tokens"),
    ("at least", "at least {} tokens"),
    ("max", "max {} tokens"),
)


def sampling_of(items: Sequence[Item], *, amount: bool = True) -> SamplingWords:
    """Splits clauses and amount off from the items of a line."""
    clauses: dict[str, str] = {}
    rest: list[Item] = []
    used: set[int] = set()
    for at, item in enumerate(items):
        marks = marks_before(items, at)
        meanings = frozenset().union(*(each.meanings for each in marks)) if marks else frozenset()
        unit = items[at + 1].text if at + 1 < len(items) and items[at + 1].kind == "unit" else ""
        clause = ""
        if item.kind in {"num", "row", "scorer"}:
            for meaning, form in _NUMBER_CLAUSES:
                if meaning in meanings:
                    clause = form.format(_part(meaning, item.text))
            bare = {"at", "@"} & {each.text for each in marks[-1:]}
            if not clause and bare and not unit and re.fullmatch(r"[01]?\.\d+|0", item.text):
                clause = f"at temperature {item.text}"
            if not clause and item.kind == "num":
                for meaning, form in _TOKEN_CLAUSES:
                    limits = meaning in meanings and unit in {"", "tokens"}
                    if limits and (unit or rest) and not (unit == "" and _amounts(marks)):
                        clause = form.format(item.text)
                        break
                behind = items[at + 2 : at + 4] if unit == "tokens" else []
                limits = bool(behind) and behind[0].text in {"max", "at most", "maximum"}
                if not clause and limits and [each.kind for each in behind[1:]] != ["num"]:
                    clause = f"max {item.text} tokens"
                    used.add(at + 2)
        elif item.kind == "text" and "matching" in meanings:
            clause = f"matching {item.text}"
        elif item.kind == "text" and "stop at" in meanings:
            clause = f"stop at {item.text}"
        elif item.kind == "text" and (stop := clauses.get("stop", "")).startswith("stop "):
            first = stop.removeprefix("stop at ")
            before = (
                f"text ends with {first}"
                if "when" not in stop
                else first.removeprefix("stop when ")
            )
            clause = f"stop when {before} or text ends with {item.text}"
        elif item.kind == "flag" and meanings & {"stop when", "end when"}:
            name = "stop when" if "stop when" in meanings else "end when"
            clause = f"{name} {item.text}"
        elif item.kind == "policy":
            clause = f"from {item.text}"
        elif item.means("greedy"):
            clause = "likeliest" if item.text == "likeliest" else "at temperature 0"
        if not clause:
            rest.append(item)
            continue
        clauses[clause.split(" ", 1)[0]] = clause
        used.add(at)
        if unit and item.kind == "num":
            used.add(at + 1)
        explaining = (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "within",
            "at least",
            "max",
            "stop at",
            "stop when",
            "end when",
            "from",
            "nothing",
            "at",
            "matching",
        )
        rest = [
            other
            for other in rest
            if not (other in marks and other.kind == "mark" and other.means(*explaining))
        ]
    left = [item for item in rest if not any(item is items[place] for place in used)]
    text = ""
    if amount:
        text, left = _amount(left)
    return SamplingWords(list(clauses.values()), left, text)


def _part(meaning: str, text: str) -> str:
    """A share, where percentages were typed as numbers."""
    if meaning in {"top_p", "min_p"} and text.isdecimal() and 1 < int(text) <= 100:
        return f"{int(text) / 100:g}"
    return text


def _amounts(marks: Sequence[Item]) -> bool:
    return any(
        each.text in {"by", "with", "into", "for", "to", "x", "sample"} for each in marks[-1:]
    )


def _amount(items: Sequence[Item]) -> tuple[str, list[Item]]:
    """`COUNT x LENGTH UNIT` from the numbers and units of some items."""
    numbers: list[tuple[str, str]] = []
    left: list[Item] = []
    for at, item in enumerate(items):
        if item.kind == "num" and at and items[at - 1].kind == "word":
            left.append(item)
        elif item.kind == "num":
            unit = (
                items[at + 1].text if at + 1 < len(items) and items[at + 1].kind == "unit" else ""
            )
            numbers.append((item.bound, unit))
        elif item.kind == "unit":
            before = items[at - 1] if at else None
            if before is None or before.kind != "num":
                numbers.append(("", item.text))  # `a step`
        elif not (item.kind == "mark" and item.text in {"x", "*", "times"} and numbers):
            left.append(item)
    if len(numbers) == 2 and not numbers[0][1] and not numbers[1][0]:
        numbers = [(numbers[0][0], numbers[1][1])]
    numbers = [(number or "1", unit) for number, unit in numbers]
    if not numbers or len(numbers) > 2:
        return "", list(items)
    if len(numbers) == 1:
        number, unit = numbers[0]
        unit = unit.removesuffix("s") if number == "1" and unit != "tokens" else unit
        if unit == "tokens":
            return f"1 x {number} tokens", left
        return f"{number} {unit}".strip(), left
    (first, first_unit), (second, second_unit) = numbers
    if first_unit and second_unit:
        return "", list(items)
    if first_unit:
        first, second, second_unit = second, first, first_unit
    if not second_unit:
        return "", list(items)
    return f"{first} x {second} {second_unit}", left
