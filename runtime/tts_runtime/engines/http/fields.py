"""Which fields a server accepts: refused ones are omitted or renamed from then on.

Servers word refusals differently (OpenAI's reasoning models, Mistral's "extra inputs", Gemini's
"unknown name"), but they name the field. The first refusal applies to all requests of the engine
and is reported once. Fields that change the reply are never omitted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.http.client import Refused
from tts_runtime.engines.options import values_of

_LOGGER = logging.getLogger(__name__)

Reply = TypeVar("Reply")

LIMIT: Final = "max_tokens"
#: Fields with a second name: reasoning models have another limit, older vLLM another switch.
_RENAMED: Final[Mapping[str, str]] = {
    LIMIT: "max_completion_tokens",
    "use_activation": "activation",
}
#: Fields that can be omitted, and what that means.
_DISPENSABLE: Final[Mapping[str, str]] = {
    "temperature": "the server's own temperature applies",
    "top_p": "the server's own top_p applies",
    "top_k": "the server's own top_k applies",
    "min_p": "the server's own min_p applies",
    "repetition_penalty": "the server's own applies",
    "seed": "requests are not seeded",
    "stop": "texts may contain end markers",
    "logprobs": "log-probabilities are missing",
    "top_logprobs": "log-probabilities are missing",
    "stream": "answers arrive whole, and are cut here",
    "stream_options": "tokens of streams are estimates",
    "logprob_token_ids": "verdicts are looked for among the likeliest tokens",
}
#: Fields that make no sense without another.
_TOGETHER: Final = (("logprobs", "top_logprobs"), ("stream", "stream_options"))
#: Values that change nothing: of two fields that exclude each other, such a one goes.
_NEUTRAL: Final = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
_FIXED: Final = ("model", "messages", "prompt", "input", "n")
#: Names that are English words too: they count only in quotes.
_ENGLISH: Final = ("stop", "stream")
_STATUSES: Final = (400, 403, 405, 415, 422, 500, 501)
#: Words of refusals; a message with a field's name but none of these is another error.
_REFUSES: Final = re.compile(
    r"support|unrecogni[sz]ed|unknown|unexpected|extra|permitted|forbidden|allowed|invalid|cannot"
    r"|can't|only|enabled|remove|deprecated|unavailable|must|too (?:large|big|high)|exceed|greater"
    r"|less|maximum|at most|verified",
    re.IGNORECASE,
)
#: The value is refused, not the field.
_VALUE: Final = re.compile(
    r"must be|between|range|greater|less than|at most|at least|strictly|positive", re.IGNORECASE
)
_WINDOW: Final = re.compile(
    r"(?:context (?:length|window|size)|must be <=)[^0-9]{0,40}(\d+)|(\d+) maximum context",
    re.IGNORECASE,
)
_PROMPT: Final = re.compile(
    r"messages resulted in (\d+) tokens|(\d+) of text input"
    r"|(\d+) (?:inputs? tokens|tokens (?:from|in) the (?:input|messages|prompt))"
    r"|(\d+) (?:in the (?:messages|prompt)|in your prompt|prompt tokens)"
    r"|(?:has|contains|given:?)(?: at least)? (\d+) (?:inputs? |prompt )?tokens",
    re.IGNORECASE,
)
_MOST: Final = re.compile(
    r"(?:at most|less than or equal to|maximum[^0-9]{0,30}|<=|up to|\[\s*\d+\s*,|>)\s*(\d+)",
    re.IGNORECASE,
)
_TOO_MUCH: Final = re.compile(r"too (?:large|big|high|long|many)|exceed|context|greater", re.I)
#: In a refusal: the request is longer than the window.
ABOUT_WINDOW: Final = re.compile(
    r"context|too (?:large|long|many)|maximum.{0,20}tokens|tokens.{0,40} must be", re.I
)


@dataclass(slots=True)
class _Room:
    """The room that a request wants: the rest of the window; lengths of prompts are estimates.

    Args:
        whole: Its limit, if that is the rest of the window; else 0.
        margin: Tokens by which the next attempt's limit is lower.
    """

    whole: int
    margin: int = 0

    def shrinks(self, limit: int, rest: int) -> bool:
        """Lowers a refused limit to `rest` if possible."""
        if not self.whole or not 0 < rest < limit:
            return False
        self.margin = max(self.margin, self.whole - rest)
        return True


class Fields:
    """The fields that a server accepts.

    Args:
        server: Its address, for messages.
        omit: Fields that are never sent, `a,b`.
        extra: Fields that are sent with every request: JSON, or `name=value,name=value`.

    Raises:
        EngineError: `omit` or `extra` cannot be read.
    """

    def __init__(self, server: str, omit: str = "", extra: str = "") -> None:
        self._server = server
        self._omitted = {name.strip() for name in omit.split(",") if name.strip()}
        self._values: set[tuple[str, str]] = set()
        self._extra = values_of("extra", extra)
        for name in (*self._omitted, *self._extra):
            if name in _FIXED or (name == "stream" and name in self._extra):
                raise EngineError(f"server {server}: `{name}` cannot be omitted or added")
            if re.search("key|secret|password|authorization", name, re.IGNORECASE):
                raise EngineError(
                    f"server {server}: what `extra` adds is written to run directories: a key goes "
                    "into an environment variable (?key_env=NAME)"
                )
        self._names: dict[str, str] = {}
        self._most: int | None = None
        self._margin = 0

    def fitted(self, body: Mapping[str, Any], margin: int = 0) -> dict[str, Any]:
        """A request as this server accepts it, with a limit that is lower by `margin`."""
        found = {**body, **self._extra}
        limit = found.get(LIMIT)
        if isinstance(limit, int):
            limit = max(1, limit - margin)
            found[LIMIT] = limit if self._most is None else min(limit, self._most)
        for name, other in self._names.items():
            if name in found:
                found[other] = found.pop(name)
        for name in (*found,):
            if name in self._omitted or (name, repr(found[name])) in self._values:
                del found[name]
        for name, other in _TOGETHER:
            if name not in found:
                found.pop(other, None)
        return found

    @property
    def _limit(self) -> str:
        return self._names.get(LIMIT, LIMIT)

    def limit_in(self, body: Mapping[str, Any]) -> int | None:
        """The limit of tokens that a fitted request has."""
        found = body.get(self._limit)
        return found if isinstance(found, int) else None

    async def adapted(
        self,
        body: Mapping[str, Any],
        work: Callable[[dict[str, Any]], Awaitable[Reply]],
        *,
        fills: bool = False,
        keep: Sequence[str] = (),
    ) -> Reply:
        """The result of `work` for a request, with fields changed while the server refuses one.

        `fills`: its limit is the rest of the window. `keep`: fields that stay.

        Raises:
            Refused: For another reason, or because of a field that is needed.
        """
        room = _Room(body[LIMIT] if fills else 0)
        while True:
            if fills:
                room.margin = max(room.margin, self._margin)
            sent = self.fitted(body, room.margin)
            try:
                reply = await work(sent)
            except Refused as error:
                # Another request may have learned the same while this one was on its way.
                if self.fitted(body, max(room.margin, self._margin if fills else 0)) != sent:
                    continue
                if not self._learn(error, sent, room, keep):
                    raise
            else:
                # Only now: a prompt that is too long by itself says nothing about other requests.
                self._margin = max(self._margin, room.margin)
                return reply

    def refused_by(self, error: Refused, sent: Mapping[str, Any]) -> bool:
        """Whether an error is about a field of a request that can be omitted or changed."""
        return _refuses(error) and any(_named(error, sent, {self._limit, *_RENAMED}))

    def _learn(
        self, error: Refused, sent: Mapping[str, Any], room: _Room, keep: Sequence[str]
    ) -> bool:
        """Learns from a refusal; false if it teaches nothing."""
        if not _refuses(error):
            return False
        said = _said(error)
        named = list(_named(error, sent, {self._limit, *_RENAMED}))
        if self._limit in sent and (
            self._limit in named or (room.whole and not named and ABOUT_WINDOW.search(said))
        ):
            return self._learn_limit(said, sent[self._limit], room)
        if not named or named[0] in keep:
            return False
        if named[0] in _RENAMED:
            return self._rename(named[0])
        neutral = (name for name in named if _NEUTRAL.get(name) == sent[name])
        name = next(neutral, named[0])
        if _VALUE.search(said) and name in _NEUTRAL | {"temperature": None}:
            self._values.add((name, repr(sent[name])))
            what = f"`{name}` {sent[name]}"
        else:
            self._omitted.add(name)
            what = f"`{name}`"
        self._say(f"refuses {what}, which is omitted: {_DISPENSABLE[name]}")
        return True

    def _learn_limit(self, said: str, limit: int, room: _Room) -> bool:
        """Learns from the refusal of a limit: a smaller one, or another name."""
        numbers = re.sub(r"`|(?<=\d),(?=\d\d\d)", "", said)
        prompt, window = _first(_PROMPT, numbers), _first(_WINDOW, numbers)
        if prompt is not None and window is not None:
            return room.shrinks(limit, window - prompt)
        most = [int(each) for each in _MOST.findall(numbers) if 0 < int(each) < limit]
        if most:
            self._most = max(most)
            self._say(f"allows at most {self._most} tokens per answer")
            return True
        if _TOO_MUCH.search(said):
            return room.shrinks(limit, limit // 2)
        return self._rename(LIMIT) if LIMIT not in self._names else False

    def _rename(self, name: str) -> bool:
        """Sends a field under its second name from now on."""
        self._names[name] = _RENAMED[name]
        self._say(f"refuses `{name}`: it is sent as `{_RENAMED[name]}`")
        return True

    def _say(self, what: str) -> None:
        _LOGGER.warning("server %s %s", self._server, what)


def _said(error: Refused) -> str:
    return f"{error.words.reason} {error.words.code or ''} {error.words.kind}"


def _refuses(error: Refused) -> bool:
    return error.status in _STATUSES and _REFUSES.search(_said(error)) is not None


def _named(error: Refused, sent: Mapping[str, Any], changeable: Collection[str]) -> Iterator[str]:
    """The fields that a refusal means, of those that can be omitted or changed; surest first."""
    spared = [name for name in sent if name in _DISPENSABLE or name in changeable]
    field = error.words.field.rpartition(".")[2]
    if field in spared:
        yield field
        return
    raw = error.raw.replace("\\", "")
    places = re.findall(r"""["']loc["']\s*:\s*[\[(]([^\])]*)""", raw)
    if places:
        for name in spared:
            if any(re.search(rf"\b{name}\b", place) for place in places):
                yield name
        return
    reason = error.words.reason
    found = []
    for name in spared:
        camel = re.sub("_(.)", lambda match: match[1].upper(), name)
        at = re.search(rf"(?<![\w-])(?:{name}|{camel})(?![\w-])", reason, re.IGNORECASE)
        if at:
            quoted = reason[max(0, at.start() - 1) : at.start()] in ("'", '"', "`")
            if quoted or name not in _ENGLISH:
                found.append((not quoted, at.start(), name))
    yield from (name for _, _, name in sorted(found))


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return None if match is None else int(next(group for group in match.groups() if group))
