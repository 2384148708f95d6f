"""Requests straight to vLLM's engine core, and what it gives straight back.

vLLM's front end makes a task, a queue and an object of replies for each request, and searches make
a request per step: that is work on a core that scoring needs. Here requests cross to the service's
thread together, as many as there are, and replies come back so. What is not ours goes the usual
way.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from asyncio import Future
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Generic, TypeVar

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.vllm.errors import explained
from tts_runtime.engines.vllm.service import Service
from tts_runtime.engines.worker import Job, Settled, settle

Reply = TypeVar("Reply")


class CoreRequest(ABC, Generic[Reply]):
    """One request of ours: one request of vLLM's, or several one after the other.

    All methods are called in the service's thread.
    """

    @abstractmethod
    def following(self, name: str) -> Any:
        """vLLM's next request, of that name."""

    @abstractmethod
    def take(self, output: Any) -> None:
        """What vLLM gave in one of its steps; it may make the reply known before vLLM ends."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether the reply is known."""

    @abstractmethod
    def reply(self) -> Reply:
        """The reply, once it is known."""

    @abstractmethod
    def cancelled(self) -> None:
        """Nobody waits any more."""


class CoreClient(Generic[Reply]):
    """Takes calls to one engine of vLLM's.

    Args:
        service: Runs the engine.
        who: For messages.
    """

    def __init__(self, service: Service, who: str) -> None:
        self._service = service
        self._who = who
        self._numbers = count()
        self._lock = threading.Lock()
        self._inbox: list[tuple[Job[CoreRequest[Reply], Reply], bool]] = []
        self._waiting: set[Future[Reply]] = set()
        # In the service's thread:
        self._open: dict[str, Job[CoreRequest[Reply], Reply]] = {}
        self._names: dict[Job[CoreRequest[Reply], Reply], str] = {}
        self._sending: set[asyncio.Task[None]] = set()
        front = service.client.output_processor
        self._others: Callable[..., Any] = front.process_outputs
        self._others_fail: Callable[[Exception], None] = front.propagate_error
        front.process_outputs, front.propagate_error = self._outputs, self._broken

    @property
    def unfinished(self) -> int:
        """Calls on their way."""
        return len(self._open) + len(self._inbox)

    def ask(self, call: CoreRequest[Reply]) -> Future[Reply]:
        """Starts a call; cancelling the future aborts it in vLLM.

        Raises:
            EngineError: The engine is closed.
        """
        if self._service.closed:
            raise EngineError(f"{self._who} is closed")
        loop = asyncio.get_running_loop()
        future: Future[Reply] = loop.create_future()
        job = Job(call, future, loop)
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._done(job, done))
        self._hand_over(job, asked=True)
        return future

    def close(self) -> None:
        """Cancels all calls."""
        for future in list(self._waiting):
            future.cancel()

    def _done(self, job: Job[CoreRequest[Reply], Reply], future: Future[Reply]) -> None:
        self._waiting.discard(future)
        if future.cancelled() and not self._service.closed:
            self._hand_over(job, asked=False)

    def _hand_over(self, job: Job[CoreRequest[Reply], Reply], *, asked: bool) -> None:
        with self._lock:
            self._inbox.append((job, asked))
            first = len(self._inbox) == 1
        if first:
            self._service.soon(self._arrived)

    # ------------------------------------------------------------------ in the service's thread

    def _arrived(self) -> None:
        with self._lock:
            arrived, self._inbox = self._inbox, []
        begun, aborted = [], []
        for job, asked in arrived:
            if not asked:
                name = self._names.pop(job, None)
                if name is not None:
                    del self._open[name]
                    aborted.append(name)
                    job.request.cancelled()
            elif not job.future.cancelled():
                begun.append(job)
        self._go_on(begun, aborted)

    def _go_on(
        self, jobs: Sequence[Job[CoreRequest[Reply], Reply]], aborted: Sequence[str] = ()
    ) -> None:
        """Sends the next request of each call."""
        requests: list[Any] = []
        for job in jobs:
            name = f"tts-{next(self._numbers)}"
            try:
                requests.append(job.request.following(name))
            except Exception as error:  # noqa: BLE001  (the caller's: there it is raised)
                settle([(job, None, error)])
                continue
            self._open[name], self._names[job] = job, name
        if requests or aborted:
            task = asyncio.get_running_loop().create_task(self._send(requests, aborted))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, requests: Sequence[Any], aborted: Sequence[str]) -> None:
        core = self._service.client.engine_core
        for request in requests:
            try:
                with explained(self._who):
                    await core.add_request_async(request)
            except Exception as error:  # noqa: BLE001  (the caller's: there it is raised)
                self._fail([request.request_id], error)
        if aborted:
            await core.abort_requests_async(list(aborted))

    def _outputs(self, outputs: Sequence[Any], *further: Any, **named: Any) -> Any:
        """In place of vLLM's own: outputs of one of its steps."""
        others: list[Any] = []
        settled: list[Settled] = []
        again: list[Job[CoreRequest[Reply], Reply]] = []
        aborted: list[str] = []
        for output in outputs:
            job = self._open.get(output.request_id)
            if job is None:
                others.append(output)
                continue
            call, ended = job.request, output.finish_reason is not None
            try:
                call.take(output)
                if not (call.over or ended):
                    continue
                if call.over:
                    settled.append((job, call.reply(), None))
                else:
                    again.append(job)
            except Exception as error:  # noqa: BLE001  (the caller's: there it is raised)
                settled.append((job, None, error))
            del self._open[output.request_id], self._names[job]
            if not ended:
                aborted.append(output.request_id)
        settle(settled)
        if again or aborted:
            self._go_on(again, aborted)
        return self._others(others, *further, **named)

    def _broken(self, error: Exception) -> None:
        """In place of vLLM's own: its engine is dead."""
        try:
            with explained(self._who):
                raise error
        except Exception as ours:  # noqa: BLE001  (every call's)
            self._fail(list(self._open), ours)
        self._others_fail(error)

    def _fail(self, names: Sequence[str], error: Exception) -> None:
        jobs = [job for name in names if (job := self._open.pop(name, None)) is not None]
        for job in jobs:
            del self._names[job]
        settle([(job, None, error) for job in jobs])
