"""Untrained models of the bundled models' shape, but two layers deep, in Hugging Face folders."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

_SPECIAL = ("<eos>", "<unk>")
_PIECES = ("\n\n", "\n\nb", "\n", "<think>", "</", "think>", "\\boxed{", "Q: ", "\nA: ")
_CHARACTERS = tuple(chr(code) for code in range(32, 127))
_NAMES = (*_SPECIAL, *_PIECES, *_CHARACTERS)
_POLICY = """\
name: tiny
prompt: "Q: {message}\\nA: "
thinking: {begin: "<think>", end: "</think>"}
stop: ["<eos>"]
context: 256
"""
_PRM = """\
name: tiny
family: generative
prompt: "Q: {problem}\\nA: "
delimiter: "\\n\\n"
good: "+"
bad: "-"
range: [0, 1]
context: 256
"""


def tiny_tokenizer(folder: Path, *, kind: str = "policy") -> Path:
    """Writes the files of a random policy or PRM, as far as they can be read without weights."""
    pattern = "|".join(
        [*(_escaped(piece) for piece in sorted(_PIECES, key=len, reverse=True)), r"[\s\S]"]
    )
    vocabulary = {name: token for token, name in enumerate(_NAMES)}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(_SPECIAL))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"model_type": "llama", "max_position_embeddings": 256}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "binding.yaml").write_text(_POLICY if kind == "policy" else _PRM)
    return folder


def tiny_model(folder: Path, *, kind: str = "policy", seed: int = 0, key_heads: int = 4) -> Path:
    """Writes a random policy or PRM."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tiny_tokenizer(folder, kind=kind)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(_NAMES),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=key_heads,
        max_position_embeddings=256,
        initializer_range=0.3,
        tie_word_embeddings=False,
        eos_token_id=0,
        bos_token_id=0,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight *= 0.3
        for parameter in model.model.named_parameters():
            if "norm" in parameter[0]:
                parameter[1].uniform_(0.5, 1.5)  # so that folding them in can go wrong
    model.save_pretrained(folder)
    return folder


def _escaped(text: str) -> str:
    return "".join("\\" + letter if letter in "\\{}." else letter for letter in text)
