"""A generation in progress: the HTTP requests that it needs, and their results so far.

One request is enough where the server can stop by itself. Where it cannot tell a step's end from
the policy's own, the reply is streamed and cut here. Blank steps, first tokens of a rank, and
forbidden tokens need further requests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tts_runtime.binding import Binding
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    Finish,
    GenerateRequest,
    Generation,
)
from tts_runtime.engines.openai.payloads import CompletionCall
from tts_runtime.engines.openai.probe import ServedModel
from tts_runtime.engines.openai.replies import Chunk, Usage
from tts_runtime.engines.openai.sampled import END, SampledToken, Vocabulary
from tts_runtime.engines.openai.stop_tracking import StopTracker, ThoughtTracker
from tts_runtime.sampling import CONFIDENCE_WIDTH
from tts_runtime.thoughts import begun_mark
from tts_runtime.tokens import Trusted, encode, to_bytes

#: A text that is probably a single token: a word or punctuation, with white space around it.
_TOKEN: Final = re.compile(r"\s*\S{0,16}\s*")
#: Number of the largest log-probabilities that a statistic uses.
_WIDTHS: Final = {"confidence": CONFIDENCE_WIDTH, "margin": 2}


class PendingGeneration:
    """A request and what is known of its answer.

    Args:
        request: Its statistics are those that the server supports.
        served: The server.
        binding: Its delimiters.
        vocabulary: Reads ids.
    """

    def __init__(
        self,
        request: GenerateRequest,
        served: ServedModel,
        binding: Binding,
        vocabulary: Vocabulary,
    ) -> None:
        self.request = request
        self.tracker = StopTracker(request, vocabulary, binding.step_delimiter.encode())
        self._served = served
        self._binding = binding
        self._vocabulary = vocabulary
        self._usage: Usage | None = None
        self._before = 0
        self._asked = 0
        self._stop_texts: Sequence[str] = ()
        self._streamed = False
        self._limited: int | None = None
        self._told = self._guessed = False
        self._letters = 0
        #: The last pieces of a stream, whose end may be the beginning of an end marker.
        self._withheld: list[Chunk] = []
        self._spelling = vocabulary.spelling(streamed=False)
        self._thoughts = ThoughtTracker(request, served, binding, vocabulary.tokenizer)
        #: Tokens after which a limit of the server's own cut the answer, if one did.
        self.cut: int | None = None
        #: The server's tokens did not spell its text.
        self.misspelt = False
        self._drawn = 0
        self._prefilled = 0

    @property
    def continues(self) -> bool:
        """Whether another HTTP request can continue it: a form (C77) begins with each request."""
        return self._served.continues and not self.request.limits.matching

    @property
    def bare(self) -> bool:
        """Whether ids and log-probabilities of tokens are all that it needs."""
        return self._served.ids and not self.request.statistics and not self.ranked

    @property
    def ranked(self) -> bool:
        """Whether the first token of a rank is still missing."""
        return self.request.first_rank is not None and not self.tracker.ids

    def call(self, *, again: bool) -> CompletionCall:
        """The next HTTP request; `again` discards the results of earlier ones."""
        if again:
            delimiter = self._binding.step_delimiter.encode()
            self.tracker = StopTracker(self.request, self._vocabulary, delimiter)
        self._thoughts.begin(self.tracker)
        self._usage, self._before = None, self.tracker.received
        self._told, self._letters = False, 0
        limits, written = self.request.limits, len(self.tracker.ids)
        left = limits.max_tokens - written
        room = self._binding.context - len(self.request.prompt) - len(self.request.prefix)
        fills = limits.max_tokens >= room
        if limits.unit_tokens:
            fills = fills and limits.unit_tokens >= limits.max_tokens
            left = min(left, limits.unit_tokens - written)
        forbidden = self.forbidden()
        tokens = left
        if self.ranked:
            tokens = 1
        elif forbidden:
            # Forbidden tokens depend on the token before, except for delimiters of one token.
            constant = not limits.steps and len(limits.thought) <= 1
            tokens = min(left, limits.at_least - written) if constant else 1
        stream, stops = self._stops()
        self._stop_texts = stops
        self._asked = self._limited = tokens
        self._streamed = stream and tokens > 1
        return CompletionCall(
            path=(*self.request.prefix, *self.tracker.ids),
            tokens=tokens,
            top=self._top(),
            stream=self._streamed,
            stops=stops,
            forbidden=forbidden,
            special=self._binding.thinking is not None,
            fills=fills and tokens == left,
        )

    def forbidden(self) -> frozenset[int]:
        """Ids that must not be drawn next."""
        return self.tracker.forbidden() - {END}

    def sent(self, tokens: int | None, *, streamed: bool) -> None:
        """Notes how it was sent: its limit (`None`: the server's own), streamed or not."""
        self._limited = tokens
        self._streamed = streamed
        self._spelling = self._vocabulary.spelling(streamed=streamed)
        self._withheld = []

    def take(self, chunk: Chunk) -> None:
        """Takes a reply, or a piece of one.

        Raises:
            CandidateError: The server withholds its answer.
        """
        usage = self._believed(chunk.usage)
        self._usage = usage or self._usage
        if chunk.finish == "filter":
            raise CandidateError(Fault.FILTERED, f"the server withheld its answer (`{chunk.stop}`)")
        if chunk.stop is not None and chunk.stop not in self._stop_texts:
            # An end marker of the binding, or a server's word for one (`end_turn`).
            chunk = replace(chunk, stop=None)
        for piece in self._readable(replace(chunk, usage=usage)):
            self._read(piece)

    def _readable(self, chunk: Chunk) -> list[Chunk]:
        """The pieces that can be read now, cut where a server that ignores `stop` continued.

        A marker may arrive in several pieces, so what may begin one waits for the next. In ids, and
        where the tokens are known, the name of a marker is a text like any other.
        """
        pieces, self._withheld = [*self._withheld, chunk], []
        if self._served.ids or chunk.tokens:
            return pieces
        text = "".join(piece.text for piece in pieces)
        places = (text.find(mark) for mark in self._binding.stop)
        at = min((at for at in places if at >= 0), default=-1)
        if at >= 0:
            thought = "".join(piece.thought for piece in pieces)
            return [Chunk(text[:at], (), "stop", None, None, thought)]
        if self._streamed and chunk.finish is None:
            held = len(begun_mark(text, self._binding.stop))
            while held > 0:
                self._withheld.insert(0, pieces.pop())
                held -= len(self._withheld[0].text)
        return pieces

    def _read(self, chunk: Chunk) -> None:
        if self.ranked and chunk.tokens:
            self.tracker.feed([self._chosen(self.likeliest(chunk))])
            return
        for part, counted in self._thoughts.parts(chunk, chunk.usage, self.tracker):
            self._letters += len(part.text)
            many, borders = self._counted(part, counted), self.tracker.borders
            self.tracker.feed(self._vocabulary.drawn(part, many, borders, self._spelling))
        wrong = self._spelling.failed
        self.misspelt = self.misspelt or wrong
        self._told = bool(self._told or chunk.tokens) and not wrong
        self._guessed = self._guessed or wrong or bool(chunk.text and not chunk.tokens)

    def _believed(self, usage: Usage | None) -> Usage | None:
        """A server's counts, unless they exceed its window."""
        most = 2 * self._binding.context  # lengths of prompts are estimates
        if usage is None or usage.drawn > most or usage.prefilled > most:
            return None
        return usage

    def _counted(self, part: Chunk, counted: int) -> int:
        """Number of tokens of a text without token information; 0: unknown until it is split."""
        if self._streamed:
            # Some servers send tokens one by one, others all that were drawn since the last event.
            return 1 if _TOKEN.fullmatch(part.text) else 0
        if not counted and part.finish == "length" and self._limited is not None:
            counted = self._limited if len(part.text) >= self._limited else 0
        return min(counted, len(part.text))

    def likeliest(self, chunk: Chunk) -> list[SampledToken]:
        """The likeliest first tokens in a reply, likeliest first."""
        top = chunk.tokens[0].top
        numbers = tuple(number for _, number in top)
        return [
            SampledToken(self._vocabulary.alternative(name), number, numbers)
            for name, number in top
        ]

    def _chosen(self, likeliest: list[SampledToken]) -> SampledToken:
        """The one of the requested rank.

        Raises:
            EngineError: The server does not list that many.
        """
        rank, forbidden = self.request.first_rank or 0, self.tracker.forbidden()
        allowed = [each for each in likeliest if each.token not in forbidden]
        if rank >= len(allowed):
            raise EngineError(
                f"the token of rank {rank + 1} is requested, but the server lists only the "
                f"{len(allowed)} likeliest: ask for fewer children"
            )
        return allowed[rank]

    def unsaid(self, usage: Usage | None) -> str | None:
        """Why a whole reply ended whose server does not say it: by its count of tokens, if any."""
        if usage is None or not usage.drawn:
            return None
        limit = self._asked if self._limited is None else self._limited
        return "length" if usage.drawn >= limit else "stop"

    def ended(self, finish: str) -> None:
        """The server has ended the HTTP request, for the reason `finish`."""
        tracker = self.tracker
        if tracker.done:
            return
        nothing = tracker.received == self._before
        short = finish == "length" and self._short()
        if nothing or (short and not self.continues):
            # Another request would not end, or not help.
            self.cut = self._drawn_now()
            tracker.stop(Finish.LENGTH)
        elif finish == "length" and not short and self._asked == self._left():
            tracker.stop(Finish.LENGTH)

    def _drawn_now(self) -> int:
        """Number of tokens that the last HTTP request drew, as far as known."""
        received = self.tracker.received - self._before
        return received if self._usage is None else self._usage.drawn

    def _short(self) -> bool:
        """Whether the server stopped at a limit of its own, below the requested one."""
        if self._limited is None:
            return self._drawn_now() < self._asked
        if self._usage is not None or self._told:
            return self._drawn_now() < self._limited - 1
        return self._letters < self._limited  # a token has at least one letter

    def _left(self) -> int:
        """Tokens that were left to draw at the last HTTP request."""
        limits = self.request.limits
        most = min(limits.max_tokens, limits.unit_tokens or limits.max_tokens)
        return most - (len(self.tracker.ids) - (self.tracker.received - self._before))

    def exhausted(self) -> None:
        """The server says only that the limit was spent: on thoughts, as nothing else came."""
        read = len(self.request.prompt) + len(self.request.prefix) + len(self.tracker.ids)
        self._usage = Usage(read, self._asked if self._limited is None else self._limited)

    def settle(self, path: int) -> None:
        """Counts the cost of the last HTTP request; `path`: ids that it sent after the prompt."""
        received = self.tracker.received - self._before
        if self._usage is not None and (self._usage.drawn or not received):
            self._drawn += self._usage.drawn
            self._prefilled += self._usage.prefilled
        elif received:
            self._drawn += received
            self._prefilled += len(self.request.prompt) + path

    @property
    def spent(self) -> tuple[int, int]:
        """Tokens drawn and read so far."""
        return self._drawn, self._prefilled

    def result(self) -> Generation:
        """The answer, once the tracker is done."""
        tracker, limits = self.tracker, self.request.limits
        whole = not (limits.steps or limits.unit_tokens or limits.thought or limits.stop_at)
        if self._thoughts.open and whole and not self._served.continues:
            # It was cut before it answered: its thought so far is no answer.
            end = Trusted(self._thoughts.end)
            tracker.append(encode(self._vocabulary.tokenizer, end, continued=True))
        found = tracker.criteria.result(self._prefilled)
        # Pieces of a text without token information are no tokens.
        guessed = self._guessed and self._drawn
        return replace(found, drawn=self._drawn if guessed else max(self._drawn, found.drawn))

    def _top(self) -> int | None:
        """Number of likeliest tokens that are needed with each token; none: `None`."""
        if self._served.top < 0:
            return None
        wanted = max((_WIDTHS[name] for name in self.request.statistics), default=0)
        if self._served.numbered and not (self.request.logprobs or wanted or self.ranked):
            return None  # without ids, what comes with log-probabilities tells the tokens
        if self.ranked:
            # All: requests for the other ranks follow.
            return self._served.top
        least = 0 if self._served.vllm else 1  # llama.cpp understands 0 as none at all
        return min(max(wanted, least), self._served.top)

    def _stops(self) -> tuple[bool, list[str]]:
        """Whether to stream, and texts that the server can stop at by itself."""
        limits, tracker = self.request.limits, self.tracker
        texts = [to_bytes(self._vocabulary.tokenizer, limits.thought)] if limits.thought else []
        if limits.stop_at:
            texts.append(limits.stop_at)
        begun = any(map(tracker.begun, texts))
        if limits.steps:
            texts.append(self._binding.step_delimiter.encode())
            begun = begun or tracker.step_begun
        cut_here = limits.matching and (limits.steps or limits.stop_at)
        if limits.watched or cut_here or self.request.on_token is not None:
            return True, []
        if not texts or self.ranked:
            return False, []
        # Only vLLM says which text stopped it, and no server finds one that begins in the prefix.
        if not self._served.vllm or begun:
            return True, []
        return False, [text.decode("utf-8", "replace") for text in texts]
