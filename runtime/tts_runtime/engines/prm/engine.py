"""Reward models as scorer engines: `FAMILY:MODEL`, `orm:MODEL`, `auto:MODEL`."""

from __future__ import annotations

import logging
from asyncio import Future

from tts_runtime.engines.base import ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.batching.path_scorer import PathScorer, Recipe
from tts_runtime.engines.options import ScorerOptions
from tts_runtime.engines.prm.families import HeadKind
from tts_runtime.engines.prm.heads import head
from tts_runtime.engines.prm.recognise import open_family
from tts_runtime.engines.torch.model import Placement, TransformersModel

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
        opened = open_family(family, name, options.context, options.revision, layout=options.layout)
        reading, outline = opened.reading, opened.outline
        placement = Placement(options.device, options.dtype, options.threads)
        generative = reading.head is HeadKind.VERDICT
        model = TransformersModel(opened.files, placement, head=generative)
        self.card = model.card
        self.family = outline.name
        self.steps = outline.steps
        self.low, self.high = reading.low, reading.high
        self.exact = model.dtype == "float32"
        recipe = Recipe(outline, head(reading, opened.files, model))
        self.worker = PathScorer(recipe, model, options.rows, options.known_tokens, model.threads)
        self.chosen = f"{opened.chosen}, {model.device}, {model.dtype}, window {outline.context}"
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
