"""A tokenizer for models whose tokenizer nobody named: every piece of text has an id of its own.

Paths are lists of ids everywhere in the runtime, but a server may tell no more than texts. Here a
piece of text (a token as the server cut it, or a word where it does not tell) is its own token, and
its id is a hash of its bytes: the same in every run, so that the keys of forced texts are. Texts
round-trip; counts of what a server cut are its own, and counts of prompts are estimates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Final, overload

#: Line breaks by the run, words in parts of up to 6 Latin letters with the space before, all else
#: one by one: rarely fewer pieces than a tokenizer makes, so that windows are kept.
_PIECES: Final = re.compile(r"\n+| ?[A-Za-z]{1,6}| ?[\s\S]")
_BITS: Final = 52


class TextTokenizer:
    """Texts as ids; one for all servers of a process, so that they can go on with each other's."""

    fingerprint = "text"

    def __init__(self) -> None:
        self._pieces = TextPieces()

    @property
    def pieces(self) -> Sequence[bytes]:
        """The bytes of every id given so far."""
        return self._pieces

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text, cut into words and signs."""
        return tuple(self.id(piece.encode("utf-8", "replace")) for piece in split(text))

    def id(self, data: bytes) -> int:
        """The id of a piece."""
        return self._pieces.add(data)


class TextPieces(Sequence[bytes]):
    """The pieces that have been given ids: long and sparse, to be looked into, not gone through."""

    def __init__(self) -> None:
        self._data: dict[int, bytes] = {}

    def add(self, data: bytes) -> int:
        """The id of a piece, the same whenever it is asked for."""
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


def split(text: str) -> list[str]:
    """A text in pieces of about the size of tokens."""
    return _PIECES.findall(text)


def cut(text: str, many: int) -> list[str]:
    """A text in exactly `many` pieces; empty ones stand last where it is too short."""
    units = split(text)
    if len(units) < many:
        units = list(text)
    if len(units) <= many:
        return units + [""] * (many - len(units))
    borders = [len(units) * place // many for place in range(many + 1)]
    return ["".join(units[start:end]) for start, end in pairwise(borders)]


#: The one that every server without a named tokenizer uses.
TEXT: Final = TextTokenizer()
