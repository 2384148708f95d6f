"""Any causal model of transformers as a policy: hub id or folder, CPU or GPU, exact streams."""

from __future__ import annotations

import logging
from asyncio import Future

from tts_runtime.engines.base import GenerateRequest, Generation, Load, PolicyEngine
from tts_runtime.engines.batching.decoder import Decoder
from tts_runtime.engines.hf.bindings import choose_binding
from tts_runtime.engines.hf.files import check_policy, model_files
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.options import PolicyOptions
from tts_runtime.engines.torch.model import Placement, TransformersModel

_LOGGER = logging.getLogger(__name__)


class TransformersPolicy(PolicyEngine):
    """Generates through transformers' own forward pass, with continuous batching.

    Args:
        name: A model of the hub, or a folder.
        options: Binding, window, device, dtype, sizes.

    Raises:
        EngineError, BindingError: The model or its binding cannot be used; the message says why.
    """

    tokenizer: HuggingFaceTokenizer

    def __init__(self, name: str, options: PolicyOptions | None = None) -> None:
        options = options or PolicyOptions()
        files = model_files(name, options.revision)
        check_policy(files)
        self.binding, chosen = choose_binding(files, options.binding, options.context)
        thinking = self.binding.thinking
        visible = (thinking.begin, thinking.end) if thinking else ()
        self.tokenizer = HuggingFaceTokenizer(files.folder, visible)
        placement = Placement(options.device, options.dtype, options.threads)
        self.model = TransformersModel(files, placement, window=self.binding.context)
        self.card = self.model.card
        # Numbers round by batch shape, narrow ones so that a stream may draw another token (C63).
        self.exact, self.same_bits = self.model.dtype == "float32", False
        self.decoder = Decoder(
            self.model,
            self.tokenizer,
            self.binding,
            options.slots,
            options.known_tokens,
        )
        self.chosen = (
            f"{chosen}, {self.model.device}, {self.model.dtype} ({self.exactness}), "
            f"window {self.binding.context}"
        )
        _LOGGER.info("policy `%s`: %s", name, self.chosen)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Queues one request for the batch; conditions are called in the engine's thread."""
        return self.decoder.submit(request)

    @property
    def load(self) -> Load:
        """Rows that decode, and requests that wait."""
        return self.decoder.load

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self.decoder.close()
