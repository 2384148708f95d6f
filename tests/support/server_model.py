"""What the test server answers with: a random model's completions, in the forms of real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nlargest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts_runtime.engines.base import Sampling
from tts_runtime.engines.matching import Matcher
from tts_runtime.sampling import draw, log_probabilities
from tts_runtime.streams import derive
from tts_runtime.tokens import Tokenizer


class HashModel:
    """Logits that are a hash of the text so far, over any tokenizer; it writes steps and answers.

    Args:
        tokenizer: Its vocabulary.
        ends: Names of the tokens that end a text, by id.
        seed: Which random model.
    """

    def __init__(self, tokenizer: Tokenizer, ends: Mapping[int, str], seed: int = 0) -> None:
        self.tokenizer = tokenizer
        self.ends = dict(ends)
        self.seed = seed
        self._pieces = [bytes(piece) for piece in tokenizer.pieces]
        self._weights = {state: self._usual(state) for state in ("text", "open", "inside", "half")}
        self._known: dict[tuple[int, ...], list[float]] = {}

    def logits(self, ids: Sequence[int]) -> list[float]:
        """Logits of the token after these."""
        recent = tuple(ids[-12:])
        if recent not in self._known:
            name = b"%d|" % self.seed + b",".join(b"%d" % token for token in recent)
            seed = int.from_bytes(blake2b(name, digest_size=8).digest())
            noise = np.random.default_rng(seed).gumbel(size=len(self._pieces))
            weights = self._weights[self._state(recent[-3:])]
            self._known[recent] = (weights + 0.5 * noise).tolist()
        return self._known[recent]

    def _state(self, ids: Sequence[int]) -> str:
        text = b"".join(self._pieces[token] for token in ids)
        if text.endswith((b"\\boxed{", b"</")):
            return "half" if text.endswith(b"</") else "open"
        return "inside" if text.rfind(b"\\boxed{") > text.rfind(b"}") else "text"

    def _usual(self, state: str) -> NDArray[np.float64]:
        boxed = {b"}": 3.0 if state == "inside" else -9.0, b"1": 2.0, b"2": 2.5}
        plain = {b"\n\n": -0.5, b"\\boxed{": -0.5, b"</": -1.5}
        plain |= {bytes([letter]): -1.0 for letter in b"abcdefgh"}
        plain |= {b"think>": 4.0} if state == "half" else {}
        usual = boxed if state in ("open", "inside") else plain
        weights = np.array([usual.get(piece, -6.0) for piece in self._pieces])
        weights[list(self.ends)] = -2.5
        return weights

    def name(self, token: int) -> str:
        """A token as servers show it: parts of a character are spoilt."""
        shown = self.ends.get(token)
        return self._pieces[token].decode("utf-8", "replace") if shown is None else shown


@dataclass
class Written:
    """One drawn token."""

    token: int
    logprob: float
    top: list[tuple[int, float]]


def generate(
    model: HashModel, prompt: Sequence[int], body: Mapping[str, Any], window: int
) -> Iterator[tuple[Written, str | None, str | None]]:
    """Tokens with (finish, stop text) of the last one; as vLLM stops, seeds and cuts."""
    limit = body.get("max_tokens")
    limit = window - len(prompt) if limit is None else min(limit, window - len(prompt))
    sampling = Sampling(
        body.get("temperature", 1.0),
        body.get("top_p", 1.0),
        body.get("top_k", 0) or 0,
        body.get("min_p", 0.0) or 0.0,
    )
    stops = body.get("stop") or []
    bias = {int(token): number for token, number in (body.get("logit_bias") or {}).items()}
    form = (body.get("structured_outputs") or {}).get("regex")
    matcher = Matcher(form, model.tokenizer, frozenset(model.ends)) if form else None
    ids = list(prompt)
    data = b""
    for number in range(limit):
        logits = model.logits(ids)
        log_probs = log_probabilities(logits)
        biased = logits.copy()
        for token, add in bias.items():
            biased[token] += add
        forbidden = matcher.forbidden(ids[len(prompt) :]) if matcher is not None else ()
        token = draw(biased, sampling, derive(b"server", body.get("seed", 0)), number, forbidden)
        best = nlargest(body.get("_top", 0), range(len(log_probs)), key=log_probs.__getitem__)
        written = Written(token, log_probs[token], [(each, log_probs[each]) for each in best])
        ids.append(token)
        data += model.tokenizer.pieces[token]
        stop = next((text for text in stops if text.encode() in data), None)
        if token in model.ends or token in body.get("stop_token_ids", ()):
            yield written, "stop", None
            return
        if stop is not None:
            yield written, "stop", stop
            return
        yield written, "length" if number + 1 == limit else None, None


def choice(
    model: HashModel,
    written: Sequence[Written],
    finish: str | None,
    stop: str | None,
    body: Mapping[str, Any],
    *,
    vllm: bool,
    chat: bool,
) -> dict[str, Any]:
    """The choice of a reply: `written` are all its tokens, or those of a streamed piece."""
    shown = [each for each in written if each.token not in model.ends]
    data = b"".join(model.tokenizer.pieces[each.token] for each in shown)
    text = data.decode("utf-8", "replace")
    if stop is not None:
        text = text[: text.find(stop)]
    found: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if chat:
        part = "delta" if body.get("stream") else "message"
        found[part] = {"role": "assistant", "content": text}
    else:
        found["text"] = text
    told = written if vllm else shown
    if body.get("_top", -1) >= 0:
        found["logprobs"] = (
            _chat_logprobs(model, told)
            if chat
            else _logprobs(model, told, numbered=bool(body.get("return_tokens_as_token_ids")))
        )
    if vllm:
        found["stop_reason"] = stop
        if body.get("return_token_ids"):
            found["token_ids"] = [each.token for each in told]
    return found


def _logprobs(model: HashModel, told: Sequence[Written], *, numbered: bool) -> dict[str, Any]:
    def name(token: int) -> str:
        return f"token_id:{token}" if numbered else model.name(token)

    return {
        "tokens": [name(each.token) for each in told],
        "token_logprobs": [each.logprob for each in told],
        "top_logprobs": [{name(token): number for token, number in each.top} for each in told],
    }


def _chat_logprobs(model: HashModel, told: Sequence[Written]) -> dict[str, Any]:
    def one(token: int, logprob: float) -> dict[str, Any]:
        data = model.name(token).encode() if token in model.ends else model.tokenizer.pieces[token]
        return {"token": model.name(token), "logprob": logprob, "bytes": list(data)}

    return {
        "content": [
            {
                **one(each.token, each.logprob),
                "top_logprobs": [one(token, number) for token, number in each.top],
            }
            for each in told
        ]
    }


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"
