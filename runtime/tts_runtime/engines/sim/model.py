"""Random finite language models: pure functions from ids to logits, with no weights.

The vocabulary covers what matters to a strategy: delimiters alone, inside longer
tokens and built from two tokens, several ends, an end-of-thinking delimiter of two tokens, answers,
a character split over two tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import log, pi
from typing import Final

from tts_runtime.binding import Binding, Defaults, Thinking

UNKNOWN: Final = "?"
_SPECIAL: Final = ("<end>", "<eot>")
_DIGITS: Final = "0123456789"
_LETTERS: Final = "abcdefgh"
_PIECES: Final = (
    *("\n\n", "\n", "\n\nb", " so", " ", "<think>", "</", "think>"),
    *("\\boxed{", "}", "Wait", "Answer:", UNKNOWN),
    *_DIGITS,
    *_LETTERS,
)

#: Logistic noise of unit variance for every byte: a 64-byte hash is a row of logits. With so
#: few values, equal logits occur, as ties need.
_NOISE: Final = tuple(log((byte + 0.5) / (255.5 - byte)) * 3**0.5 / pi for byte in range(256))


class SimTokenizer:
    """Greedy longest match over a fixed vocabulary; anything else becomes `?`."""

    def __init__(self) -> None:
        self._ids = {name: token for token, name in enumerate((*_SPECIAL, *_PIECES))}
        self._accent = (len(self._ids), len(self._ids) + 1)
        halves = (b"\xc3", b"\xa9")  # an accented e, as two tokens
        self._pieces = (*(b"" for _ in _SPECIAL), *(piece.encode() for piece in _PIECES), *halves)
        longest_first = sorted(self._ids, key=len, reverse=True)
        self._split = re.compile("|".join([*map(re.escape, longest_first), r"[\s\S]"]))
        self._ends = re.compile("|".join(map(re.escape, _SPECIAL)))

    @property
    def pieces(self) -> Sequence[bytes]:
        """The bytes of every id."""
        return self._pieces

    @property
    def fingerprint(self) -> str:
        """One for all simulated tokenizers: they are equal."""
        return "sim"

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of any text."""
        ids: list[int] = []
        for piece in self._split.findall(text):
            ids += self._accent if piece == "\xe9" else (self.id(piece),)
        return tuple(ids)

    def guarded(
        self,
        text: str,
        spans: Sequence[tuple[int, int]],
        *,
        continued: bool = False,  # noqa: ARG002  (begun or continued, a text has the same ids)
    ) -> tuple[int, ...]:
        """Ids of a text, ends only where they lie in one of these spans of it."""
        begin = 0
        ids: tuple[int, ...] = ()
        for found in self._ends.finditer(text):
            if not any(first <= found.start() and found.end() <= last for first, last in spans):
                ids += self.encode(text[begin : found.start() + 1])
                begin = found.start() + 1
        return ids + self.encode(text[begin:])

    def names(self) -> dict[str, int]:
        """Every token by its text; ends by their name, the halves of an accented e as "accent"."""
        return {**self._ids, "accent": self._accent[0]}

    def id(self, name: str) -> int:
        """The id of the token with this text."""
        return self._ids.get(name, self._ids[UNKNOWN])


@dataclass(frozen=True, slots=True)
class Rates:
    """About how often a token of a random text is of a kind.

    Args:
        step: Ends a step.
        end: Ends the text.
        answer: Opens an answer.
        thought: Begins the end-of-thinking delimiter.
        spread: How far logits stray from these rates, as a standard deviation in nats.
    """

    step: float = 0.2
    end: float = 0.05
    answer: float = 0.06
    thought: float = 0.04
    spread: float = 1.0


class SimModel:
    """A random model: the next token's logits are a hash of the seed and of the text so far.

    Args:
        seed: Which random model.
        rates: What its texts look like.
        order: Logits depend on the prompt, on the last `order` (>= 1) ids and on whether an answer
            is open; `None`: on all ids.
    """

    def __init__(self, seed: int = 0, rates: Rates | None = None, order: int | None = None) -> None:
        if order is not None and order < 1:
            raise ValueError(f"order {order}: a simulated model needs at least one id of context")
        self.seed = seed
        self.rates = rates if rates is not None else Rates()
        self.order = order
        self.tokenizer = SimTokenizer()
        self._usual = {state: self._expected(state) for state in _STATES}
        self.row = lru_cache(maxsize=1 << 12)(self._row)

    def binding(self, context: int = 256, defaults: Defaults | None = None) -> Binding:
        """A binding that fits the vocabulary."""
        return Binding(
            name=f"sim:{self.seed}",
            prompt="{message}\n",
            turn="\n{message}\n",
            thinking=Thinking(begin="<think>", end="</think>"),
            stop=_SPECIAL,
            context=context,
            defaults=defaults if defaults is not None else Defaults(),
        )

    def logits(self, prompt: Sequence[int], ids: Sequence[int]) -> tuple[float, ...]:
        """Logits of the next token after a prompt and a path, one of each token."""
        return Reader(self, prompt, ids).logits()

    def _row(self, digest: bytes, state: str) -> tuple[float, ...]:
        spread, usual = self.rates.spread, self._usual[state]
        # A digest has more bytes than there are tokens.
        return tuple(
            [mean + spread * _NOISE[byte] for mean, byte in zip(usual, digest, strict=False)]
        )

    def _expected(self, state: str) -> list[float]:
        rates = self.rates
        weights = dict.fromkeys((*_SPECIAL, *_PIECES), 0.003)
        if state == "answer":
            weights |= dict.fromkeys(_DIGITS[:4], 0.2)
        elif state == "digit":
            weights |= dict.fromkeys(_DIGITS[:4], 0.05) | {"}": 0.7}
        elif state == "closed":
            weights |= {"<end>": 0.35, "\n\n": 0.3}
        elif state == "thought":
            weights |= {"think>": 0.7}
        else:
            weights |= dict.fromkeys((*_LETTERS, " so"), 0.07)
            weights |= {"\n\n": rates.step * 0.6, "\n\nb": rates.step * 0.3, "\n": rates.step * 0.1}
            weights |= {"<end>": rates.end * 0.7, "<eot>": rates.end * 0.3}
            weights |= {"\\boxed{": rates.answer, "</": rates.thought}
        expected = [0.003] * len(self.tokenizer.pieces)
        for name, weight in weights.items():
            expected[self.tokenizer.id(name)] = max(weight, 1e-9)
        return [log(each) for each in expected]


_STATES: Final = ("answer", "digit", "closed", "thought", "text")


class Reader:
    """Reads a text id by id and gives the logits of what comes next."""

    def __init__(self, model: SimModel, prompt: Iterable[int], ids: Iterable[int]) -> None:
        self._model = model
        tokenizer = model.tokenizer
        self._digits = {tokenizer.id(digit) for digit in _DIGITS}
        self._states = {
            tokenizer.id("\\boxed{"): "answer",
            tokenizer.id("}"): "closed",
            tokenizer.id("</"): "thought",
        }
        self._hash = blake2b(b"%d" % model.seed, digest_size=64)
        self._recent: list[int] = []
        self._state = "text"
        for token in prompt:
            self._hash.update(b"p%d" % token)
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        """Appends one id."""
        model = self._model
        inside = self._state in ("answer", "digit") and token in self._digits
        self._state = "digit" if inside else self._states.get(token, "text")
        if model.order is None:
            self._hash.update(b"i%d" % token)
        else:
            self._recent = [*self._recent, token][-model.order :]

    def logits(self) -> tuple[float, ...]:
        """Logits of the next token, one of each token."""
        digest = self._hash.copy()
        for token in self._recent:
            digest.update(b"r%d" % token)
        return self._model.row(digest.digest(), self._state)
