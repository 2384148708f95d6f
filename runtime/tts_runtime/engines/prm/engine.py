"""Reward models as scorer engines: `FAMILY:MODEL`, `orm:MODEL`, `auto:MODEL`."""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear, relu

from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.batching.path_scorer import PathScorer, Recipe
from tts_runtime.engines.hf.files import ModelFiles, tensors
from tts_runtime.engines.options import ScorerOptions
from tts_runtime.engines.prm.families import HeadKind, PrmSpec
from tts_runtime.engines.prm.recognise import open_family
from tts_runtime.engines.torch.model import Placement, TransformersModel

Head = Callable[[Tensor], list[float]]


def head(reading: PrmSpec, files: ModelFiles, model: TransformersModel) -> Head:
    """The head of a family.

    Raises:
        EngineError: Its weights are missing.
    """
    if reading.head is HeadKind.VERDICT:
        return verdict(model, *reading.signs)
    if reading.head is HeadKind.TOKEN_CLASSES:
        return classifier(files, model)
    if reading.head is HeadKind.SEQUENCE:
        return sequence(files, model)
    return value(files, model, sigmoid=reading.head is HeadKind.VALUE_SIGMOID)


def verdict(model: TransformersModel, good: int, bad: int) -> Head:
    """P(good) against P(bad) under the language-model head."""

    def judge(hidden: Tensor) -> list[float]:
        logits = model.logits(hidden)[:, [good, bad]].double()
        return _list(torch.softmax(logits, dim=-1)[:, 0])

    return judge


def value(files: ModelFiles, model: TransformersModel, *, sigmoid: bool) -> Head:
    """TRL's value head: `v_head.summary.weight` [1, hidden] and `v_head.summary.bias` [1]."""
    weight, bias = _weights(files, model, "v_head.summary.weight", "v_head.summary.bias")

    def judge(hidden: Tensor) -> list[float]:
        raw = linear(hidden.float(), weight, bias)[:, 0].double()
        return _list(torch.sigmoid(raw) if sigmoid else raw)

    return judge


def classifier(files: ModelFiles, model: TransformersModel) -> Head:
    """Qwen's token classifier: `score.0` [hidden, hidden], ReLU, `score.2` [2, hidden]."""
    names = ("score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias")
    first, first_bias, second, second_bias = _weights(files, model, *names)

    def judge(hidden: Tensor) -> list[float]:
        middle = relu(linear(hidden.float(), first, first_bias))
        logits = linear(middle, second, second_bias).double()
        return _list(torch.softmax(logits, dim=-1)[:, 1])

    return judge


def sequence(files: ModelFiles, model: TransformersModel) -> Head:
    """A sequence classifier's `score.weight` [labels, hidden].

    One label: the raw number. Two: the probability of the second.
    """
    (weight,) = _weights(files, model, "score.weight")

    def judge(hidden: Tensor) -> list[float]:
        logits = linear(hidden.float(), weight).double()
        return _list(logits[:, 0] if weight.shape[0] == 1 else torch.softmax(logits, dim=-1)[:, 1])

    return judge


def _weights(files: ModelFiles, model: TransformersModel, *names: str) -> list[Tensor]:
    found = tensors(files, names)
    missing = [name for name in names if name not in found]
    if missing:
        raise EngineError(
            f"`{files.name}`: the weights of its head are missing: {', '.join(missing)}"
        )
    return [found[name].to(model.device) for name in names]


def _list(scores: Tensor) -> list[float]:
    numbers: list[float] = scores.tolist()
    return numbers


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
        model = TransformersModel(opened.files, placement, head=generative, window=outline.context)
        self.card = model.card
        self.family = outline.name
        self.steps = outline.steps
        self.low, self.high = reading.low, reading.high
        self.exact, self.same_bits = model.dtype == "float32", False
        recipe = Recipe(outline, head(reading, opened.files, model))
        self.worker = PathScorer(recipe, model, options.rows, options.known_tokens)
        self.chosen = (
            f"{opened.chosen}, {model.device}, {model.dtype} ({self.exactness}), "
            f"window {outline.context}"
        )
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
