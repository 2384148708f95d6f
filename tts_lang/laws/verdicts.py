"""Judgements of laws, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tts_lang.laws.normal_form import NormalForm


class Verdict(Enum):
    """The decision on a law, or on one instance of it."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNREFUTED = "no counterexample"


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One run in which two strategies answer differently.

    Args:
        seed, trial: What replays it.
        world: The problem, the random policy and scorers, in words, one a line.
        left, right: Both answers; missing is `None`.
        parting: Where the two runs part, one a line.
    """

    seed: int
    trial: int
    world: tuple[str, ...]
    left: str | None
    right: str | None
    parting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search for counterexamples.

    Args:
        trials: Runs of both sides that had no error.
        failed: Runs in which a side had one; `error` is the last of these errors.
        idle: Clauses whose limits no trial reached, if nothing was found.
    """

    trials: int
    failed: int = 0
    counterexample: Counterexample | None = None
    error: str | None = None
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """A law at certain values of its free names.

    Args:
        values: Of the free names.
        verdict: How it was decided.
        forms: Normal forms; nothing where the strategies are too large to be rewritten.
        hunt: What runs showed.
        scaled: The sizes that were scaled down for these runs, as `2048 tokens -> 16`. Then a
            counterexample is one of other strategies, and the law is not refuted by it.
        conditions: What a proof takes for granted, besides engines that answer.
        empty: Why every run fails, so that a proof says nothing.
    """

    values: Mapping[str, int]
    verdict: Verdict
    forms: tuple[NormalForm, NormalForm] | None
    hunt: SearchResult | None = None
    scaled: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A law and its instances.

    Args:
        title: The law as written.
        place: `file:line`, or nothing for a question of the command line.
        names: The names of the two sides.
        instances: Those that were decided; after a refuted one no more are looked at.
        left_out: Values at which the strategies do not compile, as they are shown.
        note: What else a user should know.
    """

    title: str
    place: str
    names: tuple[str, str]
    instances: tuple[Instance, ...]
    left_out: tuple[str, ...] = field(default=())
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Refuted if any instance is, proved if all are."""
        verdicts = {instance.verdict for instance in self.instances}
        for verdict in (Verdict.REFUTED, Verdict.UNREFUTED):
            if verdict in verdicts:
                return verdict
        return Verdict.PROVED

    @property
    def decided(self) -> bool:
        """Refuted, or proved and not because every run fails."""
        if self.verdict is Verdict.REFUTED:
            return True
        return self.verdict is Verdict.PROVED and not any(each.empty for each in self.instances)
