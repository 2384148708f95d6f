"""Names of requests, and replies as lines of `replies.jsonl`."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, chain, pairwise
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
    return key, request.position, _path(hash(request.prompt), request.mark)


def _path(prompt: int, mark: int) -> int:
    """The hash of a tuple of integers is the same in every process."""
    return hash((prompt, mark))


def digest_of(requests: Sequence[ScoreRequest]) -> str:
    """A digest of a path that is scored, or of a pool of them."""
    if len(requests) == 1:
        return _digest_of(requests[0])
    return digest("|".join(map(_digest_of, requests))).hex()


def _digest_of(request: ScoreRequest) -> str:
    if request.digest is not None:
        return f"{request.digest.hex()}.{request.known}"
    sizes = hash((*map(len, request.steps),))
    answer = "" if request.answer is None else digest(request.answer).hex()
    return f"{digest(request.text).hex()}.{request.known}.{sizes & 0xFFFFFFFF}.{answer}"


# ------------------------------------------------------------------ lines


def generation_lines(
    policy: str,
    call: str,
    pieces: Sequence[bytes] | None,
    kept: Sequence[tuple[GenerateRequest, Generation]],
) -> Iterator[dict[str, Any]]:
    """Generations of one call side by side; numbers that JSON would round or lacks, in base 64.

    Args:
        policy, call: The policy's name, and the digest of the call.
        pieces: Of a tokenizer that is known by its texts only, in place of ids.
        kept: What was asked, and what was replied.
    """
    many = max(1, _MOST_TOKENS // (1 + max(len(each.ids) for _, each in kept)))
    for start in range(0, len(kept), many):
        yield {"policy": policy, "call": call, **_columns(pieces, kept[start : start + many])}


def _columns(
    pieces: Sequence[bytes] | None, kept: Sequence[tuple[GenerateRequest, Generation]]
) -> dict[str, Any]:
    requests = [request for request, _ in kept]
    replies = [reply for _, reply in kept]
    ids = list(chain.from_iterable([reply.ids for reply in replies]))
    drawn = [reply.drawn for reply in replies]
    counts = [len(reply.ids) for reply in replies]
    finish = [reply.finish._value_ for reply in replies]
    hashes = {id(request.prompt): request.prompt for request in requests}
    prompts = {name: hash(prompt) for name, prompt in hashes.items()}
    line: dict[str, Any] = {
        "at": [request.position for request in requests],
        "paths": [_path(prompts[id(request.prompt)], request.mark) for request in requests],
        "counts": counts,
        "logprobs": _packed(chain.from_iterable([reply.logprobs for reply in replies])),
        "finish": finish[0] if finish.count(finish[0]) == len(finish) else finish,
    }
    if requests[0].sampling.temperature:
        line["keys"] = b64encode(b"".join([request.key for request in requests])).decode()
    ends = [reply.end_logprob for reply in replies]
    if any(ends):
        line["ends"] = _packed(ends)
    if drawn != counts:
        line["drawn"] = drawn
    if pieces is None:
        line["ids"] = ids
    else:
        line["pieces"] = [pieces[token].decode("latin-1") for token in ids]
    halted = [place for place, reply in enumerate(replies) if reply.halted]
    if halted:
        line["halted"] = halted
    statistics = {
        str(place): {name: _packed(values) for name, values in reply.statistics.items()}
        for place, reply in enumerate(replies)
        if reply.statistics
    }
    if statistics:
        line["statistics"] = statistics
    return line


def generations_in(value: Mapping[str, Any]) -> dict[Name, KeptGeneration]:
    """The generations of a line, by name."""
    counts: list[int] = value["counts"]
    keys, logprobs = b64decode(value.get("keys", "")), _numbers(value["logprobs"])
    ends = _numbers(value["ends"]) if "ends" in value else [0.0] * len(counts)
    finish = value["finish"] if isinstance(value["finish"], list) else [value["finish"]] * len(ends)
    width = len(keys) // len(counts)
    tokens = value.get("pieces", value.get("ids"))
    if not len(tokens) == len(logprobs) == sum(counts):
        raise ValueError("other numbers of tokens and log-probabilities")
    found: dict[Name, KeptGeneration] = {}
    borders = pairwise(accumulate(counts, initial=0))
    columns = (value["at"], value["paths"], finish, value.get("drawn", counts), ends)
    for place, ((start, end), (at, path, why, drawn, end_logprob)) in enumerate(
        zip(borders, zip(*columns, strict=True), strict=True)
    ):
        key = keys[place * width : (place + 1) * width]
        found[str(value["policy"]), str(value["call"]), key, at, path] = KeptGeneration(
            ids=tokens[start:end] if "ids" in value else (),
            pieces=tokens[start:end] if "pieces" in value else None,
            logprobs=logprobs[start:end],
            finish=Finish(why),
            end_logprob=end_logprob,
            halted=place in value.get("halted", ()),
            drawn=drawn,
            statistics=value.get("statistics", {}).get(str(place), {}),
        )
    return found


def score_line(scorer: str, kept: Sequence[tuple[Sequence[ScoreRequest], Any]]) -> dict[str, Any]:
    """Scores of one scorer side by side; what is no finite number is not kept."""
    requests: list[str] = []
    found: list[Any] = []
    for asked, given in kept:
        try:
            plain = [_plain(each) for each in ((given,) if type(given) is ScoreReply else given)]
        except (TypeError, ValueError, OverflowError):
            continue
        requests.append(digest_of(asked))
        found.append(plain)
    return {"scorer": scorer, "requests": requests, "replies": found}


def _plain(reply: ScoreReply) -> tuple[Any, int, tuple[int, ...]]:
    scores, opening, sizes = reply.scores, reply.opening, reply.sizes
    for each in scores:
        if type(each) is not float or not isfinite(each):
            scores = tuple(map(_score, scores))
            break
    for size in sizes:
        if type(size) is not int:
            sizes = tuple(map(int, sizes))
            break
    return scores, opening if type(opening) is int else int(opening), sizes


def _score(number: Any) -> float | None:
    if number is None:
        return None
    found = float(number)
    if not isfinite(found):
        raise ValueError("no finite number")
    return found


def _packed(values: Iterable[float]) -> str:
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
