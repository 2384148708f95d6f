"""Likely survivors of a selection run ahead while stragglers hold it up.

When an engine has free slots, the next children of those candidates that a selection will probably
keep are requested early. What is drawn ahead is what would be drawn later: a request is the same
request, and the program finds it in the memo (C62). So answers, texts and costs are those without;
what nobody asks for in the end is wasted, which is counted and capped.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING, Final

from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Expand, Select, Unit
from tts_runtime.engines.base import (
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
)
from tts_runtime.executor.children import request_for
from tts_runtime.executor.expressions import Evaluate
from tts_runtime.executor.model import Node, Row
from tts_runtime.executor.ops.select import descending, grouped
from tts_runtime.executor.pools import Pool, open_slots, rows_in
from tts_runtime.executor.requests import Arrived, Request
from tts_runtime.executor.settings import Clauses, Settings
from tts_runtime.executor.views import View

if TYPE_CHECKING:
    from tts_runtime.executor.ahead import NextExpansion
    from tts_runtime.executor.problem_run import ProblemRun
    from tts_runtime.executor.program import Program
    from tts_runtime.executor.scope import Scope

#: Of requests that wait for a slot, early ones are the last.
_LAST: Final = 1 << 30

#: What a request may have of the tokens that are left to waste, if that is more than it needs.
_SHARE: Final = 1 / 8

#: Steps are expected to have up to this many tokens, however short those are that are known.
_LEAST_STEP: Final = 4


class Guess:
    """Which rows of a pool will go on, and how: a plan's `NextExpansion`, compiled."""

    def __init__(self, program: Program, following: NextExpansion) -> None:
        expand = following.expand.spec
        assert isinstance(expand, Expand)
        builder = program.builder(following.expand)
        self._clauses = Clauses(builder.compiler, program.policies, expand.amount, expand.decoding)
        count = expand.amount.count.value if isinstance(expand.amount.count, Const) else None
        #: Children of each row; of dealt ones only the first is likely.
        self.many = 1 if expand.deal or not isinstance(count, int) else count
        self._by: Evaluate | None = None
        self._count = self._share = self._per = self._by
        if following.select is not None:
            select = following.select.spec
            assert isinstance(select, Select)
            compiler = program.builder(following.select).compiler
            self._by = compiler.compile(select.by)
            self._count = compiler.optional(select.count)
            self._share = compiler.optional(select.share)
            self._per = None if select.per is None else compiler.column(select.per)

    def settings(self, scope: Scope) -> Settings:
        """How rows go on; the same for all of them."""
        return self._clauses.settings(scope.problem, View(scope, ()))

    def survivors(self, scope: Scope, rows: list[Row], total: int) -> list[Row]:
        """Rows that will probably be kept of `total`, the likeliest first.

        Those that are at least as likely to be kept as not, if the rows that are still to come
        are like these.
        """
        if self._by is None:
            return rows
        by = self._by
        view = View(scope, (rows,), rows)
        values = [by(row, view) for row in rows]
        known = len(rows) / total
        ranked: list[tuple[int, int]] = []
        for places in grouped(rows, self._per, view):
            if self._share is not None:
                many = float(self._share(scope.problem, view) or 0) * len(places)
            else:
                count = 0 if self._count is None else self._count(scope.problem, view)
                many = view.whole(count) * known
            kept = descending(places, values)[: max(0, floor(many + 0.5))]
            ranked.extend(enumerate(kept))
        return [rows[place] for _, place in sorted(ranked)]


class Held:
    """A pool that is waited for."""

    __slots__ = ("_guess", "_idle", "_pool", "scope")

    def __init__(self, scope: Scope, pool: Pool, guess: Guess) -> None:
        self.scope = scope
        self._pool = pool
        self._guess = guess
        self._idle = -1

    def children(self) -> Iterator[tuple[Node, int, Settings, int]]:
        """Likely next children, the likeliest first.

        Each as parent, number, how it is drawn, and the tokens that it should be granted.
        """
        rows = list(rows_in(self._pool.items))
        coming = sum(max(1, slot.most) for slot in open_slots(self._pool.items))
        if not rows or len(rows) == self._idle:
            return
        guess, scope = self._guess, self.scope
        settings = guess.settings(scope)
        survivors = [
            row.node
            for row in guess.survivors(scope, rows, len(rows) + coming)
            if not row.node.done and settings.room(row.node) > 0
        ]
        longest = max(_LEAST_STEP, *(len(row.node.ids) for row in rows))
        for ahead in range(guess.many):
            for node in survivors:
                least = settings.limits(settings.room(node)).max_tokens
                if settings.unit is Unit.STEPS:
                    # Those that are still on their way are longer than these.
                    least = min(least, 2 * longest * settings.length)
                yield node, scope.coming_child(node) + ahead, settings, least
        self._idle = len(rows)  # nothing more to guess until one more is known


class Early(Request):
    """A request that runs ahead of the program, with a tighter limit of tokens.

    A reply that ends at that limit says nothing about the request that the program would make:
    that one is made if the program comes to it.
    """

    __slots__ = ("_request", "_speculator", "adopted", "over", "reserved")

    def __init__(
        self,
        run: ProblemRun,
        node: Node,
        settings: Settings,
        request: GenerateRequest,
        speculator: Speculator,
        reserved: int,
    ) -> None:
        super().__init__(run, node, settings.policy)
        self._request = request
        self._speculator = speculator
        #: Its limit of tokens.
        self.reserved = reserved
        #: The program has asked for it.
        self.adopted = False
        #: Its tokens are accounted for.
        self.over = False

    @property
    def engine(self) -> PolicyEngine:
        """Whose slot it has."""
        return self.policy.engine

    @property
    def pending(self) -> bool:
        """Only what the program has asked for counts as asked for."""
        return self.adopted and super().pending

    def start(self) -> None:
        """Asks the engine."""
        request = self._request
        limits = replace(request.limits, max_tokens=self.reserved)
        early = replace(request, limits=limits, priority=_LAST)
        self.future = self.run.ask(self.policy, early)
        self.future.add_done_callback(self)

    def join(self, arrived: Arrived) -> None:
        """The program has come to it."""
        if not self.adopted:
            self.adopted = True
            self.run.adopt(self)
            self._speculator.adopted(self)
        super().join(arrived)

    def give_up(self) -> None:
        """Frees its slot, for those that the program asks for."""
        if not self.over:
            self.over = True
            # How many it has drawn is the engine's to know: at most these.
            self.run.work.speculated_tokens += self.reserved
            self._speculator.wasted(self.run, self.reserved)
            self.run.renounce(self)
            if self.future is not None:
                self.future.cancel()

    def landed(self, future: Future[Generation]) -> None:
        if self.over:
            if self.adopted:  # asked again, as the program would have
                super().landed(future)
            return
        self.over = True
        self._speculator.landed(self)
        generation = None
        if not future.cancelled() and future.exception() is None:
            generation = future.result()
            self.run.work.speculated_tokens += generation.drawn
            if not self._whole(generation):
                self._speculator.wasted(self.run, generation.drawn)
                if self.adopted:
                    self.run.ask_again(self, self._request)
                else:
                    self.run.renounce(self)
                return
        if self.adopted:
            super().landed(future)
        elif generation is None:
            self.run.renounce(self)  # if the program comes to it, it fails then
        else:
            self.reply = generation
            self.future = None
            self._speculator.wasted(self.run, generation.drawn)

    def _whole(self, generation: Generation) -> bool:
        """Whether this is the reply to the program's own request, too."""
        return (
            generation.finish is not Finish.LENGTH
            or self.reserved >= self._request.limits.max_tokens
        )


class Speculator:
    """Decides what runs ahead, in all problems of a run.

    Args:
        fraction: Tokens drawn for nothing are never more than this part of those that programs
            have asked for so far.
    """

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self._asked = 0
        self._wasted = 0
        self._reserved = 0
        self._held: dict[Held, None] = {}
        self._flying: dict[Early, None] = {}
        self._scheduled = False

    # ------------------------------------------------------------------ when

    @contextmanager
    def holding(self, scope: Scope, pool: Pool, guess: Guess) -> Iterator[None]:
        """While a pool is waited for."""
        held = Held(scope, pool, guess)
        self._held[held] = None
        self.poke()
        try:
            yield
        finally:
            del self._held[held]

    def drawn(self, tokens: int) -> None:
        """A program's request has its reply."""
        self._asked += tokens
        self.poke()

    def poke(self) -> None:
        """Something has changed: looks, once programs have asked for what they now can."""
        if self._held and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._scheduled = False
        for held in list(self._held):
            run = held.scope.run
            if run.closed or run.settled or run.error is not None:
                continue
            for node, number, settings, least in held.children():
                if not _room(settings.policy.engine, unknown=False):
                    break
                left = self._fraction * self._asked - self._wasted - self._reserved
                if least > left:
                    return
                limits = settings.limits(settings.room(node))
                most = min(limits.max_tokens, max(least, int(left * _SHARE)))
                self._start(run, node, number, settings, limits, most)

    def _start(
        self,
        run: ProblemRun,
        node: Node,
        number: int,
        settings: Settings,
        limits: Limits,
        most: int,
    ) -> None:
        request = request_for(node, number, settings, limits, run.bound.program.statistics)
        early = Early(run, node, settings, request, self, most)
        if run.precede(settings, request, early):
            self._reserved += most
            self._flying[early] = None
            try:
                early.start()
            except EngineError:  # refused at once: if the program comes to it, it hears of that
                early.over = True
                self.landed(early)
                run.renounce(early)

    def make_room(self, engine: PolicyEngine) -> None:
        """A program asks: where an engine is full, what runs ahead gives way."""
        if self._flying and not _room(engine, unknown=True):
            for early in reversed(self._flying):
                if early.engine is engine:
                    self._give_up(early)
                    break

    def leave(self, run: ProblemRun) -> None:
        """A program has ended."""
        for early in [early for early in self._flying if early.run is run]:
            self._give_up(early)

    def _give_up(self, early: Early) -> None:
        self.landed(early)
        early.give_up()

    # ------------------------------------------------------------------ tokens

    def landed(self, early: Early) -> None:
        """A request is not on its way any more."""
        self._flying.pop(early, None)
        self._reserved -= early.reserved

    def adopted(self, early: Early) -> None:
        """A program has come to a request that ran ahead."""
        self._flying.pop(early, None)
        if early.reply is not None:
            self.wasted(early.run, -early.reply.drawn)

    def wasted(self, run: ProblemRun, tokens: int) -> None:
        """Tokens that no program has asked for, as far as is known."""
        self._wasted += tokens
        run.work.wasted_tokens += tokens


def _room(engine: PolicyEngine, *, unknown: bool) -> bool:
    """Whether an engine would begin one more request at once."""
    load = engine.load
    if load is None:
        return unknown
    return not load.slots or load.running + load.waiting < load.slots
