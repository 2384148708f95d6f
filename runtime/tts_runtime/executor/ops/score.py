"""score: process and outcome scorers, incrementally, with look-ahead (C11, C28, C29, C32)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any

from tts_lang.plan.expr import Expr, fields_in
from tts_lang.plan.graph import Operation, Score, Scorer, Unit
from tts_lang.plan.reads import needs_pool
from tts_lang.values import is_number
from tts_runtime.engines.base import (
    CandidateError,
    Fault,
    GenerateRequest,
    Generation,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.clauses import CallSettings
from tts_runtime.executor.errors import error_at
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.generation import child_node
from tts_runtime.executor.model import Candidate, Node, Row, ScoreCache, Vector
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.requests import digest
from tts_runtime.executor.scheduler import Content, PendingRow, Pool
from tts_runtime.executor.scope import Scope, Scored
from tts_runtime.executor.views import View, grouped


@handles(Score)
def score(builder: Builder, spec: Score) -> Action:
    """The same rows with the scorer's column."""
    scorer, engine = builder.scorer(spec.scorer)
    assert engine is not None  # checked when the plan is bound
    kind = _together if scorer.together else _alone
    return kind(builder, spec, _Reader(scorer, engine, builder.operation))


def _alone(builder: Builder, spec: Score, reader: _Reader) -> Action:
    """Each row as soon as it is known."""
    look = LookAhead(builder.compiler, builder.program.engines.default, spec.ahead)
    whole = any(map(needs_pool, fields_in(spec)))

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        settings = None
        if spec.ahead is not None:
            settings = look.settings(scope.problem, await scope.view(inputs, whole))
        if settings is None:
            return (run.map(pool, partial(reader.read, run)),)
        chosen = settings

        def looked_ahead(row: Row, slot: PendingRow | None) -> Content:
            target = PendingRow(b"", 1) if slot is None else slot

            def arrived(node: Node) -> None:
                made = reader.read(run, row, target, node)
                if made is not target:
                    run.resolve(target, made)

            if roll_out(run, row.node, chosen, arrived):
                return target
            return reader.read(run, row, slot)

        return (run.map(pool, looked_ahead),)

    return action


def _together(builder: Builder, spec: Score, reader: _Reader) -> Action:
    """A pool's rows (or each group's) side by side."""
    per = builder.compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        run = scope.run
        slots = [PendingRow(b"", 1) for _ in rows]
        found = grouped(rows, per, view)
        members = {place for group in found for place in group}
        for place in range(len(rows)):
            if place not in members:
                run.resolve(slots[place], reader.scored(run, rows[place], reader.missing))
        for group in found:
            there = [place for place in group if rows[place].node.error is None]
            for place in set(group).difference(there):
                run.resolve(slots[place], reader.scored(run, rows[place], reader.missing))
            if there:
                reader.read_together(
                    run, [rows[place] for place in there], [slots[place] for place in there]
                )
        return (Pool(slots, True, inputs[0].apart),)

    return action


class _Reading:
    """A path that is being scored, and who waits for it: row, path, rollout, pending row."""

    __slots__ = ("_known", "_name", "_reader", "_request", "_run", "_wanted", "waiting")

    def __init__(
        self,
        reader: _Reader,
        run: ProblemRun,
        name: Any,
        known: Vector,
        wanted: int,
        request: ScoreRequest,
        first: tuple[Row, Node, Node | None, PendingRow],
    ) -> None:
        self._reader = reader
        self._run = run
        self._name = name
        self._known = known
        self._wanted = wanted
        self._request = request
        self.waiting = [first]

    def __call__(self, reply: ScoreReply | CandidateError) -> None:
        run, known = self._run, self._known
        run.count_score(self._reader.scorer, self._request, reply)
        found = self._reader.found(run, self._name, reply, self._wanted)
        scores = found if isinstance(found, CandidateError) else known + found
        run.scores[self._name] = scores
        for row, node, rollout, slot in self.waiting:
            run.resolve(slot, self._reader.column(run, row, node, rollout, scores, len(known)))


class _Reader:
    """Asks one scorer and turns its replies into columns."""

    def __init__(self, scorer: Scorer, engine: ScorerEngine, operation: Operation) -> None:
        self.scorer = scorer
        self.name = scorer.name
        self.steps = scorer.steps
        self.low = scorer.low
        self.high = scorer.high
        self.engine = engine
        self.operation = operation
        #: The column of a candidate that has no score: every reduction of it is missing.
        self.missing: Vector | None = () if scorer.steps else None

    def read(
        self, run: ProblemRun, row: Row, slot: PendingRow | None, rollout: Node | None = None
    ) -> Content:
        """The scored row, or the pending row that resolves to it; scores a rollout if one is given.

        A scorer sees the problem file's text and the conversation's text (C32).
        """
        node = row.node if rollout is None else rollout
        if node.error is not None:
            if rollout is not None:
                run.recorder.scored(self.name, rollout.key, node.error.fault, str(node.error))
            return self.lacking(run, row, node.error)
        known: Vector = ()
        if self.steps:
            before = row.known.get(self.name)
            if before is not None:
                if before.node is node:
                    return self.scored(run, row, before.column, len(before.column))
                if before.node.conversation is row.node.conversation:
                    known = before.closed[: len(row.node.segments.closed)]
        steps = node.step_texts
        if self.steps and len(steps) == len(known):
            return self.column(run, row, node, rollout, known, len(known))
        # Only outcome scorers are told the answer: finding it costs, and a step has none.
        answer = None if self.steps else node.written
        text = node.text
        # The text and how many steps it has say what they are, given the delimiter.
        name = self.name, digest(text), len(steps), node.policy.delimiter, answer
        memo = run.scores.get(name)
        if type(memo) is tuple or isinstance(memo, CandidateError):
            return self.column(run, row, node, rollout, memo, len(known))
        target = PendingRow(b"", 1) if slot is None else slot
        if memo is not None:
            memo.waiting.append((row, node, rollout, target))
            return target
        request = ScoreRequest(
            run.problem.text, run.fields, text, steps, len(known), answer, name[1]
        )
        wanted = len(steps) - len(known) if self.steps else 1
        first = row, node, rollout, target
        reading = run.scores[name] = _Reading(self, run, name, known, wanted, request, first)
        run.score(self.engine, request, reading)
        return target

    def found(
        self, run: ProblemRun, name: Any, reply: ScoreReply | CandidateError, wanted: int
    ) -> Vector | CandidateError:
        """The `wanted` scores of a reply, or why there are none; counted under `name`."""
        found: Vector | CandidateError
        if isinstance(reply, CandidateError):
            found = reply
        else:
            found = self._usable(reply.scores, wanted)
            if isinstance(found, CandidateError) and not run.loses_candidate(found):
                raise found
        fault, why = None, ""
        if isinstance(found, CandidateError):
            fault, why = found.fault, str(found)
        elif None in found:
            fault, why = Fault.NO_SCORE, f"scorer `{self.name}` gives no number for it"
        run.recorder.scored(self.name, name, fault, why)
        return found

    def _usable(self, scores: Sequence[Any], wanted: int) -> Vector | CandidateError:
        """As many numbers as are wanted, each of them finite or missing."""
        if len(scores) != wanted:
            return CandidateError(
                Fault.UNUSABLE,
                f"scorer `{self.name}` gave {len(scores)} scores instead of {wanted}",
            )
        for number in scores:
            if number is None:
                continue
            if not isinstance(number, Real) or not is_number(
                number if isinstance(number, int) else float(number)
            ):
                shown = "a number that is too large" if isinstance(number, int) else repr(number)
                return CandidateError(
                    Fault.UNUSABLE,
                    f"scorer `{self.name}` gave {shown}, which is no finite number",
                )
        return tuple([None if number is None else float(number) for number in scores])

    def column(
        self,
        run: ProblemRun,
        row: Row,
        node: Node,
        rollout: Node | None,
        scores: Vector | CandidateError,
        known: int,
    ) -> Row:
        """The row with its column, of which the first `known` numbers have been looked at."""
        if isinstance(scores, CandidateError):
            return self.lacking(run, row, scores)
        for number in scores[known:]:
            if number is not None:
                self.check(number, row)
        if not self.steps:
            return self.scored(run, row, scores[0])
        remembered = None
        closed = len(row.node.segments.closed)
        if rollout is None:
            remembered = ScoreCache(node, scores[:closed], scores)
        elif closed:
            # Steps of the rollout are nobody's: only the path's own closed steps are kept (C11).
            remembered = ScoreCache(rollout, scores[:closed], ())
        return self.scored(run, row, scores, known, remembered)

    def lacking(self, run: ProblemRun, row: Row, error: CandidateError) -> Row:
        """The row without a score (C64)."""
        row.candidate.errors = {**row.candidate.errors, self.name: str(error)}
        return self.scored(run, row, self.missing)

    def scored(
        self,
        run: ProblemRun,
        row: Row,
        column: float | Vector | None,
        known: int = 0,
        cache: ScoreCache | None = None,
    ) -> Row:
        """The row with the score column."""
        made = row.with_score(self.name, column, cache)
        candidate = row.candidate
        if not candidate.scores or candidate.scores.keys() <= made.scores.keys():
            candidate.scores = made.scores
        else:
            candidate.scores = {**candidate.scores, self.name: column}
        for listener in run.events.listeners(Scored):
            listener(Scored(run, self.operation, made, self.name, column, known))
        return made

    def read_together(
        self, run: ProblemRun, rows: Sequence[Row], slots: Sequence[PendingRow]
    ) -> None:
        """Scores of rows that depend on each other; resolves the slots."""
        nodes = [row.node for row in rows]
        answers = [None if self.steps else node.written for node in nodes]
        requests = [
            ScoreRequest(run.problem.text, run.fields, node.text, node.step_texts, 0, answer)
            for node, answer in zip(nodes, answers, strict=True)
        ]
        name = (
            self.name,
            tuple([(digest(each.text), hash(each.steps), each.answer) for each in requests]),
        )

        def arrived(found: Sequence[Vector | CandidateError]) -> None:
            for row, slot, scores in zip(rows, slots, found, strict=True):
                run.resolve(slot, self.column(run, row, row.node, None, scores, 0))

        def paid(replies: Sequence[ScoreReply] | CandidateError) -> None:
            each_reply: Sequence[ScoreReply | CandidateError]
            if isinstance(replies, CandidateError):
                each_reply = [replies] * len(rows)
            else:
                each_reply = self._for_each(run, replies, len(rows))
            for request, reply in zip(requests, each_reply, strict=True):
                run.count_score(self.scorer, request, reply)
            found = tuple(
                self.found(
                    run, (name, place), reply, len(requests[place].steps) if self.steps else 1
                )
                for place, reply in enumerate(each_reply)
            )
            waiting = run.scores[name]
            run.scores[name] = found
            for each in waiting:
                each(found)

        memo = run.scores.get(name)
        if memo is None:
            run.scores[name] = [arrived]
            run.score_together(self.engine, requests, paid)
        elif type(memo) is list:
            memo.append(arrived)
        else:
            arrived(memo)

    def _for_each(
        self, run: ProblemRun, replies: Sequence[ScoreReply], rows: int
    ) -> Sequence[ScoreReply | CandidateError]:
        """One reply for each row; none for any where their number does not fit."""
        if len(replies) == rows:
            return replies
        error = CandidateError(
            Fault.UNUSABLE,
            f"scorer `{self.name}` gave {len(replies)} replies for {rows} candidates",
        )
        if not run.loses_candidate(error):
            raise error
        return [error] * rows

    def check(self, number: float, row: Row) -> None:
        """A score must be in the declared range."""
        low, high = self.low, self.high
        if (low is None or number >= low) and (high is None or number <= high):
            return
        declared = f"{'anything' if low is None else low} to {'anything' if high is None else high}"
        text = " ".join(row.node.text.split())
        raise error_at(
            self.operation,
            f"scorer `{self.name}` gave {number}, outside its range {declared}, to the candidate "
            f"{text[-60:]!r}",
            f"declare the range: `scorer {self.name} ... from LOW to HIGH`, or bind another scorer",
        )


# ------------------------------------------------------------------ look-ahead


class LookAhead:
    """The `looking ahead k steps` of one score operation, if it has any.

    Look-ahead is a greedy rollout that is scored instead of the row and then discarded (C11).
    """

    def __init__(self, compiler: Compiler, policy: Policy, steps: Expr | None) -> None:
        self._steps = compiler.optional(steps)
        self._policy = policy
        self._greedy = replace(self._policy.defaults, temperature=0.0)

    def settings(self, problem: Row, view: View) -> CallSettings | None:
        """How rollouts are generated; `None` for no look-ahead, or of no steps."""
        steps = 0 if self._steps is None else view.whole(self._steps(problem, view))
        if steps <= 0:
            return None
        return CallSettings(self._policy, self._greedy, Unit.STEPS, steps)


def roll_out(
    run: ProblemRun, node: Node, settings: CallSettings, arrived: Callable[[Node], None]
) -> bool:
    """Starts a rollout from a node; false if it is done or has no room, and stands as it is."""
    room = settings.room(node)
    if node.done or room <= 0:
        return False
    request = GenerateRequest(
        node.conversation.prompt(settings.policy),
        node.path(),
        node.key,
        settings.sampling,
        settings.limits(room),
        node.segments,
        None,
        run.engines.statistics,
    )

    def generated(generation: Generation) -> None:
        arrived(child_node(node, node.key, settings, room, generation))

    run.generate(settings.policy, settings.signature, node, request, generated)
    return True


def rolled_out(
    run: ProblemRun, pool: Pool, settings: CallSettings | None, originals: dict[Candidate, Row]
) -> Pool:
    """The rows with their rollouts in their stead; `originals` gets the rows themselves."""
    if settings is None:
        return pool
    chosen = settings

    def work(row: Row, slot: PendingRow | None) -> Content:
        originals[row.candidate] = row
        target = PendingRow(b"", 1) if slot is None else slot

        def arrived(node: Node) -> None:
            run.resolve(target, Row(node, row.candidate, row.lets, row.scores, row.known))

        return target if roll_out(run, row.node, chosen, arrived) else row

    return run.map(pool, work)
