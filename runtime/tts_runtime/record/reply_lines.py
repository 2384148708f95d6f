"""Names of requests, and replies as lines of `replies.jsonl`."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """Key, position and path; the key stands for nothing where none is drawn with it (C15).

    The hash of a tuple of integers is the same in every process.
    """
    key = request.key if request.sampling.temperature else b""
    return key, len(request.prefix), hash((request.prompt, request.prefix))


def digest_of(requests: Sequence[ScoreRequest]) -> str:
    """A digest of a path that is scored, or of a pool of them."""
    digest = blake2b(digest_size=12)
    for request in requests:
        sizes = array("q", map(len, request.steps))
        answer = "" if request.answer is None else f"={request.answer}"
        text = f"{request.known}|{len(request.text)}|{request.text}|{answer}|"
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(sizes.tobytes())
    return digest.hexdigest()


# ------------------------------------------------------------------ lines


def parts(
    pairs: Iterable[tuple[GenerateRequest, Generation]],
) -> Iterator[list[tuple[GenerateRequest, Generation]]]:
    """Generations in parts of about as many tokens as a line may have."""
    part: list[tuple[GenerateRequest, Generation]] = []
    tokens = 0
    for pair in pairs:
        if part and tokens > _MOST_TOKENS:
            yield part
            part, tokens = [], 0
        part.append(pair)
        tokens += len(pair[1].ids)
    yield part


def generation_columns(pairs: Sequence[tuple[GenerateRequest, Generation]]) -> dict[str, Any]:
    """Generations side by side; numbers that JSON would round or lacks, in base 64."""
    keys = bytearray()
    at, paths, counts, finish, drawn = [], [], [], [], []
    ids: list[int] = []
    logprobs = array("d")
    halted = []
    statistics: dict[str, dict[str, str]] = {}
    for place, (request, generation) in enumerate(pairs):
        key, position, path = path_name(request)
        keys += key
        at.append(position)
        paths.append(path)
        counts.append(len(generation.ids))
        ids.extend(generation.ids)
        logprobs.extend(generation.logprobs)
        logprobs.append(generation.end_logprob)
        finish.append(generation.finish.value)
        drawn.append(generation.drawn)
        if generation.halted:
            halted.append(place)
        if generation.statistics:
            statistics[str(place)] = {
                name: _packed(array("d", values)) for name, values in generation.statistics.items()
            }
    line: dict[str, Any] = {
        "keys": b64encode(keys).decode(),
        "at": at,
        "paths": paths,
        "counts": counts,
        "ids": ids,
        "logprobs": _packed(logprobs),
        "finish": finish,
        "drawn": drawn,
    }
    if halted:
        line["halted"] = halted
    if statistics:
        line["statistics"] = statistics
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


def score_lines(
    scores: Iterable[tuple[str, Sequence[ScoreRequest], Sequence[ScoreReply]]],
) -> Iterator[dict[str, Any]]:
    """Lines of scores, by scorer; what is no finite number is not kept."""
    groups: dict[str, tuple[list[str], list[Any]]] = {}
    for name, requests, replies in scores:
        try:
            found = [
                ([_score(each) for each in reply.scores], int(reply.opening), [*reply.sizes])
                for reply in replies
            ]
        except (TypeError, ValueError, OverflowError):
            continue
        asked, given = groups.setdefault(name, ([], []))
        asked.append(digest_of(requests))
        given.append(found)
    for name, (asked, given) in groups.items():
        yield {"scorer": name, "requests": asked, "replies": given}


def _score(number: Any) -> float | None:
    if number is None:
        return None
    found = float(number)
    if not isfinite(found):
        raise ValueError("no finite number")
    return found


def _packed(numbers: array[float]) -> str:
    """64-bit floats, little-endian, in base 64."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


def _numbers(text: str) -> array[float]:
    found = array("d")
    found.frombytes(b64decode(text))
    if sys.byteorder == "big":
        found.byteswap()
    return found
