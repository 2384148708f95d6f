"""Converts replies to ids of the runtime: from a server's ids, its tokens' texts, or the text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from tts_runtime.engines.openai.replies import Chunk, ReplyToken
from tts_runtime.tokens import TEXT, Tokenizer, Trusted, encode, split_evenly, split_text, to_text

#: An id that no tokenizer has: the policy ended, by any end token.
END = -1


@dataclass(frozen=True, slots=True)
class SampledToken:
    """One drawn token.

    Args:
        token: Its id.
        logprob: NaN if the server sends none.
        top: The largest log-probabilities in its place, largest first.
    """

    token: int
    logprob: float = math.nan
    top: tuple[float, ...] = ()


class Vocabulary:
    """Maps replies to ids.

    Args:
        tokenizer: The policy's, or `TEXT`.
        ends: Ids that end a solution.
        names: Texts of tokens that end a solution.
        marks: Texts that may be control tokens where the policy writes them (ends of thoughts).
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        ends: frozenset[int],
        names: Sequence[str],
        marks: Sequence[str] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.ends = ends | {END}
        self._names = frozenset(names)
        self._marks = re.compile("|".join(map(re.escape, marks)) or r"(?!)")

    def drawn(
        self, chunk: Chunk, counted: int = 0, borders: Callable[[bytes], list[int]] | None = None
    ) -> list[SampledToken]:
        """The tokens of a chunk; the last is `END` if the policy ended in it.

        `counted`: its number of tokens, if known. `borders`: places where a token must end in a
        text without token information.
        """
        ended = chunk.finish == "stop" and chunk.stop is None
        found: list[SampledToken] = []
        tokens = chunk.tokens
        if tokens and all(token.token is not None for token in tokens) and self.numbered:
            found = [_drawn(token, token.token or 0) for token in tokens]
            if ended:
                last = found[-1]
                # The token that ended it may be missing in the binding.
                ending = last.token in self.ends or not self.tokenizer.pieces[last.token]
                found[-1:] = (
                    [replace(last, token=END)] if ending else [last, SampledToken(END, 0.0)]
                )
            return found
        end = SampledToken(END, 0.0)
        data = [token.data or b"" for token in tokens]
        text = chunk.text.encode("utf-8", "replace")
        if ended and tokens and b"".join(data[:-1]) == text:
            end = _drawn(tokens[-1], END)
            tokens, data = tokens[:-1], data[:-1]
        if tokens:
            if not self._whole(data, text):
                data = [
                    piece.encode("utf-8", "replace")
                    for piece in split_evenly(chunk.text, len(data))
                ]
            for token, piece in zip(tokens, data, strict=True):
                if token.data is not None and to_text(token.data) in self._names:
                    found.append(_drawn(token, END))
                else:
                    found += self._pieces(piece, token)
        else:
            found = [SampledToken(each) for each in self._guessed(chunk, counted, borders)]
        return [*found, end] if ended else found

    @property
    def numbered(self) -> bool:
        """Whether the tokenizer has the model's own ids."""
        return self.tokenizer is not TEXT

    def alternative(self, name: str | int) -> int:
        """The id of a token that a server lists among the likeliest ones."""
        if isinstance(name, int):
            return END if name in self.ends else name
        if name in self._names or not name:
            return END
        return self._pieces(name.encode("utf-8", "replace"), ReplyToken(None, None))[0].token

    def head(self, data: bytes) -> list[int]:
        """Ids of the first part of a token that is cut."""
        return [each.token for each in self._pieces(data, ReplyToken(None, None))]

    def _guessed(
        self, chunk: Chunk, counted: int, borders: Callable[[bytes], list[int]] | None
    ) -> Sequence[int]:
        """Ids of a text without token information."""
        text = chunk.text + (chunk.stop or "")
        data = text.encode("utf-8", "replace")
        places = borders(data) if borders is not None else []
        if self.numbered or not text:
            parts = [data[start:end] for start, end in pairwise([0, *places, len(data)])]
            return [token for part in parts for token in self._encoded(part)]
        pieces = split_evenly(text, counted) if counted else split_text(text)
        ids = []
        at = 0
        for piece in pieces:
            part = piece.encode("utf-8", "replace")
            inner = [place - at for place in places if at < place < at + len(part)]
            for start, end in pairwise([0, *inner, len(part)]):
                ids.append(TEXT.id(part[start:end]))
            at += len(part)
        return ids

    def _encoded(self, data: bytes) -> tuple[int, ...]:
        """Ids of text written by the policy: the name of a control token is plain text."""
        text = to_text(data)
        spans = tuple(found.span() for found in self._marks.finditer(text))
        return encode(self.tokenizer, Trusted(text, spans))

    def _whole(self, data: Sequence[bytes], text: bytes) -> bool:
        """Whether the tokens' texts are reliable.

        A stop text is missing in the text but not in the tokens; a character that spans several
        tokens is garbled in each of them.
        """
        joined = b"".join(data)
        return joined == text or "�".encode() not in joined

    def _pieces(self, data: bytes, token: ReplyToken) -> list[SampledToken]:
        """A token's id, or several ids if no single one has its text."""
        if not self.numbered:
            return [_drawn(token, TEXT.id(data))]
        known = self._by_piece.get(data)
        ids = self._encoded(data) if known is None else (known,)
        first = [_drawn(token, each) for each in ids[:1]]
        return first + [SampledToken(each, 0.0 * token.logprob, first[0].top) for each in ids[1:]]

    @cached_property
    def _by_piece(self) -> Mapping[bytes, int]:
        found: dict[bytes, int] = {}
        for token, piece in enumerate(self.tokenizer.pieces):
            if piece:
                found.setdefault(piece, token)
        return found


def _drawn(token: ReplyToken, number: int) -> SampledToken:
    return SampledToken(number, token.logprob, tuple(logprob for _, logprob in token.top))
