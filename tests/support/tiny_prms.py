"""Tiny random reward models of each family, and texts to score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.tiny_hf import (
    CHATML,
    LLAMA_CHAT,
    LLAMA_TOKENS,
    QWEN_TOKENS,
    add_weights,
    byte_level,
    metaspace,
    save_model,
)
from tts_runtime.engines.base import ScoreRequest

if TYPE_CHECKING:
    import torch


def normal(*shape: int) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def value_head() -> dict[str, torch.Tensor]:
    return {"v_head.summary.weight": normal(1, 32), "v_head.summary.bias": normal(1)}


def classifier() -> dict[str, torch.Tensor]:
    return {
        "score.0.weight": normal(32, 32),
        "score.0.bias": normal(32),
        "score.2.weight": normal(2, 32),
        "score.2.bias": normal(2),
    }


QUESTIONS = ("What is 1 + 2 - 3?", "Add 4.\n\nThen say +.")
STEPS = (
    "Step 1: we add 1 + 2 = 3.",
    "so\nit is - 3\n= 0",
    "+",
    "naïve \\boxed{42} 日本",
    "The answer is 42.",
)


def paths() -> list[tuple[str, ...]]:
    return [STEPS, STEPS[::-1], (*STEPS[:2], STEPS[4])]


def asked(question: str, steps: tuple[str, ...], known: int = 0) -> ScoreRequest:
    return ScoreRequest(question, {}, "\n\n".join(steps), steps, known)


def make_math_shepherd(folder: Path, **settings: Any) -> Path:
    # A window shorter than the paths: Mistral's layers look back only so far.
    return save_model(
        folder,
        metaspace(),
        architecture="mistral",
        begin="<s>",
        end="</s>",
        sliding_window=16,
        **settings,
    )


def make_er_prm(folder: Path, **settings: Any) -> Path:
    tokenizer = byte_level(LLAMA_TOKENS, begin="<|begin_of_text|>")
    return save_model(
        folder, tokenizer, begin="<|begin_of_text|>", end="<|end_of_text|>", **settings
    )


def make_rlhflow(folder: Path, **settings: Any) -> Path:
    tokenizer = byte_level(LLAMA_TOKENS, begin="<|begin_of_text|>")
    return save_model(
        folder, tokenizer, begin="<|begin_of_text|>", end="<|eot_id|>", chat=LLAMA_CHAT, **settings
    )


def make_skywork(folder: Path, **settings: Any) -> Path:
    tokenizer = byte_level(QWEN_TOKENS)
    made = save_model(folder, tokenizer, architecture="qwen2", begin="<|endoftext|>", **settings)
    return add_weights(made, value_head())


def make_qwen_math(folder: Path, **settings: Any) -> Path:
    tokenizer = byte_level((*QWEN_TOKENS, "<extra_0>"))
    made = save_model(
        folder, tokenizer, architecture="qwen2", end="<|im_end|>", chat=CHATML, **settings
    )
    return add_weights(
        made,
        classifier(),
        architectures=["Qwen2ForProcessRewardModel"],
        auto_map={"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"},
    )


def make_pqm(folder: Path, **settings: Any) -> Path:
    tokenizer = metaspace(("<s>", "</s>", "[PRM]"))
    made = save_model(folder, tokenizer, begin="<s>", end="</s>", **settings)
    return add_weights(made, value_head(), prefix="pretrained_model.")


def make_outcome(folder: Path, labels: int, *, chat: str = CHATML, **settings: Any) -> Path:
    import torch

    made = save_model(folder, byte_level(QWEN_TOKENS), architecture="qwen2", chat=chat, **settings)
    head = torch.randn(labels, 32, generator=torch.Generator().manual_seed(labels))
    return add_weights(
        made,
        {"score.weight": head},
        drop="lm_head",
        architectures=["Qwen2ForSequenceClassification"],
        id2label={str(label): str(label) for label in range(labels)},
    )
