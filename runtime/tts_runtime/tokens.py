"""The interface of tokenizers: ids for text, and the bytes of every id.

Candidates are lists of token ids; their text is the bytes of their ids, decoded. Nothing sampled is
ever encoded again.

Texts of others (problems, candidates that a judge reads, what a strategy forces) may hold the names
of control tokens, such as `<|im_end|>`. Only what a binding says may become such a token: it is
`Trusted`, and a text made of it and of other texts remembers which part is which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from struct import Struct
from typing import Final, Protocol, overload, runtime_checkable
from zlib import adler32, crc32


class Tokenizer(Protocol):
    """A policy's or scorer's tokenizer."""

    @property
    def pieces(self) -> Sequence[bytes]:
        """The bytes that each id adds to a text; empty for ids without text (an end of
        sequence)."""

    @property
    def fingerprint(self) -> str:
        """Equal for tokenizers with the same ids for the same text (C9)."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text, special tokens written out in it included, none added."""


class Trusted(str):
    """A text that may hold control tokens: by itself all of it, joined to other texts its own part.

    `spans` are the trusted parts, as begins and ends in characters. What is done to it but joining
    (cutting, stripping, formatting) gives an ordinary text, of which nothing is trusted.
    """

    spans: tuple[tuple[int, int], ...]

    def __new__(cls, text: str, spans: tuple[tuple[int, int], ...] | None = None) -> Trusted:
        self = super().__new__(cls, text)
        self.spans = ((0, len(text)),) if spans is None else spans
        return self

    def __add__(self, other: str) -> Trusted:
        return Trusted(str.__add__(self, other), (*self.spans, *_shifted(other, len(self))))

    def __radd__(self, other: str) -> Trusted:
        return Trusted(str.__add__(other, self), (*_spans(other), *_shifted(self, len(other))))


def _spans(text: str) -> tuple[tuple[int, int], ...]:
    return text.spans if isinstance(text, Trusted) else ()


def _shifted(text: str, by: int) -> list[tuple[int, int]]:
    return [(begin + by, end + by) for begin, end in _spans(text)]


@runtime_checkable
class Guarding(Protocol):
    """A tokenizer with control tokens that have a text."""

    def guarded(
        self, text: str, spans: Sequence[tuple[int, int]], *, continued: bool = False
    ) -> tuple[int, ...]:
        """Ids of a text, control tokens only where they lie in one of these spans of it.

        `continued`: it stands behind another text.
        """


def encode(tokenizer: Tokenizer, text: str, *, continued: bool = False) -> tuple[int, ...]:
    """Ids of a text of which only the trusted parts may become control tokens.

    Args:
        tokenizer: Of the policy that reads it.
        text: All of it, or what stands behind another text.
        continued: The latter: a tokenizer that begins texts with a space adds none.

    Raises:
        EngineError: Part of it cannot be written without one.
    """
    if isinstance(tokenizer, Guarding):
        return tokenizer.guarded(text, _spans(text), continued=continued)
    return tokenizer.encode(text)


def joined(parts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The ids of a path, of which the last part comes first."""
    if len(parts) == 1:
        return parts[0]
    ids: list[int] = []
    for part in reversed(parts):
        ids += part
    return tuple(ids)


def path_mark(before: int, ids: Sequence[int]) -> int:
    """A number for ids after those of which `before` is the number; 0 for none.

    Two checksums of the ids side by side, CRC-32 and Adler-32: the same however a path is cut, and
    in every process. It tells apart what an engine may draw at one place, not what somebody made
    to look alike.
    """
    data = _packed(len(ids))(*ids)
    return crc32(data, before & 0xFFFFFFFF) | adler32(data, before >> 32) << 32


@lru_cache(1 << 10)
def _packed(many: int) -> Callable[..., bytes]:
    return Struct(f"<{many}Q").pack


def to_bytes(tokenizer: Tokenizer, ids: Iterable[int]) -> bytes:
    """The bytes of a list of ids."""
    pieces = tokenizer.pieces
    return b"".join([pieces[token] for token in ids])


def to_text(data: bytes) -> str:
    """Bytes as text; what is not valid UTF-8 yet (a character cut by a limit) becomes U+FFFD."""
    return data.decode("utf-8", errors="replace")


#: Line breaks by the run, words in parts of up to 6 Latin letters with the space before, all else
#: one by one: rarely fewer pieces than a tokenizer makes, so that windows are kept.
_PIECES: Final = re.compile(r"\n+| ?[A-Za-z]{1,6}| ?[\s\S]")
_BITS: Final = 52


class TextTokenizer:
    """A tokenizer for models whose tokenizer is unknown: each piece of text has an id of its own.

    A piece is a token as the server cut it, or a word where the server does not tell. Its id is a
    hash of its bytes, the same in every run, so keys of forced texts are too. Texts round-trip;
    counts of what a server cut are its own, and counts of prompts are estimates.
    """

    fingerprint = "text"

    def __init__(self) -> None:
        self._pieces = TextPieces()

    @property
    def pieces(self) -> Sequence[bytes]:
        """The bytes of every id assigned so far."""
        return self._pieces

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text, split into words and signs."""
        return tuple(self.id(piece.encode("utf-8", "replace")) for piece in split_text(text))

    def id(self, data: bytes) -> int:
        """The id of a piece."""
        return self._pieces.add(data)


class TextPieces(Sequence[bytes]):
    """Pieces by their ids: sparse, for lookups, not for iteration."""

    def __init__(self) -> None:
        self._data: dict[int, bytes] = {}

    def add(self, data: bytes) -> int:
        """The id of a piece; always the same one."""
        token = int.from_bytes(blake2b(data, digest_size=8).digest(), "little") >> (64 - _BITS)
        while self._data.setdefault(token, data) != data:
            token = (token + 1) % (1 << _BITS)
        return token

    @overload
    def __getitem__(self, token: int) -> bytes: ...

    @overload
    def __getitem__(self, token: slice) -> Sequence[bytes]: ...

    def __getitem__(self, token: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(token, slice):
            raise TypeError("ids of texts are sparse: there are no slices of them")
        try:
            return self._data[token]
        except KeyError as error:
            raise IndexError(f"no piece has the id {token}") from error

    def __len__(self) -> int:
        return 1 << _BITS


def split_text(text: str) -> list[str]:
    """A text in pieces of about the size of tokens."""
    return _PIECES.findall(text)


def split_evenly(text: str, many: int) -> list[str]:
    """A text in exactly `many` pieces; empty ones come last where it is too short."""
    units = split_text(text)
    if len(units) < many:
        units = list(text)
    if len(units) <= many:
        return units + [""] * (many - len(units))
    borders = [len(units) * place // many for place in range(many + 1)]
    return ["".join(units[start:end]) for start, end in pairwise(borders)]


#: One for all servers of a process, so that they can continue each other's texts.
TEXT: Final = TextTokenizer()
