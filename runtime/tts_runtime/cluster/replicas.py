"""Gives problems to replicas that have room, and starts replicas that die again.

A generation is a pure function of its request, so a problem may run anywhere, and again: whatever
dies when, the outcomes are those of one process.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from math import ceil
from types import TracebackType
from typing import Final, Self

from tts_runtime.cluster.replica import (
    DistantPolicy,
    DistantScorer,
    Finished,
    ReplicaFacts,
    ReplicaReply,
)
from tts_runtime.engines.base import EngineError, Exactness
from tts_runtime.executor import Work
from tts_runtime.problems import Problem

_LOGGER = logging.getLogger(__name__)

#: Replicas that may die one after the other while no problem ends anywhere: of those that have
#: joined, and of those that die before they have their engines.
_DEATHS: Final = 50
_EARLY_DEATHS: Final = 10


class ReplicaLostError(Exception):
    """A replica died, or its machine did; the message says what is known."""


class ReplicaHandle(ABC):
    """A replica, wherever it runs."""

    @abstractmethod
    async def open(self) -> ReplicaFacts:
        """Waits until it has its engines.

        Raises:
            EngineError: It cannot open them.
            ReplicaLostError: It died.
        """

    @abstractmethod
    async def answer(self, problem: Problem, seed: int, places: Collection[int]) -> ReplicaReply:
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


class ReplicaPool:
    """Replicas of one setup, inside `async with`.

    Args:
        start: Starts one; it may take as long as it likes to be there, and joins then.
        count: How many.
    """

    def __init__(self, start: Callable[[], ReplicaHandle], count: int) -> None:
        self._start = start
        self._count = count
        #: In a row: without a problem that ended, and without a replica that joined.
        self._deaths = self._early = 0
        #: Handles that are open or opening, with what waits for them.
        self._opening: dict[ReplicaHandle, asyncio.Task[ReplicaFacts]] = {}
        self.exactness: Sequence[Exactness] = ()
        self.policies: dict[str, DistantPolicy] = {}
        self.scorers: dict[str, DistantScorer] = {}

    async def __aenter__(self) -> Self:
        """Waits for the first replica.

        Raises:
            EngineError: It cannot open its engines, or replicas die again and again.
        """
        try:
            for _ in range(self._count):
                self._open()
            facts: ReplicaFacts | None = None
            while facts is None:
                await asyncio.wait(self._opening.values(), return_when=asyncio.FIRST_COMPLETED)
                for handle, opening in list(self._opening.items()):
                    if not opening.done():
                        continue
                    try:
                        facts = opening.result()
                    except ReplicaLostError as error:
                        await self._lost(handle, error, 0)
                        self._open()
        except BaseException:
            await self._close()
            raise
        self.exactness = facts.exactness
        self.policies = {name: DistantPolicy(each) for name, each in facts.policies.items()}
        self.scorers = {name: DistantScorer(each) for name, each in facts.scorers.items()}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

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
        waiting = _Waiting(tasks)

        async def keep(handle: ReplicaHandle) -> None:
            while waiting.open:
                held: dict[asyncio.Task[ReplicaReply], Task] = {}
                try:
                    if not await self._joined(handle, waiting):
                        return
                    await self._work(handle, waiting, held, finished, window, work)
                except ReplicaLostError as error:
                    await self._lost(handle, error, len(held))
                    handle = self._open()
                finally:
                    for asked in held:
                        asked.cancel()
                    waiting.give_back(held.values())

        try:
            async with asyncio.TaskGroup() as group:
                for handle in list(self._opening):
                    group.create_task(keep(handle))
        except BaseExceptionGroup as errors:
            cause: BaseException = errors
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            raise cause from None

    async def _joined(self, handle: ReplicaHandle, waiting: _Waiting) -> bool:
        """Waits until a replica is there; false if the last problem ends first."""
        opening = self._opening[handle]
        while waiting.open and not opening.done():
            await _first(opening, waiting.change())
        if not waiting.open:
            return False
        facts = opening.result()
        self._early = 0
        if facts.version != version("tts-lang"):
            raise EngineError(
                f"a replica has tts-lang {facts.version}, and this process {version('tts-lang')}"
            )
        return True

    async def _work(
        self,
        handle: ReplicaHandle,
        waiting: _Waiting,
        held: dict[asyncio.Task[ReplicaReply], Task],
        finished: Callable[[Finished], Awaitable[None]],
        window: int,
        work: Work,
    ) -> None:
        """Keeps a replica busy; `held` are its problems in flight."""
        while waiting.open:
            # Its share of what is left, so that those that are free find some. Half of it was
            # slower: searches wait for their slowest candidate, and slots were empty meanwhile.
            share = min(window, ceil(waiting.open / self._count))
            while len(held) < share and (task := waiting.take()) is not None:
                asking = handle.answer(task.problem, task.seed, task.places)
                held[asyncio.ensure_future(asking)] = task
            await _first(*held, waiting.change())
            lost: ReplicaLostError | None = None
            for asked in [each for each in held if each.done()]:
                try:
                    reply = asked.result()
                except ReplicaLostError as error:
                    lost = error
                    continue
                for each in reply.finished:
                    await finished(each)
                for name in (each.name for each in fields(Work)):
                    setattr(work, name, getattr(work, name) + getattr(reply.work, name))
                for policy in list(self.policies.values())[:1]:
                    policy.given_up += reply.work.cancelled_tokens
                del held[asked]
                self._deaths = 0
                waiting.ended()
            if lost is not None:
                raise lost

    def _open(self) -> ReplicaHandle:
        handle = self._start()
        self._opening[handle] = asyncio.ensure_future(handle.open())
        return handle

    async def _lost(self, handle: ReplicaHandle, error: ReplicaLostError, held: int) -> None:
        """Makes room for another one.

        Raises:
            EngineError: Too many have died.
        """
        opening = self._opening.pop(handle)
        await handle.end()
        self._deaths += 1
        if opening.exception() is not None:
            self._early += 1
        _LOGGER.warning("a replica died (%s); its %d problems run again", error, held)
        if self._deaths >= _DEATHS or self._early >= _EARLY_DEATHS:
            raise EngineError(
                f"{self._deaths} replicas have died in a row before a problem ended; the last: "
                f"{error}"
            ) from error

    async def _close(self) -> None:
        for opening in self._opening.values():
            opening.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for handle in self._opening:
            await handle.end()
        self._opening.clear()


async def _first(
    *waited: asyncio.Future[ReplicaReply] | asyncio.Future[ReplicaFacts] | asyncio.Event,
) -> None:
    """Waits until one of these has happened."""
    events = [
        asyncio.ensure_future(each.wait()) if isinstance(each, asyncio.Event) else each
        for each in waited
    ]
    try:
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each, event in zip(waited, events, strict=True):
            if isinstance(each, asyncio.Event):
                event.cancel()
