"""`vllm:MODEL`: any causal model that vLLM runs, as a policy with exact streams."""

from __future__ import annotations

import json
import logging
from asyncio import Future
from pathlib import Path
from typing import Any, get_args

from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
)
from tts_runtime.engines.hf.bindings import choose_binding
from tts_runtime.engines.hf.files import card, model_files
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.requests import end_ids, fitted
from tts_runtime.engines.vllm import launch
from tts_runtime.engines.vllm.core_client import CoreClient
from tts_runtime.engines.vllm.generate_call import EngineContext, GenerateCall
from tts_runtime.engines.vllm.options import POLICY_SHARE, VllmPolicyOptions
from tts_runtime.engines.vllm.protocol import ProcessorConfig

_LOGGER = logging.getLogger(__name__)
_PROCESSOR = "tts_runtime.engines.vllm.processor:StreamProcessor"


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
        launch.require_vllm()
        options = options or VllmPolicyOptions()
        files = model_files(name, options.revision)
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
        given = launch.arguments(
            launch.model_folder(files.folder), options, POLICY_SHARE, self.binding.context
        )
        given |= {
            "logits_processors": [_PROCESSOR],
            "logprobs_mode": "processed_logits",
            "additional_config": config.packed(),
        }
        adapter, rank = _lora(options.lora)
        if adapter is not None:
            given |= {"enable_lora": True, "max_lora_rank": rank}
        self._slots = options.slots
        self.card = card(files)
        delimiter = self.binding.step_delimiter.encode()
        self._context = EngineContext(
            config,
            self.tokenizer,
            frozenset(n for n, piece in enumerate(self.tokenizer.pieces) if delimiter in piece),
            launch.in_one_process(given),
            adapter,
            self._checked,
        )
        # Narrow numbers round by batch shape: the same stream may then draw another token (C63).
        self.exact = given["dtype"] == "float32"
        self.service = launch.start(name, given, options)
        self._core: CoreClient[Generation] = CoreClient(
            self.service, f"policy `{self.binding.name}`"
        )
        self.chosen = f"{chosen}, vLLM, {given['dtype']}, window {self.binding.context}"
        _LOGGER.info("policy `%s`: %s", name, self.chosen)

    @property
    def cancelled_tokens(self) -> int:
        """Drawn for requests that were cancelled."""
        return self._context.wasted.cancelled

    @property
    def discarded_tokens(self) -> int:
        """Drawn behind what stopped a request."""
        return self._context.wasted.discarded

    @property
    def load(self) -> Load:
        """Requests in vLLM: it works on as many as it has slots, if their keys and values fit."""
        running = min(self.unfinished, self._slots)
        return Load(running, self._slots, self.unfinished - running)

    @property
    def unfinished(self) -> int:
        """Requests that vLLM is working on or has waiting."""
        return self._core.unfinished

    async def forget(self) -> None:
        """Empties the prefix cache; nothing may be in flight."""
        await self.service.submit(self.service.client.reset_prefix_cache, False, True)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Starts one request; conditions are called in the engine's thread."""
        return self._core.ask(GenerateCall(request, self._context))

    async def close(self) -> None:
        """Ends vLLM's processes."""
        self._core.close()
        await self.service.close()

    def _checked(self, request: GenerateRequest) -> GenerateRequest:
        request = fitted(request, self.binding)
        ids = (*request.prompt, *request.prefix)
        if not ids:
            raise EngineError("an empty prompt: the policy needs a token to go on from")
        if min(ids) < 0 or max(ids) >= self._context.config.vocabulary:
            vocabulary = self._context.config.vocabulary
            wrong = next(token for token in ids if not 0 <= token < vocabulary)
            raise EngineError(
                f"token {wrong} is not in the vocabulary of `{self.binding.name}` "
                f"(0 to {vocabulary - 1}); was the text written by another policy?"
            )
        return request


def _lora(folder: str | None) -> tuple[Any | None, int]:
    """vLLM's request for an adapter, and the least rank of those that vLLM offers that holds it."""
    if folder is None:
        return None, 0
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
