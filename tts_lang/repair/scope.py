"""The names that a line can mean, found by reading the text above it, which may be broken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tts_lang.diagnostics import suggest
from tts_lang.library import file as shipped
from tts_lang.plan.columns import COLUMNS
from tts_lang.syntax.words import ITEM_WORDS, VERBS

_HEADER = re.compile(r"^strategy\s+\w*\s*(?:\((.*?)\))?.*$", re.MULTILINE)
_DECLARED = re.compile(r"^(policy|scorer|prompt|judge|strategy) +(\w+)(.*)$", re.MULTILINE)
_IMPORTED = re.compile(r'^import +"([\w/.-]+?)(?:\.tts)?"', re.MULTILINE)
#: Imports of imports that are read.
_DEEPEST = 4
_ASSIGNED = re.compile(r"^\s+([A-Za-z_]\w*) *=(?!=) *(.*)$", re.MULTILINE)
_COLUMN = re.compile(r"^\s+let +(\w+) +of\b", re.MULTILINE)
_SCORED = re.compile(r"^\s+score +(\w+) +by +(\w+)", re.MULTILINE)
_HEAD = re.compile(r"\(*(fresh\b|\w+)")


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_SMALL = "zero one two three four five six seven eight nine ten eleven twelve"
#: Words for a missing number.
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
    judges: frozenset[str]  # of them there may be several readings, reduced like steps
    groups: frozenset[str]  # scorers that see a whole pool, whose score can be a key
    called: frozenset[str]  # prompts and judges with parameters

    @property
    def all(self) -> frozenset[str]:
        """Every name."""
        return frozenset(
            (*self.pools, *self.numbers, *self.texts, *self.columns, *self.steps)
        ) | self.solutions.union(self.prompts, self.policies, self.strategies)

    def meant(self, word: str) -> str | None:
        """The name that a word is, in another number or case, or misspelled."""
        names = self.all
        if word in names:
            return word
        for end, other in _PLURALS:
            changed = re.sub(end, other, word)
            if changed in self.pools:
                return changed
        folded = {name.lower(): name for name in names}
        return folded.get(word.lower())

    def close(self, word: str) -> str | None:
        """The name that a word may be a misspelling of."""
        return suggest(word, sorted(self.all)) if len(word) > 3 else None


@lru_cache(maxsize=64)
def _declarations(path: Path, deepest: int) -> str:
    """The lines of a file, and of those that it imports, that declare something."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    own = "\n".join(match[0] for match in _DECLARED.finditer(text))
    return own + _imported(text, path, deepest - 1)


def _imported(text: str, file: Path, deepest: int) -> str:
    """The declarations in the files that a text imports."""
    parts = [""]
    for name in _IMPORTED.findall(text) if deepest else ():
        path = file.parent / f"{name}.tts"
        imported = path if path.is_file() else shipped(f"{name.rpartition('/')[2]}.tts")
        if imported is not None:
            parts.append(_declarations(imported, deepest))
    return "\n".join(parts)


def names_in_scope(text: str, start: int, file: str = "") -> KnownNames:
    """The names that a line that begins at `start` can mean; imports are relative to `file`."""
    declared: dict[str, set[str]] = {word: set() for word in ITEM_WORDS}
    steps, groups, called = {"prm"}, set(), set()
    for kind, name, rest in _DECLARED.findall(text + _imported(text, Path(file), _DEEPEST)):
        if kind == "scorer" and re.search(r"\bper steps?\b", rest):
            steps.add(name)
        if kind == "scorer" and re.search(r"\btogether\b", rest):
            groups.add(name)
        if kind in {"prompt", "judge"} and rest.startswith("("):
            called.add(name)
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
        path.rpartition("/")[2] for path in _IMPORTED.findall(text)
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
        frozenset({*texts, "end_of_thought", "end_of_step"}),
        frozenset({*COLUMNS, *_COLUMN.findall(body)}),
        frozenset(steps - declared["judge"]),
        frozenset((declared["scorer"] - steps) | declared["judge"]),
        tuple(dict.fromkeys(scorer for _, scorer in _SCORED.findall(body))),
        frozenset(declared["prompt"]),
        frozenset({*declared["policy"], "policy"}),
        frozenset(strategies),
        frozenset(declared["judge"]),
        frozenset(groups),
        frozenset(called),
    )


def _is_pool(value: str, pools: Iterable[str], strategies: Iterable[str]) -> bool:
    head = _HEAD.match(value)
    if head is None:
        return value.startswith(("[", "{"))
    if head[1] == "first" and value[head.end(1) :].startswith("("):
        return False
    return head[1] in VERBS or head[1] in {"fresh", *pools, *strategies}
