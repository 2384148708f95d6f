"""`vllm:MODEL`: any causal model that vLLM runs, as a policy with exact streams."""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio import Future
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from itertools import count
from math import nan
from pathlib import Path
from typing import Any, get_args

from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
)
from tts_runtime.engines.hf_files import card, model_files
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.policy_bindings import choose_binding
from tts_runtime.engines.requests import end_ids, fitted
from tts_runtime.engines.tracker import Tracker
from tts_runtime.engines.vllm import launch
from tts_runtime.engines.vllm.errors import explained
from tts_runtime.engines.vllm.options import POLICY_SHARE, VllmPolicyOptions
from tts_runtime.engines.vllm.wire import KEY, World, packed, read_value, read_values

_LOGGER = logging.getLogger(__name__)
_PROCESSOR = "tts_runtime.engines.vllm.processor:StreamProcessor"


class VllmPolicy(PolicyEngine):
    """Generates through vLLM's asynchronous engine: continuous batching, prefix caching.

    What stops a call is decided by `Tracker`, twice: in vLLM's worker, which then ends the request,
    and here, where the truth is. Ids that stop a call whatever the text are given to vLLM as well,
    so that most calls end without another token. Only with `stop_when` do tokens come one by one.

    Args:
        name: A model of the hub, or a folder.
        options: Binding, window, sizes, LoRA.

    Raises:
        EngineError, BindingError: The model or its binding cannot be used; the message says why.
    """

    tokenizer: HuggingFaceTokenizer

    def __init__(self, name: str, options: VllmPolicyOptions | None = None) -> None:
        launch.require_vllm()
        options = options or VllmPolicyOptions()
        files = model_files(name, options.revision)
        self.binding, chosen = choose_binding(files, options.binding, options.context)
        thinking = self.binding.thinking
        visible = (thinking.begin, thinking.end) if thinking else ()
        self.tokenizer = HuggingFaceTokenizer(files.folder, visible)
        self._ends = end_ids(self.tokenizer, self.binding)
        self._delimiter = self.binding.step_delimiter.encode()
        vocabulary = files.config.get("text_config", files.config).get("vocab_size")
        self._vocabulary = min(len(self.tokenizer.pieces), vocabulary or 1 << 60)
        self._closing = {
            token for token, piece in enumerate(self.tokenizer.pieces) if self._delimiter in piece
        }
        self._world = World(
            str(files.folder.resolve()),
            visible,
            tuple(self._ends),
            self.binding.step_delimiter,
            self._vocabulary,
        )
        given = launch.arguments(
            launch.model_folder(files.folder), options, POLICY_SHARE, self.binding.context
        )
        given |= {
            "logits_processors": [_PROCESSOR],
            "logprobs_mode": "processed_logits",
            "additional_config": self._world.packed(),
        }
        self._lora = _lora(options.lora)
        if self._lora is not None:
            given |= {"enable_lora": True, "max_lora_rank": self._lora[1]}
        self._slots = options.slots
        self.card = card(files)
        self._listing = launch.in_one_process(given)
        self._numbers = count()
        self._cancelled_tokens = 0
        self.discarded_tokens = 0
        # Narrow numbers round by batch shape: the same stream may then draw another token (C63).
        self.exact = given["dtype"] == "float32"
        self.service = launch.start(name, given, options)
        self.chosen = f"{chosen}, vLLM, {given['dtype']}, window {self.binding.context}"
        _LOGGER.info("policy `%s`: %s", name, self.chosen)

    @property
    def cancelled_tokens(self) -> int:
        """Drawn for requests that were cancelled."""
        return self._cancelled_tokens

    @property
    def load(self) -> Load:
        """Requests in vLLM: it works on as many as it has slots, if their keys and values fit."""
        running = min(self.unfinished, self._slots)
        return Load(running, self._slots, self.unfinished - running)

    @property
    def unfinished(self) -> int:
        """Requests that vLLM is working on or has waiting."""
        return int(self.service.client.get_num_unfinished_requests())

    async def forget(self) -> None:
        """Empties the prefix cache; nothing may be in flight."""
        await self.service.submit(self.service.client.reset_prefix_cache, False, True)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Starts one request; `stop_when` is called in the engine's thread."""
        return self.service.submit(self._answer, request)

    async def close(self) -> None:
        """Ends vLLM's processes."""
        await self.service.close()

    async def _answer(self, request: GenerateRequest) -> Generation:
        request = fitted(request, self.binding)
        self._check(request)
        tracker = Tracker(request, self.tokenizer, self._ends, self._delimiter)
        prefilled = 0
        try:
            while tracker.finish is None:
                prefilled += await self._stretch(tracker)
        finally:
            if tracker.finish is None:
                self._cancelled_tokens += tracker.drawn
        return tracker.result(prefilled)

    async def _stretch(self, tracker: Tracker) -> int:
        """Draws until vLLM or the tracker stops; gives the tokens that had to be read.

        vLLM may stop early, at an id that closes a step only after some text: then another stretch
        goes on from there, on the same stream.
        """
        from vllm.inputs import tokens_input

        request = tracker.request
        ids = [*request.prompt, *request.prefix, *tracker.partial.ids]
        name = str(next(self._numbers))
        replies: AsyncGenerator[Any, None] = self.service.client.generate(
            tokens_input(ids),
            self._parameters(tracker),
            name,
            priority=request.priority,
            **({} if self._lora is None else {"lora_request": self._lora[0]}),
        )
        read = len(ids)
        try:
            while tracker.finish is None:
                with explained(f"policy `{self.binding.name}`"):
                    reply = await self._next(replies, name, tracker)
                if reply is None:
                    break
                read = len(ids) - (reply.num_cached_tokens or 0)
                self._push(tracker, reply)
        finally:
            await replies.aclose()  # aborts what still runs
        return read

    async def _next(
        self, replies: AsyncGenerator[Any, None], name: str, tracker: Tracker
    ) -> Any | None:
        """vLLM's next reply. A cancelled request is aborted, and what it had drawn is counted."""
        pending = asyncio.ensure_future(anext(replies, None))
        try:
            return await asyncio.shield(pending)
        except asyncio.CancelledError:
            await self.service.client.abort(name)  # gives a last reply
            await asyncio.wait({pending}, timeout=0.1)
            last = None if pending.cancel() or pending.exception() else pending.result()
            if last is not None:
                self._push(tracker, last)
            raise

    def _push(self, tracker: Tracker, reply: Any) -> None:
        output = reply.outputs[0]
        values = self._read(tracker, reply)
        for place, token in enumerate(output.token_ids):
            if tracker.finish is not None:
                self.discarded_tokens += len(output.token_ids) - place
                return
            tracker.push(token, *next(values))

    def _read(self, tracker: Tracker, reply: Any) -> Iterator[tuple[float, tuple[float, ...]]]:
        """Log-probability and statistics of each token of a reply."""
        output, wanted = reply.outputs[0], tracker.request.statistics
        if self._listed(tracker):
            # An aborted request leaves its list behind: only how many tokens it drew is counted.
            values = (reply.kv_transfer_params or {KEY: [nan] * len(output.token_ids)})[KEY]
            yield from ((read_value(value), ()) for value in values)
            return
        flat = output.logprobs
        bounds = zip(flat.start_indices, flat.end_indices, strict=True)
        for token, (begin, end) in zip(output.token_ids, bounds, strict=True):
            values = dict(zip(flat.token_ids[begin:end], flat.logprobs[begin:end], strict=True))
            yield read_values(token, values, wanted, self._vocabulary)

    def _listed(self, tracker: Tracker) -> bool:
        """Whether the tokens' values come in one list at the end."""
        request = tracker.request
        return self._listing and not request.statistics and request.limits.stop_when is None

    def _parameters(self, tracker: Tracker) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        request, done = tracker.request, len(tracker.partial.ids)
        limits = request.limits
        rest = replace(
            request,
            prefix=(*request.prefix, *tracker.partial.ids),
            first_rank=request.first_rank if tracker.drawn == 0 else None,
            segments=tracker.segments,
            limits=replace(
                limits,
                steps=limits.steps and limits.steps - self._closed(tracker),
                at_least=max(0, limits.at_least - done),
            ),
        )
        most = min(limits.max_tokens, limits.unit_tokens or limits.max_tokens) - done
        seen = limits.stop_when is not None  # only then is every token looked at as it comes
        listed, wanted = self._listed(tracker), len(request.statistics)
        return SamplingParams(
            temperature=0.0,
            max_tokens=most,
            stop_token_ids=self._stops(tracker),
            ignore_eos=True,
            detokenize=False,
            logprobs=None if listed else wanted and wanted + 1,
            flat_logprobs=True,
            output_kind=RequestOutputKind.DELTA if seen else RequestOutputKind.FINAL_ONLY,
            extra_args=packed(rest, listed=listed),
            skip_clone=True,
        )

    def _stops(self, tracker: Tracker) -> list[int]:
        """Ids after which vLLM stops by itself."""
        limits = tracker.request.limits
        stops = {*self._ends, self._world.stop}
        if limits.steps == self._closed(tracker) + 1:
            stops |= self._closing
        if len(limits.thought) == 1:
            stops |= set(limits.thought)
        return sorted(stops)

    def _closed(self, tracker: Tracker) -> int:
        """Steps that this request has closed so far."""
        return len(tracker.segments.closed) - len(tracker.request.segments.closed)

    def _check(self, request: GenerateRequest) -> None:
        ids = (*request.prompt, *request.prefix)
        if not ids:
            raise EngineError("an empty prompt: the policy needs a token to go on from")
        if min(ids) < 0 or max(ids) >= self._vocabulary:
            wrong = next(token for token in ids if not 0 <= token < self._vocabulary)
            raise EngineError(
                f"token {wrong} is not in the vocabulary of `{self.binding.name}` "
                f"(0 to {self._vocabulary - 1}); was the text written by another policy?"
            )


def _lora(folder: str | None) -> tuple[Any, int] | None:
    """vLLM's request for an adapter, and the least rank of those that vLLM offers that holds it."""
    if folder is None:
        return None
    path = Path(folder).expanduser() / "adapter_config.json"
    try:
        rank = int(json.loads(path.read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(
            f"option `lora`: `{folder}` is no folder of a LoRA adapter ({path.name}: {error})"
        ) from error
    from vllm.config.lora import MaxLoRARanks
    from vllm.lora.request import LoRARequest

    offered = get_args(MaxLoRARanks)
    if rank > max(offered):
        raise EngineError(
            f"option `lora`: `{folder}` has rank {rank}; vLLM takes at most {max(offered)}"
        )
    room = min(offer for offer in offered if offer >= rank)
    return LoRARequest("adapter", 1, str(path.parent.resolve())), room
