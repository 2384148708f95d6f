"""Simulated service times: requests wait for a slot, are served for a while, may fail or stall."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from tts_runtime.engines.base import EngineError
from tts_runtime.streams import derive, uniform

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a simulated engine takes, in virtual seconds.

    Args:
        overhead: Per request.
        token: Per token generated (or scored).
        prefill: Per prompt and prefix token.
        row: Added to `token` for every request that is being served, as on a GPU, whose step takes
            a little longer with each row of its batch. Without jitter.
        slots: Requests served at once; 0: all. The others wait: the lowest priority number first,
            then first come first served.
        jitter: Service times are stretched by up to this factor, at random, so that replies
            arrive in another order than requests.
        seed: Of the jitter.
    """

    overhead: float = 0.0
    token: float = 0.01
    prefill: float = 0.0
    row: float = 0.0
    slots: int = 0
    jitter: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What goes wrong, by the number of the request (from 0, in order of arrival).

    Args:
        failures: Requests that fail with an `EngineError` of this message.
        stalls: Extra seconds of requests.
    """

    failures: Mapping[int, str] = field(default_factory=dict)
    stalls: Mapping[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class SimCounts:
    """Requests by state; `submitted` is the sum of the others.

    `cancelled_tokens`: tokens of cancelled requests, in proportion to the time that they had been
    served.
    """

    submitted: int = 0
    waiting: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    tokens: int = 0
    cancelled_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SimReply(Generic[Reply]):
    """A reply, and the tokens written and read for it."""

    reply: Reply
    written: int
    read: int = 0


@dataclass(slots=True, eq=False)
class _SimRequest(Generic[Reply]):
    number: int
    future: Future[Reply]
    serve: Callable[[], SimReply[Reply]]
    timer: asyncio.TimerHandle | None = None
    written: int = 0
    started: float = 0.0
    seconds: float = 0.0
    ends: float = 0.0
    finish: Callable[[], None] = lambda: None


class SimServer:
    """A queue in front of a number of slots, on the clock of the running event loop."""

    def __init__(self, latency: Latency, faults: FaultPlan) -> None:
        self.counts = SimCounts()
        self._latency = latency
        self._faults = faults
        self._key = derive(b"station", latency.seed)
        self._queue: list[tuple[int, int, _SimRequest[Any]]] = []
        self._running: dict[int, _SimRequest[Any]] = {}
        # With `row`: seconds of an engine with one row alone, which pass slower with more.
        self._passed = 0.0
        self._looked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """Requests served at once; 0: all."""
        return self._latency.slots

    def submit(self, serve: Callable[[], SimReply[Reply]], priority: int = 0) -> Future[Reply]:
        """Queues one request; `serve` computes its reply, once it has a slot."""
        future: Future[Reply] = asyncio.get_running_loop().create_future()
        job = _SimRequest(self.counts.submitted, future, serve)
        self.counts.submitted += 1
        self.counts.waiting += 1
        heappush(self._queue, (priority, job.number, job))
        future.add_done_callback(partial(self._cancelled, job))
        self._admit()
        return future

    def close(self) -> None:
        """Cancels all waiting and running requests."""
        for job in (*(job for _, _, job in self._queue), *self._running.values()):
            job.future.cancel()

    def _admit(self) -> None:
        slots = self._latency.slots
        while self._queue and (not slots or len(self._running) < slots):
            _, _, job = heappop(self._queue)
            if not job.future.done():
                self._start(job)

    def _start(self, job: _SimRequest[Any]) -> None:
        self.counts.waiting -= 1
        self.counts.running += 1
        self._running[job.number] = job
        latency = self._latency
        seconds = latency.overhead + self._faults.stalls.get(job.number, 0.0)
        message = self._faults.failures.get(job.number)
        try:
            if message is not None:
                raise EngineError(message)
            served = job.serve()
        except Exception as error:  # noqa: BLE001  (its future's, whatever it is)
            finish = partial(self._fail, job, error)
        else:
            seconds += latency.token * served.written + latency.prefill * served.read
            job.written = served.written
            finish = partial(self._finish, job, served)
        if latency.jitter:
            seconds *= 1 + latency.jitter * uniform(self._key, job.number)
        loop = asyncio.get_running_loop()
        job.started, job.seconds = loop.time(), seconds
        if not latency.row:
            job.timer = loop.call_later(seconds, finish)
            return
        self._pass(joined=1)
        job.started, job.ends, job.finish = self._passed, self._passed + seconds, finish
        self._next()

    def _pass(self, joined: int = 0) -> None:
        """Lets pass what has passed with the rows so far, of which `joined` are new."""
        latency, now = self._latency, asyncio.get_running_loop().time()
        rows = len(self._running) - joined
        pace = 1 + latency.row * max(0, rows - 1) / latency.token
        self._passed += (now - self._looked) / pace
        self._looked = now

    def _next(self) -> None:
        """Sets the timer for the request that ends next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running:
            latency = self._latency
            job = min(self._running.values(), key=lambda job: (job.ends, job.number))
            pace = 1 + latency.row * (len(self._running) - 1) / latency.token
            left = max(0.0, job.ends - self._passed) * pace
            self._timer = asyncio.get_running_loop().call_later(left, job.finish)

    def _finish(self, job: _SimRequest[Any], served: SimReply[Any]) -> None:
        if job.future.done():  # cancelled in the same turn of the loop
            return
        self._release(job)
        self.counts.finished += 1
        self.counts.tokens += served.written
        job.future.set_result(served.reply)
        self._admit()

    def _fail(self, job: _SimRequest[Any], error: Exception) -> None:
        if job.future.done():
            return
        self._release(job)
        self.counts.failed += 1
        job.future.set_exception(error)
        self._admit()

    def _cancelled(self, job: _SimRequest[Any], future: Future[Any]) -> None:
        if not future.cancelled():
            return
        self.counts.cancelled += 1
        if job.number not in self._running:
            self.counts.waiting -= 1  # its entry in the queue is skipped later
        else:
            now = asyncio.get_running_loop().time()
            if job.timer is not None:
                job.timer.cancel()
            else:
                self._pass()
                now = self._passed
            served = now - job.started
            part = min(1.0, served / job.seconds) if job.seconds else 1.0
            self.counts.cancelled_tokens += int(job.written * part)
            self._release(job)
            self._admit()

    def _release(self, job: _SimRequest[Any]) -> None:
        self.counts.running -= 1
        if self._latency.row:
            self._pass()
        del self._running[job.number]
        job.timer = None  # which refers to it: the request is freed at once
        if self._latency.row:
            self._next()
