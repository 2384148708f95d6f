"""A generation on its way: which HTTP requests it takes, and what they brought so far.

One is enough where the server can stop by itself. Where it cannot tell a step's end from the
policy's own, the answer is streamed and cut here. Blank steps, first tokens of a rank, and tokens
that may not be drawn take further requests.
"""

from __future__ import annotations

from typing import Final

from tts_runtime.binding import Binding
from tts_runtime.engines.base import EngineError, Finish, GenerateRequest, Generation
from tts_runtime.engines.openai.bodies import Call
from tts_runtime.engines.openai.drawn import END, Drawn, Vocabulary
from tts_runtime.engines.openai.follower import Follower
from tts_runtime.engines.openai.probe import Served
from tts_runtime.engines.openai.replies import Chunk, Usage
from tts_runtime.sampling import CONFIDENCE_WIDTH
from tts_runtime.tokens import to_bytes

#: How many of the largest log-probabilities a statistic is made of.
_WIDTHS: Final = {"confidence": CONFIDENCE_WIDTH, "margin": 2}


class Pending:
    """One request and what is known of its answer.

    Args:
        request: What is asked; its statistics are those that the server can give.
        served: The server.
        binding: Its delimiters.
        vocabulary: Reads ids.
    """

    def __init__(
        self, request: GenerateRequest, served: Served, binding: Binding, vocabulary: Vocabulary
    ) -> None:
        self.request = request
        self.follower = Follower(request, vocabulary, binding.step_delimiter.encode())
        self._served = served
        self._binding = binding
        self._vocabulary = vocabulary
        self._usage: Usage | None = None
        self._before = 0
        self._asked = 0
        self._streamed = False
        self._drawn = 0
        self._prefilled = 0

    @property
    def ranked(self) -> bool:
        """Whether the first token of a rank is still to be found."""
        return self.request.first_rank is not None and not self.follower.ids

    def call(self, *, anew: bool) -> Call:
        """The next HTTP request; `anew` forgets what earlier ones brought."""
        if anew:
            delimiter = self._binding.step_delimiter.encode()
            self.follower = Follower(self.request, self._vocabulary, delimiter)
        self._usage, self._before = None, self.follower.received
        limits, written = self.request.limits, len(self.follower.ids)
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
            # What is forbidden depends on the token before, but for delimiters of one token.
            constant = not limits.steps and len(limits.thought) <= 1
            tokens = min(left, limits.at_least - written) if constant else 1
        stream, stops = self._stops()
        self._asked = tokens
        self._streamed = stream and tokens > 1
        return Call(
            path=(*self.request.prefix, *self.follower.ids),
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
        return self.follower.forbidden() - {END}

    def take(self, chunk: Chunk) -> None:
        """A reply, or a piece of one."""
        self._usage = chunk.usage or self._usage
        if self.ranked and chunk.tokens:
            self.follower.feed([self._chosen(self.likeliest(chunk))])
            return
        self.follower.feed(self._vocabulary.drawn(chunk, self._counted(chunk)))

    def _counted(self, chunk: Chunk) -> int:
        """How many tokens a chunk has, as far as can be known; 0: it cannot."""
        if self._streamed:
            return 1  # servers that tell no tokens send them one by one
        if chunk.usage is not None:
            return chunk.usage.drawn
        return self._asked if chunk.finish == "length" else 0

    def likeliest(self, chunk: Chunk) -> list[Drawn]:
        """The likeliest first tokens that a server told, likeliest first."""
        top = chunk.tokens[0].top
        numbers = tuple(number for _, number in top)
        return [Drawn(self._vocabulary.alternative(name), number, numbers) for name, number in top]

    def _chosen(self, likeliest: list[Drawn]) -> Drawn:
        """The one of the asked rank.

        Raises:
            EngineError: The server does not tell so many.
        """
        rank, forbidden = self.request.first_rank or 0, self.follower.forbidden()
        allowed = [each for each in likeliest if each.token not in forbidden]
        if rank >= len(allowed):
            raise EngineError(
                f"the token of rank {rank + 1} is asked for, but the server tells the "
                f"{len(allowed)} likeliest only: ask for fewer children"
            )
        return allowed[rank]

    def ended(self, finish: str) -> None:
        """The server is done with the HTTP request; `finish` as it says.

        Raises:
            EngineError: It wrote nothing, so that asking on would not end.
        """
        follower = self.follower
        if follower.done:
            return
        if follower.received == self._before:
            raise EngineError(
                "the server wrote nothing (its window may be full: say how long it is with "
                "?context=TOKENS)"
            )
        if finish == "length" and self._asked == self._left():
            follower.stop(Finish.LENGTH)

    def _left(self) -> int:
        """What was left to draw when the last HTTP request was made."""
        limits = self.request.limits
        most = min(limits.max_tokens, limits.unit_tokens or limits.max_tokens)
        return most - (len(self.follower.ids) - (self.follower.received - self._before))

    def settle(self, path: int) -> None:
        """Counts what the last HTTP request cost; `path`: ids that it sent after the prompt."""
        received = self.follower.received - self._before
        if self._usage is not None:
            self._drawn += self._usage.drawn
            self._prefilled += self._usage.prefilled
        elif received:
            self._drawn += received
            self._prefilled += len(self.request.prompt) + path

    def result(self) -> Generation:
        """The answer, once the follower is done."""
        found = self.follower.tracker.result(self._prefilled)
        return Generation(
            found.ids,
            found.logprobs,
            found.finish,
            found.segments,
            found.end_logprob,
            found.halted,
            max(self._drawn, found.drawn),
            found.prefilled,
            found.statistics,
        )

    def _top(self) -> int | None:
        """How many of the likeliest tokens are needed with each token."""
        if self._served.top < 0:
            return None
        wanted = max((_WIDTHS[name] for name in self.request.statistics), default=0)
        if self.ranked:
            # All that there are: whoever asks for one rank asks for the next.
            return self._served.top
        least = 0 if self._served.vllm else 1  # llama.cpp takes 0 for none at all
        return min(max(wanted, least), self._served.top)

    def _stops(self) -> tuple[bool, list[str]]:
        """Whether to stream, and texts that the server can stop at by itself."""
        limits = self.request.limits
        texts = [to_bytes(self._vocabulary.tokenizer, limits.thought)] if limits.thought else []
        if limits.steps:
            texts.append(self._binding.step_delimiter.encode())
        if limits.stop_at:
            texts.append(limits.stop_at)
        if limits.watched:
            return True, []
        if not texts or self.ranked:
            return False, []
        # Only vLLM says which text stopped it, and none looks for one that the prefix begins.
        if not self._served.vllm or any(map(self._begun, texts)):
            return True, []
        return False, [text.decode("utf-8", "replace") for text in texts]

    def _begun(self, text: bytes) -> bool:
        tail = self.follower.tail(len(text) - 1)
        return any(tail.endswith(text[:size]) for size in range(1, len(text)))
