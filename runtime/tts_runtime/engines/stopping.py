"""Checks of requests, and stop criteria, token by token: the same code in every engine.

Criteria apply to the whole path, so a delimiter or stop text that begins in the prefix is found
when a later call completes it: generating step by step equals generating at once (C23, C25, C26).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tts_runtime.binding import Binding, BindingError
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    Finish,
    GenerateRequest,
    Generation,
    Partial,
    PolicyEngine,
)
from tts_runtime.tokens import Tokenizer

if TYPE_CHECKING:
    from tts_runtime.engines.matching import Matcher


class StopCriteria:
    """Decides when one request stops.

    The engine calls `forbidden` before it draws and `push` with each token drawn, and stops once
    `push` returns a finish; `result` is then the answer.
    """

    def __init__(
        self, request: GenerateRequest, tokenizer: Tokenizer, ends: frozenset[int], delimiter: bytes
    ) -> None:
        self.request = request
        self.partial = Partial(statistics={name: [] for name in request.statistics})
        self.segments = request.segments
        self.finish: Finish | None = None
        self.drawn = 0
        self._pieces: Sequence[bytes] = tokenizer.pieces
        self._ends = ends
        self._delimiter = delimiter
        self._target = request.segments.many_closed + request.limits.steps
        self._recent = self._last_bytes(len(request.limits.stop_at) - 1)
        self._closing: tuple[int, ...] | None = None
        self._end_logprob = 0.0
        self._halted = False
        self._on_token = request.on_token
        self._matcher: Matcher | None = None
        self._tokenizer = tokenizer

    def forbidden(self) -> Collection[int]:
        """Ids that must not be drawn next (`at least`, `matching`); usually none.

        Raises:
            EngineError: This request cannot continue; others can.
        """
        limits = self.request.limits
        if not limits.matching:
            return self.too_early()
        if self._matcher is None:
            from tts_runtime.engines.matching import Matcher  # llguidance is an extra

            before = self.request.prefix[len(self.request.prefix) - limits.begun :]
            self._matcher = Matcher(limits.matching, self._tokenizer, self._ends, before)
        return self._matcher.forbidden(self.partial.ids)

    def too_early(self) -> frozenset[int]:
        """Ids that `at least` forbids next."""
        limits = self.request.limits
        if len(self.partial.ids) >= limits.at_least:
            return frozenset()
        banned = set(self._ends)
        if limits.thought and self._path_ends_with(limits.thought[:-1]):
            banned.add(limits.thought[-1])
        if limits.steps:
            banned.update(filter(self._closes, self._tokens_that_may_close()))
        return frozenset(banned)

    def push(self, token: int, logprob: float, statistics: Sequence[float] = ()) -> Finish | None:
        """Takes one drawn token; statistics in the order of `request.statistics`."""
        limits = self.request.limits
        self.drawn += 1
        if token in self._ends:
            self._end_logprob = logprob
            self.finish = Finish.END
            return self.finish
        partial = self.partial
        partial.ids.append(token)
        partial.logprobs.append(logprob)
        for name, value in zip(self.request.statistics, statistics, strict=True):
            partial.statistics[name].append(value)
        if limits.thought and self._path_ends_with(limits.thought):
            self._withhold(len(limits.thought))
            self.finish = Finish.STOP
            return self.finish
        piece = self._pieces[token]
        self.segments = self.segments.add(piece, self._delimiter)
        self.finish = self._reached(piece)
        if self._on_token is not None:
            self._on_token(partial)
        return self.finish

    def result(self, prefilled: int) -> Generation:
        """The generation, once `push` has returned a finish."""
        assert self.finish is not None
        partial = self.partial
        return Generation(
            ids=tuple(partial.ids),
            logprobs=tuple(partial.logprobs),
            finish=self.finish,
            segments=self.segments,
            end_logprob=self._end_logprob,
            halted=self._halted,
            drawn=self.drawn,
            prefilled=prefilled,
            statistics={name: tuple(values) for name, values in partial.statistics.items()},
        )

    def _reached(self, piece: bytes) -> Finish | None:
        limits = self.request.limits
        count = len(self.partial.ids)
        # First: another stop at the same token must not hide that the path has ended.
        if limits.end_when is not None and limits.end_when(self.partial):
            self._halted = True
            return Finish.STOP
        if limits.steps and self.segments.many_closed >= self._target:
            return Finish.STOP
        if limits.unit_tokens and count >= limits.unit_tokens:
            return Finish.STOP
        if limits.stop_at:
            data = self._recent + piece
            if limits.stop_at in data:
                return Finish.STOP
            self._recent = data[max(0, len(data) - len(limits.stop_at) + 1) :]
        if limits.stop_when is not None and limits.stop_when(self.partial):
            return Finish.STOP
        if count >= limits.max_tokens:
            return Finish.LENGTH
        return None

    def _path_ends_with(self, ids: tuple[int, ...]) -> bool:
        new = self.partial.ids
        missing = len(ids) - len(new)
        if missing <= 0:
            return tuple(new[len(new) - len(ids) :]) == ids
        before = self.request.prefix
        return (
            before[len(before) - missing :] + tuple(new) == ids if missing <= len(before) else False
        )

    def _last_bytes(self, count: int) -> bytes:
        """The last bytes of the prefix: fewer than a stop text has, so none is found in it."""
        data = b""
        for token in reversed(self.request.prefix):
            if len(data) >= count:
                break
            data = self._pieces[token] + data
        return data[len(data) - count :] if len(data) > count else data

    def _tokens_that_may_close(self) -> tuple[int, ...]:
        if self._closing is None:
            last = self._delimiter[-1:]
            self._closing = tuple(
                token for token, piece in enumerate(self._pieces) if last in piece
            )
        return self._closing

    def _closes(self, token: int) -> bool:
        after = self.segments.add(self._pieces[token], self._delimiter)
        return after.many_closed > self.segments.many_closed

    def _withhold(self, count: int) -> None:
        """Removes a delimiter: it is no part of the thought, and is drawn again later (C25).

        Any part of it in the prefix stays.
        """
        count = min(count, len(self.partial.ids))
        partial = self.partial
        del partial.ids[-count:]
        del partial.logprobs[-count:]
        for values in partial.statistics.values():
            del values[-count:]
        segments = self.request.segments
        for token in partial.ids:
            segments = segments.add(self._pieces[token], self._delimiter)
        self.segments = segments


def end_ids(tokenizer: Tokenizer, binding: Binding) -> frozenset[int]:
    """The tokens that end a solution.

    A stop text is a name in the vocabulary, as configurations of models say ids by their names
    here; where there is no such name, what the text is encoded as.

    Raises:
        BindingError: A stop text is not one token.
    """
    ends = set()
    named: Callable[[str], int | None] = getattr(tokenizer, "token", lambda _: None)
    for text in binding.stop:
        token = named(text)
        ids = tokenizer.encode(text) if token is None else (token,)
        if len(ids) != 1:
            raise BindingError(
                f"binding of `{binding.name}`: stop text {text!r} is {len(ids)} tokens, but only a "
                "single token can end a solution"
            )
        ends.add(ids[0])
    return frozenset(ends)


def fitted(request: GenerateRequest, binding: Binding) -> GenerateRequest:
    """The request with its token limit lowered to what the context window leaves.

    Raises:
        CandidateError: No room is left.
        EngineError: The limit is not positive.
    """
    room = binding.context - len(request.prompt) - len(request.prefix)
    if room <= 0:
        raise CandidateError(
            Fault.TOO_LONG,
            f"a prompt of {len(request.prompt)} tokens and {len(request.prefix)} tokens written "
            f"after it fill the context window of `{binding.name}` ({binding.context} tokens)",
        )
    limits = request.limits
    if limits.max_tokens <= 0:
        raise EngineError(f"a limit of {limits.max_tokens} tokens leaves nothing to generate")
    if limits.max_tokens <= room:
        return request
    return replace(request, limits=replace(limits, max_tokens=room))


def stops_alike(request: GenerateRequest, engine: PolicyEngine, generation: Generation) -> bool:
    """Whether this generation, on the stream of a watched request, is what the request stops at."""
    ends = end_ids(engine.tokenizer, engine.binding)
    delimiter = engine.binding.step_delimiter.encode()
    tracker = StopCriteria(request, engine.tokenizer, ends, delimiter)
    if not generation.statistics.keys() >= set(request.statistics):
        return False  # from a server that does not know them all
    columns = [generation.statistics[name] for name in request.statistics]
    read = 0
    for token, logprob in zip(generation.ids, generation.logprobs, strict=True):
        tracker.push(token, logprob, [column[read] for column in columns])
        read += 1
        if tracker.finish is not None:
            break
    halted = generation.halted and tracker.finish is None
    whole = read == len(generation.ids) and not halted
    return whole and tracker.finish in (None, generation.finish)
