"""The bundled policy: a small Llama on CPU, with continuous batching and prefix reuse."""

from __future__ import annotations

from asyncio import Future
from pathlib import Path

from tts_runtime.binding import BindingError, load_binding
from tts_runtime.engines.base import GenerateRequest, Generation, Load, PolicyEngine
from tts_runtime.engines.batching.decoder import Decoder
from tts_runtime.engines.bundled.llama import Llama
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer


class BundledPolicy(PolicyEngine):
    """Generates with a Llama of a Hugging Face folder.

    Args:
        folder: `config.json`, weights, `tokenizer.json` and `binding.yaml`.
        slots: Rows that decode at once; more requests wait.
        known_tokens: Tokens of finished paths whose keys and values are kept (4 KB each for the
            bundled policy).

    Raises:
        EngineError, BindingError: The folder does not hold a policy that can be run.
    """

    def __init__(self, folder: Path, slots: int = 64, known_tokens: int = 32_768) -> None:
        self.binding = load_binding(folder / "binding.yaml")
        if self.binding.chat_template:
            raise BindingError(
                f"{folder / 'binding.yaml'}: `chat_template` needs the transformers engine: bind "
                f"`transformers:{folder}`"
            )
        thinking = self.binding.thinking
        visible = (thinking.begin, thinking.end) if thinking else ()
        self.tokenizer = HuggingFaceTokenizer(folder, visible)
        self.model = Llama(folder, self.binding.context)
        self.card = self.model.card
        self._worker = Decoder(self.model, self.tokenizer, self.binding, slots, known_tokens)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Queues one request for the batch; conditions are called in the engine's thread."""
        return self._worker.submit(request)

    @property
    def cancelled_tokens(self) -> int:
        """Counted by the engine's thread, so what was cancelled just now may still grow."""
        return self._worker.cancelled_tokens

    @property
    def load(self) -> Load:
        """Rows that decode, and requests that wait."""
        return self._worker.load

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self._worker.close()
        self.model.close()
