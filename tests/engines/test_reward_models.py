"""Outcome reward models, `auto:`, and families by name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.tiny_hf import (
    CHATML,
    QWEN_TOKENS,
    add_weights,
    byte_level,
    metaspace,
    save_model,
)
from tests.support.tiny_prms import make_outcome
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.prm.families import TABLE
from tts_runtime.engines.registry import FAMILIES, scorer_engine

if TYPE_CHECKING:
    import torch


def value_head() -> dict[str, torch.Tensor]:
    import torch

    return {"v_head.summary.weight": torch.ones(1, 32), "v_head.summary.bias": torch.ones(1)}


def scored(engine: ScorerEngine, requests: list[ScoreRequest]) -> list[ScoreReply]:
    async def main() -> list[ScoreReply]:
        try:
            return await asyncio.gather(*map(engine.score, requests))
        finally:
            await engine.close()

    return asyncio.run(main())


@pytest.mark.parametrize(("labels", "padding"), [(1, None), (2, None), (1, "<|im_end|>")])
def test_outcome_models_score_whole_solutions(
    tmp_path: Path, labels: int, padding: str | None
) -> None:
    """Against transformers' own sequence classifier, one text at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from tts_runtime.engines.prm.engine import FamilyScorer

    # A template that ends turns with what the model takes for padding.
    chat = CHATML if padding is None else CHATML.replace("<|im_end|>\n", "<|im_end|>")
    pad = None if padding is None else byte_level(QWEN_TOKENS).token_to_id(padding)
    folder = make_outcome(tmp_path / "orm", labels, chat=chat, pad_token_id=pad)
    engine = scorer_engine(f"auto:{folder}")
    assert isinstance(engine, FamilyScorer)
    assert engine.chosen.startswith("family orm (architecture Qwen2ForSequenceClassification)")
    assert (engine.steps, engine.low) == (False, None if labels == 1 else 0.0)
    texts = ["It is 3.", "1 + 2 = 3.\n\nThe answer is 3.\n\n", "It is 3.\n\nNo, 4."]
    replies = scored(engine, [ScoreRequest("What is 1 + 2?", {}, text, ()) for text in texts])
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, reply in zip(texts, replies, strict=True):
        messages = [
            {"role": "user", "content": "What is 1 + 2?"},
            {"role": "assistant", "content": text.strip()},
        ]
        chat = tokenizer.apply_chat_template(messages, tokenize=False)
        with torch.inference_mode():
            logits = model(torch.tensor([tokenizer.encode(chat)])).logits[0]
        expected = logits[0] if labels == 1 else torch.softmax(logits, dim=-1)[1]
        assert reply.scores == pytest.approx([float(expected)], abs=1e-5, rel=1e-5)


def test_auto_reads_weights_tokens_and_names(tmp_path: Path) -> None:
    from tts_runtime.engines.prm.engine import FamilyScorer

    qwen = byte_level((*QWEN_TOKENS, "<extra_0>"))
    skywork = add_weights(save_model(tmp_path / "a", qwen, architecture="qwen2"), value_head())
    pqm = add_weights(save_model(tmp_path / "b", metaspace(("<s>", "</s>", "[PRM]"))), value_head())
    shepherd = save_model(tmp_path / "Math-Shepherd-7b", metaspace(), begin="<s>")
    for folder, family, why in (
        (skywork, "skywork", "it has a value head"),
        (pqm, "pqm", "the token `[PRM]`"),
        (shepherd, "math-shepherd", "`math-shepherd` in its name"),
    ):
        engine = scorer_engine(f"auto:{folder}")
        assert isinstance(engine, FamilyScorer)
        assert engine.family == family
        assert why in engine.chosen
    with pytest.raises(EngineError, match=r"do not say which family .*`math-shepherd:"):
        scorer_engine(f"auto:{save_model(tmp_path / 'c', metaspace())}")


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    plain = save_model(tmp_path / "a", byte_level(QWEN_TOKENS), architecture="qwen2", chat=CHATML)
    for family, message in (
        ("skywork", r"weights of its head are missing: v_head\.summary\.weight"),
        ("qwen-math-prm", "must write '<extra_0>' as one token"),
        ("pqm", r"must write '\[PRM\]' as one token"),
        ("orm", r"missing: score\.weight"),
    ):
        with pytest.raises(EngineError, match=message):
            scorer_engine(f"{family}:{plain}")


def test_families_by_name(tmp_path: Path) -> None:
    """The registry lists the table without loading it, and options reach the engine."""
    assert set(FAMILIES) == {*TABLE, "auto"}
    folder = add_weights(
        save_model(tmp_path / "a", byte_level(QWEN_TOKENS), architecture="qwen2"), value_head()
    )
    reduced = scorer_engine(f"skywork:{folder}?rows=2&reduce=min")
    assert (reduced.steps, reduced.low, reduced.high) == (False, 0.0, 1.0)
    steps = ("It is 3.", "No, 4.")
    request = ScoreRequest("What is 1 + 2?", {}, "\n\n".join(steps), steps)
    (each,) = scored(scorer_engine(f"skywork:{folder}"), [request])
    (least,) = scored(reduced, [request])
    assert least.scores == (min(score for score in each.scores if score is not None),)
    for tail, message in (
        ("?row=2", "unknown option `row`; did you mean 'rows'"),
        ("?reduce=lst", "no reduction `lst`; did you mean 'last'"),
    ):
        with pytest.raises(EngineError) as caught:
            scorer_engine(f"skywork:{folder}{tail}")
        assert message in str(caught.value)
