"""Untrained models and tokenizers with the layouts of published ones, in Hugging Face folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

if TYPE_CHECKING:
    import torch

#: The shape of the published templates: header, text, end of turn.
LLAMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_TOKENS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
QWEN_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
#: How Qwen2.5 cuts a text into words; transformers insists on it for models of this type.
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CORPUS = [
    "What is 1 + 2 - 3 + 4? Step 1: we add. The answer is 42.\n\nStep 2: user assistant system ки"
] * 3 + [" ки + - ки + - ки + - ки\n"] * 3


def byte_level(special: tuple[str, ...], *, begin: str = "") -> Tokenizer:
    """The layout of Llama 3 and Qwen2.5: bytes as letters; `begin` before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return _finished(tokenizer, special, begin)


def metaspace(special: tuple[str, ...] = ("<s>", "</s>"), *, begin: str = "<s>") -> Tokenizer:
    """The layout of Llama 2, Mistral and DeepSeek-Math: `▁` for spaces, bytes as `<0x0A>`."""
    letters = sorted({letter for text in _CORPUS for letter in text if letter not in " \n"})
    merges = [("▁", "к"), ("▁к", "и"), ("▁", "+"), ("▁", "-"), ("t", "e"), ("▁", "S")]
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    names += [first + second for first, second in merges]
    vocabulary = {name: token for token, name in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return _finished(tokenizer, special, begin)


def _finished(tokenizer: Tokenizer, special: tuple[str, ...], begin: str) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    if begin:
        number = tokenizer.token_to_id(begin)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, number)]
        )
    return tokenizer


def save_model(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    architecture: str = "llama",
    begin: str | None = None,
    end: str | None = None,
    chat: str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Path:
    """Writes a small random language model of an architecture, with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": end,
        "chat_template": chat,
    }
    present = {key: value for key, value in config.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(present))
    kinds = {"llama": LlamaConfig, "qwen2": Qwen2Config, "mistral": MistralConfig}
    torch.manual_seed(seed)
    made = kinds[architecture](
        **{
            "vocab_size": tokenizer.get_vocab_size(with_added_tokens=True),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "initializer_range": 0.5,
            "tie_word_embeddings": False,
            "bos_token_id": None if begin is None else tokenizer.token_to_id(begin),
            "eos_token_id": None if end is None else tokenizer.token_to_id(end),
            "pad_token_id": None,
            **settings,
        }
    )
    AutoModelForCausalLM.from_config(made).save_pretrained(folder)
    return folder


def add_weights(
    folder: Path,
    extra: Mapping[str, torch.Tensor],
    *,
    prefix: str = "",
    drop: str = "",
    **config: object,
) -> Path:
    """Adds a head's weights to a saved model, renames the others, changes its configuration."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = {
        prefix + name: tensor
        for name, tensor in load_file(path).items()
        if not drop or not name.startswith(drop)
    }
    save_file({**weights, **extra}, path, metadata={"format": "pt"})
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder
