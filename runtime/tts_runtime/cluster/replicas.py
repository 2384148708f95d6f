"""Gives problems to replicas that have room, and starts replicas that die again.

A generation is a pure function of its request, so a problem may run anywhere, and again: whatever
dies when, the outcomes are those of one process.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, fields
from math import ceil
from types import TracebackType
from typing import Final, Self

from tts_lang.release import release
from tts_runtime.cluster.replica import (
    DistantPolicy,
    DistantScorer,
    Finished,
    ReplicaFacts,
    ReplicaReply,
    ReplicaSetup,
)
from tts_runtime.engines.base import EngineError, Exactness
from tts_runtime.executor import Work
from tts_runtime.problems import Problem

_LOGGER = logging.getLogger(__name__)

#: Replicas that may die one after the other while no problem ends anywhere: of those that have
#: joined, and of those that die before they have their engines.
_DEATHS: Final = 50
_EARLY_DEATHS: Final = 10
#: Setups of which a replica is known to have the engines.
_KEPT: Final = 256


class ReplicaLostError(Exception):
    """A replica died, or its machine did; the message says what is known."""


class ReplicaHandle(ABC):
    """A replica, wherever it runs."""

    @abstractmethod
    async def open(self, setup: ReplicaSetup) -> ReplicaFacts:
        """Waits until it has the engines of a setup.

        Raises:
            EngineError: It cannot open them.
            ReplicaLostError: It died.
        """

    @abstractmethod
    async def answer(
        self, setup: ReplicaSetup, problem: Problem, seed: int, places: Collection[int]
    ) -> ReplicaReply:
        """The outcomes of a problem (`Replica.answer`).

        Raises:
            ReplicaLostError: It died.
        """

    @abstractmethod
    async def end(self) -> None:
        """Ends it; nothing happens if it is dead."""


@dataclass(frozen=True, slots=True)
class Task:
    """A problem under one seed, and the strategies (by place) that have not answered it yet."""

    problem: Problem
    seed: int
    places: Collection[int]


class _Waiting:
    """Problems that have not ended: those that wait, and how many run."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = deque(tasks)
        self.open = len(tasks)
        self._change = asyncio.Event()

    def take(self) -> Task | None:
        return self._tasks.popleft() if self._tasks else None

    def give_back(self, tasks: Collection[Task]) -> None:
        self._tasks.extendleft(tasks)
        self._changed()

    def ended(self) -> None:
        self.open -= 1
        self._changed()

    def change(self) -> asyncio.Event:
        """Set when there is something new to take, or nothing left to wait for."""
        return self._change

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class _Slot:
    """A place for a replica: one that dies is replaced by another.

    `in_flight`: problems that it is answering.
    """

    def __init__(self, start: Callable[[], ReplicaHandle]) -> None:
        self._start = start
        self.handle = start()
        self.in_flight = 0
        self._opening: OrderedDict[int, asyncio.Task[ReplicaFacts]] = OrderedDict()

    def opening(self, setup: ReplicaSetup) -> asyncio.Task[ReplicaFacts]:
        """Opens a setup on the replica, once."""
        task = self._opening.get(setup.number)
        if task is None:
            task = asyncio.ensure_future(self.handle.open(setup))
            self._opening[setup.number] = task
            if len(self._opening) > _KEPT and next(iter(self._opening.values())).done():
                self._opening.popitem(last=False)
        return task

    def ask(self, setup: ReplicaSetup, task: Task) -> asyncio.Task[ReplicaReply]:
        """Has a problem answered."""
        asking = self.handle.answer(setup, task.problem, task.seed, task.places)
        future = asyncio.ensure_future(asking)
        self.in_flight += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: asyncio.Task[ReplicaReply]) -> None:
        self.in_flight -= 1

    async def replace(self) -> bool:
        """Starts another replica; whether the old one had died before it had any engines."""
        old, self.handle = self.handle, self._start()
        return await self._end(old)

    async def end(self) -> None:
        """Ends the replica."""
        await self._end(self.handle)

    async def _end(self, handle: ReplicaHandle) -> bool:
        openings, self._opening = [*self._opening.values()], OrderedDict()
        done = [each for each in openings if each.done() and not each.cancelled()]
        early = not any(each.exception() is None for each in done)
        for each in openings:
            each.cancel()
        await asyncio.gather(*openings, return_exceptions=True)
        await handle.end()
        return early


class ReplicaPool:
    """Replicas, inside `async with`; they stay open for all setups that are prepared on them.

    Args:
        start: Starts one; it may take as long as it likes to be there, and joins then.
        count: How many.
    """

    def __init__(self, start: Callable[[], ReplicaHandle], count: int) -> None:
        self._start = start
        self._count = count
        #: In a row: without a problem that ended, and without a replica that joined.
        self._deaths = self._early = 0
        self._slots: list[_Slot] = []

    async def __aenter__(self) -> Self:
        self._slots = [_Slot(self._start) for _ in range(self._count)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        slots, self._slots = self._slots, []
        for slot in slots:
            await slot.end()

    async def prepare(self, setup: ReplicaSetup) -> PreparedSetup:
        """Waits until the first replica has the engines of a setup.

        Raises:
            EngineError: It cannot open its engines, or replicas die again and again.
            BindError: Engines do not fit.
        """
        while True:
            opening = {slot.opening(setup): slot for slot in self._slots}
            handles = {slot: slot.handle for slot in self._slots}
            done, _ = await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED)
            for opened in done:
                slot = opening[opened]
                if opened.cancelled():  # a run has seen its replica die
                    continue
                try:
                    return PreparedSetup(self, setup, self._checked(opened.result()))
                except ReplicaLostError as error:
                    await self._lost(slot, handles[slot], error, 0)

    async def run(
        self,
        setup: ReplicaSetup,
        tasks: Sequence[Task],
        finished: Callable[[ReplicaReply], Awaitable[None]],
        window: int,
    ) -> None:
        """Runs all problems; see `PreparedSetup.run`."""
        waiting = _Waiting(tasks)

        async def keep(slot: _Slot) -> None:
            while waiting.open:
                in_flight: dict[asyncio.Task[ReplicaReply], Task] = {}
                handle = slot.handle
                try:
                    if not await self._joined(slot.opening(setup), waiting):
                        return
                    await self._work(slot, setup, waiting, in_flight, finished, window)
                except ReplicaLostError as error:
                    await self._lost(slot, handle, error, len(in_flight))
                finally:
                    for future in in_flight:
                        future.cancel()
                    waiting.give_back(in_flight.values())

        try:
            async with asyncio.TaskGroup() as group:
                # The least busy replicas come first: a single problem goes to the first.
                for slot in sorted(self._slots, key=lambda slot: slot.in_flight):
                    group.create_task(keep(slot))
        except BaseExceptionGroup as errors:
            cause: BaseException = errors
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            raise cause from None

    async def _joined(self, opening: asyncio.Task[ReplicaFacts], waiting: _Waiting) -> bool:
        """Waits until a replica is there; false if the last problem ends first."""
        while waiting.open and not opening.done():
            await _first(opening, waiting.change())
        if not waiting.open:
            return False
        if opening.cancelled():  # another run has seen its replica die
            return True
        self._checked(opening.result())
        return True

    def _checked(self, facts: ReplicaFacts) -> ReplicaFacts:
        self._early = 0
        if facts.version != release():
            raise EngineError(
                f"a replica has tts-lang {facts.version}, and this process {release()}"
            )
        return facts

    async def _work(
        self,
        slot: _Slot,
        setup: ReplicaSetup,
        waiting: _Waiting,
        in_flight: dict[asyncio.Task[ReplicaReply], Task],
        finished: Callable[[ReplicaReply], Awaitable[None]],
        window: int,
    ) -> None:
        """Keeps a replica busy; `in_flight` are its problems."""
        handle = slot.handle
        while waiting.open and slot.handle is handle:
            # Its share of what is left, so that those that are free find some. Half of it was
            # slower: searches wait for their slowest candidate, and slots were empty meanwhile.
            share = min(window, ceil(waiting.open / self._count))
            while len(in_flight) < share and (task := waiting.take()) is not None:
                in_flight[slot.ask(setup, task)] = task
            await _first(*in_flight, waiting.change())
            lost: ReplicaLostError | None = None
            for future in [each for each in in_flight if each.done()]:
                try:
                    reply = future.result()
                except ReplicaLostError as error:
                    lost = error
                    continue
                await finished(reply)
                del in_flight[future]
                self._deaths = 0
                waiting.ended()
            if lost is not None:
                raise lost

    async def _lost(
        self, slot: _Slot, handle: ReplicaHandle, error: ReplicaLostError, in_flight: int
    ) -> None:
        """Makes room for another one, unless another run has.

        Raises:
            EngineError: Too many have died.
        """
        if slot.handle is not handle:
            return
        self._deaths += 1
        _LOGGER.warning("a replica died (%s); its %d problems run again", error, in_flight)
        self._early += await slot.replace()
        if self._deaths >= _DEATHS or self._early >= _EARLY_DEATHS:
            raise EngineError(
                f"{self._deaths} replicas have died in a row before a problem ended; the last: "
                f"{error}"
            ) from error


class PreparedSetup:
    """A setup on replicas, and what they say of its engines."""

    def __init__(self, pool: ReplicaPool, setup: ReplicaSetup, facts: ReplicaFacts) -> None:
        self.setup = setup
        self._pool = pool
        self.exactness: Sequence[Exactness] = facts.exactness
        self.policies = {name: DistantPolicy(each) for name, each in facts.policies.items()}
        self.scorers = {name: DistantScorer(each) for name, each in facts.scorers.items()}

    async def run(
        self,
        tasks: Sequence[Task],
        finished: Callable[[Finished], Awaitable[None]],
        *,
        window: int,
        work: Work,
    ) -> None:
        """Runs all problems.

        Args:
            tasks: The problems.
            finished: Told each outcome, once.
            window: Problems in flight on a replica, at most.
            work: What engines do is added here.

        Raises:
            EngineError: Replicas die again and again.
        """

        async def replied(reply: ReplicaReply) -> None:
            for each in reply.finished:
                await finished(each)
            for name in (each.name for each in fields(Work)):
                setattr(work, name, getattr(work, name) + getattr(reply.work, name))
            for policy in list(self.policies.values())[:1]:
                policy.given_up += reply.work.cancelled_tokens

        await self._pool.run(self.setup, tasks, replied, window)


async def _first(
    *waited: asyncio.Future[ReplicaReply] | asyncio.Future[ReplicaFacts] | asyncio.Event,
) -> None:
    """Waits until one of these has happened."""
    events = [
        asyncio.ensure_future(waitable.wait()) if isinstance(waitable, asyncio.Event) else waitable
        for waitable in waited
    ]
    try:
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waitable, event in zip(waited, events, strict=True):
            if isinstance(waitable, asyncio.Event):
                event.cancel()
