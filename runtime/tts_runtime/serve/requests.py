"""Requests of clients: chat completions, completions and responses, read into one form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tts_runtime.serve.catalogue import Value
from tts_runtime.serve.errors import bad_request

#: Members that ask for something that no strategy gives; empty values ask for nothing.
_REFUSED: Final = {
    "tools": "tools",
    "functions": "tools",
    "audio": "audio",
    "web_search_options": "tools",
    "prediction": "predicted outputs",
    "logprobs": "log-probabilities of tokens",
    "top_logprobs": "log-probabilities of tokens",
    "echo": "echoing the prompt",
    "suffix": "inserting text",
    "previous_response_id": "stored conversations",
    "conversation": "stored conversations",
    "background": "responses in the background",
}
#: Members that strategies decide themselves; of these, a strategy's own parameters are set.
_SAMPLING: Final = (
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "top_p",
    "top_k",
    "min_p",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "reasoning_effort",
    "reasoning",
    "best_of",
)
#: Other names of a parameter.
_SYNONYMS: Final = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "reasoning": "reasoning_effort",
}
#: Read by `_checked`.
_FORMS: Final = ("response_format", "text", "modalities")
#: The only one of them that is a word.
_EFFORT: Final = "reasoning_effort"
_TEXTS: Final = ("text", "input_text", "output_text")
_MOST_CHOICES: Final = 128


class Budget(BaseModel):
    """Limits of one request."""

    model_config = ConfigDict(extra="forbid")

    tokens: float | None = Field(default=None, gt=0, description="Refuse a plan that may draw more")
    seconds: float | None = Field(default=None, gt=0, le=86_400, description="Answer by then")


class Extra(BaseModel):
    """`extra_body={"tts": ...}`: what the OpenAI interface has no member for."""

    model_config = ConfigDict(extra="forbid")

    params: dict[str, int | float | str] = {}
    id: str | None = Field(default=None, min_length=1, max_length=200)
    seed: int | None = None
    return_: list[Literal["candidates", "trace"]] = Field(default=[], alias="return")
    budget: Budget = Budget()

    @field_validator("params", mode="before")
    @classmethod
    def _no_flags(cls, value: object) -> object:
        if isinstance(value, dict) and any(isinstance(each, bool) for each in value.values()):
            raise ValueError("values are numbers and names, neither true nor false")
        return value


class _Body(BaseModel):
    """Members that all requests have; others are looked at by `_REFUSED` and `_SAMPLING`."""

    model_config = ConfigDict(extra="allow")

    model: str
    stream: bool | None = False
    seed: int | None = None
    tts: Extra | None = None


class _StreamOptions(BaseModel):
    include_usage: bool | None = False


class _Chat(_Body):
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=1000)
    n: int | None = Field(default=1, ge=1, le=_MOST_CHOICES)
    stream_options: _StreamOptions | None = None


class _Completion(_Body):
    prompt: str | list[Any]
    n: int | None = Field(default=1, ge=1, le=_MOST_CHOICES)
    stream_options: _StreamOptions | None = None

    @field_validator("prompt")
    @classmethod
    def _one(cls, value: object) -> str:
        if isinstance(value, list) and len(value) == 1:
            [value] = value
        if not isinstance(value, str):
            raise ValueError("one text is answered at a time; token ids are not read")
        return value


class _Responses(_Body):
    input: str | list[dict[str, Any]]
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A request, whatever interface it came by.

    Args:
        model: As the client names it.
        text: The problem.
        parameters: Values that the client chooses.
        id: Of the problem: where its random streams begin; `None`: the usual one.
        seed: `None`: the server's.
        choices: Solutions wanted, the best first.
        stream: Answer by server-sent events; with `usage`, say at the end what it cost.
        tokens, seconds: Limits.
        extras: `candidates`, `trace`: also wanted.
        sampling: Members about sampling, which set parameters of these names if there are any.
        unread: Names of all other members, which change nothing.
    """

    model: str
    text: str
    parameters: Mapping[str, Value]
    id: str | None
    seed: int | None
    choices: int
    stream: bool
    usage: bool
    tokens: float | None
    seconds: float | None
    extras: frozenset[str]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    unread: Sequence[str] = ()


Body = TypeVar("Body", bound=_Body)


def parsed(content: bytes) -> dict[str, Any]:
    """The object in a request's body.

    Raises:
        ApiError: It is none.
    """
    try:
        value = json.loads(content, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half characters cannot be answered
    except RecursionError:
        raise bad_request("the JSON is nested too deeply") from None
    except (ValueError, UnicodeError) as error:
        raise bad_request(
            f"the body is not JSON: {str(error)[:120]}", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise bad_request("the body must be a JSON object", code="invalid_json")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def chat(content: dict[str, Any], *, joined: bool) -> AnswerRequest:
    """A request for chat completions.

    Args:
        content: The body.
        joined: Conversations of several messages become one text.

    Raises:
        ApiError: It is wrong, or asks for what there is not.
    """
    body = _checked(content, _Chat)
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return _request(body, conversation(body.messages, joined=joined), body.n or 1, usage=usage)


def completion(content: dict[str, Any]) -> AnswerRequest:
    """A request for completions."""
    body = _checked(content, _Completion)
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return _request(body, str(body.prompt), body.n or 1, usage=usage)


def responses(content: dict[str, Any], *, joined: bool) -> AnswerRequest:
    """A request for responses."""
    if content.get("prompt"):
        message = "`prompt`: stored prompts are not supported"
        raise bad_request(message, "prompt", "unsupported_parameter")
    body = _checked(content, _Responses)
    turns = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    if body.instructions:
        turns = [{"role": "system", "content": body.instructions}, *turns]
    return _request(body, conversation(turns, joined=joined), 1, usage=True)


def _checked(content: dict[str, Any], kind: type[Body]) -> Body:
    for name, what in _REFUSED.items():
        if content.get(name):
            raise bad_request(f"`{name}`: {what} are not supported", name, "unsupported_parameter")
    form = content.get("response_format") or content.get("text")
    if isinstance(form, dict):
        wanted_format = form.get("format") if "format" in form else form
        if isinstance(wanted_format, dict) and wanted_format.get("type", "text") != "text":
            message = "answers are texts: JSON schemas are not supported"
            raise bad_request(message, "response_format", "unsupported_parameter")
    if content.get("modalities") not in (None, [], ["text"]):
        raise bad_request("answers are texts only", "modalities", "unsupported_parameter")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = _place(content, first["loc"], missing=first["type"] == "missing")
        message = (
            "Input should be an object"  # pydantic would name its class, or a type of Python
            if first["type"] in ("model_type", "dict_type")
            else first["msg"].removeprefix("Value error, ")
        )
        raise bad_request(f"`{where}`: {message}", where or None) from None


def _place(content: Any, location: Sequence[str | int], *, missing: bool) -> str:
    """Where a mistake is, without pydantic's names of the types that a member may have."""
    names = []
    for part in location:
        if isinstance(content, dict) and (missing or part in content):
            content = content.get(part)
        elif isinstance(content, list) and isinstance(part, int):
            content = content[part]
        else:
            continue
        names.append(str(part))
    return ".".join(names)


def _request(body: _Body, text: str, choices: int, *, usage: bool) -> AnswerRequest:
    if not text.strip():
        raise bad_request("the question is empty", "messages")
    members = {name: value for name, value in (body.model_extra or {}).items() if value is not None}
    sampling: dict[str, Any] = {name: members[name] for name in _SAMPLING if name in members}
    unread = members.keys() - {*_SAMPLING, *_REFUSED, *_FORMS}
    extra = body.tts or Extra()
    return AnswerRequest(
        body.model,
        text,
        extra.params,
        extra.id,
        body.seed if extra.seed is None else extra.seed,
        choices,
        bool(body.stream),
        usage,
        extra.budget.tokens,
        extra.budget.seconds,
        frozenset(extra.return_),
        sampling,
        sorted(unread),
    )


def of_sampling(
    sampling: Mapping[str, Any], parameters: Sequence[str]
) -> tuple[dict[str, Value], list[str]]:
    """Members about sampling: those that are parameters of the strategy, and those that are not.

    Raises:
        ApiError: A value is none of its parameter's.
    """
    chosen: dict[str, Value] = {}
    ignored = []
    for name, value in sampling.items():
        parameter = _SYNONYMS.get(name, name)
        if name == "reasoning" and isinstance(value, Mapping):  # as responses have it
            value = value.get("effort")
            if value is None:  # it only asks for a summary, say
                continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        effort = parameter == _EFFORT and isinstance(value, str)
        if parameter not in parameters:
            ignored.append(name)
        elif not (number or effort):
            kind = "a word" if parameter == _EFFORT else "a number"
            raise bad_request(f"`{name}` must be {kind}", name)
        else:
            chosen[parameter] = value
    return chosen, ignored


# ------------------------------------------------------------------------------ messages


def conversation(messages: Sequence[Mapping[str, Any]], *, joined: bool) -> str:
    """The text of a conversation: its only message, or all of them under their roles.

    Args:
        messages: As of a chat completion.
        joined: Several messages become one text; else they are refused.

    Raises:
        ApiError: There is something in it that no strategy reads.
    """
    turns = []
    for number, message in enumerate(messages):
        role = message.get("role", "user")
        where = f"messages.{number}"
        # As the input of responses has it; clients of chats may have types of their own.
        is_message = {"role", "content"} <= message.keys()
        kind = "message" if is_message else message.get("type") or "message"
        if kind == "reasoning":
            continue
        if kind != "message":
            what = f"`{where}`: items of type `{str(kind)[:40]}` are not supported"
            raise bad_request(what, where, "unsupported_content")
        if role not in ("user", "system", "developer", "assistant"):
            raise bad_request(
                f"`{where}.role`: messages of `{str(role)[:40]}` are not supported", where
            )
        if message.get("tool_calls") or message.get("function_call"):
            raise bad_request("tools are not supported", where, "unsupported_parameter")
        if message.get("audio"):
            raise bad_request("audio is not supported", where, "unsupported_content")
        text = _text(message.get("content") or message.get("refusal"), where)
        if text.strip():
            turns.append(("system" if role == "developer" else str(role), text))
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    if not turns or turns[-1][0] != "user":
        raise bad_request("the last message must be a user's, and not empty", "messages")
    if not joined:
        what = "a system message" if turns[0][0] == "system" else "several messages"
        raise bad_request(
            f"strategies answer one message of a user, and this request has {what}: put it into "
            "that message, or start the server with --join-messages",
            "messages",
            "unsupported_messages",
        )
    if len(turns) == 2 and turns[0][0] == "system":
        return f"{turns[0][1].strip()}\n\n{turns[1][1]}"
    return "\n\n".join(f"{role.capitalize()}: {text.strip()}" for role, text in turns)


def _text(content: object, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise bad_request(f"`{where}.content` must be a text", where)
    parts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _TEXTS or not isinstance(part.get("text"), str):
            what = str(kind)[:40] if kind else "this"
            message = f"`{where}.content`: only texts are read, not `{what}`"
            raise bad_request(message, where, "unsupported_content")
        parts.append(part["text"])
    return "".join(parts)
