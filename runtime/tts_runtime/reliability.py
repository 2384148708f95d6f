"""Counts of what went wrong with single candidates: missing scores, unreadable verdicts, failures.

One value of the same form on every answer and every summary: counts add up over problems. What is
worth saying of them is said here, too: below the table, and as warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from tts_lang.explain.units import counted
from tts_runtime.answers.boundary import CLOCK, EXCEPTION
from tts_runtime.engines.base import Fault

#: A larger share of missing scores, unreadable verdicts or failed candidates is warned of.
WARNING_SHARE: Final = 0.2

#: The footer's words for each kind of fault.
_WORDS: Final[Mapping[str, str]] = {
    Fault.TOO_LONG: "too long",
    Fault.MARKED: "with a mark of the scorer",
    Fault.BLANK: "with a blank step",
    Fault.FILTERED: "filtered",
    Fault.UNUSABLE: "unusable",
    Fault.EXCEPTION: "by an exception",
    Fault.NO_SCORE: "none given",
    Fault.UNREADABLE: "unreadable",
    CLOCK: "out of time",
}


#: Advice for each kind of fault.
_ADVICE: Final[Mapping[str, str]] = {
    Fault.TOO_LONG: "bound candidates with `within` or `max`, or bind a model with a larger window",
    Fault.MARKED: "bind a scorer of another family",
    Fault.BLANK: "see that the binding's step delimiter fits what the policy writes",
    Fault.FILTERED: "bind a server without this filter",
    Fault.UNUSABLE: "see what the engine gives; `--strict` ends a problem at the first",
    Fault.EXCEPTION: "mend the scorer's code; `--strict` ends a problem at the first",
    Fault.NO_SCORE: "bind a scorer that scores every candidate",
    Fault.UNREADABLE: "compare the judge's prompt and `read` with that reply",
}


class _Counts(BaseModel):
    """Counts that add up field by field: numbers, counts by name, and one example."""

    model_config = ConfigDict(frozen=True)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            **{
                name: _sum(getattr(self, name), getattr(other, name))
                for name in self.__class__.model_fields
            }
        )


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return {
            name: _sum(one[name], other[name])
            if name in one and name in other
            else one.get(name, other.get(name))
            for name in sorted({*one, *other})
        }
    if isinstance(one, str) and isinstance(other, str):
        # Of two examples always the same one: which came first depends on what else runs.
        return min(one, other)
    return other if one is None else one if other is None else one + other


class ScorerReliability(_Counts):
    """Missing scores and unreadable replies of one scorer or judge."""

    scores: int = Field(
        default=0,
        description="Asked for: one per candidate and reading; equal texts of a problem are asked "
        "of a scorer once",
    )
    missing: Mapping[str, int] = Field(
        default_factory=dict, description="Of these without a number, by kind of fault"
    )
    blind: int = Field(
        default=0, description="Problems under a seed in which every score is missing"
    )
    replies: int = Field(default=0, description="Judges only: replies read, repeated ones too")
    unreadable: int = Field(default=0, description="Of these without a verdict")
    example: str | None = Field(default=None, description="Why one of the scores is missing")


class Reliability(_Counts):
    """Faults of candidates that did not fail their problem; all zero if there were none."""

    candidates: int = Field(default=0, description="Made by the strategy")
    cut: int = Field(
        default=0, description="Of these ended by a limit, and not continued by the strategy"
    )
    failed: Mapping[str, int] = Field(
        default_factory=dict, description="Of these without a text, by kind of fault"
    )
    example: str | None = Field(default=None, description="Why one of them failed")
    as_text: Mapping[str, int] = Field(
        default_factory=dict,
        description="Candidates whose answer could not be read and is compared as text, by kind of "
        "fault; `time`: a clock decided",
    )
    ungraded: Mapping[str, int] = Field(
        default_factory=dict, description="Answers that could not be graded, by kind of fault"
    )
    unread: str | None = Field(default=None, description="Why one of these could not be read")
    scorers: Mapping[str, ScorerReliability] = Field(default_factory=dict)


class Recorder:
    """Counts for one problem while it runs."""

    __slots__ = ("_scorers", "_seen")

    def __init__(self) -> None:
        self._scorers: dict[str, _Tally] = {}
        self._seen: set[Any] = set()

    def scored(self, scorer: str, name: Any, fault: Fault | None, why: str) -> None:
        """A score is there, or missing for some fault; the same `name` counts once (C62)."""
        if (scorer, name) not in self._seen:
            self._seen.add((scorer, name))
            self.new_score(scorer, fault, why)

    def new_score(self, scorer: str, fault: Fault | None, why: str) -> None:
        """The same of a score that is counted nowhere else."""
        tally = self._scorers.get(scorer) or self._tally(scorer)
        tally.scores += 1
        if fault is not None:
            tally.missing[fault.value] = tally.missing.get(fault.value, 0) + 1
            tally.example = min(tally.example or why, why)

    def replied(self, scorer: str, name: Any, *, readable: bool) -> None:
        """A judge has replied; the same `name` counts once (C62)."""
        if (scorer, name) in self._seen:
            return
        self._seen.add((scorer, name))
        tally = self._tally(scorer)
        tally.replies += 1
        tally.unreadable += not readable

    def _tally(self, scorer: str) -> _Tally:
        tally = self._scorers.get(scorer)
        if tally is None:
            tally = self._scorers[scorer] = _Tally()
        return tally

    def scorers(self) -> dict[str, ScorerReliability]:
        """The counts so far."""
        return {name: self._scorers[name].value() for name in sorted(self._scorers)}


class _Tally:
    __slots__ = ("example", "missing", "replies", "scores", "unreadable")

    def __init__(self) -> None:
        self.scores = self.replies = self.unreadable = 0
        self.missing: dict[str, int] = {}
        self.example = ""

    def value(self) -> ScorerReliability:
        return ScorerReliability(
            scores=self.scores,
            missing=dict(sorted(self.missing.items())),
            blind=int(sum(self.missing.values()) == self.scores),
            replies=self.replies,
            unreadable=self.unreadable,
            example=self.example or None,
        )


# ------------------------------------------------------------------ in words


def footer(run: Reliability) -> Iterator[str]:
    """Lines below the table: nothing where nothing went wrong."""
    failed = sum(run.failed.values())
    if failed:
        yield f"{failed:,} of {run.candidates:,} candidates failed ({_kinds(run.failed)})"
    if run.cut:
        yield f"{run.cut:,} of {run.candidates:,} candidates cut by a limit"
    if run.as_text:
        count, kinds = sum(run.as_text.values()), _kinds(run.as_text)
        yield f"{count:,} of {run.candidates:,} answers compared as text ({kinds})"
    if run.ungraded:
        yield f"{counted(sum(run.ungraded.values()), 'answer')} not graded ({_kinds(run.ungraded)})"
    for name, scorer in run.scorers.items():
        missing = sum(scorer.missing.values())
        parts = []
        if missing:
            parts.append(
                f"{missing:,} of {scorer.scores:,} scores missing ({_kinds(scorer.missing)})"
            )
        if scorer.unreadable:
            parts.append(f"{scorer.unreadable:,} of {scorer.replies:,} replies unreadable")
        if scorer.blind:
            answers = counted(scorer.blind, "answer")
            parts.append(f"none for {answers}, where the earliest candidate counts as the best")
        if parts:
            yield f"{name}: {'; '.join(parts)}"


def warnings_of(run: Reliability) -> Iterator[str]:
    """Warnings about frequent faults, with advice."""
    failed = sum(run.failed.values())
    if failed > WARNING_SHARE * run.candidates:
        yield (
            f"{failed:,} of {run.candidates:,} candidates failed, such as: {run.example}; "
            f"{_advice(run.failed)}"
        )
    clocked = run.as_text.get(CLOCK, 0) + run.ungraded.get(CLOCK, 0)
    if clocked:
        yield (
            f"a limit of time ended the reading of {counted(clocked, 'answer')}, such as: "
            f"{run.unread}; another machine may decide otherwise, so this run is not repeatable "
            "there"
        )
    raised = run.ungraded.get(EXCEPTION, 0)
    if raised:
        yield f"grading failed for {counted(raised, 'answer')}, such as: {run.unread}"
    for name, scorer in run.scorers.items():
        missing = sum(scorer.missing.values())
        if missing > WARNING_SHARE * scorer.scores:
            yield (
                f"scorer `{name}`: {missing:,} of {scorer.scores:,} scores missing, "
                f"such as: {scorer.example}; {_advice(scorer.missing)}"
            )
        elif scorer.unreadable > WARNING_SHARE * scorer.replies:
            yield (
                f"judge `{name}`: no verdict in {scorer.unreadable:,} of {scorer.replies:,} "
                f"replies, which were asked again; {_ADVICE[Fault.UNREADABLE]}"
            )


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {_WORDS.get(kind, kind)}" for kind, count in counts.items())


def _advice(counts: Mapping[str, int]) -> str:
    """Advice for the most frequent kind."""
    return _ADVICE[max(counts, key=counts.__getitem__)]
