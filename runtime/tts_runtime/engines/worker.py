"""A thread that computes for an event loop, many requests per turn."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, Future
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tts_runtime.engines.base import EngineError

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[Request, Reply]):
    """A request and the future of its reply."""

    request: Request
    future: Future[Reply]
    loop: AbstractEventLoop


#: A job with its reply, or with an error.
Settled = tuple[Job[Any, Any], Any, BaseException | None]


class Worker(ABC, Generic[Request, Reply]):
    """Collects requests and processes them in a thread of its own.

    The thread starts with the first request. A subclass defines a turn.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._inbox: list[Job[Request, Reply]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._open: set[Job[Request, Reply]] = set()

    @abstractmethod
    def turn(self, arrived: list[Job[Request, Reply]]) -> bool:
        """Does one turn of work; `arrived` are new requests. False if nothing is left to do.

        Settles jobs by `finish` and `fail`, and drops those whose future is cancelled.
        """

    def submit(self, request: Request) -> Future[Reply]:
        """Queues a request for the next turn."""
        loop = asyncio.get_running_loop()
        future: Future[Reply] = loop.create_future()
        job = Job(request, future, loop)
        with self._changed:
            if self._closing:
                raise EngineError(f"{self._name} is closed")
            self._inbox.append(job)
        # Not at once: callbacks that are due may submit more, for the same turn.
        loop.call_soon(self._wake)
        return future

    def _wake(self) -> None:
        with self._changed:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def finish(self, replies: Iterable[tuple[Job[Request, Reply], Reply]]) -> None:
        """Hands replies to their event loop."""
        self._settle([(job, reply, None) for job, reply in replies])

    def fail(self, jobs: Iterable[Job[Request, Reply]], error: BaseException) -> None:
        """Hands an error to the event loop of each job."""
        self._settle([(job, None, error) for job in jobs])

    async def close(self) -> None:
        """Ends the thread and cancels its requests."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        for job in (*self._inbox, *self._open):
            job.future.cancel()
        self._inbox.clear()
        self._open.clear()

    def _run(self) -> None:
        busy = False
        while True:
            with self._changed:
                while not (self._inbox or busy or self._closing):
                    self._changed.wait()
                if self._closing:
                    return
                arrived, self._inbox = self._inbox, []
            self._open.update(arrived)
            try:
                busy = self.turn(arrived)
            except Exception as error:  # noqa: BLE001  (raised where the replies are awaited)
                failure = EngineError(f"{self._name} broke: {error}")
                failure.__cause__ = error
                self.fail(list(self._open), failure)
                self.reset()
                busy = False

    @abstractmethod
    def reset(self) -> None:
        """Drops the work in progress after a failed turn."""

    def drop(self, job: Job[Request, Reply]) -> None:
        """Drops a job whose future is cancelled."""
        self._open.discard(job)

    def _settle(self, settled: Sequence[Settled]) -> None:
        for job, _, _ in settled:
            self._open.discard(job)
        settle(settled)


def settle(settled: Sequence[Settled]) -> None:
    """Hands replies or errors to the waiting event loops, from another thread."""
    by_loop: dict[AbstractEventLoop, list[Settled]] = {}
    for item in settled:
        by_loop.setdefault(item[0].loop, []).append(item)
    for loop, items in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_deliver, items)


def _deliver(items: Sequence[Settled]) -> None:
    for job, reply, error in items:
        if job.future.done():  # cancelled meanwhile
            continue
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(reply)


def at_once(work: Coroutine[Any, Any, Reply]) -> Reply:
    """Runs asynchronous work to completion, inside or outside an event loop.

    Engines are opened by plain calls, also inside a loop, and opening one may send requests.
    """
    results: list[Reply] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001  (raised below, in the caller's thread)
            errors.append(error)

    thread = threading.Thread(target=run, name="tts-at-once", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
