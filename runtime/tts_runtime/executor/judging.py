"""Judges: scorers that are prompts, answered by a policy and read as numbers (C34).

A reading is a pure function of the judge, the nodes that it is about, the reading's number and the
retry's: it takes no child numbers, and scoring twice is scoring once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from math import exp
from typing import Any

from tts_lang.plan.expr import Const
from tts_lang.plan.graph import PROBABILITY_RANKS, Amount, Judge, Score, Scorer
from tts_lang.plan.shapes import fields_in
from tts_runtime.engines.base import GenerateRequest, Generation, Limits
from tts_runtime.executor.asking import argument_values, compiled_arguments
from tts_runtime.executor.evaluate import needs_pool
from tts_runtime.executor.expanding import check_prompt
from tts_runtime.executor.generating import grown
from tts_runtime.executor.lookahead import LookAhead, rolled_out
from tts_runtime.executor.model import Candidate, Conversation, Node, Row, Vector, opening
from tts_runtime.executor.pools import Content, Item, Pool, Slot
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.reading import Reading, read
from tts_runtime.executor.rendering import argument_parts, fill, needs_others
from tts_runtime.executor.run import Run
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.settings import Clauses, Settings
from tts_runtime.executor.views import groups
from tts_runtime.streams import Part, asked_key, child_key


def judge(builder: Builder, spec: Score, scorer: Scorer, declared: Judge) -> Work:
    """The same rows with the judge's column: a number, or a vector of `times` readings."""
    compiler = builder.compiler
    clauses = Clauses(compiler, builder.policies, Amount(Const(1)), declared.decoding)
    times = compiler.optional(spec.times)
    look = LookAhead(builder, spec)
    arguments = compiled_arguments(builder, spec.arguments)
    per = None if spec.per is None else compiler.column(spec.per)
    whole = (
        scorer.together or needs_others(declared.template) or any(map(needs_pool, fields_in(spec)))
    )

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        view = await scope.view(inputs, whole)
        settings = clauses.settings(scope.problem, view)
        readings = 1 if times is None else max(0, view.whole(times(scope.problem, view)))
        given = argument_values(arguments, view)
        bench = _Bench(builder, scorer.name, declared, settings, run, given)
        originals: dict[Candidate, Row] = {}
        seen = rolled_out(run, pool, look.settings(scope.problem, view), originals)

        def column(row: Row, numbers: Sequence[float | None]) -> Row:
            value: float | Vector | None = tuple(numbers)
            if times is None:
                value = numbers[0]
            row = originals.get(row.candidate, row)
            row.candidate.scores = {**row.candidate.scores, scorer.name: value}
            return row.with_score(scorer.name, value, None)

        def alone(everyone: Sequence[Row]) -> Callable[[Row, Slot | None], Content]:
            def judged(row: Row, slot: Slot | None) -> Content:
                target = Slot() if slot is None else slot

                def done(found: Sequence[Reading]) -> None:
                    numbers = [reading[0] for reading in found]
                    run.resolve(target, column(row, numbers))

                bench.readings([row], row, everyone, readings, done)
                return target

            return judged

        if not scorer.together:
            everyone = await run.rows(seen) if whole else []
            return (run.map(seen, alone(everyone)),)
        rows = await run.rows(seen)
        slots: list[Item] = [Slot() for _ in rows]
        keys = [0] * len(rows) if per is None else [per(row, view) for row in view.inputs[0]]
        grouped = groups(keys)
        outside = set(range(len(rows))).difference(*grouped)
        for place in outside:
            _resolve(run, slots[place], column(rows[place], [None] * readings))
        for group in grouped:
            members = [rows[place] for place in group]

            def done(found: Sequence[Reading], group: list[int] = group) -> None:
                for at, place in enumerate(group):
                    numbers = [reading[at] for reading in found]
                    _resolve(run, slots[place], column(rows[place], numbers))

            if declared.pairwise:
                bench.pairs(members, readings, done)
            else:
                bench.readings(members, members[0], members, readings, done)
        return (Pool(slots, True, pool.apart),)

    return work


def _resolve(run: Run, slot: Item, row: Row) -> None:
    assert isinstance(slot, Slot)
    run.resolve(slot, row)


class _Bench:
    """One execution of a judge."""

    def __init__(
        self,
        builder: Builder,
        name: str,
        declared: Judge,
        settings: Settings,
        run: Run,
        arguments: Mapping[str, Any],
    ) -> None:
        self._site = builder.site
        self._name = f"judge:{name}"
        self._judge = declared
        self._settings = settings
        self._run = run
        self._arguments = arguments
        self._parts: list[Part] = argument_parts(arguments)

    def readings(
        self,
        about: Sequence[Row],
        row: Row,
        pool: Sequence[Row],
        many: int,
        done: Callable[[Sequence[Reading]], None],
    ) -> None:
        """`many` readings of some rows; `done` gets them in order, once all are there."""
        found: list[Reading | None] = [None] * many
        left = many
        message = fill(
            self._judge.template, self._run.problem.text, self._arguments, row, pool or about
        )

        def arrived(reading: int, numbers: Reading) -> None:
            nonlocal left
            found[reading] = numbers
            left -= 1
            if not left:
                done([numbers for numbers in found if numbers is not None])

        if not many:
            done([])
        for reading in range(many):
            self._read(about, message, reading, 0, arrived)

    def pairs(
        self, rows: Sequence[Row], many: int, done: Callable[[Sequence[Reading]], None]
    ) -> None:
        """Every ordered pair of rows; a row's number is how often it was chosen."""
        wins: list[Reading] = [[0.0] * len(rows) for _ in range(many)]
        pairs = list(permutations(range(len(rows)), 2))
        left = len(pairs)
        if not left:
            done(wins)

        def arrived(pair: tuple[int, int], found: Sequence[Reading]) -> None:
            nonlocal left
            for reading, numbers in enumerate(found):
                for place, number in zip(pair, numbers, strict=True):
                    wins[reading][place] = (wins[reading][place] or 0.0) + (number or 0.0)
            left -= 1
            if not left:
                done(wins)

        for pair in pairs:
            two = [rows[place] for place in pair]
            self.readings(two, two[0], two, many, lambda found, pair=pair: arrived(pair, found))  # type: ignore[misc]

    def _read(
        self,
        about: Sequence[Row],
        message: str,
        reading: int,
        retry: int,
        arrived: Callable[[int, Reading], None],
    ) -> None:
        """One reading; a reply that cannot be read is asked again, then missing."""
        declared, settings = self._judge, self._settings
        places = [(row.node.key, row.node.position) for row in about]
        key = asked_key(self._name, [message, 0, *self._parts, reading, retry], places)
        conversation = Conversation(key, message, thinking=False, own=False)
        check_prompt(conversation, settings, self._site)
        node = opening(conversation, settings.policy)
        if declared.read == "probability":
            self._probability(node, 0, lambda number: arrived(reading, [number] * len(about)))
            return

        def replied(text: str) -> None:
            numbers = read(declared, text, len(about))
            if numbers is None and retry < declared.retries:
                self._read(about, message, reading, retry + 1, arrived)
            else:
                arrived(reading, [None] * len(about) if numbers is None else numbers)

        self._reply(node, replied)

    def _reply(self, node: Node, replied: Callable[[str], None]) -> None:
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
            self._run.bound.program.statistics,
        )

        def generated(generation: Generation) -> None:
            replied(grown(node, key, settings, room, generation).text)

        self._run.generate(settings, node, request, generated)

    def _probability(self, node: Node, rank: int, arrived: Callable[[float], None]) -> None:
        """The raw probability of the first option's first token; 0 if it is none of the likeliest.

        The contract with engines has no logits, so the likeliest first tokens are taken one by one.
        """
        policy = self._settings.policy
        wanted = policy.forced(self._judge.options[0][0])[:1]
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
            if generation.ids == wanted:
                arrived(exp(generation.logprobs[0]))
            elif rank + 1 < min(PROBABILITY_RANKS, len(policy.pieces)):
                self._probability(node, rank + 1, arrived)
            else:
                arrived(0.0)

        self._run.generate(self._settings, node, request, generated)
