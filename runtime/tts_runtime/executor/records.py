"""Candidates as records keep them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from math import nan
from typing import Any

from tts_lang.plan.graph import Operation
from tts_lang.plan.operator import Makes, entry
from tts_lang.values import number
from tts_runtime.executor.errors import place
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.rows import Candidate, Row
from tts_runtime.fast_dataclass import fast_dataclass
from tts_runtime.tokens import to_text

#: A score column: a number per step, one number, or missing.
ScoreColumn = float | tuple[float | None, ...] | None


@fast_dataclass(frozen=True, slots=True)
class CandidateRecord:
    """One candidate, as it was made.

    Args:
        uid: Number in program order, from 1; 0 stands for the problem itself.
        parent, root: Uids of the candidate that it was expanded from or asks about, and of the
            first of its tree; `None` where there is none.
        op: The operation that made it ("expand", "fork", "ask"...); `place`: its `file:line`.
        prompt: The question asked, where its conversation is not the problem's.
        before: Uid of the candidate whose text it continues; 0: it starts a text.
        added: Text that it adds to that; `forced`: the policy did not choose it.
        sampling: The clauses it was sampled with (`CallSettings.clauses`), if it was; `number`:
            which child it is (C2).
        stream: Key of the path that it was drawn from, where that is neither the problem nor
            `before`; of a candidate that was not drawn, its own.
        ids: Ids on the whole path; `tokens`: the sampled ones (C21); `steps`: steps on the path.
        finish: Why its generation stopped.
        scores: The latest score of each scorer.
        errors: Why it has no text (by its policy's name), or no score (by the scorer's).
        unread: Why its answer could not be read: it has none, or it is compared as text.
        correct: Its grade, which the run gives it (`Grader.every_candidate`).
        token_ids: Ids that it adds to those of `before`; `token_logprobs`: their log-probabilities,
            missing for forced ids and where the engine has none; `prompt_ids`: of the prompt before
            it, if it starts a text. All only on request (`Outcome.recorded`).
    """

    uid: int
    parent: int | None
    root: int | None
    op: str
    place: str
    prompt: str | None
    before: int
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
    sampling: Mapping[str, Any] | None = None
    number: int = 0
    stream: str | None = None
    correct: bool | None = None
    token_ids: tuple[int, ...] | None = None
    token_logprobs: tuple[float | None, ...] | None = None
    prompt_ids: tuple[int, ...] | None = None


def records_of(
    candidates: Iterable[Candidate], keep: Collection[str]
) -> tuple[CandidateRecord, ...]:
    """The records of candidates that have their numbers; `keep`: as in `Outcome.recorded`."""
    about: dict[int, _Made] = {}
    found = []
    for candidate in candidates:
        operation = candidate.operation
        assert operation is not None
        made = about.get(id(operation))
        if made is None:
            made = about[id(operation)] = _Made(operation)
        record = _record_of(candidate, made)
        found.append(_kept_of(candidate, record, keep) if keep else record)
    return tuple(found)


class _Made:
    """What all candidates of one operation have in common."""

    __slots__ = ("drawn", "foreign", "op", "own", "place")

    def __init__(self, operation: Operation) -> None:
        makes = entry(operation.spec).makes
        self.op = operation.spec.op
        self.place = place(operation.origins)
        self.foreign = entry(operation.spec).foreign
        self.own = makes in (Makes.EDITED, Makes.COPIES)
        self.drawn = makes in (Makes.CHILDREN, Makes.CONVERSATIONS)


def _record_of(candidate: Candidate, made: _Made) -> CandidateRecord:
    node = candidate.node
    conversation = node.conversation
    parent, root = candidate.parent, candidate.root
    before = _continued(candidate)
    written, key = node.answers
    errors = candidate.errors
    if node.error is not None:
        errors = {**errors, node.policy.name: str(node.error)}
    added, continued = None, 0
    if before is not None and before.node.conversation is conversation:
        added = _added(before.node, node)
        if added is not None:
            continued = _candidate(before).uid
    stream = node.key if made.own else None
    start = node.parent
    if made.drawn and start is not None:
        recorded = continued and before is not None and not _candidate(before).problem
        plain = start.start == () and not conversation.thinking
        stream = None if recorded or plain else start.key
    finish = node.finish
    return CandidateRecord(
        candidate.uid,
        None if parent is None else parent.uid,
        None if root is None else root.uid,
        made.op,
        made.place,
        None if conversation.own else conversation.message,
        continued,
        node.text if added is None else added,
        made.foreign,
        node.position,
        node.tokens,
        node.segments.steps,
        None if finish is None else finish._value_,
        node.done,
        number(node.logprob),
        written,
        key,
        dict(candidate.scores),
        errors,
        node.unread and node.unread[1],
        node.sampling,
        node.number,
        None if stream is None else stream.hex(),
    )


def _continued(candidate: Candidate) -> Row | Candidate | None:
    """What a candidate was made from, if it continues its text."""
    return candidate.parent if candidate.before is None else candidate.before


def _candidate(source: Row | Candidate) -> Candidate:
    return source if isinstance(source, Candidate) else source.candidate


def _added(before: Node, node: Node) -> str | None:
    """The text that a node adds to another's; missing if it does not begin with that."""
    if before is node.parent and not node.mixed:
        # The usual case, without putting both texts together.
        old, new = before.segments, node.segments
        many = len(old.closed)
        if new.closed[:many] == old.closed:
            rest = node.policy.delimiter.join((*new.closed[many:], new.tail))
            # A character that began before would be another one there.
            if rest.startswith(old.tail) and not _continues(rest[len(old.tail) :]):
                return to_text(rest[len(old.tail) :])
    source, text = before.text, node.text
    return text[len(source) :] if text.startswith(source) else None


def _continues(data: bytes) -> bool:
    """Whether bytes of UTF-8 begin within a character."""
    return data[:1] > b"\x7f" and data[:1] < b"\xc0"


def _kept_of(
    candidate: Candidate, record: CandidateRecord, keep: Collection[str]
) -> CandidateRecord:
    """The record with the ids of what it adds, and their log-probabilities."""
    node = candidate.node
    before: Node | None = None
    if record.before:
        source = _continued(candidate)
        before = None if source is None else source.node
    edges = node.edges()
    if before is not None:
        known = [edge.ids for edge in before.edges()]
        if [edge.ids for edge in edges[: len(known)]] != known:
            return record  # the same text, of other ids
        edges = edges[len(known) :]
    ids = tuple(id_ for edge in edges for id_ in edge.ids)
    logprobs = [
        number(value)
        for edge in edges
        for value in (
            edge.logprobs
            if edge.sampled and len(edge.logprobs) == len(edge.ids)
            else [nan] * len(edge.ids)
        )
    ]
    return replace(
        record,
        token_ids=ids if "ids" in keep else None,
        token_logprobs=tuple(logprobs) if "logprobs" in keep else None,
        prompt_ids=node.conversation.prompt(node.policy)
        if "ids" in keep and before is None
        else None,
    )
