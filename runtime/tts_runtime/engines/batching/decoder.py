"""Continuous batching with prefix reuse, for every causal model that runs in this process.

A row's last prompt token is read in the same decoding step as all rows' newest tokens, never while
prefilling. So a path continued later goes through the same kernels as a path written in one go, and
a request whose prefix is known costs one token.
"""

from __future__ import annotations

import logging
from heapq import heappop, heappush

from tts_runtime.binding import Binding
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    GenerateRequest,
    Generation,
    Load,
)
from tts_runtime.engines.batching.batch import Batch, BatchRow
from tts_runtime.engines.batching.forward import Forward
from tts_runtime.engines.batching.memory import out_of_memory
from tts_runtime.engines.batching.prefix_reader import PrefixReader
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import StopCriteria, end_ids, fitted
from tts_runtime.engines.worker import Job, Worker

GenerateJob = Job[GenerateRequest, Generation]

_LOGGER = logging.getLogger(__name__)


class Decoder(Worker[GenerateRequest, Generation]):
    """Admits requests to free slots, and advances all slots by a token per turn.

    Args:
        model: Computes logits.
        tokenizer, binding: Decide when a request is complete.
        slots: Rows that decode at once; more requests wait. Halved whenever memory runs out.
        known_tokens: Tokens of finished paths whose keys and values are kept.

    Raises:
        BindingError: The binding does not fit the tokenizer.
    """

    def __init__(
        self,
        model: Forward,
        tokenizer: HuggingFaceTokenizer,
        binding: Binding,
        slots: int,
        known_tokens: int,
    ) -> None:
        super().__init__(f"policy `{binding.name}`")
        self.slots = slots
        self._model = model
        self._binding = binding
        self._tokenizer = tokenizer
        self._ends = end_ids(tokenizer, binding)
        self._delimiter = binding.step_delimiter.encode()
        self._vocabulary = min(len(tokenizer.pieces), model.vocabulary)
        self._waiting: list[tuple[int, int, BatchRow]] = []
        self._queued = self._returned = 0
        self._cancelled_tokens = 0
        self._reader = PrefixReader(model, known_tokens, block=False)
        self._batch = Batch(model, self._vocabulary, slots)

    @property
    def cancelled_tokens(self) -> int:
        """Drawn for requests that were cancelled, those included that still hold a slot."""
        held = sum(row.criteria.drawn for row in self._batch.rows if row.job.future.cancelled())
        return self._cancelled_tokens + held

    @property
    def load(self) -> Load:
        """Rows that decode, and requests that wait for a slot; asked from any thread."""
        waiting = len(self._waiting) + len(self._inbox)
        return Load(len(self._batch.rows), self.slots, waiting)

    def turn(self, arrived: list[GenerateJob]) -> bool:
        """Admits requests, draws one token per row, returns finished generations."""
        with self._model.turn():
            self._enqueue(arrived)
            given_up = [row for row in self._batch.rows if row.job.future.cancelled()]
            self._cancelled_tokens += sum(row.criteria.drawn for row in given_up)
            self._release(given_up)
            admitting = self._next_rows()
            short = False
            try:
                if admitting:
                    self._admit(admitting)
                if self._batch.rows:
                    finished = self._batch.step()
                    self._answer(finished)
                    self._release(finished)
                self._reader.trim()
            except Exception as error:
                if not out_of_memory(error):
                    raise
                short = True
            if short:  # only now are the arrays freed that the error's frames held
                self._shrink(admitting)
        return bool(self._batch.rows or self._waiting)

    def reset(self) -> None:
        """Empties slots and queue."""
        self._waiting.clear()
        self._batch.clear()

    def _enqueue(self, arrived: list[GenerateJob]) -> None:
        for job in arrived:
            try:
                request = fitted(job.request, self._binding)
                self._check(request)
            except EngineError as error:
                self.fail([job], error)
                continue
            criteria = StopCriteria(request, self._tokenizer, self._ends, self._delimiter)
            self._queued += 1
            row = BatchRow(job, criteria, [*request.prompt, *request.prefix])
            heappush(self._waiting, (request.priority, self._queued, row))

    def _next_rows(self) -> list[BatchRow]:
        rows: list[BatchRow] = []
        free = self.slots - len(self._batch.rows)
        while self._waiting and len(rows) < free:
            _, _, row = heappop(self._waiting)
            if row.job.future.cancelled():
                self._cancelled_tokens += row.criteria.drawn  # of a row that had to begin again
                self.drop(row.job)
            else:
                rows.append(row)
        return rows

    def _admit(self, rows: list[BatchRow]) -> None:
        texts = [tuple(row.read) for row in rows]
        readings = self._reader.read([(text, len(text)) for text in texts])
        for row, reading in zip(rows, readings, strict=True):
            row.prefilled += len(row.ids) - len(row.read) + reading.read
            self._batch.add(row)
        slots = [row.slot for row in rows]
        self._reader.load(zip(texts, slots, strict=True), self._batch.cache)

    def _shrink(self, admitting: list[BatchRow]) -> None:
        """Half as many rows from now on; all begin again where they are, drawing the same tokens.

        Rows keep what they drew: only their keys and values have to be read once more.
        """
        rows = [
            row
            for row in dict.fromkeys([*self._batch.rows, *admitting])
            if row.criteria.finish is None and row.error is None  # others have been answered
        ]
        self._reader.forget()
        self._batch.clear(max(1, self.slots // 2))
        if self.slots == 1 and rows:
            error = CandidateError(
                Fault.TOO_LONG,
                f"policy `{self._binding.name}`: out of memory with one path of "
                f"{len(rows[0].ids)} tokens; choose a smaller `dtype`, or bound paths "
                "with `within`",
            )
            self.fail([rows[0].job], error)
            rows = rows[1:]
        elif self.slots > 1:
            self.slots //= 2
            _LOGGER.warning(
                "policy `%s`: out of memory; continuing with %d paths at once",
                self._binding.name,
                self.slots,
            )
        self._returned += len(rows)
        for place, row in enumerate(rows):
            # Before all others of their priority, those that came back earlier too, in their order.
            number = place - self._returned
            heappush(self._waiting, (row.criteria.request.priority, number, row))

    def _check(self, request: GenerateRequest) -> None:
        ids = (*request.prompt, *request.prefix)
        if not ids:
            raise EngineError("an empty prompt: the policy needs a token to continue from")
        if min(ids) < 0 or max(ids) >= self._vocabulary:
            wrong = next(token for token in ids if not 0 <= token < self._vocabulary)
            raise EngineError(
                f"token {wrong} is not in the vocabulary of `{self._binding.name}` "
                f"(0 to {self._vocabulary - 1}); was the text written by another policy?"
            )

    def _answer(self, rows: list[BatchRow]) -> None:
        self.finish(
            [(row.job, row.criteria.result(row.prefilled)) for row in rows if row.error is None]
        )
        for row in rows:
            if row.error is not None:
                self.fail([row.job], row.error)

    def _release(self, rows: list[BatchRow]) -> None:
        """Frees slots; what was read stays known."""
        for row in rows:
            # After its last draw a row's ids are all read: the drawn token was not appended.
            ids = row.ids if row.criteria.finish is not None else row.read
            self._reader.remember(ids, self._batch.cache, row.slot)
            self._batch.remove(row)
            self.drop(row.job)
