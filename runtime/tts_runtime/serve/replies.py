"""Replies to clients: chat completions, completions and responses, whole or as events."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from secrets import token_hex
from time import time
from typing import Any, Final

from tts_runtime.serve.catalogue import Served
from tts_runtime.serve.errors import ApiError
from tts_runtime.serve.requests import AnswerRequest
from tts_runtime.serve.service import ServedReply

#: Characters of an answer in one event.
_PIECE: Final = 400
DONE: Final = "data: [DONE]\n\n"
#: Keeps connections open that would be closed for silence.
COMMENT: Final = ": tts-serve\n\n"


def event(value: dict[str, Any], name: str | None = None) -> str:
    """One server-sent event."""
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {json.dumps(value)}\n\n"


def model_card(served: Served) -> dict[str, Any]:
    """An entry of `/v1/models`."""
    return {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "tts-lang",
        "tts": served.described(),
    }


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]


class Interface(ABC):
    """The writer of replies of one interface; one object per request."""

    def __init__(self, request: AnswerRequest) -> None:
        self.request = request
        self.created = int(time())
        #: Sent so far of a stream's first choice: the thought, and the text after it.
        self.sent = ("", "")

    def grown(self, thought: str, text: str) -> tuple[str, str]:
        """The part of a stream's first choice that has not been sent yet.

        Nothing where this does not continue what was sent: an engine that is not exact has begun
        again, and draws something else.
        """
        old_thought, old_text = self.sent
        if not (thought.startswith(old_thought) and text.startswith(old_text)):
            return "", ""
        self.sent = thought, text
        return thought[len(old_thought) :], text[len(old_text) :]

    def check(self, reply: ServedReply) -> None:
        """Before the end of a stream.

        Raises:
            ApiError: The reply does not continue what was sent.
        """
        thought, text = self.sent
        choice = reply.choices[0]
        if not (choice.thought.startswith(thought) and choice.text.startswith(text)):
            message = "the policy had to begin again, and its answer is not what was sent"
            raise ApiError(502, message, "stream_interrupted")

    @abstractmethod
    def whole(self, reply: ServedReply) -> dict[str, Any]:
        """The reply as one object."""

    @abstractmethod
    def opening(self) -> Sequence[str]:
        """Events at the start of a stream."""

    @abstractmethod
    def progress(self, line: str) -> Sequence[str]:
        """Events that say how a search proceeds."""

    @abstractmethod
    def drawn(self, thought: str, text: str) -> Iterator[str]:
        """Events of more of the first choice, which is being drawn."""

    @abstractmethod
    def closing(self, reply: ServedReply) -> Iterator[str]:
        """Events of what has not been sent of the reply."""


class Chat(Interface):
    """`/v1/chat/completions`."""

    kind = "chat.completion"

    def __init__(self, request: AnswerRequest) -> None:
        super().__init__(request)
        self.id = f"chatcmpl-{token_hex(12)}"

    def whole(self, reply: ServedReply) -> dict[str, Any]:
        """A chat completion."""
        choices = []
        for index, choice in enumerate(reply.choices):
            message = {"role": "assistant", "content": choice.text, "refusal": None}
            if choice.thought:
                message["reasoning_content"] = choice.thought
            choices.append(
                {
                    "index": index,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": choice.finish,
                }
            )
        return {**self._head(self.kind, reply), "choices": choices, "usage": _usage(reply)}

    def opening(self) -> Sequence[str]:
        """The role."""
        return [COMMENT, self._delta({"role": "assistant", "content": ""})]

    def progress(self, line: str) -> Sequence[str]:
        """A delta of reasoning."""
        return [self._delta({"reasoning_content": f"{line}\n"})]

    def drawn(self, thought: str, text: str, index: int = 0) -> Iterator[str]:
        """Deltas of reasoning and content."""
        if thought:
            yield self._delta({"reasoning_content": thought}, index)
        for piece in _pieces(text):
            yield self._delta({"content": piece}, index)

    def closing(self, reply: ServedReply) -> Iterator[str]:
        """Deltas of all choices, then the usage if it was asked for."""
        for index, choice in enumerate(reply.choices):
            parts = choice.thought, choice.text
            yield from self.drawn(*(parts if index else self.grown(*parts)), index)
            last = {"index": index, "delta": {}, "finish_reason": choice.finish}
            yield event({**self._head(f"{self.kind}.chunk", reply), "choices": [last]})
        if self.request.usage:
            head = self._head(f"{self.kind}.chunk", reply)
            yield event({**head, "choices": [], "usage": _usage(reply)})
        yield DONE

    def _delta(self, delta: dict[str, Any], index: int = 0) -> str:
        choice = {"index": index, "delta": delta, "finish_reason": None}
        head = {"id": self.id, "object": f"{self.kind}.chunk", "created": self.created}
        return event({**head, "model": self.request.model, "choices": [choice]})

    def _head(self, kind: str, reply: ServedReply) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": reply.model,
            **_of(reply),
        }


class Completions(Interface):
    """`/v1/completions`."""

    def __init__(self, request: AnswerRequest) -> None:
        super().__init__(request)
        self.id = f"cmpl-{token_hex(12)}"

    def whole(self, reply: ServedReply) -> dict[str, Any]:
        """A completion."""
        choices = [
            _completed(index, choice.text, choice.finish)
            for index, choice in enumerate(reply.choices)
        ]
        return {**self._head(), **_of(reply), "choices": choices, "usage": _usage(reply)}

    def opening(self) -> Sequence[str]:
        """A comment."""
        return [COMMENT]

    def progress(self, line: str) -> Sequence[str]:
        """A comment: this interface has no place for reasoning."""
        return [f": {line}\n\n"]

    def drawn(self, thought: str, text: str) -> Iterator[str]:  # noqa: ARG002  (has no place)
        """Pieces of the text."""
        yield from self._parts(text)

    def closing(self, reply: ServedReply) -> Iterator[str]:
        """Pieces of all choices, then the usage if it was asked for."""
        head = {**self._head(), **_of(reply)}
        for index, choice in enumerate(reply.choices):
            text = choice.text if index else self.grown(choice.thought, choice.text)[1]
            yield from self._parts(text, index)
            yield event({**head, "choices": [_completed(index, "", choice.finish)]})
        if self.request.usage:
            yield event({**head, "choices": [], "usage": _usage(reply)})
        yield DONE

    def _parts(self, text: str, index: int = 0) -> Iterator[str]:
        for piece in _pieces(text):
            yield event({**self._head(), "choices": [_completed(index, piece, None)]})

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.request.model,
        }


def _of(reply: ServedReply) -> dict[str, Any]:
    return {"system_fingerprint": reply.fingerprint, "tts": dict(reply.extras)}


def _completed(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(reply: ServedReply) -> dict[str, Any]:
    """Billed tokens: all drawn ones; those that are not returned count as reasoning."""
    usage = reply.usage
    return {
        "prompt_tokens": usage["prompt"],
        "completion_tokens": usage["drawn"],
        "total_tokens": usage["prompt"] + usage["drawn"],
        "prompt_tokens_details": {"cached_tokens": usage["cached"]},
        "completion_tokens_details": {
            "reasoning_tokens": max(0, usage["drawn"] - usage["returned"])
        },
    }


@dataclass
class _Numbered:
    """Events of a response, each with its number."""

    number: int = -1

    def __call__(self, name: str, **members: Any) -> str:
        self.number += 1
        return event({"type": name, "sequence_number": self.number, **members}, name)


class Responses(Interface):
    """`/v1/responses`."""

    def __init__(self, request: AnswerRequest) -> None:
        super().__init__(request)
        self.id = f"resp_{token_hex(16)}"
        self._message = f"msg_{token_hex(16)}"
        self._thought = f"rs_{token_hex(16)}"
        self._event = _Numbered()
        self._thinking = self._answering = False

    def whole(self, reply: ServedReply) -> dict[str, Any]:
        """A response."""
        [choice] = reply.choices[:1]
        partial = choice.finish == "length"
        output = [self._item(choice.text, "incomplete" if partial else "completed")]
        if choice.thought or self._thinking:
            output.insert(0, self._reasoning(choice.thought))
        usage = _usage(reply)
        return {
            **self._head("incomplete" if partial else "completed"),
            "incomplete_details": {"reason": "max_output_tokens"} if partial else None,
            "output": output,
            "tts": {**reply.extras, "system_fingerprint": reply.fingerprint},
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": usage["prompt_tokens_details"],
                "output_tokens": usage["completion_tokens"],
                "output_tokens_details": usage["completion_tokens_details"],
                "total_tokens": usage["total_tokens"],
            },
        }

    def opening(self) -> Sequence[str]:
        """The response, without its output."""
        response = self._head("in_progress")
        return [
            COMMENT,
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
        ]

    def progress(self, line: str) -> Sequence[str]:
        """A part of the reasoning's summary."""
        return list(self._summary(f"{line}\n"))

    def drawn(self, thought: str, text: str) -> Iterator[str]:
        """Parts of the reasoning's summary, then of the message."""
        if thought:
            yield from self._summary(thought)
        if text and not self._answering:
            yield from self._begun(self.sent[0])
        for piece in _pieces(text):
            name = "response.output_text.delta"
            yield self._event(name, **self._place, delta=piece, logprobs=[])

    def closing(self, reply: ServedReply) -> Iterator[str]:
        """The rest of the message, and the whole response."""
        yield from self.drawn(*self.grown(reply.choices[0].thought, reply.choices[0].text))
        if not self._answering:
            yield from self._begun(reply.choices[0].thought)
        whole = self.whole(reply)
        item = whole["output"][-1]
        [part] = item["content"]
        text = part["text"]
        yield self._event("response.output_text.done", **self._place, text=text, logprobs=[])
        yield self._event("response.content_part.done", **self._place, part=part)
        index = self._place["output_index"]
        yield self._event("response.output_item.done", output_index=index, item=item)
        yield self._event(f"response.{whole['status']}", response=whole)

    @property
    def _place(self) -> dict[str, Any]:
        index = int(self._thinking)
        return {"item_id": self._message, "output_index": index, "content_index": 0}

    def _summary(self, text: str) -> Iterator[str]:
        place = {"item_id": self._thought, "output_index": 0, "summary_index": 0}
        if not self._thinking:
            self._thinking = True
            item = self._reasoning("")
            yield self._event("response.output_item.added", output_index=0, item=item)
            part = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", **place, part=part)
        yield self._event("response.reasoning_summary_text.delta", **place, delta=text)

    def _begun(self, thought: str) -> Iterator[str]:
        """The reasoning ends, and the message begins."""
        self._answering = True
        if self._thinking:
            item = self._reasoning(thought)
            yield self._event("response.output_item.done", output_index=0, item=item)
        item = self._item("", "in_progress")
        [bare] = item["content"]
        index = self._place["output_index"]
        added = {**item, "content": []}
        yield self._event("response.output_item.added", output_index=index, item=added)
        yield self._event("response.content_part.added", **self._place, part=bare)

    def _head(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self.request.model,
            "output": [],
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
        }

    def _item(self, text: str, status: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        return {
            "id": self._message,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [part],
        }

    def _reasoning(self, text: str) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": text}] if text else []
        return {"id": self._thought, "type": "reasoning", "summary": summary}
