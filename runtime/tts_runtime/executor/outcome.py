"""What the executor returns for a problem, and how its progress can be watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tts_lang.plan.operator import entry
from tts_lang.values import number
from tts_runtime.engines.base import CandidateError, Finish
from tts_runtime.executor.costs import Counts
from tts_runtime.executor.errors import RunError, place
from tts_runtime.executor.model import Candidate
from tts_runtime.reliability import Recorder, Reliability

#: A score column: a number per step, one number, or missing.
ScoreColumn = float | tuple[float | None, ...] | None

#: Operations whose text no policy chose.


class Observer:
    """Told what happens while it happens; every method does nothing here."""

    def tokens_drawn(self, count: int) -> None:
        """A policy has drawn that many tokens for one request."""

    def candidate_done(self, problem_id: str) -> None:
        """A problem's candidate was generated."""

    def outcome_ready(self, outcome: Outcome) -> None:
        """A problem finished or failed."""


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
        """Every candidate, in program order; computed again each time it is read."""
        return self._records()


def reliability_of(
    candidates: Sequence[Candidate], recorder: Recorder, *, complete: bool
) -> Reliability:
    """What went wrong with the candidates of a problem that has its answer.

    `complete`: no candidate was given up before it was complete.

    Raises:
        RunError: No candidate has a text of its own, so there is nothing that could decide.
    """
    failed: dict[str, int] = {}
    examples: list[str] = []
    first: CandidateError | None = None
    drawn = 0
    continued = {
        row.candidate
        for each in candidates
        for row in (each.parent, each.before)
        if row is not None
    }
    cut = 0
    as_text: dict[str, int] = {}
    unread: list[str] = []
    for each in candidates:
        node = each.node
        if node.unread is not None:
            kind, why = node.unread
            as_text[kind] = as_text.get(kind, 0) + 1
            unread.append(why)
        if node.error is not None:
            first = first or node.error
            failed[node.error.fault.value] = failed.get(node.error.fault.value, 0) + 1
            examples.append(str(node.error))
        elif node.sampled:
            drawn += 1
            cut += node.finish is Finish.LENGTH and each not in continued
    # A candidate that was given up may have had one: passes raise no other errors (C57).
    if first is not None and not drawn and complete:
        raise RunError(f"no candidate has a text; the first: {first}")
    return Reliability(
        candidates=len(candidates),
        cut=cut,
        failed=failed,
        example=min(examples, default=None),
        as_text=as_text,
        unread=min(unread, default=None),
        scorers=recorder.scorers(),
    )


def record_of(candidate: Candidate) -> CandidateRecord:
    node = candidate.node
    operation = candidate.operation
    assert operation is not None
    conversation = node.conversation
    before = candidate.parent if candidate.before is None else candidate.before
    written, key = node.answers
    text = node.text
    errors = dict(candidate.errors)
    if node.error is not None:
        errors[node.policy.name] = str(node.error)
    added = text
    if before is not None and before.node.conversation is conversation:
        source = before.node.text
        added = text[len(source) :] if text.startswith(source) else text
    return CandidateRecord(
        candidate.uid,
        None if candidate.parent is None else candidate.parent.candidate.uid,
        None if candidate.root is None else candidate.root.uid,
        operation.spec.op,
        place(operation.origins),
        None if conversation.own else conversation.message,
        added,
        entry(operation.spec).foreign,
        node.position,
        node.tokens,
        node.segments.steps,
        None if node.finish is None else node.finish.value,
        node.done,
        number(node.logprob),
        written,
        key,
        dict(candidate.scores),
        errors,
        node.unread and node.unread[1],
    )
