"""`vllm:MODEL`: any causal model that vLLM runs, as a policy with exact streams."""

from __future__ import annotations

import json
import logging
from asyncio import Future, wait_for
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Any, Final

from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    Limits,
    Load,
    PolicyEngine,
    Sampling,
)
from tts_runtime.engines.hf.bindings import choose_binding
from tts_runtime.engines.hf.files import card, check_policy, model_files
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import end_ids, fitted
from tts_runtime.engines.vllm import launch
from tts_runtime.engines.vllm.core_client import CoreClient, PublicTransport
from tts_runtime.engines.vllm.generate_call import EngineContext, GenerateCall
from tts_runtime.engines.vllm.options import POLICY_SHARE, VllmPolicyOptions
from tts_runtime.engines.vllm.protocol import ProcessorConfig
from tts_runtime.engines.worker import at_once
from tts_runtime.steps import NOTHING

_LOGGER = logging.getLogger(__name__)
_PROCESSOR: Final = "tts_runtime.engines.vllm.processor:StreamProcessor"
#: Tokens that an undocumented part draws before it is trusted, and the seconds that it gets.
_TRIED: Final = 3
_SECONDS: Final = 30.0


class VllmPolicy(PolicyEngine):
    """Generates through vLLM's asynchronous engine: continuous batching, prefix caching.

    Args:
        name: A model of the hub, or a folder.
        options: Binding, window, sizes, LoRA.

    Raises:
        EngineError, BindingError: The model or its binding cannot be used; the message says why.
    """

    tokenizer: HuggingFaceTokenizer

    def __init__(self, name: str, options: VllmPolicyOptions | None = None) -> None:
        options = options or VllmPolicyOptions()
        files = model_files(name, options.revision)
        check_policy(files)
        self.binding, chosen = choose_binding(files, options.binding, options.context)
        thinking = self.binding.thinking
        visible = (thinking.begin, thinking.end) if thinking else ()
        self.tokenizer = HuggingFaceTokenizer(files.folder, visible)
        vocabulary = files.config.get("text_config", files.config).get("vocab_size")
        config = ProcessorConfig(
            str(files.folder.resolve()),
            visible,
            tuple(end_ids(self.tokenizer, self.binding)),
            self.binding.step_delimiter,
            min(len(self.tokenizer.pieces), vocabulary or 1 << 60),
        )
        further: dict[str, Any] = {
            "logits_processors": [_PROCESSOR],
            "logprobs_mode": "processed_logits",
            "additional_config": config.packed(),
        }
        adapter, rank = _lora(options.lora)
        if adapter is not None:
            further |= {"enable_lora": True, "max_lora_rank": rank}
        self._slots = options.slots
        self.card = card(files)
        delimiter = self.binding.step_delimiter.encode()
        pieces = enumerate(self.tokenizer.pieces)
        self._context = EngineContext(
            config,
            self.tokenizer,
            frozenset(token for token, piece in pieces if delimiter in piece),
            False,
            adapter,
            self._checked,
        )
        started = launch.start(
            name, files.folder, options, POLICY_SHARE, self.binding.context, further
        )
        self.exact, self.same_bits = started.exact, started.same_bits
        self.service = started.service
        who = f"policy `{self.binding.name}`"
        try:
            way, self._context, self._core = _fastest_way(started, self._context, who)
        except BaseException:
            at_once(self.service.close())
            raise
        self.chosen = f"{chosen}, {way}, window {self.binding.context}"
        _LOGGER.info("policy `%s`: %s", name, self.chosen)

    @property
    def cancelled_tokens(self) -> int:
        """Tokens drawn for requests that were cancelled."""
        return self._context.wasted.cancelled

    @property
    def load(self) -> Load:
        """Requests in vLLM, which runs as many as it has slots, if their keys and values fit."""
        running = min(self.unfinished, self._slots)
        return Load(running, self._slots, self.unfinished - running)

    @property
    def unfinished(self) -> int:
        """Requests that vLLM runs or has waiting."""
        return self._core.unfinished

    async def forget(self) -> None:
        """Empties the prefix cache; nothing may be in flight."""
        client = self.service.client
        await self.service.submit(client.reset_prefix_cache, False, True)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Starts one request; conditions are called in the engine's thread."""
        return self._core.submit(GenerateCall(request, self._context))

    async def close(self) -> None:
        """Ends vLLM's processes."""
        self._core.close()
        await self.service.close()

    def _checked(self, request: GenerateRequest) -> GenerateRequest:
        request = fitted(request, self.binding)
        ids = (*request.prompt, *request.prefix)
        if not ids:
            raise EngineError("an empty prompt: the policy needs a token to continue from")
        if min(ids) < 0 or max(ids) >= self._context.config.vocabulary:
            vocabulary = self._context.config.vocabulary
            wrong = next(token for token in ids if not 0 <= token < vocabulary)
            raise EngineError(
                f"token {wrong} is not in the vocabulary of `{self.binding.name}` "
                f"(0 to {vocabulary - 1}); was the text written by another policy?"
            )
        return request


def _fastest_way(
    started: launch.Started, context: EngineContext, who: str
) -> tuple[str, EngineContext, CoreClient[Generation]]:
    """The fastest way to an engine that draws what the public way draws, and its description.

    Each undocumented part answers one short request before it is trusted.
    """
    from tts_runtime.engines.vllm.internals import CoreTransport

    internals = started.internals
    public = CoreClient[Generation](started.service, who, PublicTransport())
    # The first token that is text, on a stream of its own.
    first = next(token for token, piece in enumerate(context.tokenizer.pieces) if piece)
    request = GenerateRequest((first,), (), bytes(16), Sampling(), Limits(_TRIED), NOTHING)

    async def draw(
        client: CoreClient[Generation], listing: bool, seconds: float | None
    ) -> Generation:
        call = GenerateCall(request, replace(context, listing=listing))
        return await wait_for(client.submit(call), seconds)

    def fails(client: CoreClient[Generation], *, listing: bool) -> str:
        """The fault of a way; empty if it has none."""
        try:
            found = at_once(draw(client, listing, _SECONDS))
        except TimeoutError:
            return "no reply"
        except Exception as error:  # noqa: BLE001  (whatever it is: the public way serves)
            return f"{type(error).__name__}: {error}"
        same = found.ids == expected.ids and all(
            isclose(one, other, abs_tol=1e-3)
            for one, other in zip(found.logprobs, expected.logprobs, strict=True)
        )
        return "" if same else "another reply than the public one"

    client, lists = public, False
    if internals.parts:
        expected = at_once(draw(public, False, None))
        if started.lists:
            wrong = fails(public, listing=True)
            lists = not wrong
            if wrong:
                internals = internals.without("connector", wrong)
        if "core" in internals.parts:
            transport = CoreTransport()
            core = CoreClient[Generation](started.service, who, transport, context.wasted.aborted)
            wrong = fails(core, listing=lists)
            if wrong:
                core.disconnect()
                internals = internals.without("core", wrong)
            else:
                client = core
    if internals is not started.internals:
        _LOGGER.warning("%s: %s: slower, with equal answers", who, internals.described)
        started = replace(started, internals=internals)
    return started.described, replace(context, listing=lists), client


def _lora(folder: str | None) -> tuple[Any | None, int]:
    """vLLM's `LoRARequest` of an adapter, and the lowest of vLLM's ranks that is enough for it."""
    if folder is None:
        return None, 0
    path = Path(folder).expanduser() / "adapter_config.json"
    try:
        rank = int(json.loads(path.read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(
            f"option `lora`: `{folder}` is no folder of a LoRA adapter ({path.name}: {error})"
        ) from error
    from vllm.lora.request import LoRARequest

    from tts_runtime.engines.vllm.internals import lora_ranks

    offered = lora_ranks()
    if rank > max(offered):
        raise EngineError(
            f"option `lora`: `{folder}` has rank {rank}; vLLM takes at most {max(offered)}"
        )
    room = min(each for each in offered if each >= rank)
    return LoRARequest("adapter", 1, str(path.parent.resolve())), room
