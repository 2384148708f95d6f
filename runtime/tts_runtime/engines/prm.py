"""The bundled PRM: a small Llama that says `+` or `-` at the end of every step.

A step's score is the probability of `+` against `-` at the delimiter after it (the generative PRM
of Math-Shepherd's released models, Wang et al. 2024).
"""

from __future__ import annotations

from asyncio import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tts_runtime.binding import BindingError
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.llama import Llama
from tts_runtime.engines.prefix_reader import PrefixReader, Reading
from tts_runtime.engines.worker import Job, Worker

ScoreJob = Job[ScoreRequest, ScoreReply]


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


@dataclass(frozen=True, slots=True)
class _Text:
    """A path as the PRM reads it: ids, and the position that each wanted score is read at."""

    job: ScoreJob
    ids: tuple[int, ...]
    places: tuple[int, ...]


class BundledPrm(ScorerEngine):
    """Scores steps with a Llama of a Hugging Face folder.

    Args:
        folder: `config.json`, weights, `tokenizer.json` and `binding.yaml`.
        rows: Paths read at once, at most.
        known_tokens: Tokens of scored paths whose keys and values are kept.
        threads: Threads of one matrix product.

    Raises:
        EngineError, BindingError: The folder does not hold a PRM that can be run.
    """

    steps = True

    def __init__(
        self, folder: Path, rows: int = 64, known_tokens: int = 32_768, threads: int = 1
    ) -> None:
        self.binding = load_prm_binding(folder / "binding.yaml")
        self.low, self.high = self.binding.range
        self._worker = _StepScorer(folder, self.binding, rows, known_tokens, threads)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Queues one path; the delimiter follows its last step, closed or not."""
        return self._worker.submit(request)

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self._worker.close()


class _StepScorer(Worker[ScoreRequest, ScoreReply]):
    def __init__(
        self, folder: Path, binding: PrmBinding, rows: int, known_tokens: int, threads: int
    ) -> None:
        super().__init__(f"scorer `{binding.name}`")
        self._binding = binding
        self._tokenizer = HuggingFaceTokenizer(folder)
        self._model = Llama(folder, binding.context)
        self._reader = PrefixReader(self._model, known_tokens, block=True)
        self._delimiter = self._tokenizer.encode(binding.delimiter)
        self._signs = [self._sign(binding.good), self._sign(binding.bad)]
        self._rows = rows
        self._threads = threads
        self._waiting: list[ScoreJob] = []

    def turn(self, arrived: list[ScoreJob]) -> bool:
        """Scores as many waiting paths as fit one batch."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        self._waiting += arrived
        texts: list[_Text] = []
        taken, self._waiting = self._waiting[: self._rows], self._waiting[self._rows :]
        for job in taken:
            if job.future.cancelled():
                self.drop(job)
                continue
            if len(job.request.steps) <= job.request.known:
                self.finish([(job, ScoreReply(()))])
                continue
            try:
                texts.append(self._text(job))
            except EngineError as error:
                self.fail([job], error)
        with torch.inference_mode():
            readings = self._reader.read([(text.ids, text.places[0]) for text in texts])
            self.finish(
                [
                    (text.job, self._reply(text, reading))
                    for text, reading in zip(texts, readings, strict=True)
                ]
            )
            self._reader.trim()
        return bool(self._waiting)

    def reset(self) -> None:
        """Empties the queue."""
        self._waiting.clear()

    def _text(self, job: ScoreJob) -> _Text:
        request = job.request
        prompt = self._binding.prompt.replace("{problem}", request.problem)
        ids = [*self._tokenizer.encode(prompt)]
        places = []
        for number, step in enumerate(request.steps):
            ids += self._tokenizer.encode(step.strip())
            ids += self._delimiter
            if number >= request.known:
                places.append(len(ids) - 1)
        if len(ids) > self._binding.context:
            raise EngineError(
                f"a path of {len(ids)} tokens is too long for scorer `{self._binding.name}`, which "
                f"reads {self._binding.context}; bound the path with `within` or `max`"
            )
        return _Text(job, tuple(ids), tuple(places))

    def _reply(self, text: _Text, reading: Reading) -> ScoreReply:
        begin = len(text.ids) - reading.hidden.shape[0]
        hidden = reading.hidden[[place - begin for place in text.places]]
        logits = self._model.logits(hidden)[:, self._signs].double()
        scores = torch.softmax(logits, dim=-1)[:, 0].tolist()
        return ScoreReply(tuple(scores), len(text.ids) - reading.start)

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
