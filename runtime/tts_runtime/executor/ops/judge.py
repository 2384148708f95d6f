"""Judges: scorers that are prompts, answered by a policy and read as numbers (C34).

A reading is a pure function of the judge, the nodes that it is about, the reading's number and the
retry's: it takes no child numbers, and scoring twice is scoring once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import exp, isnan
from typing import Any, TypeAlias

from tts_lang.plan.expr import Const, fields_in
from tts_lang.plan.graph import PROBABILITY_RANKS, Amount, Judge, Operation, Score
from tts_lang.plan.reads import needs_pool
from tts_runtime.answers.judge_replies import Reading, final_text, read
from tts_runtime.engines.base import CandidateError, Fault, GenerateRequest, Generation, Limits
from tts_runtime.executor.clauses import SHORTEN, CallSettings, Clauses, overlong
from tts_runtime.executor.expressions import (
    CompiledPrompt,
    argument_parts,
    argument_values,
    compiled_arguments,
    fill,
    needs_others,
)
from tts_runtime.executor.generation import LookAhead, child_node, rolled_out
from tts_runtime.executor.nodes import Conversation, Node, opening
from tts_runtime.executor.pools import Content, Item, PendingRow, Pool
from tts_runtime.executor.problem import error_at
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.rows import Candidate, Row, Vector
from tts_runtime.executor.scope import JudgeReplied, Scope, Scored
from tts_runtime.executor.views import View, grouped
from tts_runtime.streams import Key, Part, asked_key, child_key
from tts_runtime.tokens import encode


@handles(Judge)
def judge(builder: Builder, spec: Score) -> Action:
    """The same rows with the judge's column: a number, or a vector of `times` readings."""
    scorer, _ = builder.scorer(spec.scorer)
    declared = scorer.judge
    assert declared is not None
    compiler, operation = builder.compiler, builder.operation
    clauses = Clauses(compiler, builder.policies, Amount(Const(1)), declared.decoding)
    times = None if spec.times is None else builder.count(spec.times)
    look = LookAhead(compiler, builder.program.engines.default, spec.ahead)
    prompt = CompiledPrompt(declared.template, compiler, spec.shown, operation)
    arguments = compiled_arguments(compiler, spec.arguments)
    per = compiler.column_or_none(spec.per)
    whole = (
        scorer.together or needs_others(declared.template) or any(map(needs_pool, fields_in(spec)))
    )

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        view = await scope.view(inputs, whole)
        settings = clauses.settings(scope.problem, view)
        readings = 1 if times is None else times(scope.problem, view)
        values = argument_values(arguments, scope.problem, view)
        originals: dict[Candidate, Row] = {}
        call = _JudgeCall(operation, scorer.name, declared, settings, run, values)
        call.shows(prompt, view, originals)
        seen = rolled_out(run, pool, look.settings(scope.problem, view), originals)

        def column(row: Row, verdicts: Sequence[JudgeVerdict]) -> Row:
            value: float | Vector | None = tuple([verdict.number for verdict in verdicts])
            if times is None:
                value = verdicts[0].number
            row = originals.get(row.candidate, row)
            candidate = row.candidate
            candidate.scores = {**candidate.scores, scorer.name: value}
            for verdict in verdicts:
                if verdict.error is not None:
                    candidate.errors = {**candidate.errors, scorer.name: str(verdict.error)}
            words = "\n\n".join(verdict.words for verdict in verdicts)
            result = row.with_score(scorer.name, value, None, words)
            for listener in run.events.listeners(Scored):
                listener(Scored(run, operation, result, scorer.name, value))
            return result

        def silent(row: Row) -> Row:
            """A row that the judge does not see."""
            return column(row, [JudgeVerdict(None, row.node.error)] * readings)

        def alone(everyone: Sequence[Row]) -> Callable[[Row, PendingRow | None], Content]:
            def judged(row: Row, slot: PendingRow | None) -> Content:
                if row.node.error is not None:
                    return silent(row)
                target = PendingRow(b"", 1) if slot is None else slot

                def done(found: Sequence[JudgeVerdicts]) -> None:
                    run.resolve(target, column(row, [verdicts[0] for verdicts in found]))

                call.readings([row], row, everyone, readings, done)
                return target

            return judged

        if not scorer.together:
            everyone = _with_text(await run.rows(seen)) if whole else []
            return (run.map(seen, alone(everyone)),)
        rows = await run.rows(seen)
        slots: list[Item] = [PendingRow(b"", 1) for _ in rows]
        visible = [
            [place for place in group if rows[place].node.error is None]
            for group in grouped(view.inputs[0], per, view)
        ]
        for place in set(range(len(rows))).difference(*visible):
            _resolve(run, slots[place], silent(rows[place]))
        for group in filter(None, visible):
            members = [rows[place] for place in group]

            def done(found: Sequence[JudgeVerdicts], group: list[int] = group) -> None:
                for at, place in enumerate(group):
                    verdicts = [verdicts[at] for verdicts in found]
                    _resolve(run, slots[place], column(rows[place], verdicts))

            if declared.pairwise:
                call.pairs(members, readings, done)
            else:
                call.readings(members, members[0], members, readings, done)
        return (Pool(slots, True, pool.apart),)

    return action


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """One number of one candidate in one reading, from these words; `error`: why there is none."""

    number: float | None
    error: CandidateError | None = None
    words: str = ""


#: One reading: a verdict for each row that the judge saw.
JudgeVerdicts: TypeAlias = Sequence[JudgeVerdict]


def _with_text(rows: Sequence[Row]) -> list[Row]:
    """The rows that can be shown to a judge."""
    return [row for row in rows if row.node.error is None]


def _resolve(run: ProblemRun, slot: Item, row: Row) -> None:
    assert isinstance(slot, PendingRow)
    run.resolve(slot, row)


class _JudgeCall:
    """One execution of a judge."""

    def __init__(
        self,
        operation: Operation,
        name: str,
        declared: Judge,
        settings: CallSettings,
        run: ProblemRun,
        arguments: Mapping[str, Any],
    ) -> None:
        self._operation = operation
        self._scorer = name
        self._name = f"judge:{name}"
        self._judge = declared
        self._settings = settings
        self._run = run
        self._arguments = arguments
        self._parts: list[Part] = argument_parts(arguments)

    def shows(self, prompt: CompiledPrompt, view: View, originals: Mapping[Candidate, Row]) -> None:
        """Sets the values of its slots; columns are those of the rows without their rollouts."""
        self._prompt = prompt
        self._view = view
        self._originals = originals

    def readings(
        self,
        about: Sequence[Row],
        row: Row,
        pool: Sequence[Row],
        many: int,
        done: Callable[[Sequence[JudgeVerdicts]], None],
        *,
        compared: bool = False,
    ) -> None:
        """`many` readings of some rows; `done` gets them in order, once all are there.

        `compared`: each is a part of a score only, and counted with it.
        """
        found: list[JudgeVerdicts | None] = [None] * many
        left = many
        message = fill(
            self._prompt,
            self._run.problem,
            self._arguments,
            row,
            pool or about,
            self._view,
            self._originals,
        )

        def arrived(reading: int, verdicts: JudgeVerdicts) -> None:
            nonlocal left
            found[reading] = verdicts
            left -= 1
            if not compared:
                self._count((message, reading, _places(about)), verdicts)
            if not left:
                done([verdicts for verdicts in found if verdicts is not None])

        if not many:
            done([])
        for reading in range(many):
            self._read(about, message, reading, 0, arrived)

    def pairs(
        self, rows: Sequence[Row], many: int, done: Callable[[Sequence[JudgeVerdicts]], None]
    ) -> None:
        """Every ordered pair of rows; a row's number is how often it was chosen.

        Missing where no pair with it has a verdict.
        """
        pairs = list(permutations(range(len(rows)), 2))
        left = len(pairs)
        start: float | None = None if left else 0.0
        wins: list[list[JudgeVerdict]] = [[JudgeVerdict(start)] * len(rows) for _ in range(many)]

        def arrived(pair: tuple[int, int], found: Sequence[JudgeVerdicts]) -> None:
            nonlocal left
            for reading, verdicts in enumerate(found):
                for place, verdict in zip(pair, verdicts, strict=True):
                    wins[reading][place] = _added(wins[reading][place], verdict)
            left -= 1
            if not left:
                finished()

        def finished() -> None:
            for reading, verdicts in enumerate(wins):
                self._count((reading, _places(rows)), verdicts)
            done(wins)

        if not left:
            finished()
        for pair in pairs:
            two = [rows[place] for place in pair]
            self.readings(
                two,
                two[0],
                two,
                many,
                lambda found, pair=pair: arrived(pair, found),  # type: ignore[misc]
                compared=True,
            )

    def _count(self, name: Any, verdicts: JudgeVerdicts) -> None:
        """Counts one reading of some rows; the same reading counts once (C62)."""
        for place, verdict in enumerate(verdicts):
            error = verdict.error
            fault = Fault.NO_SCORE if error is None and verdict.number is None else None
            why = f"judge `{self._scorer}` does not name it"
            if error is not None:
                fault, why = error.fault, str(error)
            self._run.recorder.scored(self._scorer, (name, place), fault, why)

    def _read(
        self,
        about: Sequence[Row],
        message: str,
        reading: int,
        retry: int,
        arrived: Callable[[int, JudgeVerdicts], None],
    ) -> None:
        """One reading; a reply that cannot be read is asked again, then missing."""
        declared, settings = self._judge, self._settings
        key = asked_key(self._name, [message, 0, *self._parts, reading, retry], _places(about))
        history = about[0].node if declared.history else None
        conversation = Conversation(key, message, thinking=False, own=False, history=history)

        def missing(error: CandidateError) -> None:
            arrived(reading, [JudgeVerdict(None, error)] * len(about))

        error = overlong(conversation, settings)
        if error is not None:
            if not self._run.loses_candidate(error):
                raise error_at(self._operation, str(error), SHORTEN)
            missing(error)
            return
        node = opening(conversation, settings.policy)
        if declared.read == "probability":
            self._probability(node, 0, lambda verdict: arrived(reading, [verdict] * len(about)))
            return

        def replied(node: Node) -> None:
            numbers: Reading | None = None
            reply = ""
            error = node.error
            if error is None:
                reply = final_text(node.text, settings.policy.binding, message)
                numbers = read(declared, reply, len(about))
                for listener in self._run.events.listeners(JudgeReplied):
                    listener(JudgeReplied(self._run, self._scorer, about, node.text, numbers))
                self._run.recorder.replied(self._scorer, key, readable=numbers is not None)
            if numbers is not None:
                arrived(reading, [JudgeVerdict(number, None, reply) for number in numbers])
            elif retry < declared.retries:
                self._read(about, message, reading, retry + 1, arrived)
            else:
                unreadable = error or self._unreadable(node.text)
                arrived(reading, [JudgeVerdict(None, unreadable, reply)] * len(about))

        self._reply(node, replied)

    def _unreadable(self, reply: str) -> CandidateError:
        shown = " ".join(reply.split())[-60:]
        return CandidateError(
            Fault.UNREADABLE,
            f"judge `{self._scorer}`: no verdict in a reply that "
            + (f"ends with {shown!r}" if shown else "is empty"),
        )

    def _reply(self, node: Node, replied: Callable[[Node], None]) -> None:
        settings = self._settings
        room = settings.room(node)
        key = child_key(node.key, node.claimed, 0, 0, 0, settings.tag)
        request = GenerateRequest(
            node.conversation.prompt(settings.policy),
            (),
            key,
            settings.sampling,
            settings.limits(room),
            node.segments,
            None,
            self._run.engines.statistics,
            logprobs=False,
        )

        def generated(generation: Generation) -> Node:
            child = child_node(node, key, settings, room, generation)
            replied(child)
            return child

        self._run.generate(settings.policy, settings.signature, node, request, generated)

    def _probability(self, node: Node, rank: int, arrived: Callable[[JudgeVerdict], None]) -> None:
        """The raw probability of the first option's first token; 0 if it is none of the likeliest.

        The contract with engines has no logits, so the likeliest first tokens are taken one by one.
        """
        policy = self._settings.policy
        wanted = encode(policy.tokenizer, self._judge.options[0][0])[:1]
        request = GenerateRequest(
            node.conversation.prompt(policy),
            (),
            node.key,
            self._settings.sampling,
            Limits(1),
            node.segments,
            rank,
        )

        def generated(generation: Generation) -> None:
            if generation.error is not None:
                arrived(JudgeVerdict(None, generation.error))
            elif generation.ids == wanted:
                arrived(self._likely(generation.logprobs[0]))
            elif rank + 1 < min(PROBABILITY_RANKS, len(policy.pieces)):
                self._probability(node, rank + 1, arrived)
            else:
                arrived(JudgeVerdict(0.0))

        self._run.generate(policy, self._settings.signature, node, request, generated)

    def _likely(self, logprob: float) -> JudgeVerdict:
        if isnan(logprob):  # a server may leave single ones out
            words = f"judge `{self._scorer}`: the reply has no log-probability"
            return JudgeVerdict(None, CandidateError(Fault.UNUSABLE, words))
        return JudgeVerdict(exp(logprob))


def _places(rows: Sequence[Row]) -> tuple[tuple[Key, int], ...]:
    """The names of rows in the key of a conversation about them."""
    return tuple([(row.node.key, row.node.position) for row in rows])


def _added(wins: JudgeVerdict, verdict: JudgeVerdict) -> JudgeVerdict:
    """The wins after one more pair, which may have no verdict."""
    if verdict.number is not None:
        return JudgeVerdict((wins.number or 0.0) + verdict.number)
    if wins.number is not None or verdict.error is None:
        return wins
    # Of several errors always the same one, whichever came first.
    return verdict if wins.error is None else min(wins, verdict, key=lambda one: str(one.error))
