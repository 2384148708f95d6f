"""Recorded samples, as places that were reached and draws from each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from tts_lang.explain.models import Model
from tts_runtime.binding import Binding
from tts_runtime.engines.base import Finish
from tts_runtime.problems.model import Problem, Trial
from tts_runtime.streams import UNCLAIMED, Key
from tts_runtime.tokens import TEXT, split_evenly, to_bytes, to_text

#: Clauses that decide what is drawn; the others say when to stop.
DRAWING: Final[Mapping[str, object]] = {
    "policy": "policy",
    "temperature": 1.0,
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "likeliest": False,
    "at_least": 0,
    "matching": "",
    "avoided_by": 0,
}
#: A field of problems whose text the record does not have.
MISSING: Final = "text_missing"
#: A window that no path of a record fills: what was cut, was cut when it was recorded.
ROOM: Final = 1 << 31

#: A scorer's numbers for a text: per step, or one.
Score: TypeAlias = "float | tuple[float | None, ...] | None"


class ScoredText(NamedTuple):
    """The scores of a text, by scorer, and its tokens as the policy counted them."""

    scores: Mapping[str, Score]
    tokens: int


@dataclass(slots=True, eq=False)
class Place:
    """A path: what it adds to the one that it continues, and what was drawn from it.

    Args:
        before: What it continues; `None`: it starts a text.
        prompt: The question that it answers; `None`: the problem.
        text: What it adds.
        count: Ids that it adds; `drawn`: tokens that the policy drew for it.
        steps: Steps on the whole path; 0: not known.
        finish, done, error: As of a candidate.
        logprob: Of the whole path; `None`: not known.
        clauses: How it was sampled, by name, as far as that is known; `None`: it was not.
        key: Of its stream; `None`: not known. `claimed`, `level`: as of the executor's nodes.
        children: What was drawn from it, by number. Several of one number: under other clauses, or
            by an engine that is not exact.
        others: What was forced, cut or split from it.
    """

    before: Place | None = None
    prompt: str | None = None
    text: str = ""
    count: int = 0
    drawn: int = 0
    steps: int = 0
    finish: Finish | None = None
    done: bool = False
    error: str | None = None
    logprob: float | None = None
    clauses: Mapping[str, Any] | None = None
    key: Key | None = None
    claimed: bytes = UNCLAIMED
    level: int = 0
    children: dict[int, list[Place]] = field(default_factory=dict)
    others: list[Place] = field(default_factory=list)

    def path(self) -> list[Place]:
        """The parts of its text, oldest first."""
        places = []
        at: Place | None = self
        while at is not None:
            places.append(at)
            at = at.before
        return places[::-1]

    @property
    def position(self) -> int:
        """Ids on the whole path."""
        return sum(each.count for each in self.path())

    @property
    def whole(self) -> str:
        """The whole text."""
        return "".join(each.text for each in self.path())

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids that stand for its text, as many as the recorded ones.

        Where tokens begin and end in the text is not known: they are pieces of about one length.
        """
        pieces = (
            split_evenly(self.text, self.count) if self.count else [self.text] * bool(self.text)
        )
        return tuple(TEXT.id(piece.encode("utf-8", "replace")) for piece in pieces)

    def drawn_as(self, clauses: Mapping[str, Any]) -> bool:
        """Whether it is known to have been sampled otherwise than these clauses say: false then."""
        own = self.clauses or {}
        return all(
            name not in own or own[name] == clauses.get(name, default)
            for name, default in DRAWING.items()
        )


@dataclass(frozen=True, slots=True)
class ScorerAbout:
    """A recorded scorer.

    Args:
        steps: It scored steps; else whole solutions.
        whole: It scored steps, but the record has one number per solution: the mean, as `reduced`
            says, or what else they were reduced to.
        low, high: Range that its numbers lie in.
        card: Size of its model, if known.
    """

    steps: bool
    reduced: str | None = None
    low: float | None = 0.0
    high: float | None = 1.0
    card: Model | None = None


class Recorded(ABC):
    """A record: problems, what was sampled for them under each seed, and scores.

    Args:
        name: For messages.
        policy: Whose samples are served, as clauses name it; files do not.
        problems: In order.
        binding: How texts were read: steps, answers, thoughts, default sampling.
        scorers: By name.
        card: Size of the policy, if known.
        logprobs: Log-probabilities are there.
        limit: Tokens that the engine cut every reply at; `None`: none that is known.
        flat: Only whole solutions of the problems were sampled, all alike.
    """

    name: str
    policy: str = "policy"
    problems: Sequence[Problem]
    binding: Binding
    scorers: Mapping[str, ScorerAbout]
    card: Model | None = None
    logprobs: bool = False
    limit: int | None = None
    flat: bool = False

    @property
    @abstractmethod
    def trials(self) -> Sequence[Trial]:
        """The problems, each with a seed that it was sampled under."""

    @abstractmethod
    def root(self, trial: Trial) -> Place:
        """The samples for a problem under a seed.

        Asked conversations and what ran on streams of its own are its `others`.
        """

    @abstractmethod
    def scores(self, problem: str) -> Mapping[str, ScoredText]:
        """Scores of the texts of a problem (by its text), under all seeds."""

    @property
    @abstractmethod
    def temperatures(self) -> frozenset[float]:
        """Temperatures that something was sampled at, as far as they are known."""

    @property
    @abstractmethod
    def most(self) -> int:
        """Samples of the problem that has most of them."""

    @property
    @abstractmethod
    def forced(self) -> Mapping[str, int]:
        """Texts that were forced or end thoughts, and the ids that they had."""

    @property
    def trees(self) -> object:
        """What holds the samples: one object for all policies of a run directory."""
        return self

    @cached_property
    def by_id(self) -> Mapping[str, Problem]:
        """The problems by id."""
        return {problem.id: problem for problem in self.problems}

    @cached_property
    def seeds(self) -> Sequence[int]:
        """Seeds that something was sampled under."""
        return sorted({trial.seed for trial in self.trials})


def places(root: Place) -> Iterator[Place]:
    """A place and all that was reached from it."""
    stack = [root]
    while stack:
        place = stack.pop()
        yield place
        stack.extend(place.others)
        for drawn in place.children.values():
            stack.extend(drawn)


def text_of(ids: Sequence[int]) -> str:
    """The text of ids of the shared tokenizer."""
    return to_text(to_bytes(TEXT, ids))


def parted(root: Place, text: str) -> str:
    """The place at which a text leaves the record: the recorded forced text, and this one."""
    shared = [each for each in places(root) if each.whole and text.startswith(each.whole)]
    last = max(shared, key=lambda each: len(each.whole), default=None)
    if last is None:
        return ""
    forced = {each.text for each in root.others if each.before is last}
    rest = text.removeprefix(last.whole)
    if not forced or not rest:
        return ""
    listed = " or ".join(repr(each) for each in sorted(forced))
    return (
        f": the record continues with {listed} where this continues with {rest[:60]!r}; record "
        "both in one run (`--sweep` draws once what they share)"
    )
