"""The rows that decode together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import isnan

import numpy as np

from tts_runtime.engines.base import EngineError, GenerateRequest, Generation
from tts_runtime.engines.batching.draws import draws
from tts_runtime.engines.batching.forward import Array, Forward, KvCache
from tts_runtime.engines.batching.memory import release_memory
from tts_runtime.engines.batching.noise import library, position_seeds
from tts_runtime.engines.batching.sampling import (
    SamplingColumns,
    log_probabilities,
    token_statistics,
)
from tts_runtime.engines.stopping import StopCriteria
from tts_runtime.engines.worker import Job
from tts_runtime.sampling import NO_NUMBERS, NOTHING_ALLOWED, ranked


@dataclass(slots=True, eq=False)
class BatchRow:
    """One request being answered.

    Args:
        job: The request.
        criteria: Follows it.
        ids: Prompt, prefix and new tokens; the last one has not been read by the model yet.
        prefilled: Tokens read for it, those that it drew itself left out unless they had to be read
            again.
        slot: Its row in the batch's cache.
        error: Set instead of a finish when it cannot continue.
    """

    job: Job[GenerateRequest, Generation]
    criteria: StopCriteria
    ids: list[int]
    prefilled: int = 0
    slot: int = -1
    error: Exception | None = None

    @property
    def read(self) -> list[int]:
        """The tokens whose keys and values are in the cache."""
        return self.ids[:-1]


class Batch:
    """A fixed number of slots, the rows in them, and one decoding step for all.

    Rows are kept at the front, so that a step costs what its rows cost.
    """

    def __init__(self, model: Forward, vocabulary: int, slots: int) -> None:
        self.cache: KvCache = model.cache(slots)
        self._model = model
        self._vocabulary = vocabulary
        self._slots: list[BatchRow | None] = [None] * slots
        self._order: list[BatchRow] = []
        self._sampling: SamplingColumns | None = None

    @property
    def rows(self) -> list[BatchRow]:
        """The rows in flight."""
        return [row for row in self._slots if row is not None]

    def add(self, row: BatchRow) -> None:
        """Gives a row the first free slot; its cache row is to be written next."""
        row.slot = self._slots.index(None)
        self._slots[row.slot] = row
        self._sampling = None

    def remove(self, row: BatchRow) -> None:
        """Frees a row's slot."""
        self._slots[row.slot] = None
        self._sampling = None

    def clear(self, slots: int = 0) -> None:
        """Frees all slots; from now on there are `slots` of them, as many as before for 0."""
        if slots:
            del self.cache  # the old one goes before the new one comes
            release_memory()
            self.cache = self._model.cache(slots)
        self._slots = [None] * (slots or len(self._slots))
        self._sampling = None

    def step(self) -> list[BatchRow]:
        """Draws one token for every row; gives the rows that finished or failed.

        When memory runs out, nothing has been drawn for any row.
        """
        if self._sampling is None:
            self._close_ranks()
        rows = self._order
        last = np.array([row.ids[-1:] for row in rows], np.int64)
        starts = np.array([len(row.ids) - 1 for row in rows], np.int64)
        hidden = self._model.extend(last, starts, self.cache)
        self._draw(rows, self._model.logits(hidden[:, 0])[:, : self._vocabulary])
        return [row for row in rows if row.error is not None or row.criteria.finish is not None]

    def _draw(self, rows: list[BatchRow], logits: Array) -> None:
        if self._sampling is None:
            samplings = [row.criteria.request.sampling for row in rows]
            self._sampling = SamplingColumns.of(samplings, logits)
        forbidden: dict[int, Collection[int]] = {}
        errors: dict[int, EngineError] = {}  # the rows' own once memory has sufficed for all
        for number, row in enumerate(rows):
            try:
                if banned := row.criteria.forbidden():
                    forbidden[number] = banned
            except EngineError as error:
                errors[number] = error
        places = [
            (row.criteria.request.key, len(row.ids) - len(row.criteria.request.prompt))
            for row in rows
        ]
        seeds = library(logits).asarray(position_seeds(places), device=logits.device)
        with np.errstate(invalid="ignore"):  # a row of which all is forbidden fails below
            drawn = draws(logits, self._sampling, seeds, forbidden)
        tokens, logprobs = drawn.tokens, drawn.logprobs
        nothing_left = (drawn.scores == -np.inf).tolist() if forbidden else ()
        errors.update(
            (number, EngineError(NOTHING_ALLOWED)) for number in forbidden if nothing_left[number]
        )
        for number, row in enumerate(rows):
            request = row.criteria.request
            if request.first_rank is None or row.criteria.drawn or number in errors:
                continue
            numbers, bans = logits[number].tolist(), forbidden.get(number, ())
            try:
                tokens[number] = ranked(numbers, request.first_rank, bans, request.sampling)
            except EngineError as error:
                errors[number] = error
            else:
                logprobs[number] = log_probabilities(logits[[number]])[0, int(tokens[number])]
        chosen = logprobs.tolist()
        names = {name for row in rows for name in row.criteria.request.statistics}
        statistics = token_statistics(log_probabilities(logits), names) if names else {}
        for number, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            if isnan(chosen[number]):
                errors.setdefault(number, EngineError(NO_NUMBERS))
            row.error = errors.get(number)
            if row.error is None:
                wanted = row.criteria.request.statistics
                values = [statistics[name][number] for name in wanted] if wanted else ()
                _push(row, token, chosen[number], values)

    def _close_ranks(self) -> None:
        live = self.rows
        for number in range(len(live)):
            if self._slots[number] is None:
                row = next(row for row in reversed(self._slots) if row is not None)
                self.cache.move(row.slot, number, len(row.read))
                self._slots[row.slot] = None
                self._slots[number] = row
                row.slot = number
        self._order = [row for row in self._slots if row is not None]


def _push(row: BatchRow, token: int, logprob: float, statistics: list[float] | tuple[()]) -> None:
    try:
        finish = row.criteria.push(token, logprob, statistics)
    except Exception as error:  # noqa: BLE001  (of the caller's conditions: its request fails)
        row.error = error
        return
    if finish is None:
        row.ids.append(token)
