"""What a server says of itself, asked once when the engine is opened.

Lists of models cost nothing; whether log-probabilities come back, and which interface works, is
found out by drawing one token. A strategy that needs more is then refused before it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tts_lang.diagnostics import did_you_mean
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.http.client import HttpClient, Refused
from tts_runtime.engines.openai import replies

#: Stands for a message in a chat template: words that no template changes.
MARK = "MESSAGE-STANDS-HERE"
#: What models are asked to go on with; several, since an answer may be over before it begins.
_PROMPTS = ("1", "Count: 1, 2,", "Hello")
_ABSENT = (404, 405, 501)
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Served:
    """A model on a server.

    Args:
        model: Its name there.
        window: Tokens of its window, if the server says.
        vllm: The server is vLLM, whose further options are used.
        root: Where the server has the model from: a hub id or folder.
        chat: It is asked through chat completions.
        ids: Prompts are sent as token ids.
        top: So many of the likeliest tokens' log-probabilities come back for each token; -1: none
            at all, not even the drawn token's.
        opening: The prompt's text around `MARK`, if the server told its chat template.
    """

    model: str
    window: int | None = None
    vllm: bool = False
    root: str | None = None
    chat: bool = False
    ids: bool = False
    top: int = -1
    opening: str | None = None


async def find_model(client: HttpClient) -> Served:
    """The model that an address names, or the server's only one.

    Raises:
        EngineError: It is not there; the message lists what is.
    """
    asked = client.address.model
    try:
        listed = await client.retried(partial(client.get, f"{client.address.base}/models"))
    except Refused as error:
        if error.status in _ABSENT and asked:
            return Served(asked)  # a server without a list: the first request will tell
        raise
    entries = listed.get("data") if isinstance(listed, dict) else None
    models = {
        str(entry["id"]): entry
        for entry in entries or ()
        if isinstance(entry, dict) and "id" in entry
    }
    if not asked and len(models) == 1:
        asked = next(iter(models))
    entry = models.get(asked, models.get(f"{asked}:latest"))  # Ollama's default tag
    if entry is None:
        raise EngineError(_not_there(client, asked, list(models)))
    window = entry.get("max_model_len")
    root = entry.get("root")
    return Served(
        asked,
        window if isinstance(window, int) else None,
        entry.get("owned_by") == "vllm",
        root if isinstance(root, str) else None,
    )


def _not_there(client: HttpClient, asked: str, models: Sequence[str]) -> str:
    names = ", ".join(f"`{name}`" for name in models[:_SHOWN]) or "none"
    names += f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    if not asked:
        return f"server {client.address.base}: which model? write URL#MODEL; it serves {names}"
    hint = did_you_mean(asked, models)
    return (
        f"server {client.address.base} has no model `{asked}`"
        + (f"; {hint}" if hint else "")
        + f"; it serves {names}"
    )


async def find_template(client: HttpClient, served: Served, system: str | None) -> Served:
    """vLLM tells how its chat template opens a conversation: as ids, which it turns into text."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": MARK})
    root = client.address.root
    body = {"model": served.model, "messages": messages, "add_generation_prompt": True}
    try:
        found = await client.retried(partial(client.post, f"{root}/tokenize", body))
        tokens = {"model": served.model, "tokens": found["tokens"]}
        found = await client.retried(partial(client.post, f"{root}/detokenize", tokens))
        text = str(found["prompt"])
    except (Refused, KeyError, TypeError):
        return served  # no chat template, or an older server
    return replace(served, opening=text) if text.count(MARK) == 1 else served


async def find_interface(
    client: HttpClient, served: Served, api: str, ids: tuple[int, ...], *, prompted: bool
) -> Served:
    """Which interface works, and how many log-probabilities come back.

    Args:
        client: The server.
        served: What is known of it.
        api: `completions`, `chat` or `auto`: completions where it is known how the model is
            prompted, else chat, else the other one.
        ids: Some prompt's ids, if the tokenizer is known.
        prompted: It is known how the model is prompted.

    Raises:
        EngineError: None works.
    """
    order = ("completions", "chat") if prompted else ("chat", "completions")
    failure: Refused | None = None
    for kind in order if api == "auto" else (api,):
        for body, found in _tries(served, kind, ids):
            try:
                reply = await client.retried(
                    partial(client.post, f"{client.address.base}/{_PATHS[kind]}", body)
                )
            except Refused as error:
                failure = failure or error
                if error.status in _ABSENT:
                    break  # the whole interface is not there
                if error.status in (401, 403):
                    raise
                continue
            width = _width(reply)
            if width is None:  # it ended at once
                continue
            return replace(found, top=width)
    if failure is None:
        raise EngineError(
            f"server {client.address.base}: `{served.model}` ends every answer at once"
        )
    raise failure


_PATHS = {"completions": "completions", "chat": "chat/completions"}


def _tries(
    served: Served, kind: str, ids: tuple[int, ...]
) -> Iterator[tuple[dict[str, Any], Served]]:
    """Requests for one token, those that tell most first."""
    base = {"model": served.model, "max_tokens": 1, "temperature": 0}
    if kind == "chat":
        found = replace(served, chat=True)
        for text in _PROMPTS:
            body = {**base, "messages": [{"role": "user", "content": text}]}
            for top in (20, 5):
                yield {**body, "logprobs": True, "top_logprobs": top}, found
            yield body, found
        return
    for prompt in [list(ids), *_PROMPTS] if ids else _PROMPTS:
        found = replace(served, ids=not isinstance(prompt, str))
        for top in (20, 5):
            yield {**base, "prompt": prompt, "logprobs": top}, found
        yield {**base, "prompt": prompt}, found


def _width(reply: Any) -> int | None:
    """How many log-probabilities a reply shows for its first token; `None` if it has no token."""
    chunk = replies.read(reply)
    tokens = chunk.tokens
    if not tokens and not chunk.text:
        return None
    if not tokens or tokens[0].logprob != tokens[0].logprob:
        return -1
    return len(tokens[0].top)
