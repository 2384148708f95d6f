"""JSON bodies of requests to both interfaces, completions and chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from tts_runtime.binding import END_OF_REPLY, END_OF_SYSTEM, END_OF_TURN, Binding
from tts_runtime.engines.base import GenerateRequest
from tts_runtime.engines.openai.probe import ServedModel
from tts_runtime.streams import position_seed
from tts_runtime.thoughts import behind_thoughts
from tts_runtime.tokens import Tokenizer, to_bytes, to_text

#: Seeds have 31 bits: not all servers accept more.
SEEDS: Final = 2**31 - 1
_FORBIDDEN: Final = -100


@runtime_checkable
class Named(Protocol):
    """A tokenizer that can write out special tokens."""

    def name(self, token: int) -> str | None:
        """The vocabulary's text of an id."""


@dataclass(frozen=True, slots=True)
class CompletionCall:
    """One HTTP request of a generation.

    Args:
        path: Ids after the prompt so far.
        tokens: Maximum number of tokens to draw.
        top: Number of likeliest tokens to list with each token; `None`: no log-probabilities.
        stream: Stream the reply.
        stops: Stop texts of the server.
        forbidden: Ids that must not be drawn.
        special: Include special tokens in texts.
        fills: The limit is the rest of the window, which the server knows best.
    """

    path: tuple[int, ...]
    tokens: int
    top: int | None
    stream: bool
    stops: Sequence[str] = ()
    forbidden: frozenset[int] = field(default_factory=frozenset)
    special: bool = False
    fills: bool = False


class PayloadWriter:
    """Writes requests to one model.

    Args:
        served: The model and its server.
        binding: How it is prompted.
        tokenizer: Of the ids in requests.
        ends: Ids that end a solution.
        begin: Text of the beginning of sequence, which servers add to texts themselves; empty if
            unknown.
        adds: vLLM adds it to prompts.
    """

    def __init__(
        self,
        served: ServedModel,
        binding: Binding,
        tokenizer: Tokenizer,
        ends: frozenset[int],
        *,
        begin: str,
        adds: bool,
    ) -> None:
        self._served = served
        self._binding = binding
        self._tokenizer = tokenizer
        self._ends = sorted(ends)
        self._begin = begin
        self._adds = adds

    @property
    def place(self) -> str:
        """Their path under the interface's address."""
        return "chat/completions" if self._served.chat else "completions"

    def write(self, request: GenerateRequest, call: CompletionCall) -> dict[str, Any]:
        """The JSON of one call."""
        served = self._served
        body = {"model": served.model, **self._sampling(request, call)}
        body |= self._chat(request, call) if served.chat else self._completion(request, call)
        stops = [*call.stops]
        if not served.ids and not (served.vllm and call.stream):
            # vLLM would withhold text that may become a stop text, so texts would lag their tokens.
            stops += self._binding.stop
        if stops:
            body["stop"] = stops
        bias = {token: max(_FORBIDDEN, -nats) for token, nats in request.sampling.penalties}
        bias |= dict.fromkeys(sorted(call.forbidden), _FORBIDDEN)
        if bias:
            body["logit_bias"] = {str(token): value for token, value in bias.items()}
        if pattern := request.limits.matching:
            body |= (
                {"regex": pattern} if served.sglang else {"structured_outputs": {"regex": pattern}}
            )
        if call.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if served.vllm:
            body["skip_special_tokens"] = not call.special
            if served.ids:
                body |= {"return_token_ids": True, "stop_token_ids": self._ends}
        return body

    def _sampling(self, request: GenerateRequest, call: CompletionCall) -> dict[str, Any]:
        sampling = request.sampling
        found: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": position_seed(request.key, len(call.path)) & SEEDS,
        }
        if sampling.top_k or self._served.vllm:
            found["top_k"] = sampling.top_k
        if sampling.min_p or self._served.vllm:
            found["min_p"] = sampling.min_p
        if self._served.vllm:
            # A model's own defaults would apply otherwise.
            found["repetition_penalty"] = 1.0
        return found

    def _completion(self, request: GenerateRequest, call: CompletionCall) -> dict[str, Any]:
        ids = (*request.prompt, *call.path)
        found: dict[str, Any] = {
            "prompt": list(ids) if self._served.ids else self._text(ids).removeprefix(self._begin),
            "max_tokens": call.tokens,
        }
        if call.top is not None:
            found["logprobs"] = call.top
        if self._served.vllm:
            found["add_special_tokens"] = self._adds
            if self._served.ids and call.top is not None:
                found["return_tokens_as_token_ids"] = True
        return found

    def _chat(self, request: GenerateRequest, call: CompletionCall) -> dict[str, Any]:
        message, begun = self._text(request.prompt), self._text(call.path)
        thinking = self._binding.thinking
        if thinking is not None and message.endswith(thinking.begin):
            message = message.removesuffix(thinking.begin)
            begun = thinking.begin + begun
        messages = self._messages(message)
        found: dict[str, Any] = {"messages": messages, "max_tokens": call.tokens}
        if self._served.vllm and self._binding.template_options:
            found["chat_template_kwargs"] = self._binding.template_options
        if begun and not self._served.vllm:
            begun = ""  # the server opens the thought itself
        if begun:
            messages.append({"role": "assistant", "content": begun})
            found |= {"add_generation_prompt": False, "continue_final_message": True}
        if call.top is not None:
            found |= {"logprobs": True, "top_logprobs": call.top}
        return found

    def _messages(self, text: str) -> list[dict[str, str]]:
        """The messages of a conversation as `setup` has its binding write it."""
        system, mark, rest = text.rpartition(END_OF_SYSTEM)
        own = system if mark else self._binding.system
        found = [] if own is None else [{"role": "system", "content": own}]
        for part in rest.split(END_OF_REPLY):
            asked, _, reply = part.partition(END_OF_TURN)
            found.append({"role": "user", "content": asked})
            if reply:
                thinking = self._binding.thinking  # as chat templates do with earlier thoughts
                reply = behind_thoughts(reply, None if thinking is None else thinking.end).lstrip()
                found.append({"role": "assistant", "content": reply})
        return found

    def _text(self, ids: Sequence[int]) -> str:
        """Ids as text for the server, special tokens written out."""
        tokenizer, pieces = self._tokenizer, self._tokenizer.pieces
        if not isinstance(tokenizer, Named):
            return to_text(to_bytes(tokenizer, ids))
        return to_text(
            b"".join([pieces[each] or (tokenizer.name(each) or "").encode() for each in ids])
        )
