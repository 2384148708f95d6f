"""Which binding a model gets: the one asked for, its folder's, or one that its files call for."""

from __future__ import annotations

import re
from pathlib import Path

from tts_lang.diagnostics import did_you_mean
from tts_runtime.binding import Binding, load_binding, shipped_bindings
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.chat import has_chat_template, with_prompt
from tts_runtime.engines.hf_files import ModelFiles, checked_window
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer

_S1 = re.compile(r"(^|[/_-])s1(\.1)?(-\d+(\.\d+)?b)?$", re.IGNORECASE)


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
        context: Tokens of the window, instead of the binding's or the model's own.
        positions: Of the model, where somebody who runs it knows better than its files.

    Raises:
        EngineError, BindingError: No such binding, one that does not fit, a window above the
            model's positions or an unknown one.
    """
    positions = positions or files.positions
    window = checked_window(files.name, positions, context)
    path, why = _file(files, asked)
    if path is not None:
        binding = load_binding(path, window)
        if context is not None:
            binding = binding.model_copy(update={"context": context})
        checked_window(files.name, positions, binding.context)
    else:
        binding, why = _made(files, window)
    return with_prompt(binding, files), f"binding `{binding.name}` ({why})"


def _file(files: ModelFiles, asked: str | None) -> tuple[Path | None, str]:
    shipped = shipped_bindings()
    if asked is not None:
        if asked in shipped:
            return shipped[asked], "asked for"
        if Path(asked).is_file():
            return Path(asked), "asked for"
        hint = did_you_mean(asked, shipped)
        raise EngineError(
            f"no binding `{asked}`: neither a file nor one of {', '.join(shipped)}"
            + (f"; {hint}" if hint else "")
        )
    own = files.folder / "binding.yaml"
    if own.is_file():
        return own, "from the model's folder"
    recognised, why = _recognised(files)
    return (shipped[recognised], why) if recognised is not None else (None, why)


def _recognised(files: ModelFiles) -> tuple[str | None, str]:
    """A shipped binding's name, by tokens that only its models have, then by configuration."""
    tokenizer = HuggingFaceTokenizer(files.folder)
    kind = str(files.config.get("model_type"))

    def has(*names: str) -> bool:
        return all(tokenizer.token(name) is not None for name in names)

    if has("<｜User｜>", "<｜Assistant｜>", "<think>"):
        return "deepseek-r1-distill", "recognised by the tokens `<｜User｜>` and `<think>`"
    if has("<|im_start|>", "<|im_end|>") and kind == "qwen2":
        if _S1.search(files.name.rstrip("/")):
            return "s1", "recognised by the model's name"
        if files.positions == 4096:
            return "qwen2.5-math-instruct", "recognised by type qwen2 and a window of 4096"
        return "qwen2.5-instruct", "recognised by type qwen2 and the token `<|im_start|>`"
    if has("<|start_header_id|>", "<|eot_id|>") and kind == "llama" and has_chat_template(files):
        return "llama-3-instruct", "recognised by type llama and the token `<|start_header_id|>`"
    return None, ""


def _made(files: ModelFiles, context: int) -> tuple[Binding, str]:
    """A binding for a model that nobody described."""
    tokenizer = HuggingFaceTokenizer(files.folder)
    stop = _ends(files, tokenizer)
    if has_chat_template(files):
        binding = Binding(name="chat", chat_template=True, stop=stop, context=context)
        return binding, "made from the model's chat template"
    begin = _text(files.tokenizer.get("bos_token")) if _begins(files, tokenizer) else ""
    binding = Binding(name="plain", prompt=f"{begin}{{message}}\n", stop=stop, context=context)
    return binding, "no chat template: a message is continued as it stands"


def _begins(files: ModelFiles, tokenizer: HuggingFaceTokenizer) -> bool:
    """Whether the tokenizer puts its beginning of sequence before a text."""
    begin = tokenizer.token(_text(files.tokenizer.get("bos_token")))
    ids, _ = tokenizer.spans("a", special=True)
    return begin is not None and ids[0] == begin


def _ends(files: ModelFiles, tokenizer: HuggingFaceTokenizer) -> tuple[str, ...]:
    found = []
    for config in (files.generation, files.config):
        ids = config.get("eos_token_id")
        found += [ids] if isinstance(ids, int) else list(ids or ())
    names = [tokenizer.name(token) for token in found]
    names.append(_text(files.tokenizer.get("eos_token")) or None)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _text(token: object) -> str:
    """A special token of tokenizer_config.json: a text, or an object with one."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""
