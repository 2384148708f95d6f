"""What servers answer, read leniently: completions and chat, whole and streamed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.http.retry import Transient

#: How vLLM writes a token that it was asked to name by its id.
_NUMBERED: Final = "token_id:"


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Alternative(_Lenient):
    token: str
    logprob: float


class _ChatToken(_Alternative):
    bytes: list[int] | None = None
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(_Lenient):
    content: list[_ChatToken] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Message(_Lenient):
    content: str | None = None


class _Choice(_Lenient):
    text: str | None = None
    message: _Message | None = None
    delta: _Message | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    token_ids: list[int] | None = None


class _Cached(_Lenient):
    cached_tokens: int | None = None


class _Usage(_Lenient):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Cached | None = None


class _Reply(_Lenient):
    choices: list[_Choice] = Field(max_length=1)
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token as a server tells it.

    Args:
        data: Its bytes; `None` where the server gives only its id.
        token: Its id, where the server gives it.
        logprob: NaN where the server gives none.
        top: The likeliest tokens in its place and their log-probabilities, likeliest first; a name
            is a text, or an id.
    """

    data: bytes | None
    token: int | None
    logprob: float = math.nan
    top: tuple[tuple[str | int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server counted: tokens of the prompt that it had to read, and tokens drawn."""

    prefilled: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A reply, or a piece of one.

    Args:
        text: What was written.
        tokens: Its tokens, an end of sequence perhaps included; empty where the server tells none.
        finish: `stop` or `length`; `None` in the middle.
        stop: The stop text that ended it, where the server tells.
        usage: What it cost, where the server tells.
    """

    text: str
    tokens: tuple[Token, ...]
    finish: str | None
    stop: str | None
    usage: Usage | None


def read(reply: Any) -> Chunk:
    """A reply of either interface.

    Raises:
        Transient: It has not the form of one.
        EngineError: The server kept its answer back.
    """
    try:
        found = _Reply.model_validate(reply)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Transient(f"the answer has an unknown form ({where}: {first['msg']})") from error
    usage = None if found.usage is None else _usage(found.usage)
    if not found.choices:
        return Chunk("", (), None, None, usage)
    choice = found.choices[0]
    if choice.finish_reason in ("content_filter", "tool_calls", "function_call"):
        raise EngineError(f"the server ended an answer with `{choice.finish_reason}`")
    finish = choice.finish_reason or None
    if finish in ("abort", "error"):
        raise Transient(f"the server gave an answer up (`{choice.finish_reason}`)")
    message = choice.message or choice.delta
    text = choice.text if choice.text is not None else (message and message.content) or ""
    stop = choice.stop_reason if isinstance(choice.stop_reason, str) else None
    if finish is not None:
        finish = "length" if finish in ("length", "max_tokens") else "stop"
    return Chunk(text, _tokens(choice), finish, stop, usage)


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens if details else None) or 0
    return Usage(max(0, usage.prompt_tokens - cached), usage.completion_tokens)


def _tokens(choice: _Choice) -> tuple[Token, ...]:
    logprobs = choice.logprobs
    found: list[Token] = []
    if logprobs is not None and logprobs.content is not None:
        for each in logprobs.content:
            data = each.token.encode("utf-8", "replace") if each.bytes is None else _bytes(each)
            top = {one.token: one.logprob for one in each.top_logprobs or ()}
            found.append(Token(data, None, each.logprob, _sorted(top)))
    elif logprobs is not None and logprobs.tokens is not None:
        many = len(logprobs.tokens)
        numbers = logprobs.token_logprobs or [None] * many
        tops = logprobs.top_logprobs or [None] * many
        if not len(numbers) == len(tops) == many:
            raise Transient("the answer has not as many log-probabilities as tokens")
        for name, number, several in zip(logprobs.tokens, numbers, tops, strict=True):
            token = _numbered(name)
            logprob = math.nan if number is None else number
            if isinstance(token, int):
                found.append(Token(None, token, logprob, _sorted(several)))
            else:
                found.append(
                    Token(name.encode("utf-8", "replace"), None, logprob, _sorted(several))
                )
    ids = choice.token_ids
    if ids is None:
        return tuple(found)
    if not found:
        return tuple(Token(None, token) for token in ids)
    if len(found) != len(ids):
        raise Transient("the answer has not as many ids as tokens")
    return tuple(
        Token(each.data, token, each.logprob, each.top)
        for each, token in zip(found, ids, strict=True)
    )


def _bytes(token: _ChatToken) -> bytes:
    try:
        return bytes(token.bytes or ())
    except ValueError as error:
        raise Transient(f"the answer has bytes that are none: {token.bytes}") from error


def _sorted(top: Mapping[str, float] | None) -> tuple[tuple[str | int, float], ...]:
    # Equal ones stay in the server's order, which is by rank.
    ranked = sorted((top or {}).items(), key=lambda item: -item[1])
    return tuple((_numbered(name), number) for name, number in ranked)


def _numbered(name: str) -> str | int:
    digits = name.removeprefix(_NUMBERED)
    return int(digits) if name.startswith(_NUMBERED) and digits.isdigit() else name
