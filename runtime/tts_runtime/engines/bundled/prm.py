"""The bundled PRM: a small Llama that says `+` or `-` at the end of every step.

A step's score is the probability of `+` against `-` at the delimiter after it (the generative PRM
of Math-Shepherd's released models, Wang et al. 2024).
"""

from __future__ import annotations

from asyncio import Future
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tts_runtime.binding import BindingError
from tts_runtime.engines.base import ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.batching.path_scorer import PathScorer, Recipe
from tts_runtime.engines.bundled.llama import Floats, Llama
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.paths import Outline
from tts_runtime.engines.paths import Path as ScoredPath
from tts_runtime.tokens import Trusted, encode


class PrmBinding(BaseModel):
    """How a PRM is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: Literal["generative"]
    prompt: str = Field(description="What the steps follow; {problem} is the problem's text")
    delimiter: str = Field(default="\n\n", min_length=1)
    good: str
    bad: str
    range: tuple[float, float] = (0.0, 1.0)
    context: int = Field(gt=0)


class BundledPrm(ScorerEngine):
    """Scores steps with a Llama of a Hugging Face folder.

    Args:
        folder: `config.json`, weights, `tokenizer.json` and `binding.yaml`.
        rows: Paths read at once, at most.
        known_tokens: Tokens of scored paths whose keys and values are kept.

    Raises:
        EngineError, BindingError: The folder does not hold a PRM that can be run.
    """

    steps = True

    def __init__(self, folder: Path, rows: int = 64, known_tokens: int = 32_768) -> None:
        self.binding = load_prm_binding(folder / "binding.yaml")
        self.low, self.high = self.binding.range
        self._model = model = Llama(folder, self.binding.context)
        self.card = model.card
        lay_out = _Layout(self.binding, HuggingFaceTokenizer(folder))

        def judge(hidden: Floats) -> list[float]:
            good, bad = model.logits(hidden)[:, lay_out.signs].T
            scores: list[float] = (1 / (1 + np.exp(bad - good))).tolist()
            return scores

        self.outline = Outline(self.binding.name, lay_out, self.binding.context)
        recipe = Recipe(self.outline, judge)
        self._worker = PathScorer(recipe, model, rows, known_tokens)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Queues one path; the delimiter follows its last step, closed or not."""
        return self._worker.submit(request)

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self._worker.close()
        self._model.close()


class _Layout:
    """The prompt, then the steps, the delimiter after each: read at the delimiters."""

    def __init__(self, binding: PrmBinding, tokenizer: HuggingFaceTokenizer) -> None:
        self._binding = binding
        self._tokenizer = tokenizer
        self._delimiter = tokenizer.encode(binding.delimiter)
        # Paths of a search share most of their steps.
        self._encoded = lru_cache(1 << 14, typed=True)(partial(encode, tokenizer))
        self._prompt = [Trusted(part) for part in binding.prompt.split("{problem}")]
        self.signs = [self._sign(binding.good), self._sign(binding.bad)]

    def __call__(self, request: ScoreRequest) -> ScoredPath:
        prompt = self._prompt[0]
        for part in self._prompt[1:]:
            prompt = prompt + request.problem + part
        ids = [*self._encoded(prompt)]
        places = []
        for step in request.steps:
            ids += self._encoded(step.strip())
            ids += self._delimiter
            places.append(len(ids) - 1)
        return ScoredPath(tuple(ids), tuple(places))

    def _sign(self, text: str) -> int:
        ids = self._tokenizer.encode(text)
        if len(ids) != 1:
            raise BindingError(
                f"binding of `{self._binding.name}`: {text!r} is {len(ids)} tokens, but a verdict "
                "is read from a single one"
            )
        return ids[0]


def load_prm_binding(path: Path) -> PrmBinding:
    """Reads a PRM's binding file; a `BindingError` names every key that is wrong."""
    try:
        return PrmBinding.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BindingError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BindingError(f"{path}: is not YAML: {error}") from error
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise BindingError("\n".join([f"{path}: wrong binding of a PRM", *lines])) from error
