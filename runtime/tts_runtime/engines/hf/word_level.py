"""Word-level tokenizers without the library `tokenizers`: the bundled models need no more.

Of the format of `tokenizer.json`, only this much: added tokens, a split at a regular expression
that is an alternation of literal texts and `[\\s\\S]`, and a vocabulary. Ids and offsets are those
of the library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

#: `a\{|b|[\s\S]`: the same in Python's regular expressions and in Oniguruma's, the library's.
_LITERALS: Final = re.compile(r"(?:(?:\\[^A-Za-z0-9]|[^\\^$.|?*+()\[\]{}])+\|)*\[\\s\\S\]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """Ids of a text, and the characters that each of them stands for: (first, after the last)."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class WordLevelTokenizer:
    """What is used of `tokenizers.Tokenizer`, for settings that `is_word_level` accepts."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._vocabulary: dict[str, int] = dict(settings["model"]["vocab"])
        self._unknown = self._vocabulary[settings["model"]["unk_token"]]
        self._added = {token["content"]: token["id"] for token in settings["added_tokens"]}
        self._names = {token: name for name, token in (self._vocabulary | self._added).items()}
        # Of added tokens that begin at one place the library takes the longest.
        longest_first = sorted(self._added, key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._split = re.compile(settings["pre_tokenizer"]["pattern"]["Regex"])

    def encode(self, text: str, *, add_special_tokens: bool) -> Encoding:  # noqa: ARG002
        """Ids of a text; there is no post-processor, so nothing is added either way."""
        spans = list(self._spans(text))
        return Encoding([token for token, _, _ in spans], [(a, b) for _, a, b in spans])

    def token_to_id(self, text: str) -> int | None:
        """The id of a vocabulary entry or an added token."""
        return self._added.get(text, self._vocabulary.get(text))

    def id_to_token(self, token: int) -> str | None:
        """The text of an id."""
        return self._names.get(token)

    def get_vocab(self, *, with_added_tokens: bool) -> dict[str, int]:
        """Ids by text."""
        return self._vocabulary | self._added if with_added_tokens else dict(self._vocabulary)

    def _spans(self, text: str) -> Iterator[tuple[int, int, int]]:
        begin = 0
        for mark in self._marks.finditer(text):
            yield from self._words(text, begin, mark.start())
            yield self._added[mark[0]], mark.start(), mark.end()
            begin = mark.end()
        yield from self._words(text, begin, len(text))

    def _words(self, text: str, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        for word in self._split.finditer(text, begin, end):
            yield self._vocabulary.get(word[0], self._unknown), word.start(), word.end()


def is_word_level(settings: Mapping[str, Any]) -> bool:
    """Whether the settings in a `tokenizer.json` are of the kind that is read here."""
    model, splitter = settings.get("model") or {}, settings.get("pre_tokenizer") or {}
    pattern = splitter.get("pattern") or {}
    return (
        model.get("type") == "WordLevel"
        and model.get("unk_token") in model.get("vocab", ())
        and splitter.get("type") == "Split"
        and splitter.get("behavior") == "Isolated"
        and not splitter.get("invert")
        and _LITERALS.fullmatch(pattern.get("Regex", "")) is not None
        and not any(settings.get(key) for key in ("normalizer", "post_processor", "truncation"))
        and not settings.get("padding")
        and all(map(_is_plain, settings.get("added_tokens", ())))
    )


def _is_plain(token: Mapping[str, Any]) -> bool:
    """Whether an added token is found wherever its text stands."""
    return bool(token["content"]) and not any(
        token.get(key) for key in ("single_word", "lstrip", "rstrip", "normalized")
    )
