"""What the runtime needs of a tokenizer: ids for text, and the bytes of every id.

Candidates are lists of token ids; their text is the bytes of their ids, decoded. Nothing sampled is
ever encoded again.

Texts of others (problems, candidates that a judge reads, what a strategy forces) may hold the names
of control tokens, such as `<|im_end|>`. Only what a binding says may become such a token: it is
`Trusted`, and a text made of it and of other texts remembers which part is which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable


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

    def guarded(self, text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        """Ids of a text, control tokens only where they lie in one of these spans of it."""


def encode(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Ids of a text of which only the trusted parts may become control tokens.

    Raises:
        EngineError: Part of it cannot be written without one.
    """
    if isinstance(tokenizer, Guarding):
        return tokenizer.guarded(text, _spans(text))
    return tokenizer.encode(text)


def to_bytes(tokenizer: Tokenizer, ids: Iterable[int]) -> bytes:
    """The bytes of a list of ids."""
    pieces = tokenizer.pieces
    return b"".join([pieces[token] for token in ids])


def to_text(data: bytes) -> str:
    """Bytes as text; what is not valid UTF-8 yet (a character cut by a limit) becomes U+FFFD."""
    return data.decode("utf-8", errors="replace")
