"""Reads texts with a model, reusing what was read before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tts_runtime.engines.forward import Forward
from tts_runtime.engines.kv_cache import Cache
from tts_runtime.engines.prefix_cache import PrefixCache

#: Tokens, padding included, that are read at once: bounds memory and how long a turn takes.
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a text gave.

    Args:
        start: Where the model had to begin; what is before was known.
        hidden: Hidden states of the text's last tokens, at least of those that may not be skipped:
            [tokens, hidden].
    """

    start: int
    hidden: Tensor


class PrefixReader:
    """A model with a memory of keys and values.

    Args:
        model: Reads.
        capacity: Tokens to remember.
        block: See `Forward.extend`.
    """

    def __init__(self, model: Forward, capacity: int, *, block: bool) -> None:
        self._model = model
        self._block = block
        self._known = PrefixCache(capacity)
        self._scratch = model.cache(8)

    def read(self, texts: Sequence[tuple[tuple[int, ...], int]]) -> list[Reading]:
        """Reads texts, each given with how many of its leading tokens may be skipped if known.

        Of equal texts, the first is read and the others are known.
        """
        readings: list[Reading | None] = [None] * len(texts)
        pending: dict[tuple[tuple[int, ...], int], list[int]] = {}
        for number, text in enumerate(texts):
            pending.setdefault(text, []).append(number)
        starts = {text: min(self._known.find(text[0])[1], text[1]) for text in pending}
        # Rows of similar length together waste little padding.
        order = sorted(pending, key=lambda text: len(text[0]) - starts[text])
        for chunk in self._chunks([(text, starts[text]) for text in order]):
            for (text, start), hidden in zip(chunk, self._read(chunk), strict=True):
                first, *others = pending[text]
                readings[first] = Reading(start, hidden)
                for other in others:
                    readings[other] = Reading(len(text[0]), hidden)
        return [reading for reading in readings if reading is not None]

    def load(self, ids: Sequence[int], cache: Cache, row: int) -> None:
        """Writes the keys and values of a text that was just read to a row of a cache."""
        segments, _ = self._known.find(ids)
        _write(segments, cache, row)

    def remember(self, ids: Sequence[int], source: Cache, row: int) -> None:
        """Keeps a text that was read elsewhere, into a row of a cache."""
        self._known.add(ids, source, row)

    def forget(self) -> None:
        """Forgets everything: memory ran out."""
        self._known = PrefixCache(self._known.capacity)
        self._scratch = self._model.cache(8)

    @property
    def tokens(self) -> int:
        """Tokens remembered."""
        return self._known.tokens

    def trim(self) -> None:
        """Forgets what is over the capacity; not between `read` and `load`."""
        self._known.trim()

    def _read(self, chunk: Sequence[tuple[tuple[tuple[int, ...], int], int]]) -> Iterable[Tensor]:
        rows, longest = len(chunk), max(len(ids) - start for (ids, _), start in chunk)
        if longest == 0:
            return [torch.empty(0)] * rows
        if rows > self._scratch.rows:
            self._scratch = self._model.cache(-(-rows // 8) * 8)
        scratch = self._scratch
        tokens = torch.zeros((rows, longest), dtype=torch.int64)
        for row, ((ids, _), start) in enumerate(chunk):
            segments, _ = self._known.find(ids[:start])
            _write(segments, scratch, row)
            tokens[row, : len(ids) - start] = torch.tensor(ids[start:])
        starts = torch.tensor([start for _, start in chunk])
        hidden = self._model.extend(tokens, starts, scratch, block=self._block)
        for row, ((ids, _), _) in enumerate(chunk):
            self._known.add(ids, scratch, row)
        return [hidden[row, : len(ids) - start] for row, ((ids, _), start) in enumerate(chunk)]

    def _chunks(
        self, texts: Sequence[tuple[tuple[tuple[int, ...], int], int]]
    ) -> Iterable[list[tuple[tuple[tuple[int, ...], int], int]]]:
        chunk: list[tuple[tuple[tuple[int, ...], int], int]] = []
        for text, start in texts:
            longest = len(text[0]) - start  # the texts come shortest first
            if chunk and (len(chunk) + 1) * longest > _CHUNK:
                yield chunk
                chunk = []
            chunk.append((text, start))
        if chunk:
            yield chunk


def _write(segments: Sequence[Tensor], cache: Cache, row: int) -> None:
    position = 0
    for segment in segments:
        cache.write(row, position, segment)
        position += segment.shape[3]
