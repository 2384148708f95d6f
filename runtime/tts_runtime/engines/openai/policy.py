"""Any OpenAI-compatible server as a policy: vLLM, SGLang, llama.cpp, Ollama, hosted models.

Requests of all problems are in flight together, up to a limit. Texts depend on the server's own
random numbers, so runs are marked as not exact; the seed that is sent is the stream's.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections import OrderedDict
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, Final

from tts_runtime.engines.base import (
    Ability,
    EngineError,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
)
from tts_runtime.engines.http.address import find_key, parse_address
from tts_runtime.engines.http.client import HttpClient, Refused, at_once
from tts_runtime.engines.http.retry import Clock, Transient
from tts_runtime.engines.openai.bodies import Bodies, Call
from tts_runtime.engines.openai.calls import Pending
from tts_runtime.engines.openai.drawn import Vocabulary
from tts_runtime.engines.openai.opened import Opened, continues, lacking, open_server
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.replies import Chunk, read
from tts_runtime.engines.openai.text_tokenizer import TEXT
from tts_runtime.engines.requests import end_ids, fitted

_LOGGER = logging.getLogger(__name__)

#: Lists of likeliest tokens that are kept, for those who ask for one rank after another.
_KEPT_RANKS: Final = 1024


class OpenAIPolicy(PolicyEngine):
    """A model behind an OpenAI-compatible server.

    Args:
        name: `http://HOST:PORT/v1#MODEL`.
        options: Interface, tokenizer, binding, limits.
        clock: Passes the time between attempts.

    Raises:
        EngineError, BindingError: The server cannot be reached or used; the message says why.
    """

    exact = False

    def __init__(
        self, name: str, options: ServerOptions | None = None, clock: Clock | None = None
    ) -> None:
        options = options or ServerOptions()
        address = parse_address(f"openai:{name}", name)
        self._client = HttpClient(address, find_key(options.key_env), options, clock)

        async def opening() -> Opened:
            client = self._client.to_open()
            try:
                return await open_server(client, options)
            finally:
                await client.close()

        opened = at_once(opening())
        served = opened.served
        own_ids = opened.tokenizer is not TEXT
        self.binding = opened.binding
        self.tokenizer = opened.tokenizer
        self.chosen = opened.chosen
        self.streaming = continues(served)
        self.lacks = lacking(served, own_ids=own_ids)
        self._served = served
        ends = end_ids(self.tokenizer, self.binding) if own_ids else frozenset[int]()
        self._vocabulary = Vocabulary(self.tokenizer, ends, self.binding.stop)
        self._bodies = Bodies(
            served,
            self.binding,
            self.tokenizer,
            ends,
            begin=opened.begin,
            adds=not own_ids and served.opening is None,
        )
        self._ranks: OrderedDict[tuple[tuple[int, ...], ...], Chunk] = OrderedDict()
        self._tasks: set[asyncio.Task[Generation]] = set()
        self._cancelled = 0
        self._slots = options.concurrency
        _LOGGER.info("policy `%s`: %s", served.model, self.chosen)

    @property
    def cancelled_tokens(self) -> int:
        """Of requests that were streamed; nobody tells of the others."""
        return self._cancelled

    @property
    def load(self) -> Load:
        """Requests that the server has, and those that wait for a connection."""
        running = min(len(self._tasks), self._slots)
        return Load(running, self._slots, len(self._tasks) - running)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Sends a request once one of the connections is free; cancelling it closes that."""
        task = asyncio.get_running_loop().create_task(self._generate(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancels what is in flight and closes the connections."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        request = fitted(request, self.binding)
        wanted = tuple(
            name for name in request.statistics if Ability[name.upper()] not in self.lacks
        )
        request = replace(request, statistics=wanted)
        pending = Pending(request, self._served, self.binding, self._vocabulary)
        try:
            while not pending.follower.done:
                if not self._known_rank(pending):
                    await self._client.retried(partial(self._attempt, pending), request.priority)
        except asyncio.CancelledError:
            self._cancelled += pending.follower.received
            raise
        return pending.result()

    def _known_rank(self, pending: Pending) -> bool:
        """Takes the first token of a rank from a list that was asked for before."""
        request = pending.request
        known = self._ranks.get((request.prompt, request.prefix)) if pending.ranked else None
        if known is None:
            return False
        pending.take(known)
        return True

    async def _attempt(self, pending: Pending) -> None:
        """One HTTP request, which brings a generation further; what came before a failure stays."""
        call = pending.call(anew=not continues(self._served))
        body = self._bodies.write(pending.request, call)
        url = f"{self._client.address.base}/{self._bodies.place}"
        finish = None
        try:
            if call.stream:
                async with aclosing(self._client.events(url, body)) as events:
                    async for event in events:
                        chunk = read(event)
                        finish = chunk.finish or finish
                        pending.take(chunk)
                        if pending.follower.done:
                            return
            else:
                chunk = read(await self._posted(url, body, call))
                finish = chunk.finish
                if finish is not None:
                    self._remember(pending, chunk)
                    pending.take(chunk)
        finally:
            pending.settle(len(call.path))
        if finish is None:
            raise Transient("the answer does not say why it ended")
        pending.ended(finish)

    async def _posted(self, url: str, body: dict[str, Any], call: Call) -> Any:
        try:
            return await self._client.post(url, body)
        except Refused as error:
            if error.status != 400 or not call.fills or self._vocabulary.numbered:
                raise
            raise EngineError(
                f"{error}; if the window is meant: lengths of prompts are estimates without a "
                "tokenizer; name a smaller ?context=TOKENS, or add ?tokenizer=PATH_OR_HUB"
            ) from error

    def _remember(self, pending: Pending, chunk: Chunk) -> None:
        """Keeps the likeliest first tokens for who asks for the next rank."""
        if pending.ranked and chunk.tokens:
            request = pending.request
            self._ranks[request.prompt, request.prefix] = chunk
            while len(self._ranks) > _KEPT_RANKS:
                self._ranks.popitem(last=False)
