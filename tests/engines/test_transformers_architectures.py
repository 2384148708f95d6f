"""Causal models of many architectures on the transformers engine: numbers of a plain call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.files import model_files

if TYPE_CHECKING:
    from tts_runtime.engines.torch.model import TransformersModel

_LLAMA: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
_GPT: dict[str, Any] = {
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "initializer_range": 0.3,
}
#: By model type. Heads call their bodies in many ways, and look for many things in what they give.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": _GPT,
    "gptj": {**_GPT, "rotary_dim": 8},
    "codegen": {**_GPT, "rotary_dim": 8},
    "gpt_bigcode": _GPT,
    "gpt_neox": _LLAMA,
    "falcon": _LLAMA,
    "biogpt": _LLAMA,
    "mpt": {
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 4,
        "max_seq_len": 256,
        "initializer_range": 0.3,
    },
    "opt": {**_LLAMA, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "xglm": {
        "d_model": 32,
        "ffn_dim": 64,
        "num_layers": 2,
        "attention_heads": 4,
        "max_position_embeddings": 256,
        "init_std": 0.3,
    },
    "granite": {**_LLAMA, "logits_scaling": 4.0},
    "gemma2": {**_LLAMA, "head_dim": 8, "sliding_window": 16},
    "mixtral": {**_LLAMA, "num_local_experts": 4, "sliding_window": 16},
    "qwen3_moe": {
        **_LLAMA,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "output_router_logits": True,
    },
    "gpt_oss": {**_LLAMA, "head_dim": 8, "num_local_experts": 4, "sliding_window": 16},
}
_VOCABULARY = 300


def saved(folder: Path, kind: str, **settings: Any) -> Path:
    """A random model of a type, without a tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    config = AutoConfig.for_model(kind, vocab_size=_VOCABULARY, **ends, **settings)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def opened(folder: Path) -> TransformersModel:
    """The engine's model, in float32 on the CPU."""
    from tts_runtime.engines.torch.model import Placement, TransformersModel

    return TransformersModel(model_files(str(folder)), Placement("cpu", "float32"))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_logits_are_those_of_a_plain_call(tmp_path: Path, kind: str) -> None:
    """Rows of different lengths, read together in two pieces, past the sliding windows."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = saved(tmp_path / "model", kind, **ARCHITECTURES[kind])
    model = opened(folder)
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    random = np.random.default_rng(0)
    rows = [random.integers(2, _VOCABULARY, length) for length in (9, 120, 50)]
    cuts = np.array([3, 40, 30])
    with model.turn():
        cache, alone = model.cache(3), model.cache(1)
        first = model.extend(
            _filled([row[:cut] for row, cut in zip(rows, cuts, strict=True)]),
            np.zeros(3, np.int64),
            cache,
        )
        second = model.extend(
            _filled([row[cut:] for row, cut in zip(rows, cuts, strict=True)]), cuts, cache
        )
        for number, (row, cut) in enumerate(zip(rows, cuts, strict=True)):
            read = torch.cat([first[number, :cut], second[number, : len(row) - cut]])
            together = model.logits(read)
            by_itself = model.logits(model.extend(row[None], np.zeros(1, np.int64), alone)[0])
            expected = plain(torch.from_numpy(row[None])).logits[0]
            assert torch.allclose(together, expected, atol=1e-4)
            assert torch.allclose(together, by_itself, atol=1e-4)


def _filled(rows: list[Any]) -> Any:
    length = max(map(len, rows))
    return np.stack([np.pad(row, (0, length - len(row))) for row in rows])


def test_windows_that_a_model_keeps_to_itself_are_refused(tmp_path: Path) -> None:
    """GPT-Neo's window counts from the end of a cache; the check at opening is shorter."""
    settings = {
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 32,
    }
    folder = saved(tmp_path / "model", "gpt_neo", **settings)
    with pytest.raises(EngineError, match="layers of kind global, local"):
        opened(folder)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pegasus", "beside other texts, gives other numbers"),  # places are those of the first row
        ("openai-gpt", "its layers keep something else"),  # nothing: it has no cache
    ],
)
def test_models_that_cannot_be_read_row_by_row_are_refused(
    tmp_path: Path, kind: str, reason: str
) -> None:
    decoder = {
        "d_model": 32,
        "decoder_layers": 2,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 64,
    }
    folder = saved(tmp_path / "model", kind, **(_GPT if kind == "openai-gpt" else decoder))
    with pytest.raises(EngineError, match=reason):
        opened(folder)


def test_a_head_that_does_not_run_alone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    folder = saved(tmp_path / "model", "llama", **_LLAMA)
    plain = LlamaForCausalLM.forward

    def forward(self: Any, input_ids: Any = None, **how: Any) -> Any:
        output = plain(self, input_ids, **how)
        if input_ids is not None:  # it reads the text apart from its body
            output.logits = output.logits + input_ids[..., None]
        return output

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    with pytest.raises(EngineError, match="its head gives other numbers apart from its body"):
        opened(folder)
