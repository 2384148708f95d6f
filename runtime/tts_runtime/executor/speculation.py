"""Speculation: likely survivors of a selection run ahead while stragglers hold it up.

A selection waits for the last candidate of its pool. Which of the others it will keep can be
guessed, and how those continue is written in the plan (`next_expansions`). When an engine has free
slots, their next children are requested early. What is drawn ahead is what would be drawn later: a
request is the same request, and the program finds it in the memo (C62). So answers, texts and costs
are those without speculation; a wrong guess only wastes tokens, which are counted and capped.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import floor
from typing import Final

from tts_lang.optimise.next_expansion import NextExpansion
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import (
    Expand,
    Select,
    Unit,
)
from tts_runtime.engines.base import (
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
)
from tts_runtime.executor.clauses import CallSettings, Clauses
from tts_runtime.executor.generation import request_for
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.pools import Pool, pending_rows, rows_in
from tts_runtime.executor.problem import Events
from tts_runtime.executor.problem_run import (
    OnGeneration,
    ProblemRun,
    Progressed,
    ReplyArrived,
    Request,
    RequestMade,
    RunStopped,
)
from tts_runtime.executor.program import Builder, Program
from tts_runtime.executor.requests import request_name
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scope import PoolKnown, PoolWaits, Scope
from tts_runtime.executor.views import Evaluate, View, descending, grouped

#: Priority of early requests: after all others.
_LAST: Final = 1 << 30

#: Share of the remaining budget that a request may have, if that is more than it needs.
_SHARE: Final = 1 / 8

#: Steps are expected to have up to this many tokens, however short those are that are known.
_LEAST_STEP: Final = 4


class Guess:
    """Which rows of a pool will be expanded, and how: a plan's `NextExpansion`, compiled."""

    def __init__(self, program: Program, following: NextExpansion) -> None:
        expand = following.expand.spec
        assert isinstance(expand, Expand)
        builder = Builder(program, following.expand)
        self._clauses = Clauses(builder.compiler, builder.policies, expand.amount, expand.decoding)
        count = expand.amount.count.value if isinstance(expand.amount.count, Const) else None
        #: Children of each row; of dealt ones only the first is likely.
        self.many = 1 if expand.deal or not isinstance(count, int) else count
        self._by: Evaluate | None = None
        self._count = self._share = self._per = self._by
        if following.select is not None:
            select = following.select.spec
            assert isinstance(select, Select)
            compiler = Builder(program, following.select).compiler
            self._by = compiler.compile(select.by)
            self._count = compiler.optional(select.count)
            self._share = compiler.optional(select.share)
            self._per = compiler.column_or_none(select.per)

    def settings(self, scope: Scope) -> CallSettings:
        """How rows are expanded; the same for all of them."""
        return self._clauses.settings(scope.problem, View(scope.draw_key, ()))

    def survivors(self, scope: Scope, rows: list[Row], total: int) -> list[Row]:
        """Rows that will probably be kept of `total`, the likeliest first.

        Those that are at least as likely to be kept as not, if the rows that are still to come
        are like these.
        """
        if self._by is None:
            return rows
        by = self._by
        view = View(scope.draw_key, (rows,), rows)
        values = [by(row, view) for row in rows]
        known = len(rows) / total
        ranked: list[tuple[int, int]] = []
        for places in grouped(rows, self._per, view):
            if self._share is not None:
                many = float(self._share(scope.problem, view) or 0) * len(places)
            else:
                count = 0 if self._count is None else self._count(scope.problem, view)
                many = view.whole(count) * known
            kept = descending(rows, places, values)[: max(0, floor(many + 0.5))]
            ranked.extend(enumerate(kept))
        return [rows[place] for _, place in sorted(ranked)]


class Held:
    """A pool that an operation waits for."""

    __slots__ = ("_expanded", "_guess", "_idle", "_pool", "scope")

    def __init__(
        self, scope: Scope, pool: Pool, guess: Guess, expanded: Callable[[Row], bool]
    ) -> None:
        self.scope = scope
        self._pool = pool
        self._guess = guess
        self._expanded = expanded
        self._idle = -1

    def children(self) -> Iterator[tuple[Node, int, CallSettings, int]]:
        """Likely next children, the likeliest first.

        Each as parent, number, how it is drawn, and the tokens that it should be granted.
        """
        rows = rows_in(self._pool.items)
        total = len(rows) + sum(max(1, row.most) for row in pending_rows(self._pool.items))
        total = min(total, self._pool.most or total)
        if not rows or len(rows) == self._idle:
            return
        guess, scope = self._guess, self.scope
        settings = guess.settings(scope)
        survivors = [
            row.node
            for row in guess.survivors(scope, rows, total)
            if not self._expanded(row) and not row.node.done and settings.room(row.node) > 0
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
        settings: CallSettings,
        request: GenerateRequest,
        speculator: Speculator,
        reserved: int,
    ) -> None:
        super().__init__(run, node, settings.policy)
        self._request = request
        self._speculator = speculator
        #: Its limit of tokens.
        self.reserved = reserved
        #: The program has made this request.
        self.adopted = False
        #: Its tokens are accounted for.
        self.over = False

    @property
    def engine(self) -> PolicyEngine:
        """Whose slot it has."""
        return self.policy.engine

    @property
    def pending(self) -> bool:
        """Only requests of the program count as pending."""
        return self.adopted and super().pending

    def precede(self, signature: str) -> bool:
        """Enters the memo ahead of the program; false if the program has made this request."""
        self.name = request_name(signature, self.node.position, self._request)
        return self.run.requests.setdefault(self.name, self) is self

    def forget(self) -> None:
        """Leaves the memo: the request counts as never made."""
        if self.run.requests.get(self.name) is self:
            del self.run.requests[self.name]

    def start(self) -> None:
        """Asks the engine."""
        request = self._request
        limits = replace(request.limits, max_tokens=self.reserved)
        early = replace(request, limits=limits, priority=_LAST)
        self.future = self.run.ask(self.policy, early, self)

    def join(self, callback: OnGeneration) -> None:
        """The program has come to it."""
        if not self.adopted:
            self.adopted = True
            # From here on it is a request like any other.
            if self.reply is not None:
                self.count(self.reply)
            elif self.future is not None:
                self.run.in_flight.add(self.future)
            self._speculator.adopted(self)
        super().join(callback)

    def give_up(self) -> None:
        """Frees its slot for a request of the program."""
        if not self.over:
            self.over = True
            # How many it has drawn is the engine's to know: at most these.
            self.run.work.speculated_tokens += self.reserved
            self._speculator.wasted(self.run, self.reserved)
            self.forget()
            if self.future is not None:
                self.future.cancel()

    def __call__(self, future: Future[Generation]) -> None:
        if self.over and self.adopted:  # made again, as the program would have made it
            super().__call__(future)
            return
        if self.over:
            self.run.engine_done(future)
            return
        self.over = True
        self._speculator.ended(self)
        generation = None
        if not future.cancelled() and future.exception() is None:
            generation = future.result()
            self.run.work.speculated_tokens += generation.drawn
            if not self._whole(generation):
                self._speculator.wasted(self.run, generation.drawn)
                self.run.engine_done(future)
                if self.adopted:
                    self._ask_again()
                else:
                    self.forget()
                return
        if self.adopted:
            super().__call__(future)
            return
        self.run.engine_done(future)
        if generation is None:
            self.forget()  # if the program comes to it, it fails then
        else:
            self.reply = generation
            self.future = None
            self._speculator.wasted(self.run, generation.drawn)

    def _ask_again(self) -> None:
        """Makes the program's request: this one was not allowed to go that far."""
        run = self.run
        if self.future is not None and run.take(self.future) and run.error is None:
            run.submit(self, self._request)

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
            have requested so far.
    """

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self._asked = 0
        self._wasted = 0
        self._reserved = 0
        self._held: dict[tuple[Scope, Pool], Held] = {}
        self._flying: dict[Early, None] = {}
        self._scheduled = False

    def subscribe(self, events: Events, guesses: Mapping[int, Guess]) -> None:
        """Follows a run; `guesses`: of its program, by the value of the pool."""
        events.subscribe(PoolWaits, partial(self._pool_waits, guesses))
        events.subscribe(PoolKnown, self._pool_known)
        events.subscribe(RequestMade, self._request_made)
        events.subscribe(ReplyArrived, self._reply_arrived)
        events.subscribe(Progressed, self._progressed)
        events.subscribe(RunStopped, self._run_stopped)

    # ------------------------------------------------------------------ when

    def _pool_waits(self, guesses: Mapping[int, Guess], event: PoolWaits) -> None:
        scope, pool = event.scope, event.pool
        for value, guess in guesses.items():
            if scope.values[value] is pool:
                self._held[scope, pool] = Held(scope, pool, guess, event.expanded)
                self._schedule()

    def _pool_known(self, event: PoolKnown) -> None:
        self._held.pop((event.scope, event.pool), None)

    def _reply_arrived(self, event: ReplyArrived) -> None:
        self._asked += event.tokens
        self._schedule()

    def _progressed(self, _event: Progressed) -> None:
        self._schedule()

    def _request_made(self, event: RequestMade) -> None:
        """Cancels the latest speculative request of a full engine, in favour of the program's."""
        engine = event.entry.policy.engine
        if self._flying and not _room(engine, unknown=True):
            for early in reversed(self._flying):
                if early.engine is engine:
                    self._give_up(early)
                    break

    def _run_stopped(self, event: RunStopped) -> None:
        for early in [early for early in self._flying if early.run is event.run]:
            self._give_up(early)

    def _schedule(self) -> None:
        """Looks soon: once programs have made the requests that they now can."""
        if self._held and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._scheduled = False
        for held in list(self._held.values()):
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
        settings: CallSettings,
        limits: Limits,
        most: int,
    ) -> None:
        request = request_for(run, node, number, settings, limits)
        early = Early(run, node, settings, request, self, most)
        if early.precede(settings.signature):
            self._reserved += most
            self._flying[early] = None
            try:
                early.start()
            except EngineError:  # refused at once: if the program comes to it, it hears of that
                early.over = True
                self.ended(early)
                early.forget()

    def _give_up(self, early: Early) -> None:
        self.ended(early)
        early.give_up()

    # ------------------------------------------------------------------ tokens

    def ended(self, early: Early) -> None:
        """A request is not in flight any more."""
        self._flying.pop(early, None)
        self._reserved -= early.reserved

    def adopted(self, early: Early) -> None:
        """A program has come to a request that ran ahead."""
        self._flying.pop(early, None)
        if early.reply is not None:
            self.wasted(early.run, -early.reply.drawn)

    def wasted(self, run: ProblemRun, tokens: int) -> None:
        """Tokens that no program has requested so far."""
        self._wasted += tokens
        run.work.wasted_tokens += tokens


def _room(engine: PolicyEngine, *, unknown: bool) -> bool:
    """Whether an engine would begin one more request at once."""
    load = engine.load
    if load is None:
        return unknown
    return not load.slots or load.running + load.waiting < load.slots
