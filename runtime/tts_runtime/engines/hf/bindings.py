"""Chooses a model's binding: the requested one, its folder's, a shipped one with the prompt of its
chat template, or one generated from that template."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tts_lang.diagnostics import did_you_mean
from tts_lang.readers import is_file
from tts_runtime.binding import (
    SHIPPED,
    Binding,
    Defaults,
    Thinking,
    load_binding,
    shipped_bindings,
)
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.chat import MARK, ChatTemplate, has_chat_template
from tts_runtime.engines.hf.files import ModelFiles, checked_window
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer

_LOGGER = logging.getLogger(__name__)
#: Numbers that tokens may have.
_IDS: Final = range(1 << 32)


class _Model:
    """A model's files as far as they concern prompts."""

    def __init__(self, files: ModelFiles) -> None:
        self.files = files
        self.tokenizer = HuggingFaceTokenizer(files.folder)
        self.template = ChatTemplate(files) if has_chat_template(files) else None

    def has(self, *names: str) -> bool:
        """Whether these are tokens of its vocabulary."""
        return all(self.tokenizer.token(name) is not None for name in names)

    def opens_as(self, binding: Binding) -> bool:
        """Whether its chat template opens conversations as a binding does."""
        return self.template is not None and self.template.is_prompt_of(binding)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A shipped binding that a model may be of.

    Args:
        name: Of the binding.
        kind: What the model's type begins with.
        tokens: In its vocabulary.
        also: A further condition where models of several bindings share a chat template.
    """

    name: str
    kind: str
    tokens: tuple[str, ...]
    also: Callable[[_Model], bool] = lambda _: True

    def may_be(self, model: _Model) -> bool:
        """Whether type and tokens fit; the prompt decides."""
        kind = str(model.files.config.get("model_type"))
        return kind.startswith(self.kind) and model.has(*self.tokens)


def _opening(model: _Model) -> str:
    """How the model's template opens a conversation without a system message."""
    if model.template is None:
        return ""
    return model.template.opening(Binding(name="own", chat_template=True, context=1))


def _thinks_by_template(model: _Model) -> bool:
    return _opening(model).endswith("<think>\n")


def _is_hybrid(model: _Model) -> bool:
    """The template can keep it from thinking."""
    return model.opens_as(_shipped("qwen3-no-thinking", 1))


def _mentions(text: str) -> Callable[[_Model], bool]:
    return lambda model: model.template is not None and text in model.template.source


def _is_qwen(model: _Model) -> bool:
    """The binding's system message replaces the template's default: only Qwen's may be replaced."""
    begin, _, rest = _opening(model).partition("<|im_start|>user\n")
    says = begin.removeprefix("<|im_start|>system\n").removesuffix("<|im_end|>\n")
    return rest.startswith(MARK) and says in _QWEN_SYSTEM


def _is_llama(model: _Model) -> bool:
    """Meta's template: a system message, with dates or without, then the user's turn."""
    binding = _shipped("llama-3-instruct", 1)
    if model.template is None or binding.system is None:
        return False
    begin = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    turn = "<|start_header_id|>user<|end_header_id|>\n\n"
    end = f"{turn}{MARK}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    own = re.sub(r"Cutting Knowledge Date: .*\nToday Date: .*\n\n", "", _opening(model))
    opening = re.sub(
        r"Cutting Knowledge Date: .*\nToday Date: .*\n\n", "", model.template.opening(binding)
    )
    return opening == f"{begin}{binding.system}<|eot_id|>{end}" and own in (
        f"<|begin_of_text|>{end}",
        f"{begin}<|eot_id|>{end}",
    )


#: Default system messages of Qwen2, Qwen2.5 and Qwen2.5-Math.
_QWEN_SYSTEM: Final = (
    "",
    "You are a helpful assistant.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
)
_S1: Final = re.compile(r"(^|[/_-])s1(\.1)?(-\d+(\.\d+)?b)?/*$", re.IGNORECASE)
_CHATML: Final = ("<|im_start|>", "<|im_end|>")
_CANDIDATES: Final = (
    _Candidate("deepseek-r1-distill", "", ("<｜User｜>", "<｜Assistant｜>", "<think>")),
    _Candidate("gpt-oss", "gpt_oss", ("<|start|>", "<|channel|>", "<|message|>", "<|end|>")),
    _Candidate("qwen-thinking", "qwen", (*_CHATML, "<think>"), _thinks_by_template),
    _Candidate(
        "qwen3-instruct-2507", "qwen3", (*_CHATML, "<think>"), lambda model: not _is_hybrid(model)
    ),
    _Candidate("qwen3", "qwen3", (*_CHATML, "<think>"), _is_hybrid),
    _Candidate("s1", "qwen2", _CHATML, lambda model: bool(_S1.search(model.files.name))),
    _Candidate(
        "qwen2.5-math-instruct",
        "qwen2",
        _CHATML,
        lambda model: model.files.positions == 4096 and _is_qwen(model),
    ),
    _Candidate("qwen2.5-instruct", "qwen2", _CHATML, _is_qwen),
    _Candidate("llama-3-instruct", "llama", ("<|start_header_id|>", "<|eot_id|>"), _is_llama),
    _Candidate("gemma-3", "gemma3", ("<start_of_turn>", "<end_of_turn>")),
    _Candidate("phi-4-reasoning", "phi3", ("<|im_sep|>",), _mentions("<think>")),
    _Candidate("magistral", "mi", ("[INST]", "[THINK]", "[/THINK]"), _mentions("[THINK]")),
    _Candidate("mistral-small-3", "mistral", ("[INST]", "[SYSTEM_PROMPT]")),
)
#: Delimiters of thoughts that unknown models may have, as single tokens.
_THOUGHTS: Final = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))


def choose_binding(
    files: ModelFiles,
    asked: str | None = None,
    context: int | None = None,
    *,
    positions: int | None = None,
) -> tuple[Binding, str]:
    """A model's binding, and a sentence that says which and why.

    Args:
        files: The model.
        asked: A shipped binding's name, or a file; the folder's `binding.yaml` or a recognised one
            if absent.
        context: Window in tokens, instead of the binding's or the model's own.
        positions: Of the model, from a server that runs it, instead of its files.

    Raises:
        EngineError, BindingError: No such binding, one that does not fit, a window above the
            model's positions or an unknown one.
    """
    positions = positions or files.positions
    window = checked_window(files.name, positions, context)
    model = _Model(files)
    path, why = _named(files, asked)
    if path is not None:
        binding = load_binding(path, window)
        if context is not None:
            binding = binding.model_copy(update={"context": context})
        checked_window(files.name, positions, binding.context)
        if path.parent == SHIPPED and model.template is not None and not model.opens_as(binding):
            why += ", although its prompt is not that of the model's chat template"
    else:
        binding, why = _recognised(model, window)
    if binding.chat_template:
        binding = (model.template or ChatTemplate(files)).filled(binding)
    elif binding.system_prompt is None and "{system}" not in binding.prompt and model.template:
        placed = model.template.with_system(binding) if model.opens_as(binding) else None
        binding = binding.model_copy(update={"system_prompt": placed})
    binding = binding.model_copy(update={"stop": _all_ends(binding, model, path)})
    return binding, f"binding `{binding.name}` ({why})"


def _shipped(name: str, context: int) -> Binding:
    return load_binding(shipped_bindings()[name], context)


def _named(files: ModelFiles, asked: str | None) -> tuple[Path | None, str]:
    shipped = shipped_bindings()
    if asked is not None:
        if asked in shipped:
            return shipped[asked], "asked for"
        if is_file(Path(asked)):
            return Path(asked), "asked for"
        hint = did_you_mean(asked, shipped)
        raise EngineError(
            f"no binding `{asked}`: neither a file nor one of {', '.join(shipped)}"
            + (f"; {hint}" if hint else "")
        )
    own = files.folder / "binding.yaml"
    return (own, "from the model's folder") if own.is_file() else (None, "")


def _recognised(model: _Model, context: int) -> tuple[Binding, str]:
    """The first shipped binding with the model's prompt, else a generated one."""
    alike = [each for each in _CANDIDATES if each.may_be(model)]
    for each in alike:
        binding = _shipped(each.name, context)
        if model.opens_as(binding) and each.also(model):
            return binding, "recognised: its prompt is that of the model's chat template"
    binding, why = _made(model, context)
    if not alike:
        return binding, why
    if binding.chat_template:
        return binding, f"{why}, which is not that of `{alike[-1].name}`"
    return binding, f"{why}; `?binding={alike[-1].name}` if it is talked to like that"


def _made(model: _Model, context: int) -> tuple[Binding, str]:
    """A binding for an unknown model."""
    files, tokenizer = model.files, model.tokenizer
    stop = _ends(files, tokenizer)
    defaults = _sampling(files)
    if model.template is None:
        begin = _text(files.tokenizer.get("bos_token")) if _begins(files, tokenizer) else ""
        prompt = f"{begin}{{message}}\n"
        binding = Binding(
            name="plain", prompt=prompt, stop=stop, context=context, defaults=defaults
        )
        return binding, "no chat template: a message is continued as it stands"
    thinking = next(
        (
            Thinking(begin=f"{begin}\n" if begin.startswith("<") else begin, end=end)
            for begin, end in _THOUGHTS
            if model.has(begin, end) and begin in model.template.source
        ),
        None,
    )
    binding = Binding(
        name="chat",
        chat_template=True,
        thinking=thinking,
        stop=stop,
        context=context,
        defaults=defaults,
    )
    thinks = f", with thoughts from `{thinking.begin.strip()}`" if thinking is not None else ""
    return binding, f"made from the model's chat template{thinks}"


def _sampling(files: ModelFiles) -> Defaults:
    """Sampling defaults of the model's generation configuration."""
    settings = files.generation
    if settings.get("do_sample") is False:
        return Defaults()
    values = {
        name: settings[name] for name in Defaults.model_fields if settings.get(name) is not None
    }
    if values.get("top_k") == -1:  # vLLM's word for no such filter
        del values["top_k"]
    try:
        return Defaults.model_validate(values)
    except ValidationError as error:
        wrong = {str(each["loc"][0]): values.pop(str(each["loc"][0])) for each in error.errors()}
    _LOGGER.warning(
        "`%s`: %s in its generation_config.json is out of range and left out",
        files.name,
        ", ".join(f"`{name}` {value!r}" for name, value in wrong.items()),
    )
    return Defaults.model_validate(values)


def _begins(files: ModelFiles, tokenizer: HuggingFaceTokenizer) -> bool:
    """Whether the tokenizer adds a beginning of sequence to texts."""
    begin = tokenizer.token(_text(files.tokenizer.get("bos_token")))
    ids, _ = tokenizer.spans("a", special=True)
    return begin is not None and ids[0] == begin


def _all_ends(binding: Binding, model: _Model, path: Path | None) -> tuple[str, ...]:
    """The binding's stop tokens, and those of the model's generation configuration.

    Shipped bindings name tokens that some of their models lack. A token of the end of a thought
    never ends a solution, whatever the configuration says.
    """
    own: tuple[str, ...] = binding.stop
    if path is None or path.parent == SHIPPED:
        own = tuple(filter(model.has, own)) or own
    thought = binding.thinking.end if binding.thinking is not None else ""
    ends = [name for name in _ends(model.files, model.tokenizer) if name not in thought]
    return tuple(dict.fromkeys([*own, *ends]))


def _ends(files: ModelFiles, tokenizer: HuggingFaceTokenizer) -> tuple[str, ...]:
    names = []
    for config in (files.generation, files.config, files.config.get("text_config", {})):
        ids = config.get("eos_token_id")
        for token in ids if isinstance(ids, list) else [ids]:
            if token is None or token == -1:  # both stand for none
                continue
            if type(token) is not int or token not in _IDS:
                raise EngineError(
                    f"`{files.name}`: `eos_token_id` of its configuration is {ids!r}, which is "
                    "neither a token's number nor a list of them"
                )
            names.append(tokenizer.name(token))
    names.append(_text(files.tokenizer.get("eos_token")) or None)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _text(token: object) -> str:
    """A special token of tokenizer_config.json: a text, or an object with one."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""
