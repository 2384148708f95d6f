"""Opening a server: which model, which interface, which tokenizer and binding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.graph import PROBABILITY_RANKS
from tts_runtime.binding import (
    END_OF_REPLY,
    END_OF_SYSTEM,
    END_OF_TURN,
    Binding,
    Thinking,
    load_binding,
    shipped_bindings,
)
from tts_runtime.engines.base import Ability, EngineError, GenerateRequest, Limits, Sampling
from tts_runtime.engines.http.client import HttpClient
from tts_runtime.engines.http.fields import Fields
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.payloads import CompletionCall, PayloadWriter
from tts_runtime.engines.openai.probe import (
    MARK,
    ServedModel,
    Write,
    find_interface,
    find_model,
    find_template,
)
from tts_runtime.engines.stopping import end_ids
from tts_runtime.sampling import CONFIDENCE_WIDTH
from tts_runtime.steps import NOTHING
from tts_runtime.streams import root_key
from tts_runtime.tokens import TEXT, Tokenizer

if TYPE_CHECKING:
    from tts_runtime.engines.hf.files import ModelFiles

#: The stream of the tokens drawn for probing.
PROBE: Final = root_key(0, "probe")
#: Delimiters of thoughts that a server separates from the answer.
_THINKING: Final = Thinking(begin="<think>", end="</think>")


@dataclass(frozen=True, slots=True)
class ServerSetup:
    """A server's model, ready for requests.

    Args:
        served: The server's description.
        binding: How it is prompted.
        tokenizer: The model's, or `TEXT`.
        begin: Text of its beginning of sequence, if known.
        chosen: A sentence that describes all this.
    """

    served: ServedModel
    binding: Binding
    tokenizer: Tokenizer
    begin: str
    chosen: str


async def open_server(client: HttpClient, options: ServerOptions, fields: Fields) -> ServerSetup:
    """Probes a server and chooses how to use it.

    Raises:
        EngineError, BindingError: It cannot be used; the message says why.
    """
    served = await find_model(client, options.context)
    if options.context is not None:
        served = replace(served, window=options.context)
    if options.tokenizer is not None:
        return await _with_tokenizer(client, served, options, fields, options.tokenizer)
    if served.window is None:
        raise EngineError(
            f"server {client.address.base}: `{served.model}` does not say its window: add "
            "`?context=TOKENS`"
        )
    plain = Binding(name=served.model, context=served.window)
    binding = _named_binding(options.binding, served.window)
    if served.vllm and options.api != "chat":
        system = binding.system if binding is not None else None
        served = await find_template(client, served, system)
    # A binding that relies on the chat template needs a known one.
    written = binding is not None and not binding.chat_template
    served = await find_interface(
        client,
        fields,
        served,
        options.api,
        _writer(binding or plain, TEXT, ""),
        prompted=written or served.opening is not None,
    )
    binding, why = _bound(served, binding, written=written)
    told = f"{why}, {_told(served)}, texts instead of ids"
    if served.top < 0:
        told += ", tokens as the server counts them, of streams that are cut here estimates"
    return ServerSetup(served, binding, TEXT, "", told)


async def _with_tokenizer(
    client: HttpClient, served: ServedModel, options: ServerOptions, fields: Fields, name: str
) -> ServerSetup:
    """Uses the model's tokenizer, and the binding that fits its files."""
    files, tokenizer, binding, why = own_tokenizer(
        name, options.revision, options.binding, served.window
    )
    token = files.tokenizer.get("bos_token")
    begin = str((token.get("content") if isinstance(token, dict) else token) or "")
    served = await find_interface(
        client,
        fields,
        replace(served, ids=True),
        options.api,
        _writer(binding, tokenizer, begin),
        prompted=True,
    )
    if served.chat:
        binding = _for_chat(binding, served)
    return ServerSetup(served, binding, tokenizer, begin, f"{why}, {_told(served)}")


def _writer(binding: Binding, tokenizer: Tokenizer, begin: str) -> Write:
    """Writes the requests of probing, as the run will write its own."""
    known = tokenizer is not TEXT
    ends = end_ids(tokenizer, binding) if known else frozenset[int]()
    defaults = binding.defaults
    sampling = Sampling(defaults.temperature, defaults.top_p, defaults.top_k, defaults.min_p)

    def write(served: ServedModel, text: str, tokens: int, top: int | None) -> dict[str, Any]:
        used = _for_chat(binding, served) if served.chat else binding
        adds = not known and served.opening is None
        bodies = PayloadWriter(served, used, tokenizer, ends, begin=begin, adds=adds)
        prompt = tokenizer.encode(text)
        request = GenerateRequest(prompt, (), PROBE, sampling, Limits(tokens), NOTHING)
        return bodies.write(request, CompletionCall((), tokens, top, stream=False))

    return write


def own_tokenizer(
    name: str, revision: str | None, binding: str | None, window: int | None
) -> tuple[ModelFiles, Tokenizer, Binding, str]:
    """A model's tokenizer, its binding and the reason for it, from its files without weights.

    Raises:
        EngineError, BindingError: They are missing or cannot be read.
    """
    # The packages for tokenizers are needed only here.
    try:
        from tts_runtime.engines.hf.bindings import choose_binding
        from tts_runtime.engines.hf.files import model_files
        from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
    except ModuleNotFoundError as error:
        raise EngineError(
            f"`?tokenizer` needs `{error.name}`, which is not installed: "
            "pip install 'tts-lang[transformers]'"
        ) from error
    files = model_files(name, revision, weights=False)
    chosen, why = choose_binding(files, binding, window, positions=window)
    thinking = chosen.thinking
    visible = (thinking.begin, thinking.end) if thinking else ()
    return files, HuggingFaceTokenizer(files.folder, visible), chosen, why


def _named_binding(name: str | None, window: int) -> Binding | None:
    """The requested binding."""
    if name is None:
        return None
    shipped = shipped_bindings()
    path = shipped.get(name, Path(name))
    if not path.is_file():
        hint = did_you_mean(name, shipped)
        raise EngineError(
            f"no binding `{name}`: neither a file nor one of {', '.join(shipped)}"
            + (f"; {hint}" if hint else "")
        )
    binding = load_binding(path, window)
    return binding.model_copy(update={"context": min(window, binding.context)})


def _bound(served: ServedModel, binding: Binding | None, *, written: bool) -> tuple[Binding, str]:
    """The binding to use, and why."""
    why = "asked for"
    if binding is None:
        assert served.window is not None
        binding, why = Binding(name=served.model, context=served.window), "made for it"
    if served.chat:
        binding = _for_chat(binding, served)
    elif served.opening is not None and not written:
        prompt = served.opening.replace(MARK, "{message}")
        binding = binding.model_copy(update={"prompt": prompt, "chat_template": False})
        why += ", the server's chat template"
    elif binding.chat_template:
        raise EngineError(
            f"binding `{binding.name}` needs the model's chat template, which this server does not "
            "tell: add ?tokenizer=PATH_OR_HUB"
        )
    elif not written:
        binding = binding.model_copy(update={"prompt": "{message}\n"})
        why += ": a message is continued as it stands"
    return binding, f"binding `{binding.name}` ({why})"


def _for_chat(binding: Binding, served: ServedModel) -> Binding:
    """A binding for chat completions, where the server's template opens conversations.

    Thoughts need a server that separates them, or vLLM, where the prompt can open one.
    """
    kept = binding.thinking if served.vllm else None
    return binding.model_copy(
        update={
            "prompt": f"{{message}}{END_OF_TURN}",
            "system_prompt": f"{{system}}{END_OF_SYSTEM}{{message}}{END_OF_TURN}",
            "turn": f"{END_OF_REPLY}{{message}}{END_OF_TURN}",
            "chat_template": False,
            "examples": True,
            "thinking": (binding.thinking or _THINKING) if served.thinks else kept,
        }
    )


def _told(served: ServedModel) -> str:
    kind = "chat completions" if served.chat else "completions"
    server = "vLLM" if served.vllm else "a server"
    apart = ", thoughts apart" if served.thinks else ""
    texts = ", which reads control tokens in texts" if served.chat or not served.ids else ""
    return f"{kind} of {server}{texts}{apart}, {_logprobs(served.top)}"


def _logprobs(top: int) -> str:
    if top < 0:
        return "no log-probabilities"
    return f"the {top} largest log-probabilities" if top else "log-probabilities of what is drawn"


def lacking(served: ServedModel, *, own_ids: bool) -> dict[Ability, str]:
    """Abilities that strategies may need and the server lacks (`PolicyEngine.lacks`)."""
    in_process = "bind an engine in this process (`transformers:MODEL`)"
    gets = (
        "gets none from its server"
        if served.top < 0
        else f"gets at most those of the {served.top} likeliest from its server"
    )
    told = f"{gets}; {in_process}"
    wanted = {
        Ability.LOGPROBS: 0,
        Ability.LIKELIEST: 2,
        Ability.MARGIN: 2,
        Ability.FIRST_TOKENS: PROBABILITY_RANKS,
        Ability.CONFIDENCE: CONFIDENCE_WIDTH,
        Ability.ENTROPY: inf,
        Ability.CERTAINTY: inf,
    }
    lacks = {ability: told for ability, many in wanted.items() if served.top < many}
    if not (served.vllm or served.sglang):
        lacks[Ability.MATCHING] = (
            "is behind a server that takes no regular expressions (vLLM and SGLang do): choose "
            f"among answers with `where`, or {in_process}"
        )
    if not own_ids:
        lacks[Ability.AVOIDING] = (
            "cannot tell its server which tokens, since their ids are not known: add "
            "`?tokenizer=PATH_OR_HUB`"
        )
    if not served.continues:
        again = (
            "uses chat completions, which start every answer from scratch: add "
            "`?tokenizer=PATH_OR_HUB` or `?binding=NAME` where the server has /v1/completions, or "
            "run a strategy of whole solutions"
        )
        continued = (Ability.CONTINUE, Ability.LIKELIEST, Ability.AT_LEAST, Ability.STREAMING)
        lacks |= dict.fromkeys(continued, again)
    elif not own_ids:
        lacks[Ability.AT_LEAST] = (
            "cannot keep a server from drawing tokens whose ids are not known: add "
            "`?tokenizer=PATH_OR_HUB`"
        )
    return lacks
