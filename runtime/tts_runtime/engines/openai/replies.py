"""A lenient parser of replies: completions and chat, whole and streamed.

Missing or impossible values count as missing (a log-probability of null, an absurd count); a
malformed reply is requested again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tts_lang.printable import concealed
from tts_runtime.engines.http.retry import Spoilt, Transient

#: vLLM's name of a token by its id.
_NUMBERED: Final = "token_id:"
#: Servers' names for the reason of a reply's end.
_CUT: Final = frozenset(
    (
        "length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "model_context_window_exceeded",
        "time_limit",
    )
)
_WITHHELD: Final = frozenset(
    (
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "safety",
        "sensitive",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "refusal",
        "tool_calls",
        "tool_use",
        "function_call",
        "function_call_filter",
        "malformed_function_call",
    )
)
_GIVEN_UP: Final = frozenset(
    ("abort", "aborted", "error", "cancelled", "insufficient_system_resource", "network_error")
)
#: Fields of servers for a model's thoughts.
_THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking")
#: Characters of a reply of another form that are looked at for secrets, and shown.
_LOOKED_AT: Final = 100_000
_SHOWN: Final = 160
_UNFINISHED: Final = re.compile(r"could not finish the message because max_tokens", re.IGNORECASE)
#: More tokens than any window holds.
_MOST: Final = 10**9


@dataclass(frozen=True, slots=True)
class ReplyToken:
    """A token in a reply.

    Args:
        data: Its bytes; `None` if the server sends only its id.
        token: Its id, if the server sends it.
        logprob: NaN if the server sends none.
        top: The likeliest tokens in its place and their log-probabilities, likeliest first; by
            text or id.
    """

    data: bytes | None
    token: int | None
    logprob: float = math.nan
    top: tuple[tuple[str | int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a server.

    Args:
        prefilled: Prompt tokens that it had to read.
        drawn: Tokens drawn, thoughts included.
        thought: Tokens of thoughts, if the server tells.
    """

    prefilled: int
    drawn: int
    thought: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A reply, or a piece of one.

    Args:
        text: The text.
        tokens: Its tokens, possibly with an end of sequence; empty if the server sends none.
        finish: `stop`, `length`, or `filter` (the server withholds its answer); `None` in the
            middle.
        stop: The stop text that ended it, if the server tells; for `filter`, the server's reason.
        usage: Token counts, if the server tells.
        thought: The thought before it, if the server separates thoughts.
        told: The reply has a field for log-probabilities, even if it is empty.
        numbered: Its tokens' ids come in a field of their own.
    """

    text: str
    tokens: tuple[ReplyToken, ...]
    finish: str | None
    stop: str | None
    usage: Usage | None
    thought: str = ""
    told: bool = False
    numbered: bool = False

    @property
    def spoken(self) -> bool:
        """Whether the model wrote something in it."""
        return bool(self.text or self.thought or self.tokens)


def read(reply: Any, *, piece: bool = False, bare: bool = False) -> Chunk:
    """A reply of either interface, or a piece of a streamed one.

    `bare`: neither alternatives nor texts of tokens are needed where their ids are known.

    Raises:
        Transient: It is malformed, or the server gave up.
    """
    if not isinstance(reply, Mapping):
        raise _unknown(f"{type(reply).__name__}, not an object")
    usage = _usage(reply.get("usage"))
    choices = reply.get("choices")
    if piece and not choices:
        return Chunk("", (), None, None, usage)
    if not isinstance(choices, list) or not choices:
        raise _unknown(f"choices: there are none; it is {excerpt(reply)}")
    if len(choices) > 1:
        raise _unknown(f"choices: {len(choices)} of them, where one was asked for")
    choice = choices[0]
    if not isinstance(choice, Mapping):
        raise _unknown(f"choices.0: {type(choice).__name__}, not an object")
    finish = _finish(choice)
    new = choice.get("delta")
    # Some servers send all that was drawn beside each piece.
    message = new if piece and isinstance(new, Mapping) else choice.get("message") or new or {}
    if not isinstance(message, Mapping):
        raise _unknown(f"choices.0.message: {type(message).__name__}, not an object")
    thought = next(
        (
            found
            for name in _THOUGHTS
            for part in (message, choice)
            if (found := _thought(part, name))
        ),
        "",
    )
    text = _text(choice, "text") or _text(message, "content") or _text(message, "refusal")
    thought = thought or _thought_part(message.get("content"))
    logprobs = choice.get("logprobs")
    known = logprobs if isinstance(logprobs, Mapping) else {}
    ids = choice.get("token_ids")
    tokens = _bare(ids, known.get("token_logprobs")) if bare else []
    told = bool(tokens)
    if not told:
        tokens, told = _tokens(known)
    return Chunk(
        text,
        _with_ids(tokens, ids),
        finish,
        _stop(choice, finish),
        usage,
        thought,
        told,
        isinstance(ids, list),
    )


def excerpt(reply: Any) -> str:
    """The beginning of a reply's JSON, without secrets."""
    return concealed(json.dumps(reply)[:_LOOKED_AT])[:_SHOWN]


def unfinished(reason: str) -> bool:
    """Whether an error says that the limit was spent before the answer (OpenAI's reasoning models).

    Other servers send an empty reply then.
    """
    return _UNFINISHED.search(reason) is not None


def number(value: object) -> int | None:
    """A plausible count: whole, not negative, below the size of any window."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        return None
    return value


def _unknown(what: str) -> Transient:
    return Spoilt(f"the answer has an unknown form ({what})")


def _finish(choice: Mapping[str, Any]) -> str | None:
    """Why it ended; `None` if it has not.

    Raises:
        Transient: The server gave up.
    """
    finish = choice.get("finish_reason") or choice.get("finishReason")  # Gemini's
    problem = choice.get("error")
    if problem:
        message = problem.get("message") if isinstance(problem, Mapping) else problem
        raise Transient(f"the server gave an answer up ({message})")
    if finish is None or finish == "":
        return None
    if not isinstance(finish, str):
        raise _unknown(f"choices.0.finish_reason: {type(finish).__name__}, not a text")
    word = finish.lower().partition(":")[0]  # Gemini's `content_filter: RECITATION`
    if word in ("null", "none"):
        return None
    if word in _GIVEN_UP:
        raise Transient(f"the server gave an answer up (`{finish}`)")
    if word in _WITHHELD:
        return "filter"
    return "length" if word in _CUT else "stop"


def _stop(choice: Mapping[str, Any], finish: str | None) -> str | None:
    stop = choice.get("stop_reason" if finish == "stop" else "finish_reason")
    return stop if isinstance(stop, str) and finish in ("stop", "filter") else None


def _text(part: Mapping[str, Any], name: str) -> str:
    """A text, from a string or a list of parts; empty if there is none."""
    value = part.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_part(each, ("text", "content")) for each in value)
    raise _unknown(f"{name}: {type(value).__name__}, not a text")


def _thought(part: Mapping[str, Any], name: str) -> str:
    """The text of a thought, in whatever form; empty if there is none."""
    value = part.get(name)
    parts = value if isinstance(value, list) else (value,)
    return "".join(_part(each, ("text", "content")) for each in parts)


def _part(part: object, names: Sequence[str]) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return ""
    found = next((part[name] for name in names if part.get(name)), "")
    if isinstance(found, list):
        return "".join(_part(each, ("text",)) for each in found)
    return found if isinstance(found, str) else ""


def _thought_part(content: object) -> str:
    """The thought, if it is one of the parts of the content."""
    parts = content if isinstance(content, list) else ()
    return "".join(
        _part(each, ("thinking", "reasoning")) for each in parts if not isinstance(each, str)
    )


def _usage(usage: object) -> Usage | None:
    """The counts, if plausible."""
    if not isinstance(usage, Mapping):
        return None
    prompt, drawn = number(usage.get("prompt_tokens", 0)), number(usage.get("completion_tokens", 0))
    if prompt is None or drawn is None:
        return None
    cached = number(_inner(usage, "prompt_tokens_details").get("cached_tokens")) or 0
    thought = number(_inner(usage, "completion_tokens_details").get("reasoning_tokens"))
    if thought is None:
        thought = number(usage.get("reasoning_tokens"))
    # Some servers count thoughts separately; where they do not say how many, the total does.
    total = number(usage.get("total_tokens"))
    more = 0 if total is None or "prompt_tokens" not in usage else total - prompt - drawn
    if more <= 0:
        more = thought if thought is not None and thought > drawn else 0
    drawn += more
    thought = more or None if thought is None else thought
    return Usage(max(0, prompt - cached), drawn, thought)


def _inner(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = usage.get(name)
    return found if isinstance(found, Mapping) else {}


def _tokens(logprobs: Mapping[str, Any]) -> tuple[list[ReplyToken], bool]:
    """The tokens of a reply, and whether it has any token information."""
    content = logprobs.get("content")
    if isinstance(content, list):
        tokens = [_chat_token(each) for each in content if _named(each)]
        return (tokens, bool(tokens)) if len(tokens) == len(content) else ([], False)
    names = logprobs.get("tokens")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return [], False  # MLX has ids there, of a tokenizer that may be another
    many = len(names)
    numbers = logprobs.get("token_logprobs") or [None] * many
    tops = logprobs.get("top_logprobs") or [None] * many
    if not isinstance(numbers, list) or not isinstance(tops, list):
        raise _unknown("logprobs: not lists")
    if not len(numbers) == len(tops) == many:
        raise Spoilt("the answer has not as many log-probabilities as tokens")
    found = []
    for name, value, several in zip(names, numbers, tops, strict=True):
        token, logprob = _numbered(name), _logprob(value)
        top: tuple[tuple[str | int, float], ...]
        if several == {name: value} and not math.isnan(logprob):
            top = ((token, logprob),)  # none but the one that was drawn
        else:
            top = _sorted(several if isinstance(several, Mapping) else {})
        if isinstance(token, int):
            found.append(ReplyToken(None, token, logprob, top))
        else:
            found.append(ReplyToken(name.encode("utf-8", "replace"), None, logprob, top))
    return found, bool(found)


def _bare(ids: object, numbers: object) -> list[ReplyToken]:
    """The tokens by their ids; empty if these are not known."""
    if not isinstance(ids, list) or not isinstance(numbers, list) or len(ids) != len(numbers):
        return []
    if not all(number(each) is not None for each in ids):
        return []
    return [
        ReplyToken(None, token, _logprob(value)) for token, value in zip(ids, numbers, strict=True)
    ]


def _named(token: object) -> bool:
    return isinstance(token, Mapping) and isinstance(token.get("token"), str)


def _chat_token(found: Mapping[str, Any]) -> ReplyToken:
    name, data = found["token"], found.get("bytes")
    tops = found.get("top_logprobs")
    top = {
        each["token"]: each.get("logprob")
        for each in (tops if isinstance(tops, list) else ())
        if _named(each)
    }
    encoded = name.encode("utf-8", "replace") if data is None else _bytes(data)
    return ReplyToken(encoded, None, _logprob(found.get("logprob")), _sorted(top))


def _bytes(data: object) -> bytes:
    try:
        return bytes(data if isinstance(data, list) else ())
    except (ValueError, TypeError) as error:
        raise Spoilt(f"the answer has bytes that are none: {str(data)[:80]}") from error


def _logprob(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _sorted(top: Mapping[Any, object]) -> tuple[tuple[str | int, float], ...]:
    known = [(str(name), _logprob(value)) for name, value in top.items()]
    ranked = [each for each in known if not math.isnan(each[1])]
    # Equal ones stay in the server's order, which is by rank.
    ranked.sort(key=lambda item: -item[1])
    return tuple([(_numbered(name), value) for name, value in ranked])


@lru_cache(1 << 15)
def _numbered(name: str) -> str | int:
    digits = name.removeprefix(_NUMBERED)
    if name.startswith(_NUMBERED) and digits.isdecimal() and len(digits) < 12:
        return int(digits)
    return name


def _with_ids(tokens: Sequence[ReplyToken], ids: object) -> tuple[ReplyToken, ...]:
    if not isinstance(ids, list) or [each.token for each in tokens] == ids != []:
        return tuple(tokens)
    if not all(number(each) is not None for each in ids):
        raise _unknown("token_ids: not ids")
    if not tokens:
        return tuple(ReplyToken(None, token) for token in ids)
    if len(tokens) != len(ids):
        raise Spoilt("the answer has not as many ids as tokens")
    return tuple(
        ReplyToken(each.data, token, each.logprob, each.top)
        for each, token in zip(tokens, ids, strict=True)
    )
