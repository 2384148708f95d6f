"""Finds where a generation stops while its pieces arrive, and separates thoughts from answers.

`StopCriteria` decides on steps, limits and conditions, as in every engine. The end of a thought is
found by its bytes, since a server may split it into other ids than the binding's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from math import exp, fsum, nan

from tts_runtime.binding import Binding
from tts_runtime.engines.base import Finish, GenerateRequest
from tts_runtime.engines.openai.probe import ServedModel
from tts_runtime.engines.openai.replies import Chunk, Usage
from tts_runtime.engines.openai.sampled import END, SampledToken, Vocabulary
from tts_runtime.engines.stopping import StopCriteria
from tts_runtime.sampling import CONFIDENCE_WIDTH
from tts_runtime.tokens import Tokenizer, to_bytes


class StopTracker:
    """The state of one request.

    Args:
        request: Its statistics are those that the server supports.
        vocabulary: Maps replies to ids.
        delimiter: Ends a step.
    """

    def __init__(self, request: GenerateRequest, vocabulary: Vocabulary, delimiter: bytes) -> None:
        self.criteria = StopCriteria(request, vocabulary.tokenizer, vocabulary.ends, delimiter)
        #: Number of tokens received, used or not.
        self.received = 0
        self._request = request
        self._delimiter = delimiter
        self._vocabulary = vocabulary
        self._pieces = vocabulary.tokenizer.pieces
        self._held: list[SampledToken] = []
        self._thought = to_bytes(vocabulary.tokenizer, request.limits.thought)
        self._window = self.tail(len(self._thought) - 1) if self._thought else b""
        limits = request.limits
        marks = delimiter if limits.steps else b"", limits.stop_at
        self._marks = [mark for mark in marks if mark]

    @property
    def done(self) -> bool:
        """Whether it has stopped."""
        return self.criteria.finish is not None

    @property
    def ids(self) -> list[int]:
        """All ids drawn, withheld ones included."""
        return [*self.criteria.partial.ids, *(each.token for each in self._held)]

    @property
    def data(self) -> bytes:
        """The bytes of `ids`."""
        return b"".join(self._pieces[token] for token in self.ids)

    def forbidden(self) -> frozenset[int]:
        """Ids that must not be drawn next (`at least`); usually none."""
        limits = self._request.limits
        ids = self.ids
        if not self._held or len(ids) >= limits.at_least:
            return self.criteria.too_early()
        # The criteria do not know withheld tokens, which may be most of a delimiter.
        *begun, last = limits.thought
        ending = begun and ids[len(ids) - len(begun) :] == begun
        return self._vocabulary.ends | ({last} if ending or not begun else frozenset())

    def tail(self, many: int) -> bytes:
        """The last bytes of the path so far."""
        held = (each.token for each in reversed(self._held))
        data = b""
        if many > 0:
            for token in chain(
                held, reversed(self.criteria.partial.ids), reversed(self._request.prefix)
            ):
                data = self._pieces[token] + data
                if len(data) >= many:
                    return data[len(data) - many :]
        return data

    def begun(self, text: bytes) -> bool:
        """Whether the path ends in the first bytes of a stop text."""
        return _begins(self.tail(len(text) - 1), text)

    @property
    def step_begun(self) -> bool:
        """Whether the path ends in the first bytes of a delimiter that would close a step.

        Those of the delimiter before, and those behind white space, would close a blank piece.
        """
        held = b"".join(self._pieces[each.token] for each in self._held)
        tail = self.criteria.segments.tail + held
        return bool(tail.strip()) and _begins(tail, self._delimiter)

    def feed(self, drawn: Iterable[SampledToken]) -> None:
        """Takes tokens in order; those after a stop are dropped."""
        for each in drawn:
            self.received += 1
            if self.done:
                continue
            if each.token in self._vocabulary.ends:
                self.flush()
                if not self.done:
                    self.criteria.push(END, each.logprob, self._statistics(each))
            elif self._thought:
                self._held.append(each)
                self._sift()
            else:
                self._push(each)

    def borders(self, data: bytes) -> list[int]:
        """Places in the next bytes where a stop text or delimiter is complete."""
        found = set()
        for mark in self._marks:
            before = self.tail(len(mark) - 1)
            whole = before + data
            at = whole.find(mark)
            while at >= 0:
                found.add(at + len(mark) - len(before))
                at = whole.find(mark, at + 1)
        return sorted(each for each in found if each > 0)

    def flush(self) -> None:
        """Releases withheld tokens: no delimiter can be completed any more."""
        held, self._held = self._held, []
        for each in held:
            if not self.done:
                self._push(each)

    def stop(self, finish: Finish) -> None:
        """The server stopped for a reason of its own."""
        self.flush()
        if not self.done:
            self.criteria.finish = finish

    def append(self, ids: Iterable[int]) -> None:
        """Appends a text to what was drawn, regardless of limits."""
        criteria = self.criteria
        for token in ids:
            criteria.partial.ids.append(token)
            criteria.partial.logprobs.append(nan)
            for values in criteria.partial.statistics.values():
                values.append(nan)
            criteria.segments = criteria.segments.add(self._pieces[token], self._delimiter)

    def _sift(self) -> None:
        """Releases tokens that cannot be part of the end of the thought."""
        data = self._window + b"".join(self._pieces[each.token] for each in self._held)
        place = data.find(self._thought)
        if place >= 0:
            self._close(place - len(self._window))
            return
        kept = next(
            size
            for size in range(min(len(data), len(self._thought) - 1), -1, -1)
            if not size or data.endswith(self._thought[:size])
        )
        free = len(data) - kept - len(self._window)
        while self._held and not self.done:
            size = len(self._pieces[self._held[0].token])
            if size > free:
                return
            free -= size
            self._push(self._held.pop(0))

    def _close(self, start: int) -> None:
        """The thought ends `start` bytes into the withheld tokens; the rest is dropped."""
        held, self._held = self._held, []
        for each in held:
            size = len(self._pieces[each.token])
            if self.done or start <= 0:
                break
            if size > start:
                # The delimiter begins inside a token, whose first part becomes a token of its own.
                first, *rest = self._vocabulary.head(self._pieces[each.token][:start])
                self._push(SampledToken(first, each.logprob, each.top))
                for token in rest:
                    if not self.done:
                        self._push(SampledToken(token, 0.0 * each.logprob, each.top))
            else:
                self._push(each)
            start -= size
        if not self.done:
            self.criteria.finish = Finish.STOP

    def _push(self, each: SampledToken) -> None:
        if self._thought:
            width = len(self._thought) - 1
            window = self._window + self._pieces[each.token]
            self._window = window[len(window) - width :] if width < len(window) else window
        self.criteria.push(each.token, each.logprob, self._statistics(each))

    def _statistics(self, each: SampledToken) -> list[float]:
        if not each.top and each.token != END:  # the server omitted them
            return [nan for _ in self._request.statistics]
        return [_STATISTICS[name](each.top) for name in self._request.statistics]


def _begins(data: bytes, text: bytes) -> bool:
    """Whether data end in the first bytes of a text, but not in all of them."""
    return any(data.endswith(text[:size]) for size in range(1, len(text)))


def _confidence(top: tuple[float, ...]) -> float:
    largest = top[:CONFIDENCE_WIDTH]
    return -fsum(largest) / max(1, len(largest))


def _margin(top: tuple[float, ...]) -> float:
    return exp(top[0]) - exp(top[1]) if len(top) > 1 else 1.0


#: Statistics of the largest log-probabilities, as in `tts_runtime.sampling`.
_STATISTICS = {"confidence": _confidence, "margin": _margin}


class ThoughtTracker:
    """Puts a thought that a server separates from its answer back where the model wrote it.

    The path becomes what the model wrote, delimiters included: so `thoughts` are units, their
    tokens count, and answers are looked for after them.

    Args:
        request: Its prompt may open the thought.
        served: Whether the server separates thoughts.
        binding: The delimiters.
        tokenizer: Reads the request's ids.
    """

    def __init__(
        self, request: GenerateRequest, served: ServedModel, binding: Binding, tokenizer: Tokenizer
    ) -> None:
        self._marks = binding.thinking
        self._apart = served.thinks
        self._opened = self._closed = False
        if self._marks is not None and self._apart:
            begin = self._marks.begin.encode()
            path = to_bytes(tokenizer, request.prefix)
            prompt = to_bytes(tokenizer, request.prompt[-len(begin) :])
            self._before = bool(begin) and prompt.endswith(begin), path
        else:
            self._before = False, b""

    @property
    def end(self) -> str:
        """The delimiter that ends a thought."""
        return "" if self._marks is None else self._marks.end

    def begin(self, tracker: StopTracker) -> None:
        """An HTTP request begins, after what the tracker has."""
        if self._marks is None or not self._apart:
            return
        opened, path = self._before
        data = path + tracker.data
        self._opened = opened or self._marks.begin.encode() in data
        self._closed = self._marks.end.encode() in data

    @property
    def open(self) -> bool:
        """Whether everything received belongs to an unfinished thought."""
        return self._opened and not self._closed

    def parts(
        self, chunk: Chunk, usage: Usage | None, tracker: StopTracker
    ) -> Iterator[tuple[Chunk, int]]:
        """The parts of a piece in the order of the path, with their numbers of tokens (0: unknown).

        Each part must be fed to the tracker before the next is taken.
        """
        drawn = usage.drawn if usage is not None else 0
        thought = (usage.thought if usage is not None else None) or 0
        if self._marks is None or not self._apart:
            # A hidden thought costs tokens, but has no text.
            yield _answer(chunk) if chunk.thought else chunk, max(0, drawn - thought)
            return
        if self._closed:
            # The server looks for the end of a thought that is in the prompt.
            yield replace(chunk, text=chunk.thought + chunk.text, thought=""), drawn
            return
        if chunk.thought:
            if not self._opened:
                self._opened = True
                yield _piece(self._marks.begin), 0
            yield _piece(chunk.thought), thought
        ends = chunk.finish == "stop"
        if not chunk.text and not (ends and self._opened):
            if chunk.finish is not None:
                yield replace(chunk, text="", tokens=(), thought=""), 0
            return
        if self._opened:
            self._closed = True
            yield _piece(self._marks.end), 0
            if tracker.done:
                return
        yield _answer(chunk), max(0, drawn - thought) if chunk.thought else drawn


def _piece(text: str) -> Chunk:
    return Chunk(text, (), None, None, None)


def _answer(chunk: Chunk) -> Chunk:
    """The answer without the thought, and the tokens of the answer."""
    data = b"".join(token.data or b"" for token in chunk.tokens)
    text = chunk.text.encode("utf-8", "replace")
    tokens = chunk.tokens
    extra = data.rfind(text) if text else -1
    while tokens and extra > 0:
        extra -= len(tokens[0].data or b"")
        tokens = tokens[1:]
    # Tokens that cannot be assigned are not used.
    return replace(chunk, tokens=() if extra else tokens, thought="")
