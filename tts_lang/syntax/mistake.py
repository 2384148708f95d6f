"""A token that does not fit, and what stands around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, error
from tts_lang.source import Source, Span

if TYPE_CHECKING:
    from tts_lang.syntax.tokens import Token


@dataclass(slots=True)
class Mistake:
    """A token, `tokens[at]`, that does not fit into the statement begun at `tokens[first]`."""

    source: Source
    tokens: list[Token]
    first: int
    at: int
    accepts: frozenset[str]
    top_level: bool

    @property
    def token(self) -> Token:
        """The token that does not fit."""
        return self.tokens[self.at]

    @property
    def head(self) -> Token:
        """The first token of the statement."""
        return self.tokens[self.first]

    @property
    def before(self) -> Token:
        """The token before the one that does not fit, or that one itself at the very start."""
        return self.tokens[max(self.at - 1, 0)]

    def __getitem__(self, offset: int) -> Token:
        """The token `offset` places from the one that does not fit."""
        return self.tokens[min(max(self.at + offset, 0), len(self.tokens) - 1)]

    @property
    def line(self) -> list[Token]:
        """The tokens of the statement before the one that does not fit."""
        return self.tokens[self.first : self.at]

    def text(self, start: Token, end: Token) -> str:
        """The source from one token to another, both included."""
        return self.source.text[start.start : end.end]

    def rest(self) -> str:
        """The source from the token that does not fit to the end of its line."""
        end = self.source.text.find("\n", self.token.start)
        rest = self.source.text[self.token.start : end if end >= 0 else None]
        return rest.partition("#")[0].strip()

    def report(
        self,
        code: str,
        message: str,
        suggestion: str | None = None,
        *,
        span: Span | None = None,
        expected: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Diagnostic:
        """A diagnostic at the token, or elsewhere."""
        return error(
            code,
            message,
            span or self._visible(),
            self.source,
            expected=expected,
            suggestion=suggestion,
            notes=notes,
        )

    def _visible(self) -> Span:
        """Layout tokens are empty: point behind the last word instead."""
        token = self.token
        if token.end > token.start:
            return token.span
        return Span(token.end, token.end + 1)
