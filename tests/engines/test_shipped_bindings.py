"""Bindings that ship, and which of them a model gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_hf import (
    CHATML,
    LLAMA_CHAT,
    LLAMA_TOKENS,
    QWEN_TOKENS,
    byte_level,
    metaspace,
    save_model,
)
from tts_runtime.binding import BindingError, load_binding, shipped_bindings
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf_files import model_files
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.policy_bindings import choose_binding
from tts_runtime.engines.requests import end_ids

R1_TOKENS = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")


@pytest.mark.parametrize("name", shipped_bindings())
def test_each_one_loads(name: str) -> None:
    binding = load_binding(shipped_bindings()[name], context=4096)
    assert (binding.name, binding.context) == (name, 4096)
    assert binding.stop
    assert binding.chat_template or binding.prompt.count("{message}") == 1
    with pytest.raises(BindingError, match="context: Field required"):
        load_binding(shipped_bindings()[name])


def test_the_families_of_the_literature_are_there() -> None:
    assert set(shipped_bindings()) == {
        "deepseek-r1-distill",
        "llama-3-instruct",
        "qwen2.5-instruct",
        "qwen2.5-math-instruct",
        "s1",
    }


def qwen(folder: Path, context: int = 2048) -> Path:
    return save_model(
        folder,
        byte_level(QWEN_TOKENS),
        architecture="qwen2",
        end="<|im_end|>",
        chat=CHATML,
        max_position_embeddings=context,
    )


def test_models_are_recognised(tmp_path: Path) -> None:
    llama = byte_level(LLAMA_TOKENS, begin="<|begin_of_text|>")
    r1 = byte_level(R1_TOKENS)
    r1.add_tokens(["<think>", "</think>"])
    folders = {
        "qwen2.5-instruct": qwen(tmp_path / "any"),
        "qwen2.5-math-instruct": qwen(tmp_path / "math", 4096),
        "s1": qwen(tmp_path / "s1.1-32B"),
        "llama-3-instruct": save_model(
            tmp_path / "llama", llama, begin="<|begin_of_text|>", chat=LLAMA_CHAT
        ),
        "deepseek-r1-distill": save_model(tmp_path / "r1", r1, architecture="qwen2"),
    }
    for name, folder in folders.items():
        files = model_files(str(folder))
        binding, why = choose_binding(files)
        assert binding.name == name
        assert f"`{name}` (recognised by" in why
        assert binding.context == files.positions
        if name != "llama-3-instruct":
            tokenizer = HuggingFaceTokenizer(folder)
            assert len(end_ids(tokenizer, binding)) == len(binding.stop)


def test_thoughts_of_s1_end_with_visible_tokens(tmp_path: Path) -> None:
    """`<|im_start|>answer` must be found in texts although its first token is a special one."""
    folder = qwen(tmp_path / "s1-32B")
    binding, _ = choose_binding(model_files(str(folder)))
    assert binding.thinking is not None
    tokenizer = HuggingFaceTokenizer(folder, (binding.thinking.begin, binding.thinking.end))
    start, end = tokenizer.encode("<|im_start|>")[0], tokenizer.encode("<|im_end|>")[0]
    assert tokenizer.encode(binding.thinking.end)[0] == start
    assert (tokenizer.pieces[start], tokenizer.pieces[end]) == (b"<|im_start|>", b"")


def test_unknown_models_get_a_binding_of_their_own(tmp_path: Path) -> None:
    chat = save_model(
        tmp_path / "chat", metaspace(), architecture="mistral", end="</s>", chat=CHATML
    )
    binding, why = choose_binding(model_files(str(chat)))
    assert why == "binding `chat` (made from the model's chat template)"
    assert binding.open("Hi", thinking=False).startswith("<|im_start|>user\nHi<|im_end|>")
    assert binding.stop == ("</s>",)
    plain = save_model(tmp_path / "plain", metaspace(), begin="<s>", end="</s>")
    binding, why = choose_binding(model_files(str(plain)), context=300)
    assert why.startswith("binding `plain` (no chat template")
    assert (binding.prompt, binding.context) == ("<s>{message}\n", 300)


def test_asked_for_by_name_or_file(tmp_path: Path) -> None:
    files = model_files(str(qwen(tmp_path / "any")))
    assert choose_binding(files, "s1")[0].name == "s1"
    own = tmp_path / "own.yaml"
    own.write_text("name: own\ncontext: 99\n")
    assert choose_binding(files, str(own))[0].context == 99
    assert choose_binding(files, str(own), 120)[0].context == 120
    own.write_text("name: own\nthinking: {begin: a, ends: b}\n")
    with pytest.raises(BindingError, match=r"thinking\.ends: .*\(did you mean `end`\?\)"):
        choose_binding(files, str(own))
    with pytest.raises(EngineError, match=r"neither a file nor one of deepseek-r1-distill, .*s1"):
        choose_binding(files, "gemma")


def test_a_folder_without_a_binding_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=r"a model's folder needs a binding\.yaml"):
        load_binding(tmp_path / "binding.yaml")
