"""ThoughtTracker that a server tells apart from its answer, put back where the model wrote them.

The path is what a model without such a server would have written: the delimiters that the server
took out stand around the thought. So `thoughts` are units, tokens of thoughts count, and an answer
is looked for behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tts_runtime.binding import Binding
from tts_runtime.engines.base import GenerateRequest
from tts_runtime.engines.openai.probe import ServedModel
from tts_runtime.engines.openai.replies import Chunk, Usage
from tts_runtime.engines.openai.stop_tracking import StopTracker
from tts_runtime.tokens import Tokenizer, to_bytes


class ThoughtTracker:
    """Where one request stands: before its thought, in it, or behind it.

    Args:
        request: What is asked; its prompt may open the thought.
        served: Whether the server tells thoughts apart.
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
        """What ends a thought."""
        return "" if self._marks is None else self._marks.end

    def begin(self, tracker: StopTracker) -> None:
        """An HTTP request begins, behind what the tracker has."""
        if self._marks is None or not self._apart:
            return
        opened, path = self._before
        data = path + tracker.data
        self._opened = opened or self._marks.begin.encode() in data
        self._closed = self._marks.end.encode() in data

    @property
    def open(self) -> bool:
        """Whether all that came belongs to a thought that has not ended."""
        return self._opened and not self._closed

    def parts(
        self, chunk: Chunk, usage: Usage | None, tracker: StopTracker
    ) -> Iterator[tuple[Chunk, int]]:
        """A piece in the order of the path, and how many tokens each part has (0: not known).

        The next part is made once the one before has been fed to the tracker.
        """
        drawn = usage.drawn if usage is not None else 0
        thought = (usage.thought if usage is not None else None) or 0
        if self._marks is None or not self._apart:
            # What it thought, if anything, is not shown: it costs tokens, and is no text.
            yield _answer(chunk) if chunk.thought else chunk, max(0, drawn - thought)
            return
        if self._closed:
            # A server that looks for the end of a thought which stood in the prompt.
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
    """The answer without the thought: of the tokens, those that are the answer's."""
    data = b"".join(token.data or b"" for token in chunk.tokens)
    text = chunk.text.encode("utf-8", "replace")
    tokens = chunk.tokens
    extra = data.rfind(text) if text else -1
    while tokens and extra > 0:
        extra -= len(tokens[0].data or b"")
        tokens = tokens[1:]
    # Those that cannot be told apart are not used.
    return replace(chunk, tokens=() if extra else tokens, thought="")
