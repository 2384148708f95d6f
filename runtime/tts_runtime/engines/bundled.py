"""The bundled policy: a small Llama on CPU, with continuous batching and prefix reuse.

A row's last prompt token is read in the same decoding step as all rows' newest tokens, never while
prefilling. So a path continued later goes through the same kernels as a path written in one go, and
a request whose prefix is known costs one token.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from pathlib import Path

import torch

from tts_runtime.binding import load_binding
from tts_runtime.engines.base import EngineError, GenerateRequest, Generation, PolicyEngine
from tts_runtime.engines.batch import Batch, Row
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.llama import Llama
from tts_runtime.engines.prefix_reader import PrefixReader
from tts_runtime.engines.requests import end_ids, fitted
from tts_runtime.engines.tracker import Tracker
from tts_runtime.engines.worker import Job, Worker

GenerateJob = Job[GenerateRequest, Generation]


class BundledPolicy(PolicyEngine):
    """Generates with a Llama of a Hugging Face folder.

    Args:
        folder: `config.json`, weights, `tokenizer.json` and `binding.yaml`.
        slots: Rows that decode at once; more requests wait.
        known_tokens: Tokens of finished paths whose keys and values are kept (4 KB each for the
            bundled policy).
        threads: Threads of one matrix product. One leaves the other core to the scorer, and small
            products gain little by more.

    Raises:
        EngineError, BindingError: The folder does not hold a policy that can be run.
    """

    def __init__(
        self, folder: Path, slots: int = 64, known_tokens: int = 32_768, threads: int = 1
    ) -> None:
        self.binding = load_binding(folder / "binding.yaml")
        thinking = self.binding.thinking
        visible = (thinking.begin, thinking.end) if thinking else ()
        self.tokenizer = HuggingFaceTokenizer(folder, visible)
        self.model = Llama(folder, self.binding.context)
        self._worker = _Decoder(self, slots, known_tokens, threads)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Queues one request for the batch; `stop_when` is called in the engine's thread."""
        return self._worker.submit(request)

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self._worker.close()


class _Decoder(Worker[GenerateRequest, Generation]):
    """Admits requests to free slots, and advances all slots by a token per turn."""

    def __init__(self, engine: BundledPolicy, slots: int, known_tokens: int, threads: int) -> None:
        super().__init__(f"policy `{engine.binding.name}`")
        self._binding = engine.binding
        self._tokenizer = engine.tokenizer
        self._ends = end_ids(engine.tokenizer, engine.binding)
        self._delimiter = engine.binding.step_delimiter.encode()
        self._vocabulary = min(len(engine.tokenizer.pieces), engine.model.shape.vocabulary)
        self._threads = threads
        self._slots = slots
        self._waiting: deque[GenerateJob] = deque()
        self._reader = PrefixReader(engine.model, known_tokens, block=False)
        self._batch = Batch(engine.model, self._vocabulary, slots)

    def turn(self, arrived: list[GenerateJob]) -> bool:
        """Admits, draws one token per row, hands out what is finished."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            self._waiting.extend(arrived)
            self._release([row for row in self._batch.rows if row.job.future.cancelled()])
            if self._waiting:
                self._admit()
            if self._batch.rows:
                finished = self._batch.step()
                self._answer(finished)
                self._release(finished)
            self._reader.trim()
        return bool(self._batch.rows or self._waiting)

    def reset(self) -> None:
        """Empties slots and queue."""
        self._waiting.clear()
        self._batch.clear()

    def _admit(self) -> None:
        rows: list[Row] = []
        free = self._slots - len(self._batch.rows)
        while self._waiting and len(rows) < free:
            job = self._waiting.popleft()
            if job.future.cancelled():
                self.drop(job)
                continue
            try:
                request = fitted(job.request, self._binding)
                self._check(request)
            except EngineError as error:
                self.fail([job], error)
                continue
            tracker = Tracker(request, self._tokenizer, self._ends, self._delimiter)
            rows.append(Row(job, tracker, [*request.prompt, *request.prefix]))
        texts = [tuple(row.read) for row in rows]
        readings = self._reader.read([(text, len(text)) for text in texts])
        for row, text, reading in zip(rows, texts, readings, strict=True):
            row.prefilled = len(row.ids) - reading.start
            self._batch.add(row)
            self._reader.load(text, self._batch.cache, row.slot)

    def _check(self, request: GenerateRequest) -> None:
        ids = (*request.prompt, *request.prefix)
        if not ids:
            raise EngineError("an empty prompt: the policy needs a token to go on from")
        if min(ids) < 0 or max(ids) >= self._vocabulary:
            wrong = next(token for token in ids if not 0 <= token < self._vocabulary)
            raise EngineError(
                f"token {wrong} is not in the vocabulary of `{self._binding.name}` "
                f"(0 to {self._vocabulary - 1}); was the text written by another policy?"
            )

    def _answer(self, rows: list[Row]) -> None:
        self.finish(
            [(row.job, row.tracker.result(row.prefilled)) for row in rows if row.error is None]
        )
        for row in rows:
            if row.error is not None:
                self.fail([row.job], row.error)

    def _release(self, rows: list[Row]) -> None:
        """Frees slots; what was read stays known."""
        for row in rows:
            # After its last draw a row's ids are all read: the drawn token was not appended.
            ids = row.ids if row.tracker.finish is not None else row.read
            self._reader.remember(ids, self._batch.cache, row.slot)
            self._batch.remove(row)
            self.drop(row.job)
