"""Forms of verbs and statements as frames, whose slots the parts of a line fill in any order.

A frame is read off the form that users see (`FORMS`), so a new verb has one. Filling costs: words
of the line that nothing explains, slots that stay empty, and what nobody typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, product

from tts_lang.repair.parts import Item, marks_before
from tts_lang.repair.sampling import sampling_of
from tts_lang.repair.scope import KnownNames
from tts_lang.repair.slots import (
    KINDS,
    UNUSED,
    FormSlot,
    Frame,
    complement,
    directed,
    fits,
    marked,
    pooled,
    unwrapped,
    value_of,
)
from tts_lang.repair.spelling import TEXTS
from tts_lang.repair.words import FORMS

_SLOT = re.compile(rf"\b({'|'.join(sorted(KINDS, key=len, reverse=True))})\b")
_WHERE = "P where C"
_MORE_FORMS = {
    "where": _WHERE,
    "where not": "P where not C",
    "union": "P + Q",
    "minus": "P - Q",
    "expand to": "expand P to AMOUNT [weighted by E] [per KEY]",
}
_SAMPLING = frozenset({"sample", "expand", "ask"})
#: Verbs that are typed for others of the language.
_NEAR_VERBS = {
    ("prompt", "ask"),
    ("choose", "select"),
    ("choose", "best"),
    ("best", "select"),
    ("select", "best"),
    ("first", "select"),
    ("repeat", "fork"),
    ("select", "where"),
    ("sort", "select"),
}
#: Words that are followed by a value, without which they mean nothing.
_SETTING = (
    *("temperature", "top_p", "top_k", "min_p", "within", "at least", "stop when", "end when"),
    *("weighted", "per", "until", "looking ahead", "with history", "together"),
)
_ANSWERING = frozenset({"best", "first", "vote", "select"})

MISSING, STRANGE, STRANGE_VERB, NO_VERB, INVENTED = 5.0, 2.0, 3.0, 5.0, 2.0
STRANGE_CLAUSE = 4.0


@dataclass(frozen=True, slots=True)
class Filled:
    """A frame with what fills it. `text` has letters where slots are empty."""

    text: str
    cost: float
    complete: bool
    verb: str
    pool: str = ""


@cache
def frames() -> dict[str, Frame]:
    """The frames of all verbs and statements on one line."""
    chosen = {
        verb: form
        for verb, form in FORMS.items()
        if verb not in {"import", "policy", "scorer", "prompt", "judge", "strategy", "law", "read"}
    }
    return {verb: _frame(verb, form) for verb, form in (chosen | _MORE_FORMS).items()}


def _frame(verb: str, form: str) -> Frame:
    parts: list[str | FormSlot] = []
    flags: list[str] = []
    for part in re.findall(r"\[[^\]]*\]|[^\[]+", form):
        optional = part.startswith("[")
        inside = part.strip("[]")
        if "temperature" in inside or (verb in _SAMPLING and re.match("max|stop|from", inside)):
            continue  # clauses are read on their own
        places = list(_SLOT.finditer(inside))
        at = 0
        for number, place in enumerate(places):
            after = inside[place.end() :] if number == len(places) - 1 else ""
            parts.append(FormSlot(place[1], inside[at : place.start()], optional, after))
            at = place.end()
        if not places and optional:
            flags.append(inside)
        elif not places:
            parts.append(inside)
    return Frame(verb, tuple(parts), tuple(flags))


# ------------------------------------------------------------------------------ filling


def fillings(items: Sequence[Item], names: KnownNames, target: str) -> Iterator[Filled]:
    """Every frame that a line can mean, filled."""
    evoked = {meaning for item in items for meaning in item.meanings}
    for at in range(len(items) - 2):
        if [each.kind for each in items[at : at + 3]] == ["num", "mark", "num"] and (
            items[at + 1].text in {"x", "*", "times"} and not any(i.kind == "unit" for i in items)
        ):
            for unit in ("steps", "tokens"):
                longer = [*items[: at + 3], Item("unit", unit), *items[at + 3 :]]
                for filling in fillings(longer, names, target):
                    yield replace(filling, cost=filling.cost + 1)
            return
    ordered = evoked & {"best", "high", "low", "latest", "random"} or {"sort", "first"} <= evoked
    if ordered and any(item.kind == "num" for item in items):
        evoked.add("select")
    for verb, frame in frames().items():
        dealt = "expand" in evoked and any(item.text == "to" for item in items)
        explicit = verb in evoked or (verb == "expand to" and dealt)
        implied = verb in {"where"} and any(item.kind == "flag" for item in items)
        kinds = [item.kind for item in items if not item.means("nothing")]
        if verb == "score" and sorted(kinds) == ["pool", "scorer"]:
            implied = True
        if verb == "ask" and any(item.kind == "prompt" for item in items):
            implied = True
        if explicit or implied:
            filled = _fill(frame, items, names, target)
            named = verb in {"ask", "score"}  # a prompt or a scorer says which verb is meant
            bare = [item.kind for item in items if not item.means("nothing")] == ["pool", "flag"]
            extra = 0 if explicit else 1 if named or bare else NO_VERB / 2
            yield replace(filled, cost=filled.cost + extra)


def _fill(frame: Frame, items: Sequence[Item], names: KnownNames, target: str) -> Filled:
    clauses: list[str] = []
    rest_before: Sequence[Item] = ()
    amount = ""
    rest = list(items)
    if frame.verb.split()[0] in _SAMPLING:
        wants = any(slot.letter == "AMOUNT" for slot in frame.slots)
        sampling = sampling_of(rest, amount=wants)
        rest_before = rest
        clauses, rest, amount = sampling.clauses, sampling.rest, sampling.amount
    cost = 0.0
    rest, order, explained = _ordered(frame, rest)
    chunks = [at for at, item in enumerate(rest) if item.kind not in {"mark", "word", "unit"}]
    if any(slot.letter == "NAME" for slot in frame.slots) or frame.verb == "force":
        chunks += [at for at, item in enumerate(rest) if item.kind == "word"]
    chosen, assigned_cost = _assigned(frame, rest, sorted(chunks), names)
    cost += assigned_cost
    used = set(chosen.values())
    values = {slot: value_of(slot, rest[at], names, rest, at) for slot, at in chosen.items()}
    if amount:
        slot = next(slot for slot in frame.slots if slot.letter == "AMOUNT")
        values[slot] = amount
        first = next((at for at, item in enumerate(rest_before) if item.kind == "num"), 0)
        marks = marks_before(rest_before, first)
        cost += 0.2 * (bool(marks) and not any(each.text == slot.marker for each in marks))
    pool_slot = next((slot for slot in frame.slots if slot.letter in {"P", "T"}), None)
    conditions = [
        at
        for at in chunks
        if at not in used and rest[at].kind == "flag" and not pooled(rest[at].text, names)
    ]
    pool = values.get(pool_slot, "") if pool_slot is not None else ""
    if (
        pool_slot is not None
        and not pool
        and (not any(rest[at].kind == "pool" for at in chunks if at not in used))
    ):
        pool = target if target in names.pools else names.pools[0]
        if len(names.pools) > 1 or pool != "problem":
            values[pool_slot] = pool
            cost += INVENTED / 2 if pool == target or len(names.pools) <= 2 else INVENTED * 2
    if pool_slot is not None and len(conditions) == 1 and pool_slot in values:
        marks = marks_before(rest, conditions[0])
        negated = any(each.means("where not") and not each.means("where") for each in marks)
        condition = rest[conditions[0]]
        text = f"not {condition.bound}" if negated else unwrapped(condition.text)
        before = [
            (at, slot)
            for slot, at in chosen.items()
            if slot.letter in {"P", "T", "Q"} and at < conditions[0]
        ]
        filtered = max(before, key=lambda each: each[0])[1] if before else pool_slot
        values[filtered] = f"({values[filtered]} where {text})"
        used.add(conditions[0])
        explained |= {"where", "where not"} if negated else {"where"}
        cost += 0.5
    by = next((s for s in frame.slots if s.letter == "E" and s.marker == "by"), None)
    if by in values and frame.verb in {"select", "best", "sort"}:
        others = [at for at in chunks if at not in used and rest[at].kind in {"row", "scorer"}]
        others = [at for at in others if rest[at].text not in {"answer", "text"}]
        if len(others) == 1 and others[0] > chosen[by]:
            values = values | {
                by: f"({values[by]}, {value_of(by, rest[others[0]], names, rest, 0)})"
            }
            used.add(others[0])
            cost += 0.5
    inverted = frame.verb == "select" and any(
        item.means("where not") and not item.means("select", "minus") for item in items
    )
    if inverted and not any(rest[at].kind == "flag" for at in chunks):
        values, order = complement(frame, values, pool, order)
        explained |= {"where not"}
    if order and (by := next((s for s in frame.slots if s.letter == "E"), None)) is not None:
        values, cost = directed(by, order, values, cost)
    for at in chunks:
        if at in used:
            continue
        default_pools = {pool, target} if pool_slot is not None else set()
        again = rest[at].kind == "pool" and rest[at].text in {*default_pools, "problem"}
        again = again or (rest[at].text in {"answer", "text"} and frame.verb in _ANSWERING)
        cost += 0 if again else UNUSED
    aimed = next((slot for slot in values if slot.letter == "E" and slot.marker == "by"), None)
    if aimed is not None and aimed in chosen and rest[chosen[aimed]].text in names.steps:
        marks = marks_before(rest, chosen[aimed])
        if any(each.text == "by" for each in marks) and marks[-1].means("high", "low"):
            cost += STRANGE_VERB  # `by lowest prm`: of the steps, or of the rows?
    explained |= _implied(frame, values, explained)
    # Added one by one: in sums of sums, equal costs would differ in the last digit.
    for more in _strange(frame, rest, used, values, explained):
        cost += more
    opened: set[FormSlot] = set()
    ending = rest[-1].text if rest and rest[-1].kind == "mark" else ""
    for slot in frame.slots:  # `weighted by` with nothing after it
        left_open = bool(ending) and ending in {slot.marker, f"{slot.marker} by"}
        if slot.optional and slot not in values and left_open:
            values[slot] = slot.letter
            opened.add(slot)
            cost += MISSING
    empty = [slot for slot in frame.needed if slot not in values] + [*opened]
    cost += MISSING * (len(empty) - len(opened))
    flags = [flag for flag in frame.flags if any(item.means(flag) for item in items)]
    for more in _misnamed(frame, items, bool(empty)):
        cost += more
    text = _text(frame, values, flags, clauses)
    if frame.verb == "cut" and any(item.text == "tokens" for item in items if item.kind == "unit"):
        text = f"{text.removesuffix('steps')}tokens"
    return Filled(text, cost, not empty, frame.verb, pool)


def _implied(frame: Frame, values: dict[FormSlot, str], explained: set[str]) -> set[str]:
    """Meanings that are no news in a line that is meant as this frame."""
    meanings = {frame.verb, "nothing", "all", *_markers(values)}
    if frame.verb == "repeat":
        meanings |= {"max", "times"}
    if "until" in explained | meanings or frame.verb == "if":
        meanings |= {"while", "if", "where not"}
    if frame.verb.split()[0] in _SAMPLING:
        meanings.add("times")
    if frame.verb == "select":
        meanings |= {"sort", "first", "best"}
    if frame.verb in {"best", "sort"}:
        meanings |= {"sort", "best"}
    return meanings


def _strange(
    frame: Frame,
    rest: Sequence[Item],
    used: set[int],
    values: dict[FormSlot, str],
    explained: set[str],
) -> Iterator[float]:
    """Costs of words that the filled frame does not account for."""
    for at, item in enumerate(rest):
        if item.kind not in {"mark", "word", "unit"} or at in used:
            continue
        named = any(item.text in slot.after for slot in values)
        if item.kind == "unit" and (named or frame.verb in {"cut", "repeat"}):
            yield 0.5 * (frame.verb == "repeat")
        elif item.kind != "mark":
            yield UNUSED if item.kind == "word" else STRANGE * 2
        elif item.means(frame.verb):
            pass
        elif item.means("where not") and not {"where not", "minus"} & explained:
            yield UNUSED  # an omission changes the meaning
        elif not item.means(*explained):
            verb_word = bool(item.meanings & frames().keys())
            yield (
                STRANGE_CLAUSE if item.means(*_SETTING) else STRANGE_VERB if verb_word else STRANGE
            )
        if frame.verb == "first" and item.means("high", "low", "latest", "random"):
            yield 0 if item.text in {"first", "any", "one of", "any of", "one"} else MISSING


def _misnamed(frame: Frame, items: Sequence[Item], incomplete: bool) -> Iterator[float]:
    """Costs of a line that has another verb than the frame's, or has it later."""
    words = [item.text for item in items if item.kind == "mark"]
    head = words[0] if words else ""
    verb = frame.verb.removesuffix(" to")
    yield 0 if verb in words else 0.4
    yield 0 if head == verb else 0.2
    if head in FORMS and head != verb and verb not in words:
        near = (head, verb) in _NEAR_VERBS
        yield INVENTED / 4 if near else INVENTED
    if incomplete and FORMS.keys() & {*words} - {verb} and verb not in words and head not in FORMS:
        yield MISSING  # the form of a verb that is typed says more


def _markers(values: dict[FormSlot, str]) -> set[str]:
    """Meanings of the words that stand before slots that are filled."""
    meanings = {slot.marker for slot in values if slot.marker}
    meanings |= {word for marker in meanings for word in marker.split()}
    return meanings | {"of", "at"} | ({"weighted"} if "weighted" in meanings else set())


def _ordered(frame: Frame, items: Sequence[Item]) -> tuple[list[Item], str, set[str]]:
    """The order that a line states: the low end first, by length, at random."""
    if not any(slot.letter == "E" and slot.marker in {"by", ""} for slot in frame.slots):
        return list(items), "", set()
    if frame.verb not in {"select", "best", "sort", "first"}:
        return list(items), "", set()
    order = ""
    for item in items:
        for meaning in ("low", "short", "long", "random", "latest", "reversed"):
            if (
                item.kind == "mark"
                and item.means(meaning)
                and not (meaning == "random" and item.text == "any")
            ):
                order = meaning
    explained = {"high", order} if order else {"high"}
    return list(items), order, explained


def _assigned(
    frame: Frame, items: Sequence[Item], chunks: Sequence[int], names: KnownNames
) -> tuple[dict[FormSlot, int], float]:
    """The assignment of chunks to slots with the least cost."""
    slots = [slot for slot in frame.slots if slot.letter != "AMOUNT"]
    choices: list[list[int | None]] = []
    for slot in slots:
        fitting = [at for at in chunks if fits(frame, slot, items, at, names)]
        choices.append([*fitting, None])
    best: dict[FormSlot, int] = {}
    least = float("inf")
    for combination in product(*choices[:6]):
        used = [at for at in combination if at is not None]
        if len(set(used)) < len(used):
            continue
        cost = UNUSED * (len(chunks) - len(used))
        for slot, at in zip(slots, combination, strict=False):
            if at is None:
                cost += 0 if slot.optional else MISSING
            else:
                cost += marked(slot, items, at)
        cost += 0.4 * sum(a > b for a, b in pairwise(used))
        if cost < least:
            least = cost
            best = {s: at for s, at in zip(slots, combination, strict=False) if at is not None}
    return best, sum(marked(slot, items, at) for slot, at in best.items())


def _text(
    frame: Frame, values: dict[FormSlot, str], flags: Sequence[str], clauses: Sequence[str]
) -> str:
    """The form, with letters for unknown parts."""
    parts: list[str] = []
    for part in frame.parts:
        if isinstance(part, str):
            parts.append(part)
        elif part in values or not part.optional:
            parts += [part.before, values.get(part, part.letter), part.after]
    pieces = TEXTS.split(" ".join([*_spaced(parts), *flags, *clauses]))
    pieces[::2] = [re.sub(r" (?=:)", "", re.sub(r"\s+", " ", piece)) for piece in pieces[::2]]
    return "".join(pieces).strip()


def _spaced(parts: Sequence[str]) -> list[str]:
    return [part for part in parts if part.strip()]
