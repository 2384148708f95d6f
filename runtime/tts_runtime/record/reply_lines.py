"""Names of requests, and replies as lines of `replies.jsonl`."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate, chain, pairwise
from math import isfinite
from typing import Any, Final, TypeAlias

from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor.nodes import Node, marks_before
from tts_runtime.executor.requests import digest
from tts_runtime.tokens import TextTokenizer

#: What makes a generation: policy, call, key, position, prompt, path, most tokens.
Name: TypeAlias = tuple[str, str, bytes, int, int, int, int]

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


def digest_of_call(kind: tuple[object, ...]) -> str:
    """Of texts that are the same in every process, as hashes of texts are not."""
    return blake2b(repr(kind).encode(), digest_size=6).hexdigest()


def path_name(request: GenerateRequest) -> tuple[bytes, int, int, int, int]:
    """Key, position, prompt, path, room; the key says nothing where none is drawn with it (C15).

    The hash of a tuple of integers is the same in every process.
    """
    key = request.key if request.sampling.temperature else b""
    room = request.limits.max_tokens
    return key, request.position, hash(request.prompt), request.mark, room


def digest_of(requests: Sequence[ScoreRequest]) -> str:
    """A digest of a path that is scored, or of a pool of them."""
    if len(requests) == 1:
        return _digest_of(requests[0])
    return digest("|".join(map(_digest_of, requests))).hex()


def _digest_of(request: ScoreRequest) -> str:
    if request.digest is not None:
        return path_digest(request.digest, request.known)
    sizes = hash((*map(len, request.steps),))
    answer = "" if request.answer is None else digest(request.answer).hex()
    return f"{digest(request.text).hex()}.{request.known}.{sizes & 0xFFFFFFFF}.{answer}"


def path_digest(digest: bytes, known: int) -> str:
    """`digest_of` a path with a digest, of which this number of steps is known."""
    return f"{digest.hex()}.{known}"


# ------------------------------------------------------------------ lines


@dataclass(slots=True)
class DrawnReplies:
    """What one policy replied to calls of one kind.

    Args:
        name, call: The policy's name, and the digest of the call.
        seeded: Something is drawn with the keys.
        pieces: Of a tokenizer that is known by its texts only, in place of ids.
        nodes: Replies of which nodes were made; `rooms`: the tokens that there was room for.
        others: The others, with what was asked.
    """

    name: str
    call: str
    seeded: bool
    pieces: Sequence[bytes] | None
    nodes: list[Node] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)
    others: list[tuple[GenerateRequest, Generation]] = field(default_factory=list)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All of it, side by side."""
        for part in _parts(self.nodes):
            nodes = self.nodes[part]
            hashes = {
                conversation: hash(conversation.prompt(nodes[0].policy))
                for conversation in {node.conversation for node in nodes}
            }
            yield self._line(
                nodes,
                [node.parent.position for node in nodes],  # type: ignore[union-attr]
                marks_before(nodes),
                [hashes[node.conversation] for node in nodes],
                self.rooms[part],
                [node.key for node in nodes],
                [node.doubles for node in nodes],
            )
        for part in _parts([reply for _, reply in self.others]):
            requests = [request for request, _ in self.others[part]]
            replies = [reply for _, reply in self.others[part]]
            yield self._line(
                replies,
                [request.position for request in requests],
                [request.mark for request in requests],
                [hash(request.prompt) for request in requests],
                [request.limits.max_tokens for request in requests],
                [request.key for request in requests],
                [reply.logprobs for reply in replies],
            )

    def _line(
        self,
        replies: Sequence[Node | Generation],
        at: list[int],
        marks: list[int],
        prompts: list[int],
        rooms: list[int],
        keys: list[bytes],
        logprobs: Sequence[Sequence[float] | bytes],
    ) -> dict[str, Any]:
        """Numbers that JSON would round or lacks are in base 64."""
        ids = list(chain.from_iterable([reply.ids for reply in replies]))
        counts = [len(reply.ids) for reply in replies]
        line: dict[str, Any] = {
            "policy": self.name,
            "call": self.call,
            "prompts": _one(prompts),
            "rooms": _one(rooms),
            "at": at,
            "marks": marks,
            "counts": _one(counts),
            "logprobs": _packed(logprobs),
            "finish": _one([reply.finish._value_ for reply in replies]),  # type: ignore[union-attr]
        }
        if self.seeded:
            line["keys"] = b64encode(b"".join(keys)).decode()
        ends = [reply.end_logprob for reply in replies]
        if any(ends):
            line["ends"] = _packed([ends])
        drawn = [reply.drawn for reply in replies]
        if drawn != counts:
            line["drawn"] = drawn
        if self.pieces is None:
            line["ids"] = ids
        else:
            line["pieces"] = [self.pieces[token].decode("latin-1") for token in ids]
        halted = [place for place, reply in enumerate(replies) if reply.halted]
        if halted:
            line["halted"] = halted
        statistics = {
            str(place): {name: _packed([values]) for name, values in reply.statistics.items()}
            for place, reply in enumerate(replies)
            if reply.statistics
        }
        if statistics:
            line["statistics"] = statistics
        return line


def _parts(replies: Sequence[Node | Generation]) -> Iterator[slice]:
    """Not too many for a line."""
    if replies:
        most = max(1, _MOST_TOKENS // (1 + max([len(reply.ids) for reply in replies])))
        for start in range(0, len(replies), most):
            yield slice(start, start + most)


def _one(values: list[Any]) -> Any:
    """One value, where all are alike."""
    return values[0] if values.count(values[0]) == len(values) else values


def _each(value: Any, many: int) -> Any:
    return value if isinstance(value, list) else [value] * many


def generations_in(value: Mapping[str, Any]) -> dict[Name, KeptGeneration]:
    """The generations of a line, by name."""
    many = len(value["at"])
    counts, finish, prompts, rooms = (
        _each(value[name], many) for name in ("counts", "finish", "prompts", "rooms")
    )
    keys, logprobs = b64decode(value.get("keys", "")), _numbers(value["logprobs"])
    ends = _numbers(value["ends"]) if "ends" in value else [0.0] * many
    width = len(keys) // many
    tokens = value.get("pieces", value.get("ids"))
    if not len(tokens) == len(logprobs) == sum(counts):
        raise ValueError("other numbers of tokens and log-probabilities")
    found: dict[Name, KeptGeneration] = {}
    borders = pairwise(accumulate(counts, initial=0))
    paths = zip(value["at"], prompts, value["marks"], rooms, strict=True)
    columns = (paths, finish, value.get("drawn", counts), ends)
    for place, ((start, end), (path, why, drawn, end_logprob)) in enumerate(
        zip(borders, zip(*columns, strict=True), strict=True)
    ):
        key = keys[place * width : (place + 1) * width]
        name = str(value["policy"]), str(value["call"]), key, *path
        found[name] = KeptGeneration(
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


@dataclass(slots=True)
class ScorerReplies:
    """What one scorer replied; of most paths not the replies themselves, which are large.

    Args:
        name: Its name.
        digests, known: As in `ScoreRequest`, of paths of which one step was new.
        openings, scores, sizes: What was replied to these.
        others: Other paths, and pools that are scored together (or their names), with the replies.
    """

    name: str
    digests: list[bytes] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    openings: list[int] = field(default_factory=list)
    scores: list[Any] = field(default_factory=list)
    sizes: list[Any] = field(default_factory=list)
    others: list[tuple[Sequence[ScoreRequest] | str, Any]] = field(default_factory=list)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All of it, side by side; what is no finite number is not kept."""
        others = [
            (about if isinstance(about, str) else digest_of(about), reply)
            for about, reply in self.others
        ]
        scores, sizes = ([[each] for each in column] for column in (self.scores, self.sizes))
        if not (_finite(self.scores) and {*map(type, chain(self.openings, self.sizes))} <= {int}):
            columns = zip(scores, self.openings, sizes, strict=True)
            replies = [ScoreReply(tuple(s), 0, opening, tuple(z)) for s, opening, z in columns]
            others += zip(map(path_digest, self.digests, self.known), replies, strict=True)
        elif self.digests:
            yield {
                "scorer": self.name,
                "digests": b64encode(b"".join(self.digests)).decode(),
                "known": _one(self.known),
                "openings": _one(self.openings),
                "scores": scores,
                "sizes": sizes,
            }
        plain = {name: found for name, reply in others if (found := _plain(reply)) is not None}
        if plain:
            yield {"scorer": self.name, "requests": [*plain], "replies": [*plain.values()]}


def scores_in(value: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """The replies of a line, by scorer and request: scores, opening and sizes of each path."""
    scorer = str(value["scorer"])
    if "requests" in value:
        pairs = zip(value["requests"], value["replies"], strict=True)
        return {(scorer, str(name)): replies for name, replies in pairs}
    data, scores = b64decode(value["digests"]), value["scores"]
    many = len(scores)
    width = len(data) // many
    digests = [data[place * width : (place + 1) * width] for place in range(many)]
    known, openings = _each(value["known"], many), _each(value["openings"], many)
    replies = zip(scores, openings, value["sizes"], strict=True)
    return {
        (scorer, path_digest(*path)): [reply]
        for *path, reply in zip(digests, known, replies, strict=True)
    }


def _finite(scores: Sequence[Any]) -> bool:
    """Whether all are finite floats, as a rule."""
    return {*map(type, scores)} <= {float} and all(map(isfinite, scores))


def _plain(replies: Any) -> list[Any] | None:
    """Replies about a path, or a pool of them; nothing, where a score is no finite number."""
    try:
        paths = (replies,) if type(replies) is ScoreReply else replies
        return [
            ([*map(_score, each.scores)], int(each.opening), [*map(int, each.sizes)])
            for each in paths
        ]
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def _score(number: Any) -> float | None:
    if number is None:
        return None
    found = float(number)
    if not isfinite(found):
        raise ValueError("no finite number")
    return found


def _packed(parts: Iterable[Sequence[float] | bytes]) -> str:
    """64-bit floats, little-endian, in base 64; those in bytes are side by side already."""
    data = b"".join([part if type(part) is bytes else array("d", part) for part in parts])
    if sys.byteorder == "big":
        numbers = array("d", data)
        numbers.byteswap()
        data = numbers.tobytes()
    return b64encode(data).decode()


def _numbers(text: str) -> array[float]:
    found = array("d")
    found.frombytes(b64decode(text))
    if sys.byteorder == "big":
        found.byteswap()
    return found
