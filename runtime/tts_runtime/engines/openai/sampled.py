"""Converts replies to ids of the runtime: from a server's ids, its tokens' texts, or the text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

from tts_runtime.engines.openai.replies import Chunk, ReplyToken
from tts_runtime.tokens import TEXT, Tokenizer, Trusted, encode, split_evenly, split_text, to_text

#: What stands in a text for a part of a character.
_GARBLED: Final = "\ufffd".encode()
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


class Spelling:
    """Which tokens of one reply spell its text; the text is what counts.

    Some servers list only a part of the tokens, or show them as their vocabulary has them. In a
    stream tokens may come before their text: characters of several tokens are held back.

    Args:
        streamed: The reply comes in pieces.
        names: Texts of tokens that end a solution.
    """

    def __init__(self, *, streamed: bool = False, names: Collection[str] = ()) -> None:
        self._streamed = streamed
        self._names = tuple(name.encode() for name in names if name)
        self._ahead = b""
        #: Tokens did not spell their text, and were not used.
        self.failed = False

    def due(self, text: bytes) -> bytes:
        """The part of a piece's text that earlier tokens have not spelled."""
        ahead = self._ahead
        if ahead.startswith(text):
            self._ahead = ahead[len(text) :]
            return b""
        self._ahead = b""
        return text.removeprefix(ahead)

    def pieces(
        self, data: Sequence[bytes], text: bytes, stop: bytes, *, ended: bool
    ) -> Sequence[bytes] | None:
        """The bytes of the tokens that spell a text; `None` if they do not.

        `stop`: the stop text behind it, which tokens have and texts do not. `ended`: the tokens
        behind the text are its end.
        """
        if not self._streamed:
            data = _behind_blanks(data, text)
        if ended and b"".join(data).startswith(text):
            data = _spelling(data, len(text))
        elif ended and _garbled(data[:-1], text):
            data = data[:-1]
        joined = b"".join(data)
        if to_text(joined) == to_text(text):
            return data
        if _GARBLED not in joined and joined.startswith(text):
            rest = joined[len(text) :]
            if self._streamed:
                self._ahead += rest
                return data
            if (stop and rest.startswith(stop)) or _is_end(rest, self._names):
                return data
        elif _garbled(data, text, stop) or (self._streamed and _GARBLED in joined):
            # A character that spans several tokens is spoilt in each of them.
            whole = to_text(text + stop)
            return [each.encode() for each in split_evenly(whole, len(data))]
        self.failed = self.failed or bool(data and text)
        return None


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
        self,
        chunk: Chunk,
        counted: int = 0,
        borders: Callable[[bytes], list[int]] | None = None,
        spelling: Spelling | None = None,
    ) -> list[SampledToken]:
        """The tokens of a chunk; the last is `END` if the policy ended in it.

        `counted`: its number of tokens, if known. `borders`: places where a token must end in a
        text without token information. `spelling`: of the reply, where it comes in pieces.
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
        spelling = spelling or Spelling(names=self._names)
        text = spelling.due(chunk.text.encode("utf-8", "replace"))
        stop = (chunk.stop or "").encode("utf-8", "replace")
        data = [token.data or b"" for token in tokens]
        pieces = spelling.pieces(data, text, stop, ended=ended) if tokens else None
        if pieces is None:
            guessed = self._guessed(text + stop, counted, borders)
            found = [SampledToken(each) for each in guessed]
        else:
            if len(pieces) < len(tokens):
                end = _drawn(tokens[len(pieces)], END)
            for token, piece in zip(tokens, pieces, strict=False):
                if token.data is not None and to_text(token.data) in self._names:
                    found.append(_drawn(token, END))
                else:
                    found += self._pieces(piece, token)
        return [*found, end] if ended else found

    def spelling(self, *, streamed: bool) -> Spelling:
        """A comparison of the tokens of a reply with its text."""
        return Spelling(streamed=streamed, names=self._names)

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
        self, data: bytes, counted: int, borders: Callable[[bytes], list[int]] | None
    ) -> Sequence[int]:
        """Ids of a text without token information."""
        text = to_text(data)
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
        return encode(self.tokenizer, Trusted(text, spans), continued=True)

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


def _ascii(data: bytes) -> bytes:
    return data.translate(None, bytes(range(128, 256)))


def _garbled(data: Sequence[bytes], text: bytes, stop: bytes = b"") -> bool:
    """Whether tokens spell a text, and the stop text behind it, but for spoilt characters."""
    joined, whole = b"".join(data), _ascii(text + stop)
    if _GARBLED not in joined:
        return False
    return _ascii(joined).startswith(whole) if stop else _ascii(joined) == whole


def _is_end(rest: bytes, names: tuple[bytes, ...]) -> bool:
    """Whether tokens behind a text are an end, or a part of a character."""
    return rest.startswith(names) or not to_text(rest).strip("\ufffd")


def _spelling(data: Sequence[bytes], size: int) -> Sequence[bytes]:
    """The first tokens, of this size together; all of them if no token ends there."""
    for many, piece in enumerate(data):
        if size <= 0:
            return data[:many] if not size else data
        size -= len(piece)
    return data


def _behind_blanks(data: Sequence[bytes], text: bytes) -> Sequence[bytes]:
    """Tokens without the white space before a text, which some servers remove."""
    joined = b"".join(data)
    bare = joined.lstrip()
    if joined.startswith(text) or not bare.startswith(text):
        return data
    blank = len(joined) - len(bare)
    pieces = []
    for piece in data:
        pieces.append(piece[blank:])
        blank = max(0, blank - len(piece))
    return pieces
