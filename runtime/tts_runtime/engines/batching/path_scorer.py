"""Scores paths in batches, reading only what was not read before: every PRM in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from tts_runtime.engines.base import CandidateError, Fault, ScoreReply, ScoreRequest
from tts_runtime.engines.batching.forward import Array, Forward
from tts_runtime.engines.batching.memory import out_of_memory, release_memory
from tts_runtime.engines.batching.noise import library
from tts_runtime.engines.batching.prefix_reader import PrefixReader
from tts_runtime.engines.paths import KnownScores, Outline, Path
from tts_runtime.engines.worker import Job, Worker

ScoreJob = Job[ScoreRequest, ScoreReply]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one scorer reads.

    Args:
        outline: How it lays paths out.
        judge: Hidden states [places, hidden] as scores.
    """

    outline: Outline
    judge: Callable[[Array], list[float]]


class PathScorer(Worker[ScoreRequest, ScoreReply]):
    """Reads waiting paths together and scores their new steps.

    Args:
        recipe: Layout and head.
        model: Reads.
        rows: Paths read at once, at most; halved whenever memory runs out.
        known_tokens: Tokens of scored paths whose keys and values are kept.
    """

    def __init__(self, recipe: Recipe, model: Forward, rows: int, known_tokens: int) -> None:
        super().__init__(f"scorer `{recipe.outline.name}`")
        self.rows = rows
        self._recipe = recipe
        self._reader = PrefixReader(model, known_tokens, block=True)
        self._known = KnownScores()
        self._model = model
        self._waiting: list[ScoreJob] = []

    def turn(self, arrived: list[ScoreJob]) -> bool:
        """Scores as many waiting paths as fit one batch."""
        self._waiting += arrived
        taken, self._waiting = self._waiting[: self.rows], self._waiting[self.rows :]
        paths = [(job, path) for job in taken if (path := self._path(job)) is not None]
        short = False
        try:
            with self._model.turn():
                self._score(paths)
        except Exception as error:
            if not out_of_memory(error):
                raise
            short = True
        if short:  # only now are the arrays freed that the error's frames held
            self._shrink(paths)
        return bool(self._waiting)

    def reset(self) -> None:
        """Empties the queue."""
        self._waiting.clear()

    def _path(self, job: ScoreJob) -> Path | None:
        """The path to read for a job; `None` if the job is settled."""
        if job.future.cancelled():
            self.drop(job)
            return None
        try:
            path = self._recipe.outline.path(job.request)
        except Exception as error:  # noqa: BLE001  (of this path only: the others are read)
            self.fail([job], error)
            return None
        if path is None:
            self.finish([(job, ScoreReply(()))])
        return path

    def _score(self, paths: Sequence[tuple[ScoreJob, Path]]) -> None:
        answered, unread = [], []
        for job, path in paths:
            keys = self._known.keys(path)
            known = self._known.leading(keys)
            if len(known) == len(keys):
                answered.append((job, path.reply(known, 0)))
            else:
                unread.append((job, path, keys, known))
        texts = [(path.ids, path.places[len(known)]) for _, path, _, known in unread]
        readings = self._reader.read(texts)
        looked_at = [
            hidden
            for (_, path, _, known), reading in zip(unread, readings, strict=True)
            for hidden in reading.at(path.places[len(known) :])
        ]
        scores = iter(self._judged(looked_at))
        for (job, path, keys, known), reading in zip(unread, readings, strict=True):
            new = list(islice(scores, len(keys) - len(known)))
            self._known.add(keys[len(known) :], new)
            answered.append((job, path.reply([*known, *new], reading.read)))
        self.finish(answered)
        self._reader.trim()

    def _judged(self, hidden: Sequence[Array]) -> list[float]:
        if not hidden:
            return []
        return self._recipe.judge(library(hidden[0]).concatenate(hidden))

    def _shrink(self, paths: Sequence[tuple[ScoreJob, Path]]) -> None:
        """Half as many paths from now on; a single one that does not fit fails."""
        self._reader.forget()
        release_memory()
        jobs = [job for job, _ in paths if not job.future.done()]
        if self.rows == 1:
            error = CandidateError(
                Fault.TOO_LONG,
                f"scorer `{self._recipe.outline.name}`: out of memory with one path of "
                f"{len(paths[0][1].ids)} tokens; choose a smaller `dtype`, or bound paths",
            )
            self.fail(jobs, error)
            return
        self.rows //= 2
        _LOGGER.warning(
            "scorer `%s`: out of memory; continuing with %d paths at once",
            self._recipe.outline.name,
            self.rows,
        )
        self._waiting = jobs + self._waiting
