"""score: process and outcome scorers, incrementally, with look-ahead (C11, C28, C29, C32)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import CancelledError, Future
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from numbers import Real
from typing import Any, TypeAlias

from tts_lang.plan.expr import fields_in
from tts_lang.plan.graph import Operation, Score, Scorer
from tts_lang.plan.reads import needs_pool
from tts_lang.values import is_number
from tts_runtime.engines.base import (
    CandidateError,
    Fault,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor.generation import LookAhead, roll_out
from tts_runtime.executor.nodes import EMPTY, Node
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.problem import RunError, error_at
from tts_runtime.executor.problem_run import ProblemRun, Progressed
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.requests import digest, piece_mark, scorer_error, step_marks
from tts_runtime.executor.rows import Row, ScoredPath, Vector, extended
from tts_runtime.executor.scope import Scope, Scored
from tts_runtime.executor.views import grouped


@handles(Score)
def score(builder: Builder, spec: Score) -> Action:
    """The same rows with the scorer's column."""
    scorer, engine = builder.scorer(spec.scorer)
    assert engine is not None  # checked when the plan is bound
    kind = _together if scorer.together else _alone
    return kind(builder, spec, Scoring(scorer, engine, builder.operation))


def _alone(builder: Builder, spec: Score, scoring: Scoring) -> Action:
    """Each row as soon as it is known."""
    look = LookAhead(builder.compiler, builder.program.engines.default, spec.ahead)
    whole = any(map(needs_pool, fields_in(spec)))

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        reader = _Reader(run, scoring)
        settings = None
        if spec.ahead is not None:
            settings = look.settings(scope.problem, await scope.view(inputs, whole))
        if settings is None:
            return (run.map(pool, reader.read),)
        chosen = settings

        def looked_ahead(row: Row, slot: PendingRow | None) -> Content:
            target = PendingRow(b"", 1) if slot is None else slot

            def arrived(node: Node) -> None:
                made = reader.read(row, target, node)
                if made is not target:
                    run.resolve(target, made)

            if roll_out(run, row.node, chosen, arrived):
                return target
            return reader.read(row, slot)

        return (run.map(pool, looked_ahead),)

    return action


def _together(builder: Builder, spec: Score, scoring: Scoring) -> Action:
    """A pool's rows (or each group's) side by side."""
    per = builder.compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        run = scope.run
        reader = _Reader(run, scoring)
        slots = [PendingRow(b"", 1) for _ in rows]
        found = grouped(rows, per, view)
        members = {place for group in found for place in group}
        for place in range(len(rows)):
            if place not in members:
                run.resolve(slots[place], reader.scored(rows[place], scoring.missing))
        for group in found:
            there = [place for place in group if rows[place].node.error is None]
            for place in set(group).difference(there):
                run.resolve(slots[place], reader.scored(rows[place], scoring.missing))
            if there:
                reader.read_together(
                    [rows[place] for place in there], [slots[place] for place in there]
                )
        return (Pool(slots, True, inputs[0].apart),)

    return action


class Scoring:
    """A score operation: its scorer and what is declared of it."""

    __slots__ = ("engine", "high", "low", "missing", "name", "operation", "steps")

    def __init__(self, scorer: Scorer, engine: ScorerEngine, operation: Operation) -> None:
        self.name = scorer.name
        self.steps = scorer.steps
        self.low = scorer.low
        self.high = scorer.high
        self.engine = engine
        self.operation = operation
        #: The column of a candidate that has no score: every reduction of it is missing.
        self.missing: Vector | None = () if scorer.steps else None

    def outside(self, number: float, row: Row) -> RunError:
        """The error of a score that is not in the declared range."""
        low, high = self.low, self.high
        declared = f"{'anything' if low is None else low} to {'anything' if high is None else high}"
        text = " ".join(row.node.text.split())
        return error_at(
            self.operation,
            f"scorer `{self.name}` gave {number}, outside its range {declared}, to the candidate "
            f"{text[-60:]!r}",
            f"declare the range: `scorer {self.name} ... from LOW to HIGH`, or bind another scorer",
        )


class _Asked(ABC):
    """A request for scores, of a path or of a pool; the callback of its future."""

    __slots__ = ("asked", "run")

    run: ProblemRun
    #: As in `Request`, but of a path with a digest only that, and how many steps were known.
    asked: tuple[ScorerEngine, ScoreRequest | bytes, int] | None

    @abstractmethod
    def replied(self, reply: Any) -> None:
        """Called with the reply, or with the error that loses the candidates."""

    def __call__(self, future: Future[Any]) -> None:
        run = self.run
        if run.kept is not None and self.asked is not None:
            run.work.scored(future)
            run.kept.read(*self.asked, future)
        elif run.calls is None:
            run.work.scored(future)
        try:
            run.in_flight.remove(future)
        except KeyError:  # not `take` first: it is a call for every reply
            run.take(future)
            return
        try:
            reply = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001  (whatever it is)
            reply = scorer_error(error)
            if not run.loses_candidate(reply):
                run.engine_failed(reply)
                return
        if run.error is not None:
            return
        try:
            self.replied(reply)
            for listener in run.on_progress:
                listener(Progressed(run))
        except Exception as problem:  # noqa: BLE001  (stored: `execute` raises or reports it)
            run.fail(problem)
        if run.idle is not None:
            run.check_idle()


#: Who waits: row, path, what was looked ahead, pending row; many closed, their name and texts.
_Waiting: TypeAlias = "tuple[Row, Node, Node | None, PendingRow, int, bytes, int]"


class _Reading(_Asked):
    """A path that is being scored.

    Args:
        reader: Asks for it.
        name: Of the path, in the memo of what the scorer has been asked.
        known: Scores of its first steps.
        wanted: How many scores are new; `marks`: of their steps, if it scores steps.
        first: Who waits for them.
    """

    __slots__ = ("_known", "_marks", "_name", "_reader", "_wanted", "first", "others")

    def __init__(
        self,
        reader: _Reader,
        name: Any,
        known: Vector,
        wanted: int,
        marks: Sequence[int] | None,
        first: _Waiting,
    ) -> None:
        self.run = reader.run
        self._reader = reader
        self._name = name
        self._known = known
        self._wanted = wanted
        self._marks = marks
        self.first = first
        self.others: Sequence[_Waiting] = ()

    def replied(self, reply: ScoreReply | CandidateError) -> None:
        reader, known, run = self._reader, self._known, self.run
        run.costs.scored(reader.scoring.name, self._marks, reply)
        found = reader.found(reply, self._wanted)
        scores: Vector | CandidateError
        scores = found if isinstance(found, CandidateError) else extended(known, found)
        reader.memo[self._name] = scores
        many = len(known)
        for row, node, rollout, slot, own, mark, texts in (self.first, *self.others):
            run.resolve(slot, reader.column(row, node, rollout, scores, many, own, mark, texts))


class _PoolReading(_Asked):
    """A pool that is being scored; `paid` is called with the reply."""

    __slots__ = ("_paid",)

    def __init__(self, run: ProblemRun, paid: Callable[[Any], None]) -> None:
        self.run = run
        self.asked = None
        self._paid = paid

    def replied(self, reply: Sequence[ScoreReply] | CandidateError) -> None:
        self._paid(reply)


class _Reader:
    """Asks a scorer in one execution of an operation, and turns its replies into columns.

    `memo`: what the scorer has been asked for the problem, by name: scores, an error, or who waits.
    """

    __slots__ = ("_listeners", "memo", "run", "scoring")

    def __init__(self, run: ProblemRun, scoring: Scoring) -> None:
        self.run = run
        self.scoring = scoring
        self.memo: dict[Any, Any] = run.scores.setdefault(scoring.name, {})
        self._listeners = run.events.listeners(Scored)

    def read(self, row: Row, slot: PendingRow | None, rollout: Node | None = None) -> Content:
        """The scored row, or the pending row that resolves to it; scores a rollout if one is given.

        A scorer sees the problem file's text and the conversation's text (C32). For every step of
        every candidate: few calls, few objects.
        """
        run, scoring = self.run, self.scoring
        node = row.node if rollout is None else rollout
        if node.error is not None:
            if rollout is not None:
                run.recorder.scored(scoring.name, rollout.key, node.error.fault, str(node.error))
            return self.lacking(row, node.error)
        segments = node.segments
        own = segments.many_closed if rollout is None else row.node.segments.many_closed
        known: Vector = ()
        many = 0
        mark, texts = b"", 0
        marks: list[int] | None = None
        new: tuple[str, ...] | None = None
        answer: str | None = None
        named: bytes | None = None
        name: Any
        if scoring.steps:
            before = row.known
            if before is not None and before.name != scoring.name:
                before = before.of(scoring.name)
            if before is not None and before.node is not None:
                if before.node is node:
                    return self.scored(row, before.column, len(before.column))
                if before.node.conversation is node.conversation:
                    known = before.closed
                    many = len(known)
                    if many <= own:
                        mark, texts = before.mark, before.texts
                    else:
                        known, many = known[:own], own
            if not mark:
                mark, texts = _marks(node, many)
            new = segments.texts_after(many)
            if not new:
                return self.column(row, node, rollout, known, many, own, mark, texts)
            marks = step_marks(texts, new)
            if own > many:
                texts = marks[own - many - 1]
            if node.mixed:
                # The text and how many steps it has say what they are, given the delimiter.
                name = digest(node.text), many + len(new), node.policy.delimiter, None
            else:
                closed = segments.closed_after(many)
                name = mark = piece_mark(mark, closed if rollout is None else closed[: own - many])
                if rollout is not None:
                    name = piece_mark(mark, closed[own - many :])
                if segments.tail:
                    name = name, segments.tail, many + len(new)
                else:
                    named = name
        else:
            # Only outcome scorers are told the answer: a step has none.
            answer = node.written
            name = digest(node.text), segments.steps, node.policy.delimiter, answer
        memo = self.memo
        found = memo.get(name)
        if found is not None and type(found) is not _Reading:
            return self.column(row, node, rollout, found, many, own, mark, texts)
        target = PendingRow(b"", 1) if slot is None else slot
        waits = row, node, rollout, target, own, mark, texts
        if found is not None:
            found.others = (*found.others, waits)
            return target
        wanted = 1 if marks is None else len(marks)
        reading = memo[name] = _Reading(self, name, known, wanted, marks, waits)
        problem = run.problem.text
        request = ScoreRequest.about(node, problem, run.fields, many, answer, named, new)
        reading.asked = None if run.kept is None else (scoring.engine, named or request, many)
        run.score(scoring.engine, request, reading)
        return target

    def found(
        self, reply: ScoreReply | CandidateError, wanted: int
    ) -> tuple[float | None, ...] | CandidateError:
        """The `wanted` scores of a reply, or why there are none; each reply is counted once."""
        run, name = self.run, self.scoring.name
        found = reply if isinstance(reply, CandidateError) else _usable(name, reply.scores, wanted)
        fault, why = None, ""
        if isinstance(found, CandidateError):
            if not run.loses_candidate(found):
                raise found
            fault, why = found.fault, str(found)
        elif None in found:
            fault, why = Fault.NO_SCORE, f"scorer `{name}` gives no number for it"
        run.recorder.new_score(name, fault, why)
        return found

    def column(
        self,
        row: Row,
        node: Node,
        rollout: Node | None,
        scores: Vector | CandidateError,
        known: int,
        own: int,
        mark: bytes = b"",
        texts: int = 0,
    ) -> Row:
        """The row with its column, of which the first `known` numbers have been looked at.

        `own`: how many pieces of the row are closed; `mark`, `texts`: as in `Scores`.
        """
        if isinstance(scores, CandidateError):
            return self.lacking(row, scores)
        scoring = self.scoring
        low, high = scoring.low, scoring.high
        many = len(scores)
        for place in range(known, many):
            number = scores[place - many]
            if number is not None and not (
                (low is None or number >= low) and (high is None or number <= high)
            ):
                raise scoring.outside(number, row)
        if not scoring.steps:
            return self.scored(row, scores[0])
        # Steps of a rollout are nobody's: only the path's own closed steps are kept (C11).
        path = None
        if rollout is None or own:
            path = node, scores if own >= many else scores[:own], mark, texts
        return self.scored(row, scores, known, path)

    def lacking(self, row: Row, error: CandidateError) -> Row:
        """The row without a score (C64)."""
        row.candidate.errors = {**row.candidate.errors, self.scoring.name: str(error)}
        return self.scored(row, self.scoring.missing)

    def scored(
        self,
        row: Row,
        column: float | Vector | None,
        known: int = 0,
        path: ScoredPath | None = None,
    ) -> Row:
        """The row with the score column."""
        name = self.scoring.name
        made = row.with_score(name, column, path)
        candidate = row.candidate
        if candidate.scores is EMPTY or candidate.scores.keys() <= made.scores.keys():
            candidate.scores = made.scores
        else:
            candidate.scores = {**candidate.scores, name: column}
        for listener in self._listeners:
            listener(Scored(self.run, self.scoring.operation, made, name, column, known))
        return made

    def read_together(self, rows: Sequence[Row], slots: Sequence[PendingRow]) -> None:
        """Scores of rows that depend on each other; resolves the slots."""
        run, memo, steps = self.run, self.memo, self.scoring.steps
        nodes = [row.node for row in rows]
        answers = [None if steps else node.written for node in nodes]
        requests = [
            ScoreRequest(run.problem.text, run.fields, node.text, node.segments.texts, 0, answer)
            for node, answer in zip(nodes, answers, strict=True)
        ]
        name = tuple([(digest(each.text), hash(each.steps), each.answer) for each in requests])

        def arrived(found: Sequence[Vector | CandidateError]) -> None:
            for row, slot, scores in zip(rows, slots, found, strict=True):
                run.resolve(
                    slot, self.column(row, row.node, None, scores, 0, row.node.segments.many_closed)
                )

        def paid(replies: Sequence[ScoreReply] | CandidateError) -> None:
            each_reply: Sequence[ScoreReply | CandidateError]
            if isinstance(replies, CandidateError):
                each_reply = [replies] * len(rows)
            else:
                each_reply = self._for_each(replies, len(rows))
            each_marks = [step_marks(0, each.steps) if steps else None for each in requests]
            for marks, reply in zip(each_marks, each_reply, strict=True):
                run.costs.scored(self.scoring.name, marks, reply)
            found = tuple(
                self.found(reply, 1 if marks is None else len(marks))
                for marks, reply in zip(each_marks, each_reply, strict=True)
            )
            waiting = memo[name]
            memo[name] = found
            for each in waiting:
                each(found)

        asked = memo.get(name)
        if asked is None:
            memo[name] = [arrived]
            run.score_together(self.scoring.engine, requests, _PoolReading(run, paid))
        elif type(asked) is list:
            asked.append(arrived)
        else:
            arrived(asked)

    def _for_each(
        self, replies: Sequence[ScoreReply], rows: int
    ) -> Sequence[ScoreReply | CandidateError]:
        """One reply for each row; none for any where their number does not fit."""
        if len(replies) == rows:
            return replies
        error = CandidateError(
            Fault.UNUSABLE,
            f"scorer `{self.scoring.name}` gave {len(replies)} replies for {rows} candidates",
        )
        if not self.run.loses_candidate(error):
            raise error
        return [error] * rows


def _usable(
    name: str, scores: Sequence[Any], wanted: int
) -> tuple[float | None, ...] | CandidateError:
    """As many numbers as are wanted of a scorer, each of them finite or missing."""
    if len(scores) != wanted:
        return CandidateError(
            Fault.UNUSABLE, f"scorer `{name}` gave {len(scores)} scores instead of {wanted}"
        )
    usual = True
    for number in scores:
        if type(number) is float and isfinite(number):
            continue
        usual = False
        if number is None:
            continue
        if not isinstance(number, Real) or not is_number(
            number if isinstance(number, int) else float(number)
        ):
            shown = "a number that is too large" if isinstance(number, int) else repr(number)
            return CandidateError(
                Fault.UNUSABLE, f"scorer `{name}` gave {shown}, which is no finite number"
            )
    if usual:
        return tuple(scores)
    return tuple([None if number is None else float(number) for number in scores])


def _marks(node: Node, many: int) -> tuple[bytes, int]:
    """The mark of the first closed pieces of a path, and that of the texts of their steps."""
    texts = step_marks(0, node.segments.texts[:many])[-1] if many else 0
    if node.mixed:
        return b"", texts
    return piece_mark(_first_mark(node.policy.delimiter), node.segments.closed[:many]), texts


@lru_cache
def _first_mark(delimiter: bytes) -> bytes:
    return piece_mark(b"", (delimiter,))
