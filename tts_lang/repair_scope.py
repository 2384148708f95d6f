"""The names that a line can mean, found by reading the text above it, which may be broken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tts_lang.diagnostics import suggest
from tts_lang.plan.columns import COLUMNS
from tts_lang.syntax.words import HARD_WORDS, ITEM_WORDS, VERBS

_HEADER = re.compile(r"^strategy\s+\w*\s*(?:\((.*?)\))?.*$", re.MULTILINE)
_DECLARED = re.compile(r"^(policy|scorer|prompt|judge|strategy) +(\w+)(.*)$", re.MULTILINE)
_IMPORTED = re.compile(r'^import +"([\w/.-]+?)(?:\.tts)?"', re.MULTILINE)
_ASSIGNED = re.compile(r"^\s+([A-Za-z_]\w*) *=(?!=) *(.*)$", re.MULTILINE)
_COLUMN = re.compile(r"^\s+let +(\w+) +of\b", re.MULTILINE)
_SCORED = re.compile(r"^\s+score +(\w+) +by +(\w+)", re.MULTILINE)
_HEAD = re.compile(r"\(*(fresh\b|\w+)")


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_SMALL = "zero one two three four five six seven eight nine ten eleven twelve"
#: What a missing number stands for in words.
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_SMALL.split())} | {
    "half": "50%",
    "a third": "33%",
    "a quarter": "25%",
    "twice": "2",
    "sixteen": "16",
    "true": "1",
    "false": "0",
}
_PLURALS = ((r"$", "s"), (r"s$", ""), (r"y$", "ies"), (r"ies$", "y"), (r"ch$", "ches"))


@dataclass(frozen=True, slots=True)
class KnownNames:
    """Names by what they are; pools with the latest first."""

    pools: tuple[str, ...]
    numbers: frozenset[str]
    texts: frozenset[str]
    columns: frozenset[str]
    steps: frozenset[str]  # process scorers: one number for each step
    solutions: frozenset[str]  # outcome scorers and judges
    scored: tuple[str, ...]  # scorers that a pool was scored by, in order
    prompts: frozenset[str]
    policies: frozenset[str]
    strategies: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """Every name."""
        return frozenset(
            (*self.pools, *self.numbers, *self.texts, *self.columns, *self.steps)
        ) | self.solutions.union(self.prompts, self.policies, self.strategies)

    def meant(self, word: str) -> str | None:
        """The name that a word is, in another number or case, or misspelled."""
        known = self.all
        if word in known:
            return word
        for end, other in _PLURALS:
            changed = re.sub(end, other, word)
            if changed in self.pools:
                return changed
        folded = {name.lower(): name for name in known}
        return folded.get(word.lower())

    def close(self, word: str) -> str | None:
        """The name that a word may be a misspelling of."""
        return suggest(word, sorted(self.all)) if len(word) > 2 else None


def names_in_scope(text: str, start: int) -> KnownNames:
    """The names that a line that begins at `start` can mean."""
    declared: dict[str, set[str]] = {word: set() for word in ITEM_WORDS}
    steps = {"prm"}
    for kind, name, rest in _DECLARED.findall(text):
        if kind == "scorer" and re.search(r"\bper steps?\b", rest):
            steps.add(name)
        declared[kind].add(name)
    before = text[:start]
    header = next(reversed(list(_HEADER.finditer(before))), None)
    body = before[header.end() :] if header is not None else ""
    numbers: set[str] = set()
    texts: set[str] = set()
    if header is not None and header[1]:
        for part in header[1].split(","):
            name, _, value = (each.strip() for each in part.partition("="))
            (texts if value.startswith('"') else numbers).add(name)
    pools: dict[str, None] = {}
    strategies = declared["strategy"] | {
        each.rpartition("/")[2] for each in _IMPORTED.findall(text)
    }
    for name, value in _ASSIGNED.findall(body):
        if _is_pool(value, {*pools, "problem", "none"}, strategies):
            pools.pop(name, None)
            pools[name] = None
        elif value.startswith('"'):
            texts.add(name)
        else:
            numbers.add(name)
    return KnownNames(
        (*reversed(pools), "problem"),
        frozenset(numbers),
        frozenset(texts),
        frozenset({*COLUMNS, *_COLUMN.findall(body)}),
        frozenset(steps - declared["judge"]),
        frozenset((declared["scorer"] - steps) | declared["judge"]),
        tuple(dict.fromkeys(scorer for _, scorer in _SCORED.findall(body))),
        frozenset(declared["prompt"]),
        frozenset({*declared["policy"], "policy"}),
        frozenset(strategies),
    )


def _is_pool(value: str, pools: Iterable[str], strategies: Iterable[str]) -> bool:
    head = _HEAD.match(value)
    if head is None:
        return value.startswith(("[", "{"))
    if head[1] == "first" and value[head.end(1) :].startswith("("):
        return False
    return head[1] in VERBS or head[1] in {"fresh", *pools, *strategies}


def is_keyword(word: str) -> bool:
    """Whether a word can be no name."""
    return word in HARD_WORDS
