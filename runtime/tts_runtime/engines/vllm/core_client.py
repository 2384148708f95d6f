"""Requests to one vLLM engine, and what its steps give back, from any number of our own requests.

A search makes one request per step of each candidate. They cross to the service's thread together,
all of them, and replies come back together. A transport says how requests reach vLLM:
by `AsyncLLM.generate`, which vLLM documents, or straight to its engine core (`internals`).
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from asyncio import Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

from tts_runtime.engines.base import CandidateError, EngineError, Fault
from tts_runtime.engines.vllm.protocol import KEY
from tts_runtime.engines.vllm.service import Service
from tts_runtime.engines.worker import Job, Settled, settle

Reply = TypeVar("Reply")

_CLIENTS = count()


@dataclass(frozen=True, slots=True)
class VllmRequest:
    """A request to vLLM.

    Args:
        name: Its id.
        ids: Token ids of the prompt.
        parameters: vLLM's `SamplingParams`.
        adapter: vLLM's `LoRARequest`, if any.
        priority: Lower numbers go first.
    """

    name: str
    ids: list[int]
    parameters: Any
    adapter: Any | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class VllmOutput:
    """The output of one step of vLLM for one request.

    Args:
        name: The request's id.
        ids: Tokens drawn since the last output.
        logprobs: Log-probabilities by id for each of these tokens; empty if none were requested.
        finish: Why vLLM ended the request; `None`: it continues.
        cached: Prompt tokens that did not have to be read; told once per request.
        values: The list of values that the request carried (`protocol`), when it ends.
    """

    name: str
    ids: Sequence[int]
    logprobs: Iterable[Mapping[int, float]] = ()
    finish: str | None = None
    cached: int = 0
    values: Sequence[float] | None = None


class Transport(ABC):
    """A way to one vLLM engine. All methods are called in the service's thread, but `open`."""

    outputs: Callable[[Sequence[VllmOutput]], None]
    #: Fails these requests, or all for `None`.
    failed: Callable[[Sequence[str] | None, Exception], None]

    def open(
        self,
        engine: Any,
        prefix: str,
        outputs: Callable[[Sequence[VllmOutput]], None],
        failed: Callable[[Sequence[str] | None, Exception], None],
    ) -> None:
        """Connects to vLLM's `AsyncLLM`; names of our requests begin with `prefix`."""
        self.engine = engine
        self.prefix = prefix
        self.outputs = outputs
        self.failed = failed

    @abstractmethod
    def send(self, requests: Sequence[VllmRequest], aborted: Sequence[str]) -> None:
        """Starts requests, then aborts others."""

    def close(self) -> None:  # noqa: B027  (nothing to undo)
        """Disconnects; called once no request is open."""


class PublicTransport(Transport):
    """vLLM's documented `AsyncLLM.generate`, which takes a task and a queue for each request."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, requests: Sequence[VllmRequest], aborted: Sequence[str]) -> None:
        """Starts a task per request; cancelling a task aborts its request in vLLM."""
        for request in requests:
            task = asyncio.get_running_loop().create_task(self._follow(request))
            self._tasks[request.name] = task
        for name in aborted:
            task_ended = self._tasks.pop(name, None)
            if task_ended is not None:
                task_ended.cancel()

    async def _follow(self, request: VllmRequest) -> None:
        from vllm import TokensPrompt

        replies = self.engine.generate(
            TokensPrompt(prompt_token_ids=request.ids),
            request.parameters,
            request.name,
            lora_request=request.adapter,
            priority=request.priority,
        )
        first = True
        try:
            async with aclosing(replies):
                async for reply in replies:
                    self.outputs([_public_output(request.name, reply, first=first)])
                    first = False
        except Exception as error:  # noqa: BLE001  (raised where the reply is awaited)
            self.failed([request.name], error)
        finally:
            self._tasks.pop(request.name, None)


def _public_output(name: str, reply: Any, *, first: bool) -> VllmOutput:
    """An output of `AsyncLLM.generate` whose parameters want deltas."""
    (output,) = reply.outputs
    return VllmOutput(
        name,
        output.token_ids,
        [{token: each.logprob for token, each in by_id.items()} for by_id in output.logprobs or ()],
        output.finish_reason,
        (reply.num_cached_tokens or 0) if first else 0,
        (reply.kv_transfer_params or {}).get(KEY),
    )


class CoreRequest(ABC, Generic[Reply]):
    """One request of ours: one of vLLM's, or several in succession.

    All methods are called in the service's thread.
    """

    @abstractmethod
    def following(self, name: str) -> VllmRequest:
        """The next request to vLLM, under this name."""

    @abstractmethod
    def take(self, output: VllmOutput) -> None:
        """Takes the output of a step; the reply may be complete before vLLM ends the request."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether the reply is complete."""

    @abstractmethod
    def reply(self) -> Reply:
        """The reply, once complete."""

    @abstractmethod
    def cancelled(self) -> None:
        """The reply is no longer wanted."""


class CoreClient(Generic[Reply]):
    """Sends requests to one vLLM engine.

    Args:
        service: Runs the engine.
        who: Names the engine in messages.
        transport: How requests reach it.
        aborted: Told the number of tokens that a cancelled request had drawn, where vLLM tells it
            when it aborts one (`internals.ListingScheduler`).
    """

    def __init__(
        self,
        service: Service,
        who: str,
        transport: Transport,
        aborted: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._service = service
        self._aborted = aborted
        self._who = who
        self._transport = transport
        self._prefix = f"tts{next(_CLIENTS)}-"
        self._numbers = count()
        self._lock = threading.Lock()
        self._inbox: list[tuple[Job[CoreRequest[Reply], Reply], bool]] = []
        self._waiting: set[Future[Reply]] = set()
        # In the service's thread:
        self._open: dict[str, Job[CoreRequest[Reply], Reply]] = {}
        self._names: dict[Job[CoreRequest[Reply], Reply], str] = {}
        transport.open(service.client, self._prefix, self._outputs, self._fail)

    @property
    def unfinished(self) -> int:
        """Requests that have no reply yet."""
        return len(self._open) + len(self._inbox)

    def submit(self, request: CoreRequest[Reply]) -> Future[Reply]:
        """Starts a request; cancelling the future aborts it in vLLM.

        Raises:
            EngineError: The engine is closed.
        """
        if self._service.closed:
            raise EngineError(f"{self._who} is closed")
        loop = asyncio.get_running_loop()
        future: Future[Reply] = loop.create_future()
        job = Job(request, future, loop)
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._done(job, done))
        self._hand_over(job, start=True)
        return future

    def close(self) -> None:
        """Cancels all requests."""
        for future in list(self._waiting):
            future.cancel()

    def disconnect(self) -> None:
        """Releases the transport; no request may be open."""
        self._service.soon(self._transport.close)

    def _done(self, job: Job[CoreRequest[Reply], Reply], future: Future[Reply]) -> None:
        self._waiting.discard(future)
        if future.cancelled() and not self._service.closed:
            self._hand_over(job, start=False)

    def _hand_over(self, job: Job[CoreRequest[Reply], Reply], *, start: bool) -> None:
        with self._lock:
            self._inbox.append((job, start))
            first = len(self._inbox) == 1
        if first:
            self._service.soon(self._arrived)

    # ------------------------------------------------------------------ in the service's thread

    def _arrived(self) -> None:
        with self._lock:
            arrived, self._inbox = self._inbox, []
        started, aborted = [], []
        for job, start in arrived:
            if not start:
                name = self._names.pop(job, None)
                if name is not None:
                    del self._open[name]
                    aborted.append(name)
                    job.request.cancelled()
            elif not job.future.cancelled():
                started.append(job)
        self._continue(started, aborted)

    def _continue(
        self, jobs: Sequence[Job[CoreRequest[Reply], Reply]], aborted: Sequence[str] = ()
    ) -> None:
        """Sends the next request to vLLM of each job."""
        requests: list[VllmRequest] = []
        for job in jobs:
            name = f"{self._prefix}{next(self._numbers)}"
            try:
                requests.append(job.request.following(name))
            except Exception as error:  # noqa: BLE001  (raised where the reply is awaited)
                settle([(job, None, error)])
                continue
            self._open[name], self._names[job] = job, name
        if requests or aborted:
            self._transport.send(requests, aborted)

    def _outputs(self, outputs: Sequence[VllmOutput]) -> None:
        settled: list[Settled] = []
        again: list[Job[CoreRequest[Reply], Reply]] = []
        aborted: list[str] = []
        for output in outputs:
            job = self._open.get(output.name)
            if job is None:  # cancelled; an output may have been on its way
                if output.finish == "abort":
                    self._aborted(len(output.ids))
                continue
            request, ended = job.request, output.finish is not None
            try:
                request.take(output)
                if not (request.over or ended):
                    continue
                if request.over:
                    settled.append((job, request.reply(), None))
                else:
                    again.append(job)
            except Exception as error:  # noqa: BLE001  (raised where the reply is awaited)
                settled.append((job, None, error))
            del self._open[output.name], self._names[job]
            if not ended:
                aborted.append(output.name)
        settle(settled)
        if again or aborted:
            self._continue(again, aborted)

    def _fail(self, names: Sequence[str] | None, error: Exception) -> None:
        failed = explained(self._who, error)
        names = list(self._open) if names is None else names
        jobs = [job for name in names if (job := self._open.pop(name, None)) is not None]
        for job in jobs:
            del self._names[job]
        settle([(job, None, failed) for job in jobs])


def explained(who: str, error: Exception) -> EngineError:
    """vLLM's error as ours: a `CandidateError` for a request that it refuses."""
    if isinstance(error, EngineError):
        return error
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ValueError", "VLLMClientError"}:
        found: EngineError = CandidateError(
            Fault.UNUSABLE, f"{who}: vLLM refuses the request: {error}"
        )
    else:
        cause = error.__cause__ or error
        found = EngineError(f"{who}: vLLM broke: {cause} (add `log=true` to see its messages)")
    found.__cause__ = error
    return found
