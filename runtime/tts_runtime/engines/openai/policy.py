"""Any OpenAI-compatible server as a policy: vLLM, SGLang, llama.cpp, Ollama, hosted models.

Requests of all problems run concurrently, up to a limit. Texts depend on the server's random
numbers, so runs are marked as not exact; seeds are taken from the streams.
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

from tts_lang.regex import RegexError, compiled
from tts_runtime.engines.base import (
    Ability,
    CandidateError,
    EngineError,
    Fault,
    Finish,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
)
from tts_runtime.engines.http.address import find_key, parse_address
from tts_runtime.engines.http.client import HttpClient, Refused
from tts_runtime.engines.http.fields import Fields
from tts_runtime.engines.http.retry import Clock, Spoilt, Transient
from tts_runtime.engines.in_flight import InFlight
from tts_runtime.engines.openai.calls import PendingGeneration
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.payloads import PayloadWriter
from tts_runtime.engines.openai.replies import Chunk, Usage, read, unfinished
from tts_runtime.engines.openai.sampled import Vocabulary
from tts_runtime.engines.openai.setup import ServerSetup, lacking, open_server
from tts_runtime.engines.stopping import end_ids, fitted
from tts_runtime.engines.worker import at_once
from tts_runtime.thoughts import behind_thoughts
from tts_runtime.tokens import TEXT, to_bytes, to_text

_LOGGER = logging.getLogger(__name__)

#: Codes of errors about the content of a request or an answer.
_FILTERED: Final = ("content_filter", "content_policy_violation", "data_inspection_failed")
#: Requests that vLLM runs at once unless told otherwise; servers do not say (`max_num_seqs`).
_VLLM_SLOTS: Final = 256
#: Cached lists of likeliest tokens, for requests of one rank after another.
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
    masks = False

    def __init__(
        self, name: str, options: ServerOptions | None = None, clock: Clock | None = None
    ) -> None:
        options = options or ServerOptions()
        address = parse_address(f"openai:{name}", name, options.api_version)
        key = find_key(options.key_env, options.key_header)
        self._fields = Fields(address.base, options.omit, options.extra)

        async def opening() -> ServerSetup:
            client = HttpClient(address, key, options, clock).to_open()
            try:
                return await open_server(client, options, self._fields)
            finally:
                await client.close()

        opened = at_once(opening())
        served = opened.served
        limits = options
        if served.vllm and "concurrency" not in options.model_fields_set:
            limits = options.model_copy(update={"concurrency": _VLLM_SLOTS})
        self._client = HttpClient(address, key, limits, clock)
        own_ids = opened.tokenizer is not TEXT
        self.binding = opened.binding
        self.tokenizer = opened.tokenizer
        self.chosen = opened.chosen
        self.spares_logprobs = served.numbered
        self.lacks = lacking(served, own_ids=own_ids)
        self._served = served
        ends = end_ids(self.tokenizer, self.binding) if own_ids else frozenset[int]()
        thinking = self.binding.thinking
        marks = (thinking.begin, thinking.end) if thinking is not None else ()
        self._vocabulary = Vocabulary(self.tokenizer, ends, self.binding.stop, marks)
        self._payloads = PayloadWriter(
            served,
            self.binding,
            self.tokenizer,
            ends,
            begin=opened.begin,
            adds=not own_ids and served.opening is None,
        )
        self._ranks: OrderedDict[tuple[tuple[int, ...], ...], Chunk] = OrderedDict()
        self._in_flight: InFlight[Generation] = InFlight()
        self._cancelled = 0
        self._cut_said = self._misspelt_said = False
        self._slots = limits.concurrency
        _LOGGER.info("policy `%s`: %s", served.model, self.chosen)

    @property
    def cancelled_tokens(self) -> int:
        """Tokens of cancelled streams; those of other requests are unknown."""
        return self._cancelled

    @property
    def load(self) -> Load:
        """Requests at the server, and those waiting for a connection."""
        return self._in_flight.load(self._slots)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Sends a request as soon as a connection is free; cancelling it closes the connection."""
        return self._in_flight.start(self._generate(request))

    async def close(self) -> None:
        """Cancels what is in flight and closes the connections."""
        await self._in_flight.cancel()
        await self._client.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        request = fitted(request, self.binding)
        wanted = tuple(
            name for name in request.statistics if Ability[name.upper()] not in self.lacks
        )
        request = replace(request, statistics=wanted)
        pending = PendingGeneration(request, self._served, self.binding, self._vocabulary)
        try:
            while not pending.tracker.done:
                if not self._known_rank(pending):
                    await self._client.retried(partial(self._attempt, pending), request.priority)
        except asyncio.CancelledError:
            self._cancelled += pending.tracker.received
            raise
        except CandidateError as error:
            error.drawn, error.prefilled = pending.spent
            raise
        except Refused as error:
            if error.words.code not in _FILTERED:
                raise
            # Azure refuses the request where other servers cut the answer.
            raise CandidateError(Fault.FILTERED, str(error)) from error
        if pending.cut is not None:
            self._say_cut(pending.cut)
        if pending.misspelt:
            self._say_misspelt()
        found = pending.result()
        self._check_form(request, found)
        return found

    def _check_form(self, request: GenerateRequest, found: Generation) -> None:
        """Servers ignore fields that they do not know."""
        pattern = request.limits.matching
        if not pattern or found.finish is not Finish.END:
            return
        thinking = self.binding.thinking
        text = to_text(to_bytes(self.tokenizer, found.ids))
        text = behind_thoughts(text, None if thinking is None else thinking.end)
        try:
            form = compiled(pattern)
        except RegexError:  # of very many options
            return
        if not (form.matches(text) or form.matches(text.strip())):
            raise EngineError(
                f"server {self._client.address.base} answered {text[:60]!r} where it was to match "
                f"`{pattern[:60]}`: it seems to ignore the field for it; bind an engine in this "
                "process (`transformers:MODEL`), or a newer server"
            )

    def _say_cut(self, tokens: int) -> None:
        """Warns once that the server cuts answers before their limit."""
        if not self._cut_said:
            self._cut_said = True
            _LOGGER.warning(
                "server %s cut an answer after %d tokens, at a limit of its own, although there "
                "was room for more: such answers stay as they are; raise the limit there, or set "
                "the window with ?context=TOKENS",
                self._client.address.base,
                tokens,
            )

    def _say_misspelt(self) -> None:
        """Warns once that the server's tokens are not those of its texts."""
        if not self._misspelt_said:
            self._misspelt_said = True
            _LOGGER.warning(
                "server %s lists tokens that do not spell its answer: the text counts, without "
                "their log-probabilities",
                self._client.address.base,
            )

    def _known_rank(self, pending: PendingGeneration) -> bool:
        """Takes the first token of a rank from a cached list."""
        request = pending.request
        known = self._ranks.get((request.prompt, request.prefix)) if pending.ranked else None
        if known is None:
            return False
        pending.take(known)
        return True

    async def _attempt(self, pending: PendingGeneration) -> None:
        """Continues a generation by one HTTP request; tokens received before a failure stay."""
        call = pending.call(again=not pending.continues)
        body = self._payloads.write(pending.request, call)
        finish: str | None = None
        try:
            finish = await self._fields.adapted(
                body, partial(self._finish, pending), fills=call.fills
            )
        finally:
            pending.settle(len(call.path))
        if finish is None:
            raise Spoilt("the answer does not say why it ended")
        pending.ended(finish)

    async def _finish(self, pending: PendingGeneration, body: dict[str, Any]) -> str | None:
        """Sends a request and takes its reply; returns why it ended."""
        try:
            return await self._sent(pending, body)
        except Refused as error:
            if not unfinished(error.words.reason):
                raise
            pending.exhausted()
            return "length"

    async def _sent(self, pending: PendingGeneration, body: dict[str, Any]) -> str | None:
        """The same, for a reply that is no error."""
        url = f"{self._client.address.base}/{self._payloads.place}"
        streamed = bool(body.get("stream"))
        pending.sent(self._fields.limit_in(body), streamed=streamed)
        finish: str | None = None
        usage: Usage | None = None
        if streamed:
            last: Chunk | None = None
            unmarked = False  # a piece came without one: the first `stop` is the end
            async with aclosing(self._client.events(url, body)) as events:
                try:
                    async for event in events:
                        chunk = read(event, piece=True, bare=pending.bare)
                        usage = chunk.usage or usage
                        if last is None and chunk.finish != "stop":
                            pending.take(chunk)
                            finish = finish or chunk.finish
                            unmarked = unmarked or chunk.spoken
                        elif last is None:
                            last = chunk
                        elif chunk.spoken:
                            # Some servers say `stop` with every piece (Gemini's models).
                            pending.take(replace(last, finish=None, stop=None))
                            last = replace(chunk, finish=chunk.finish or last.finish)
                        elif chunk.finish:
                            last = replace(last, finish=chunk.finish, stop=chunk.stop)
                        if last is not None:
                            finish = last.finish
                        counts = chunk.finish is None and not chunk.spoken
                        if finish and chunk.usage and (last is None or unmarked or counts):
                            break
                        if pending.tracker.done and (finish is None or last is not None):
                            return "stop"
                except Transient:
                    if finish is None:  # otherwise only the counts are missing
                        raise
            if last is not None:
                pending.take(replace(last, usage=usage))
            if finish is None and (finish := pending.unsaid(usage)):
                pending.take(Chunk("", (), finish, None, None))
        else:
            chunk = read(await self._client.post(url, body), bare=pending.bare)
            if chunk.finish is None:
                chunk = replace(chunk, finish=pending.unsaid(chunk.usage))
            finish = chunk.finish
            if finish is not None:
                self._remember(pending, chunk)
                pending.take(chunk)
        return finish

    def _remember(self, pending: PendingGeneration, chunk: Chunk) -> None:
        """Caches the likeliest first tokens for requests of other ranks."""
        if pending.ranked and chunk.tokens:
            request = pending.request
            self._ranks[request.prompt, request.prefix] = chunk
            while len(self._ranks) > _KEPT_RANKS:
                self._ranks.popitem(last=False)
