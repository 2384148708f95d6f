"""Reads texts with a model, with the keys and values of what was read before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from tts_runtime.engines.batching.forward import Array, Forward, KvCache
from tts_runtime.engines.batching.prefix_cache import PrefixCache, common_length

#: Ids, and how many of the first of them may be skipped if their keys and values are known.
Text: TypeAlias = "tuple[tuple[int, ...], int]"

#: A shared beginning is read once, in a row of its own, if at least this many of its tokens are
#: unknown, and such rows get a pass of their own if they save at least this many tokens together.
_WORTH, _PASS = 4, 12
#: Tokens, padding included, that are read at once: bounds memory and how long a turn takes.
_CHUNK = 4096
#: Padding that justifies one more pass of a model that reads it, in tokens.
_PADDING = 32


@dataclass(frozen=True, slots=True)
class PrefixRead:
    """The result of reading a text.

    Args:
        read: Tokens read for it. Those that it shares with others are read for one of them.
        parts: Hidden states [tokens, hidden] from a position on, in order, without gaps from the
            first token that may not be skipped to the last.
    """

    read: int
    parts: tuple[tuple[int, Array], ...]

    def at(self, places: Sequence[int]) -> Iterator[Array]:
        """Hidden states [places, hidden] at these positions, in pieces; none may be skipped."""
        for begin, hidden in self.parts:
            here = [place - begin for place in places if 0 <= place - begin < len(hidden)]
            if here:
                yield hidden[here]


class PrefixReader:
    """A model and a cache of keys and values by prefix.

    Args:
        model: Computes hidden states.
        capacity: Tokens to keep; with 0, only equal texts share work.
        block: See `Forward.extend`.
    """

    def __init__(self, model: Forward, capacity: int, *, block: bool) -> None:
        self._model = model
        self._block = block
        self._known = PrefixCache(capacity)
        self._scratch: KvCache = model.cache(8)

    def read(self, texts: Sequence[Text]) -> list[PrefixRead]:
        """Reads texts; each says how many of its leading tokens may be skipped if known.

        Equal texts are read once, and so are long common beginnings.
        """
        asked: dict[Text, list[int]] = {}
        for number, text in enumerate(texts):
            asked.setdefault(text, []).append(number)
        rest = {text: text for text in asked}  # what is left to read
        parts: dict[Text, list[tuple[int, Array]]] = {text: [] for text in asked}
        read = dict.fromkeys(asked, 0)

        def took(ids: tuple[int, ...], hidden: Array, sharers: Sequence[Text]) -> None:
            begin = len(ids) - len(hidden)
            read[sharers[0]] += len(hidden)
            for text in sharers:
                parts[text].append((begin, hidden))
                rest[text] = (text[0], max(rest[text][1], len(ids)))

        while True:
            starts = {text: self._start(left) for text, left in rest.items()}
            groups = _sharing(starts) if self._known.capacity else {}
            if not groups:
                break
            stems = {(ids, min(rest[text][1] for text in groups[ids])): ids for ids in groups}
            for stem, hidden in self._rows([(stem, self._start(stem)) for stem in stems]):
                took(stem[0], hidden, groups[stem[0]])
        ends: dict[Text, list[Text]] = {}
        for text, left in rest.items():
            ends.setdefault(left, []).append(text)
        for left, hidden in self._rows(
            [(left, starts[sharers[0]]) for left, sharers in ends.items()]
        ):
            took(left[0], hidden, ends[left])
        found: dict[int, PrefixRead] = {}
        for text, numbers in asked.items():
            for place, number in enumerate(numbers):
                found[number] = PrefixRead(0 if place else read[text], tuple(parts[text]))
        return [found[number] for number in range(len(texts))]

    def load(self, texts: Iterable[tuple[tuple[int, ...], int]], cache: KvCache) -> None:
        """Writes the keys and values of texts that were read to rows of a cache, one each."""
        rows: dict[tuple[int, ...], int] = {}
        for ids, row in texts:
            like = rows.setdefault(ids, row)
            if like != row:  # one copy instead of one for each segment
                cache.move(like, row, len(ids))
                continue
            for begin, segment in self._known.segments(ids):
                cache.write(row, begin, segment)

    def remember(self, ids: Sequence[int], source: KvCache, row: int) -> None:
        """Keeps a text that was read elsewhere, into a row of a cache."""
        self._known.add(tuple(ids), source, row)

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

    def _start(self, text: Text) -> int:
        """The position at which reading a text begins."""
        return min(self._known.length(text[0]), text[1])

    def _rows(self, texts: Sequence[tuple[Text, int]]) -> Iterator[tuple[Text, Array]]:
        """Reads texts from where they begin, and gives their hidden states from there on."""
        unread = [(text, start) for text, start in texts if start < len(text[0])]
        for text, start in texts:
            if start == len(text[0]):
                yield text, np.empty(0)
        padding = _CHUNK if self._model.packs else _PADDING
        # Rows of similar length together waste little padding.
        unread.sort(key=lambda text: len(text[0][0]) - text[1])
        for chunk in _chunks(unread, padding):
            yield from zip((text for text, _ in chunk), self._read(chunk), strict=True)

    def _read(self, chunk: Sequence[tuple[Text, int]]) -> Iterable[Array]:
        rows, longest = len(chunk), max(len(ids) - start for (ids, _), start in chunk)
        length = max(len(ids) for (ids, _), _ in chunk)
        if rows > self._scratch.rows or length > self._scratch.length:
            # What it holds is not needed any more, so that nothing is copied.
            rows_before, length_before = self._scratch.rows, self._scratch.length
            self._scratch = self._model.cache(max(rows, rows_before), max(length, length_before))
        scratch = self._scratch
        tokens = np.zeros((rows, longest), np.int64)
        self.load(((ids[:start], row) for row, ((ids, _), start) in enumerate(chunk)), scratch)
        for row, ((ids, _), start) in enumerate(chunk):
            tokens[row, : len(ids) - start] = ids[start:]
        starts = np.array([start for _, start in chunk], np.int64)
        lengths = np.array([len(ids) - start for (ids, _), start in chunk], np.int64)
        hidden = self._model.extend(tokens, starts, scratch, lengths=lengths, block=self._block)
        for row, ((ids, _), _) in enumerate(chunk):
            self._known.add(ids, scratch, row)
        return [hidden[row, : len(ids) - start] for row, ((ids, _), start) in enumerate(chunk)]


def _chunks(
    texts: Iterable[tuple[Text, int]], most_padding: int
) -> Iterator[list[tuple[Text, int]]]:
    chunk: list[tuple[Text, int]] = []
    longest = 0
    for text, start in texts:
        before, longest = longest, len(text[0]) - start  # the texts come shortest first
        padding = len(chunk) * (longest - before)
        if chunk and (padding > most_padding or (len(chunk) + 1) * longest > _CHUNK):
            yield chunk
            chunk = []
        chunk.append((text, start))
    if chunk:
        yield chunk


def _sharing(starts: Mapping[Text, int]) -> dict[tuple[int, ...], list[Text]]:
    """Beginnings that are worth reading once, before the texts that begin so; maybe none.

    `starts`: where reading each text begins. Where texts of a group share more in smaller groups,
    that shows when this much is known.
    """
    texts = sorted(starts)
    commons = [common_length(one[0], other[0]) for one, other in pairwise(texts)]
    groups: dict[tuple[int, ...], list[Text]] = {}
    grouped: set[Text] = set()
    spared = 0  # by these groups, and by the smaller ones that they will become
    for first, text in enumerate(texts):
        if text in grouped:
            continue
        group, latest = [text], starts[text]
        shared = common = near = len(text[0])  # with all of the group, and with the last of it
        for number in range(first + 1, len(texts)):
            other = texts[number]
            common, near = min(common, commons[number - 1]), min(near, commons[number - 1])
            if common < latest + _WORTH:
                break
            if other in grouped or common < starts[other] + _WORTH:
                continue  # more of it is known, which does not part those around it
            spared += near - max(starts[group[-1]], starts[other])
            group.append(other)
            shared, near, latest = common, len(other[0]), max(latest, starts[other])
        if len(group) > 1:
            grouped.update(group)
            groups[text[0][:shared]] = group
    return groups if spared >= _PASS else {}
