"""One check of the window, whatever engine opens a model: never more than its positions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_hf import QWEN_TOKENS, byte_level, save_model
from tests.support.tiny_models import tiny_model
from tests.support.tiny_prms import asked, make_er_prm, make_outcome
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.files import ModelFiles
from tts_runtime.engines.options import ScorerOptions
from tts_runtime.engines.registry import find_policy, find_scorer


def files(**config: Any) -> ModelFiles:
    return ModelFiles("m", Path(), config)


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_positions": 1024}, 1024),
        ({"max_seq_len": 2048}, 2048),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
        # Llama 3.1, Phi-4-mini, Gemma 3: what the configuration says is the stretched length.
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
            },
            131072,
        ),
        (
            {"max_position_embeddings": 131072, "rope_scaling": {"type": "longrope", "factor": 32}},
            131072,
        ),
        (
            {
                "model_type": "gemma3_text",
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            131072,
        ),
        # Qwen2.5 with YaRN as its card says, gpt-oss, Qwen3, Vicuna 16k.
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {
                    "type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32768,
                },
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_parameters": {
                    "rope_type": "yarn",
                    "factor": 32.0,
                    "original_max_position_embeddings": 4096,
                },
            },
            131072,
        ),
        (
            {"max_position_embeddings": 40960, "rope_scaling": {"rope_type": "yarn", "factor": 2}},
            81920,
        ),
        (
            {"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
            16384,
        ),
        ({"max_position_embeddings": 4096, "rope_parameters": {"full_attention": {}}}, 4096),
        ({"max_position_embeddings": 512, "rope_scaling": {"type": "linear", "factor": "x"}}, 512),
        ({"max_position_embeddings": 512, "rope_scaling": [4]}, 512),
        ({}, None),
    ],
)
def test_positions_of_configurations(config: dict[str, Any], positions: int | None) -> None:
    assert files(**config).positions == positions


@pytest.mark.parametrize("kind", ["transformers", "er-prm", "auto", "orm", "policy", "prm"])
def test_no_engine_opens_a_window_above_the_positions(tmp_path: Path, kind: str) -> None:
    if kind in ("policy", "prm"):  # the bundled engine: its window stands in the binding
        folder = tiny_model(tmp_path / "m", kind=kind)
        file = folder / "binding.yaml"
        file.write_text(file.read_text().replace("context: 256", "context: 257"))
        find = find_policy if kind == "policy" else find_scorer
        opening, wrong, most = find(str(folder)), 257, 256
    else:
        if kind == "transformers":
            folder = save_model(tmp_path / "m", byte_level(QWEN_TOKENS), architecture="qwen2")
        else:
            folder = (
                make_er_prm(tmp_path / "er-prm")
                if kind != "orm"
                else make_outcome(tmp_path / "m", 1)
            )
        find = find_policy if kind == "transformers" else find_scorer
        opening, wrong, most = find(f"{kind}:{folder}?context=1025"), 1025, 1024
    with pytest.raises(
        EngineError, match=f"context {wrong} is more than the {most} positions of `"
    ):
        opening()


def test_stretched_positions_are_read_as_such(tmp_path: Path) -> None:
    """With YaRN, a path beyond `max_position_embeddings` is not squeezed into it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tts_runtime.engines.prm.engine import FamilyScorer
    from tts_runtime.engines.prm.recognise import open_family

    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
    folder = make_er_prm(tmp_path / "er-prm", max_position_embeddings=64, rope_scaling=rope)
    with pytest.raises(EngineError, match="context 257 is more than the 256 positions"):
        open_family("er-prm", str(folder), 257)
    request = asked("Add:", ("1 + " * 30 + "2.", "It is 42."))

    async def main() -> tuple[float | None, ...]:
        engine = FamilyScorer("er-prm", str(folder), ScorerOptions(context=256))
        try:
            return (await engine.score(request)).scores
        finally:
            await engine.close()

    path = open_family("er-prm", str(folder)).outline.path(request)
    assert path is not None
    assert 64 < len(path.ids) <= 256
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    signs = [tokenizer.encode(sign)[-1] for sign in (" +", " -")]
    with torch.inference_mode():
        logits = model(torch.tensor([path.ids])).logits[0, list(path.places)][:, signs]
    expected = torch.softmax(logits, dim=-1)[:, 0].tolist()
    assert asyncio.run(main()) == pytest.approx(expected, abs=1e-5, rel=1e-5)
