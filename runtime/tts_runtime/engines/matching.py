"""What may be drawn so that the text of a call comes to match an expression (C77).

Which tokens lead to a match is found by llguidance, on the bytes of each token: the same in every
engine, whatever the tokenizer. Source: https://github.com/guidance-ai/llguidance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final
from weakref import WeakKeyDictionary

from tts_lang.regex import for_rust
from tts_runtime.engines.base import EngineError
from tts_runtime.tokens import Tokenizer

#: Why an expression cannot be used where the library is not there.
ADVICE: Final = "pip install 'tts-lang[matching]'"
#: What llguidance calls an error where no token of the vocabulary leads to a match.
_NO_TOKEN: Final = "NoExtensionBias"


class TokenIds(Collection[int]):
    """Many ids in rising order, a NumPy array: a mask can forbid a whole vocabulary."""

    __slots__ = ("ids",)

    def __init__(self, ids: Any) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids.tolist())

    def __contains__(self, token: object) -> bool:
        return bool((self.ids == token).any())


class Matcher:
    """Follows the tokens of one call.

    Args:
        pattern: An expression of `tts_lang.regex` without assertions.
        tokenizer: Of the tokens.
        ends: The tokens that end a solution.
        before: Ids that the call has drawn.

    Raises:
        EngineError: The expression is too large to follow; from `forbidden`, too.
    """

    def __init__(
        self,
        pattern: str,
        tokenizer: Tokenizer,
        ends: frozenset[int],
        before: Sequence[int] = (),
    ) -> None:
        self._ends = ends
        self._pattern = pattern
        self._size = len(tokenizer.pieces)
        self._read = 0
        self._matcher = _begun(pattern, tokenizer).deep_copy()
        for token in before:
            self._matcher.consume_token(token)
        self._check()

    def forbidden(self, ids: Sequence[int]) -> Collection[int]:
        """What must not be drawn behind the ids of the call so far; each time, there are more."""
        matcher = self._matcher
        for token in ids[self._read :]:
            matcher.consume_token(token)
        self._read = len(ids)
        matches = matcher.is_accepting()
        # One that matches and cannot continue has stopped, and then has no mask.
        mask = b"" if matches and matcher.is_stopped() else matcher.compute_bitmask()
        if matcher.get_error().startswith(_NO_TOKEN):
            mask = b""
        else:
            self._check()
        return _forbidden(mask, self._size, self._ends if matches else frozenset())

    def _check(self) -> None:
        if self._matcher.is_error():
            said = self._matcher.get_error().strip().partition("\n")[0]
            raise EngineError(f"the expression `{self._pattern}` cannot be followed: {said}")


@lru_cache(maxsize=64)
def _forbidden(mask: bytes, size: int, ends: frozenset[int]) -> TokenIds:
    """The ids below `size` that are neither in a mask nor among the ends."""
    import numpy as np

    allowed = np.zeros(size, bool)
    bits = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")[:size]
    allowed[: len(bits)] = bits
    allowed[sorted(ends)] = True
    return TokenIds(np.flatnonzero(~allowed))


class _Wrapped:
    """A tokenizer as llguidance wants it: its ids, and one more for an end that is never drawn."""

    bos_token_id: Final = None
    special_token_ids: Final = ()

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokens = [*tokenizer.pieces, b"\xff<end>"]
        self.eos_token_id = len(tokenizer.pieces)
        self._tokenizer = tokenizer

    def __call__(self, text: bytes | str) -> list[int]:
        written = text if isinstance(text, str) else text.decode("utf-8", "replace")
        return list(self._tokenizer.encode(written))


_VOCABULARIES: Final[WeakKeyDictionary[Tokenizer, tuple[Any, dict[str, Any]]]] = WeakKeyDictionary()
#: Expressions whose beginnings are kept for each tokenizer.
_MOST_KEPT: Final = 64


def _begun(pattern: str, tokenizer: Tokenizer) -> Any:
    """A matcher that has read nothing; to be copied."""
    from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

    found = _VOCABULARIES.get(tokenizer)
    if found is None:
        found = LLTokenizer(TokenizerWrapper(_Wrapped(tokenizer))), {}
        _VOCABULARIES[tokenizer] = found
    vocabulary, begun = found
    matcher = begun.get(pattern)
    if matcher is None:
        if len(begun) >= _MOST_KEPT:
            begun.clear()
        matcher = begun[pattern] = LLMatcher(vocabulary, _grammar(pattern), log_level=0)
    return matcher


def _grammar(pattern: str) -> str:
    """For llguidance; without forcing, which would allow one token only where one text fits."""
    return f'%llguidance {{"no_forcing": true}}\nstart: /{for_rust(pattern)}/'


def unusable(pattern: str) -> str | None:
    """Why an expression cannot be followed in this process, if it cannot."""
    if find_spec("llguidance") is None:
        return f"what `matching` and `one of` allow is found by llguidance: {ADVICE}"
    from llguidance import LLMatcher

    said: str = LLMatcher.validate_grammar(_grammar(pattern)).strip()
    return f"the expression cannot be followed: {said}" if said else None
