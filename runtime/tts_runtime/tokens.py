"""What the runtime needs of a tokenizer: ids for text, and the bytes of every id.

Candidates are lists of token ids; their text is the bytes of their ids, decoded. Nothing sampled is
ever encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


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


def to_bytes(tokenizer: Tokenizer, ids: Iterable[int]) -> bytes:
    """The bytes of a list of ids."""
    pieces = tokenizer.pieces
    return b"".join([pieces[token] for token in ids])


def to_text(data: bytes) -> str:
    """Bytes as text; what is not valid UTF-8 yet (a character cut by a limit) becomes U+FFFD."""
    return data.decode("utf-8", errors="replace")
