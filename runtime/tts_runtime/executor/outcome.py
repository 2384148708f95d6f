"""What the executor gives back for a problem, and how it can be watched."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tts_runtime.engines.base import Generation, ScoreReply
from tts_runtime.reliability import Reliability

#: A score column: a number per step, one number, or missing.
ScoreColumn = float | tuple[float | None, ...] | None


class ProblemLike(Protocol):
    """What the executor reads of a problem (see tts_runtime.problems.Problem)."""

    @property
    def id(self) -> str:
        """Unique in a run (C15)."""

    @property
    def text(self) -> str:
        """What is asked."""

    @property
    def answer(self) -> str | None:
        """The gold answer, which only field scorers see."""

    @property
    def fields(self) -> Mapping[str, object]:
        """What else the problem file says."""


class Observer:
    """Told what happens while it happens; every method does nothing here."""

    def tokens_drawn(self, count: int) -> None:
        """A policy has drawn so many tokens for one request."""

    def candidate_done(self, problem_id: str) -> None:
        """A problem's candidate was generated."""

    def outcome_ready(self, outcome: Outcome) -> None:
        """A problem finished or failed."""


@dataclass(slots=True)
class Counts:
    """What a problem cost: a function of what the strategy asked for, each thing once (C66).

    Args:
        policy_calls: Different generations that it needed, those of judges and look-ahead included.
        policy_tokens: Tokens drawn in them, withheld ones and ends included.
        prompt_tokens: Per policy, every different prompt, and every token of a path that it reads
            and has not drawn, each once.
        scorer_calls: Different paths given to scorers.
        scorer_tokens: Per process scorer, the problem once and each step of each path once; per
            outcome scorer, each different path whole.
        by_policy: Of the tokens drawn and read, by the name of the policy.
        by_scorer: Of the scorer tokens, by the name of the scorer.
    """

    policy_calls: int = 0
    policy_tokens: int = 0
    prompt_tokens: int = 0
    scorer_calls: int = 0
    scorer_tokens: int = 0
    by_policy: dict[str, int] = field(default_factory=dict)
    by_scorer: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """What engines did, for whoever asked; it depends on timing, caches and who else asks.

    Args:
        policy_calls, scorer_calls: Requests that engines were given.
        policy_tokens: Tokens drawn for those that were answered.
        prompt_tokens: Prompt and path tokens that policies processed: what no cache had.
        scorer_tokens: Tokens that scorers processed: what no cache had.
        cancelled_calls: Requests to policies that were given up.
        cancelled_tokens: Tokens drawn for those, where engines can tell.
        speculated_tokens: Tokens drawn ahead of programs; a request that was given up half-way
            counts with its limit of tokens.
        wasted_tokens: Of these, those that no program came to.
    """

    policy_calls: int = 0
    policy_tokens: int = 0
    prompt_tokens: int = 0
    scorer_calls: int = 0
    scorer_tokens: int = 0
    cancelled_calls: int = 0
    cancelled_tokens: int = 0
    speculated_tokens: int = 0
    wasted_tokens: int = 0

    def generated(self, future: Future[Generation]) -> None:
        """A policy's engine is done with a request."""
        self.policy_calls += 1
        if future.cancelled():
            self.cancelled_calls += 1
        elif future.exception() is None:
            generation = future.result()
            self.policy_tokens += generation.drawn
            self.prompt_tokens += generation.prefilled

    def scored(self, future: Future[ScoreReply] | Future[Sequence[ScoreReply]]) -> None:
        """A scorer's engine is done with a path, or with a pool."""
        if future.cancelled() or future.exception() is not None:
            self.scorer_calls += 1
            return
        found = future.result()
        replies = (found,) if isinstance(found, ScoreReply) else found
        self.scorer_calls += len(replies)
        self.scorer_tokens += sum([reply.tokens for reply in replies])


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """One candidate, as it was made.

    Args:
        uid: Number in program order, from 1; 0 stands for the problem itself.
        parent, root: Uids of the candidate that it was expanded from or asks about, and of the
            first of its tree; `None` where there is none.
        op: The operation that made it ("expand", "fork", "ask"...); `place`: its `file:line`.
        prompt: The question asked, where its conversation is not the problem's.
        added: Text that it adds to its parent's; `forced`: the policy did not choose it.
        ids: Ids on the whole path; `tokens`: the sampled ones (C21); `steps`: steps on the path.
        finish: Why its generation stopped.
        scores: The latest score of each scorer.
        errors: Why it has no text (by its policy's name), or no score (by the scorer's).
        unread: Why its answer could not be read: it has none, or it is compared as text.
    """

    uid: int
    parent: int | None
    root: int | None
    op: str
    place: str
    prompt: str | None
    added: str
    forced: bool
    ids: int
    tokens: int
    steps: int
    finish: str | None
    done: bool
    logprob: float | None
    answer: str | None
    answer_key: str | None
    scores: Mapping[str, ScoreColumn]
    errors: Mapping[str, str] = field(default_factory=dict)
    unread: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a strategy gave for one problem.

    Args:
        problem_id: Which problem.
        answer: The answer as written in the returned candidate; missing if it has none (C40).
        answer_key: Its canonical form.
        text: The returned candidate's whole text; empty if none was returned.
        row: Uid of the returned candidate, if any was returned.
        error: Why the problem failed; the answer is missing then.
        counts: What it cost; nothing for a problem that failed, whatever engines did for it.
        reliability: What went wrong with its candidates.
    """

    problem_id: str
    answer: str | None = None
    answer_key: str | None = None
    text: str = ""
    row: int | None = None
    error: str | None = None
    counts: Counts = field(default_factory=Counts)
    reliability: Reliability = field(default_factory=Reliability)
    _records: Callable[[], tuple[CandidateRecord, ...]] = field(
        default=tuple, repr=False, compare=False
    )

    @property
    def candidates(self) -> tuple[CandidateRecord, ...]:
        """Every candidate made, in program order; worked out anew each time it is read."""
        return self._records()
