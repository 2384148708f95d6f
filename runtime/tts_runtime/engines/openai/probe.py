"""Detects what a server supports, once, when the engine is opened.

Lists of models cost nothing; drawing one token shows which interface works and whether
log-probabilities come back. A strategy that needs more is then refused before it starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from tts_lang.diagnostics import did_you_mean
from tts_runtime.engines.base import CandidateError, EngineError
from tts_runtime.engines.http.client import Failing, HttpClient, Refused
from tts_runtime.engines.http.fields import Fields
from tts_runtime.engines.http.retry import Transient
from tts_runtime.engines.openai import replies

#: Stands for a message in a chat template; no template changes it.
MARK = "MESSAGE-STANDS-HERE"
#: Texts for models to continue; several, since a reply may be empty.
PROMPTS: Final = ("1", "Count: 1, 2,", "Hello")
#: Numbers of log-probabilities to try: vLLM and OpenAI's chat, OpenAI's completions, Together.
_TOPS: Final = (20, 5, 1, None)
#: Servers' names for the window of a model, surest first: of the running model before its training.
_WINDOWS: Final = tuple(
    re.compile(rf"(?:.*\.)?(?:{name})", re.IGNORECASE | re.DOTALL)
    for name in (
        "n_ctx",
        "num_ctx",
        "loaded_context_length",
        "max_model_len(?:gth)?",
        "context_?(?:length|window|size)(?:_tokens)?",
        "max_?context_?(?:length|window|size|tokens)(?:_tokens)?",
        "max_input_tokens|input_?token_?limit",
        "n_ctx_train",
    )
)
_WORDED: Final = re.compile(r"(\d{1,9}(?:\.\d)?) ?([km]?)", re.IGNORECASE)
#: Paths under which servers tell the window of a running model, by the owner of their models:
#: llama.cpp, Ollama, LM Studio.
_OWN_WORDS: Final = {
    "llamacpp": "/props",
    "library": "/api/show",
    "organization_owner": "/api/v0/models/{model}",
}
_ABSENT = (404, 405, 501)
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model on a server.

    Args:
        model: Its name there.
        window: Tokens of its window, if the server says.
        vllm: The server is vLLM, so its own options are used.
        sglang: It is SGLang.
        root: Source of the model: a hub id or folder.
        chat: It is used through chat completions.
        ids: Prompts are sent as token ids.
        thinks: Its thoughts are separate from its answers.
        top: Number of the likeliest tokens whose log-probabilities come with each token; -1: no
            log-probabilities, not even the drawn token's.
        numbered: Ids of what is drawn come without log-probabilities, too.
        opening: The prompt's text around `MARK`, if the server told its chat template.
    """

    model: str
    window: int | None = None
    vllm: bool = False
    sglang: bool = False
    root: str | None = None
    chat: bool = False
    ids: bool = False
    thinks: bool = False
    top: int = -1
    numbered: bool = False
    opening: str | None = None

    @property
    def continues(self) -> bool:
        """Whether a partial answer can be continued."""
        return self.vllm or not self.chat


async def find_model(client: HttpClient, context: int | None = None) -> ServedModel:
    """The model that an address names, or the server's only one.

    `context`: the window, if the user says it: a key that may not list models does then, too.

    Raises:
        EngineError: It is not there; the message lists what is.
    """
    asked = client.address.model
    listed: Any = None
    try:
        listed = await client.retried(partial(client.get, f"{client.address.base}/models"))
    except Refused as error:
        # No list, or a protected one: the first request will show.
        passed = (*_ABSENT, 400) if context is None else (*_ABSENT, 400, 401, 403)
        if error.status not in passed or not asked:
            hint = "; if it may use models but not list them, add `?context=TOKENS`"
            message = f"{error}{hint if error.status == 403 and asked else ''}"
            raise Refused(message, error.status, error.words, error.raw) from None
    except CandidateError:
        # A page of HTML, say. With the window known, a list is not needed.
        if context is None or not asked:
            raise
    models = {name: entry for entry in _entries(listed) if (name := _name(entry))}
    if not models and asked:
        return await _with_window(client, ServedModel(asked), {})
    if not asked and len(models) == 1:
        asked = next(iter(models))
    # Ollama's default tag is `latest`; OpenRouter does not list all variants (`MODEL:nitro`).
    names = (asked, f"{asked}:latest", asked.rpartition(":")[0])
    found = next((each for each in names if each in models), None)
    if found is None:
        raise EngineError(_not_there(client, asked, list(models)))
    entry = models[found]
    root = entry.get("root")
    served = ServedModel(
        asked,
        vllm=entry.get("owned_by") == "vllm",
        sglang=entry.get("owned_by") == "sglang",
        root=root if isinstance(root, str) else None,
    )
    return await _with_window(client, served, entry, tagged=":" in found)


def _entries(listed: Any) -> list[Mapping[str, Any]]:
    """The entries of a list of models, whatever the server calls it."""
    if isinstance(listed, Mapping):
        listed = next((listed[name] for name in ("data", "models") if listed.get(name)), None)
    if isinstance(listed, Mapping):
        listed = [
            {"id": name, **(each if isinstance(each, Mapping) else {})}
            for name, each in listed.items()
        ]
    entries = listed if isinstance(listed, list) else []
    entries = [{"id": each} if isinstance(each, str) else each for each in entries]
    return [each for each in entries if isinstance(each, Mapping)]


def _name(entry: Mapping[str, Any]) -> str:
    found = next((entry[name] for name in ("id", "model", "name") if entry.get(name)), "")
    return found if isinstance(found, str) else ""


async def _with_window(
    client: HttpClient, served: ServedModel, entry: Mapping[str, Any], *, tagged: bool = False
) -> ServedModel:
    """The model with its window: from the server's own description, else from its list of models.

    llama.cpp and Ollama run a model with a window of their own, which takes precedence. `tagged`:
    it is listed with a tag, as Ollama's are, whoever owns them (`hf.co/OWNER/MODEL:latest`).
    """
    listed = window_in(entry)
    own = _OWN_WORDS.get(str(entry.get("owned_by")))
    if own is None and tagged and listed is None:
        own = _OWN_WORDS["library"]
    window = None if own is None else await _own_window(client, served.model, own)
    return replace(served, window=window or listed)


async def _own_window(client: HttpClient, model: str, path: str) -> int | None:
    """The window of a model from a path that only one kind of server has."""
    url = client.address.root + path.format(model=model)
    try:
        found = await (client.post(url, {"model": model}) if "show" in path else client.get(url))
    except (Transient, EngineError):
        return None
    settings = found.get("parameters") if isinstance(found, Mapping) else None
    if isinstance(settings, str):  # lines of Ollama's model file
        said = re.search(r"^num_ctx\s+(\d{1,9})\s*$", settings, re.MULTILINE)
        if said:
            return int(said[1])
    return window_in(found)


def window_in(entry: Any, depth: int = 4) -> int | None:
    """The window in a description of a model, under any of its names."""
    if not isinstance(entry, Mapping) or not depth:
        return None
    for key in _WINDOWS:
        for name, value in entry.items():
            if isinstance(name, str) and key.fullmatch(name):
                window = _tokens(value)
                if window:
                    return window
    inner = (window_in(value, depth - 1) for value in entry.values())
    return next((window for window in inner if window is not None), None)


def _tokens(value: object) -> int | None:
    """A size, also as text; of `32k` the smaller meaning. `None` if it is none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 < value < 1e9 else None
    if isinstance(value, str):
        worded = _WORDED.fullmatch(value)
        if worded is None:
            return None
        value = int(float(worded[1]) * {"": 1, "k": 1000, "m": 1_000_000}[worded[2].lower()])
    return replies.number(value)


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


async def find_template(client: HttpClient, served: ServedModel, system: str | None) -> ServedModel:
    """The opening of vLLM's chat template: vLLM renders it as ids, then as text."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": MARK})
    root = client.address.root
    body = {"model": served.model, "messages": messages, "add_generation_prompt": True}
    try:
        found = await client.retried(partial(client.post, f"{root}/tokenize", body))
        tokens = {"model": served.model, "tokens": found["tokens"]}
        found = await client.retried(partial(client.post, f"{root}/detokenize", tokens))
        text = str(found["prompt"])
    except (EngineError, KeyError, TypeError, IndexError):
        return served  # no chat template, or an older server
    return replace(served, opening=text) if text.count(MARK) == 1 else served


#: Writes a request: model, text, number of tokens, number of log-probabilities.
Write: TypeAlias = Callable[[ServedModel, str, int, int | None], dict[str, Any]]


async def find_interface(
    client: HttpClient,
    fields: Fields,
    served: ServedModel,
    api: str,
    write: Write,
    *,
    prompted: bool,
) -> ServedModel:
    """Detects which interface works, and how many log-probabilities come back.

    The requests are those of the run, except for their length, so refused fields show here.

    Args:
        client: The server.
        fields: The fields that it accepts.
        served: What is known of it; with `ids` where prompts can be ids.
        api: `completions`, `chat` or `auto`: completions if `prompted`, else chat, else the other
            one.
        write: Writes a request.
        prompted: The prompt format of the model is known.

    Raises:
        EngineError: None works.
    """
    order = ("completions", "chat") if prompted else ("chat", "completions")
    failure: Refused | None = None
    silent = False

    async def asked(kind: str, body: dict[str, Any]) -> replies.Chunk:
        try:
            return replies.read(await client.post(f"{client.address.base}/{_PATHS[kind]}", body))
        except Failing as error:
            # llama.cpp's server for Python fails at `logprobs`, and says so.
            if fields.refused_by(error.refused, body):
                raise error.refused from None
            raise
        except Refused as error:
            if replies.unfinished(error.words.reason):
                return replies.Chunk("", (), "length", None, None)
            raise

    for kind in order if api == "auto" else (api,):
        answered = True
        for body, found, again in _tries(served, kind, write):
            if again and not answered:
                continue  # another text helps only against empty replies
            work = partial(asked, kind)
            try:
                chunk = await client.retried(
                    partial(fields.adapted, body, work, keep=("logprobs", "top_logprobs"))
                )
            except Refused as error:
                failure = failure or error
                # OpenRouter answers 404 if no server of a model takes all parameters.
                if error.status in _ABSENT and "parameters" not in error.words.reason:
                    break  # the interface is missing
                if error.status == 401:
                    raise
                answered = False
                continue
            answered = True
            nothing = not (chunk.text or chunk.thought or chunk.tokens)
            if nothing and chunk.finish == "stop":
                silent = True
                continue  # an empty reply; if it was cut, its thoughts are hidden
            top = len(chunk.tokens[0].top) if chunk.told and _spelled(chunk) else -1
            numbered = found.ids and chunk.numbered
            return replace(found, top=top, numbered=numbered, thinks=bool(chunk.thought))
    if failure is None or silent:
        raise EngineError(
            f"server {client.address.base}: `{served.model}` returns only empty replies"
        )
    if failure.status == 404 and client.address.guessed:
        hint = "; if that is no address of it, write the whole one: URL/chat/completions#MODEL"
        raise Refused(f"{failure}{hint}", failure.status, failure.words, failure.raw)
    raise failure


def _spelled(chunk: replies.Chunk) -> bool:
    """Whether a reply's tokens may spell its text: those of no other text are of no use."""
    data = [token.data for token in chunk.tokens]
    joined = b"".join(each for each in data if each is not None)
    text = chunk.text.encode("utf-8", "replace")
    return None in data or text in joined or "\ufffd".encode() in joined


_PATHS = {"completions": "completions", "chat": "chat/completions"}


def _tries(
    served: ServedModel, kind: str, write: Write
) -> Iterator[tuple[dict[str, Any], ServedModel, bool]]:
    """Requests for one token, the most informative first; the last leaves room for thinking.

    With each, the result if it works, and whether it differs from the one before only in its text.
    """
    places = (False,) if kind == "chat" or not served.ids else (True, False)
    for ids in places:
        found = replace(served, chat=kind == "chat", ids=ids)
        for text in PROMPTS[:1] if ids else PROMPTS:
            for top in _TOPS:
                yield write(found, text, 1, top), found, text != PROMPTS[0]
        yield write(found, PROMPTS[-1], 64, None), found, False
