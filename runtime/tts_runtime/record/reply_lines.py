"""Names of requests, and replies as lines of `replies.jsonl`."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, pairwise
from math import isfinite
from typing import Any, Final, TypeAlias

from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
    Sampling,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor.requests import digest
from tts_runtime.tokens import TextTokenizer

#: What makes a generation: policy, call, key, position, path.
Name: TypeAlias = tuple[str, str, bytes, int, int]

#: Tokens of a line, about.
_MOST_TOKENS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class KeptGeneration:
    """A generation as it was read back."""

    ids: Sequence[int]
    pieces: Sequence[str] | None
    logprobs: Sequence[float]
    finish: Finish
    end_logprob: float
    halted: bool
    drawn: int
    statistics: Mapping[str, str]

    def generation(self, engine: PolicyEngine, request: GenerateRequest) -> Generation:
        """The generation as the engine gave it, but for what it had to read."""
        tokenizer = engine.tokenizer
        ids = tuple(self.ids)
        if self.pieces is not None:
            assert isinstance(tokenizer, TextTokenizer)
            ids = tuple(tokenizer.id(piece.encode("latin-1")) for piece in self.pieces)
        segments = request.segments
        delimiter = engine.binding.step_delimiter.encode()
        for token in ids:
            segments = segments.add(tokenizer.pieces[token], delimiter)
        return Generation(
            ids=ids,
            logprobs=tuple(self.logprobs),
            finish=self.finish,
            segments=segments,
            end_logprob=self.end_logprob,
            halted=self.halted,
            drawn=self.drawn,
            statistics={name: tuple(_numbers(text)) for name, text in self.statistics.items()},
        )


# ------------------------------------------------------------------ what was asked


def digest_of_call(sampling: Sampling, limits: Limits, more: tuple[object, ...]) -> str:
    """Of texts that are the same in every process, as hashes of texts are not."""
    texts = repr((sampling, limits, more))
    return blake2b(texts.encode(), digest_size=6).hexdigest()


def path_name(request: GenerateRequest) -> tuple[bytes, int, int]:
    """Key, position and path; the key stands for nothing where none is drawn with it (C15)."""
    key = request.key if request.sampling.temperature else b""
    return key, len(request.prefix), _path(hash(request.prompt), request.prefix)


def _path(prompt: int, prefix: tuple[int, ...]) -> int:
    """The hash of a tuple of integers is the same in every process."""
    return hash((prompt, prefix))


def digest_of(requests: Sequence[ScoreRequest]) -> str:
    """A digest of a path that is scored, or of a pool of them."""
    if len(requests) == 1:
        return _digest_of(requests[0])
    return digest("|".join(map(_digest_of, requests))).hex()


def _digest_of(request: ScoreRequest) -> str:
    text = request.digest or digest(request.text)
    sizes = hash((*map(len, request.steps),))
    answer = "" if request.answer is None else digest(request.answer).hex()
    return f"{text.hex()}.{request.known}.{sizes & 0xFFFFFFFF}.{answer}"


# ------------------------------------------------------------------ lines


class GenerationColumns:
    """Generations of one call side by side, as a line has them.

    Args:
        name: The policy's name, and the digest of the call.
        pieces: Of a tokenizer that is known by its texts only, in place of ids.
    """

    __slots__ = (
        *("_at", "_counts", "_drawn", "_finish", "_halted", "_ids", "_keys", "_logprobs"),
        *("_paths", "_pieces", "_prompt", "_prompt_hash", "_statistics", "name"),
    )

    def __init__(self, name: tuple[str, str], pieces: Sequence[bytes] | None) -> None:
        self.name = name
        self._pieces = pieces
        self._keys: list[bytes] = []
        self._at: list[int] = []
        self._paths: list[int] = []
        self._counts: list[int] = []
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._finish: list[str] = []
        self._drawn: list[int] = []
        self._halted: list[int] = []
        self._statistics: dict[str, dict[str, str]] = {}
        self._prompt: tuple[int, ...] | None = None
        self._prompt_hash = 0

    @property
    def full(self) -> bool:
        """Whether a line has enough of them."""
        return len(self._ids) > _MOST_TOKENS

    def add(self, request: GenerateRequest, generation: Generation) -> None:
        """One more."""
        if request.prompt is not self._prompt:
            self._prompt, self._prompt_hash = request.prompt, hash(request.prompt)
        ids = generation.ids
        self._keys.append(request.key if request.sampling.temperature else b"")
        self._at.append(len(request.prefix))
        self._paths.append(_path(self._prompt_hash, request.prefix))
        self._counts.append(len(ids))
        self._ids += ids
        self._logprobs += generation.logprobs
        self._logprobs.append(generation.end_logprob)
        self._finish.append(generation.finish._value_)
        self._drawn.append(generation.drawn)
        if generation.halted:
            self._halted.append(len(self._at) - 1)
        if generation.statistics:
            self._statistics[str(len(self._at) - 1)] = {
                name: _packed(values) for name, values in generation.statistics.items()
            }

    def line(self) -> dict[str, Any]:
        """All of them; numbers that JSON would round or lacks, in base 64."""
        line: dict[str, Any] = {
            "policy": self.name[0],
            "call": self.name[1],
            "keys": b64encode(b"".join(self._keys)).decode(),
            "at": self._at,
            "paths": self._paths,
            "counts": self._counts,
            "logprobs": _packed(self._logprobs),
            "finish": self._finish,
            "drawn": self._drawn,
        }
        if self._pieces is None:
            line["ids"] = self._ids
        else:
            line["pieces"] = [self._pieces[token].decode("latin-1") for token in self._ids]
        if self._halted:
            line["halted"] = self._halted
        if self._statistics:
            line["statistics"] = self._statistics
        return line


def generations_in(value: Mapping[str, Any]) -> dict[Name, KeptGeneration]:
    """The generations of a line, by name."""
    counts: list[int] = value["counts"]
    keys, logprobs = b64decode(value["keys"]), _numbers(value["logprobs"])
    width = len(keys) // len(counts)
    tokens = value.get("pieces", value.get("ids"))
    found: dict[Name, KeptGeneration] = {}
    borders = pairwise(accumulate(counts, initial=0))
    columns = zip(value["at"], value["paths"], value["finish"], value["drawn"], strict=True)
    for place, ((start, end), (at, path, finish, drawn)) in enumerate(
        zip(borders, columns, strict=True)
    ):
        key = keys[place * width : (place + 1) * width]
        found[str(value["policy"]), str(value["call"]), key, at, path] = KeptGeneration(
            ids=tokens[start:end] if "ids" in value else (),
            pieces=tokens[start:end] if "pieces" in value else None,
            logprobs=logprobs[start + place : end + place],
            finish=Finish(finish),
            end_logprob=logprobs[end + place],
            halted=place in value.get("halted", ()),
            drawn=drawn,
            statistics=value.get("statistics", {}).get(str(place), {}),
        )
    return found


class ScoreColumns:
    """Scores of one scorer side by side, as a line has them."""

    __slots__ = ("_replies", "_requests", "_scorer")

    def __init__(self, scorer: str) -> None:
        self._scorer = scorer
        self._requests: list[str] = []
        self._replies: list[Any] = []

    def add(self, requests: Sequence[ScoreRequest], replies: Sequence[ScoreReply]) -> None:
        """Those of one more path or pool; what is no finite number is not kept."""
        try:
            found = [
                ([*map(_score, reply.scores)], int(reply.opening), [*map(int, reply.sizes)])
                for reply in replies
            ]
        except (TypeError, ValueError, OverflowError):
            return
        self._requests.append(digest_of(requests))
        self._replies.append(found)

    def line(self) -> dict[str, Any]:
        """All of them."""
        return {"scorer": self._scorer, "requests": self._requests, "replies": self._replies}


def _score(number: Any) -> float | None:
    if number is None:
        return None
    found = float(number)
    if not isfinite(found):
        raise ValueError("no finite number")
    return found


def _packed(values: Sequence[float]) -> str:
    """64-bit floats, little-endian, in base 64."""
    numbers = array("d", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


def _numbers(text: str) -> array[float]:
    found = array("d")
    found.frombytes(b64decode(text))
    if sys.byteorder == "big":
        found.byteswap()
    return found
