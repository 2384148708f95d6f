"""Reward models as scorer engines: `FAMILY:MODEL`, `orm:MODEL`, `auto:MODEL`."""

from __future__ import annotations

import logging
from asyncio import Future

from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.hf_files import model_files
from tts_runtime.engines.hf_model import Placement, TransformersModel
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.options import ScorerOptions
from tts_runtime.engines.path_scorer import PathScorer, Recipe
from tts_runtime.engines.prm_families.families import TABLE, Opened
from tts_runtime.engines.prm_families.recognise import recognise

_LOGGER = logging.getLogger(__name__)


class FamilyScorer(ScorerEngine):
    """A reward model of a known family, through transformers.

    Args:
        family: A name of `TABLE`, or `auto`.
        name: A model of the hub, or a folder.
        options: Window, device, dtype, sizes.

    Raises:
        EngineError: The model cannot be loaded, or is not of this family.
    """

    def __init__(self, family: str, name: str, options: ScorerOptions | None = None) -> None:
        options = options or ScorerOptions()
        files = model_files(name, options.revision)
        tokenizer = HuggingFaceTokenizer(files.folder)
        why = "asked for"
        if family == "auto":
            family, why = recognise(files, tokenizer)
        context = options.context or files.context
        if context is None:
            raise EngineError(f"`{name}` does not say its window: add `?context=TOKENS`")
        placement = Placement(options.device, options.dtype, options.threads)
        model = TransformersModel(files, placement, head=TABLE[family].generative)
        reading = TABLE[family].read(Opened(family, files, tokenizer, model))
        self.family = family
        self.steps = TABLE[family].steps
        self.low, self.high = reading.low, reading.high
        self.exact = model.dtype == "float32"
        recipe = Recipe(family, reading.lay_out, reading.judge, context, self.steps)
        self.worker = PathScorer(recipe, model, options.rows, options.known_tokens, model.threads)
        self.chosen = f"family {family} ({why}), {model.device}, {model.dtype}, window {context}"
        _LOGGER.info("scorer `%s`: %s", name, self.chosen)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Queues one path for the next batch."""
        return self.worker.submit(request)

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self.worker.close()


def load_family(family: str, name: str, options: ScorerOptions) -> ScorerEngine:
    """The scorer of `FAMILY:MODEL`."""
    return FamilyScorer(family, name, options)
