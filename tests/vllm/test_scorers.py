"""Reward models through vLLM give the scores that they give through transformers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_prms import (
    QUESTIONS,
    STEPS,
    asked,
    make_er_prm,
    make_math_shepherd,
    make_outcome,
    make_pqm,
    make_qwen_math,
    make_rlhflow,
    paths,
)
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.batching.prefix_cache import common_length
from tts_runtime.engines.prm.engine import FamilyScorer
from tts_runtime.engines.prm.recognise import open_family
from tts_runtime.engines.registry import scorer_engine
from tts_runtime.engines.vllm.options import VllmScorerOptions
from tts_runtime.engines.vllm.scorer import VllmScorer

#: vLLM's attention on a CPU wants heads of 32 numbers at least.
WIDE: dict[str, Any] = {"num_attention_heads": 1, "num_key_value_heads": 1}
BLOCK = 32
SMALL = VllmScorerOptions(kv_cache=0.25, slots=32, block=BLOCK)
FAMILIES: dict[str, Callable[..., Path]] = {
    "math-shepherd": make_math_shepherd,
    "rlhflow": make_rlhflow,
    "er-prm": make_er_prm,
    "qwen-math-prm": make_qwen_math,
}

Replies = list[ScoreReply | BaseException]


def replies(engine: ScorerEngine, batches: Sequence[Sequence[ScoreRequest]]) -> list[Replies]:
    """Replies (or errors) to batches, one after another; closes the engine."""

    async def main() -> list[Replies]:
        try:
            return [
                list(await asyncio.gather(*map(engine.score, batch), return_exceptions=True))
                for batch in batches
            ]
        finally:
            await engine.close()

    return asyncio.run(main())


def good(reply: ScoreReply | BaseException) -> ScoreReply:
    assert isinstance(reply, ScoreReply), reply
    return reply


def new_tokens(family: str, folder: str, batch: Sequence[ScoreRequest]) -> int:
    """Tokens that a reader with a perfect memory reads for these requests."""
    outline = open_family(family, folder).outline
    texts = sorted(path.ids for path in map(outline.path, batch) if path is not None)
    return sum(map(len, texts)) - sum(common_length(*pair) for pair in pairwise(texts))


@pytest.mark.parametrize("family", FAMILIES)
def test_families_score_as_through_transformers(tmp_path: Path, family: str) -> None:
    """Whole, in any order, twice, step by step; what cannot be scored fails alone."""
    folder = str(FAMILIES[family](tmp_path / family, **WIDE))
    whole = [asked(question, steps) for question in QUESTIONS for steps in paths()]
    shuffled = random.Random(1).sample(whole, len(whole))
    growing = [[asked("Grow.", STEPS[: count + 1], count)] for count in range(len(STEPS))]
    odd = [asked(QUESTIONS[0], ("1 + " * 600,)), asked(QUESTIONS[0], (STEPS[0], " \n")), whole[0]]
    nothing = [asked(QUESTIONS[0], STEPS[:2], known=2)]
    batches = [shuffled, shuffled[::-1], *growing, odd, nothing]
    expected = replies(FamilyScorer(family, folder), batches)
    engine = VllmScorer(family, folder, SMALL)
    assert (engine.steps, engine.low, engine.high, engine.exact) == (True, 0.0, 1.0, True)
    found = replies(engine, batches)
    for batch, others in zip(found, expected, strict=True):
        for reply, other in zip(batch, others, strict=True):
            if isinstance(other, EngineError):
                assert type(reply) is type(other)
                assert str(reply).split(",")[0] == str(other).split(",")[0]
            else:
                assert good(reply).scores == pytest.approx(good(other).scores, abs=1e-4)
    tokens = sum(good(reply).tokens for reply in found[0])
    if family != "math-shepherd":  # whose layers here look back less than a block of the cache
        # Paths that come together read a block that they share in part each for itself.
        assert tokens <= new_tokens(family, folder, shuffled) + BLOCK * len(shuffled)
    assert not any(good(reply).tokens for reply in found[1])  # scores are remembered


@pytest.mark.parametrize("labels", [1, 2])
def test_outcome_models_score_as_through_transformers(tmp_path: Path, labels: int) -> None:
    folder = make_outcome(tmp_path / "orm", labels, **WIDE)
    texts = ["It is 3.", "1 + 2 = 3.\n\nThe answer is 3.\n\n", "It is 3.\n\nNo, 4."]
    batch = [ScoreRequest("What is 1 + 2?", {}, text, ()) for text in texts]
    (expected,) = replies(scorer_engine(f"auto:{folder}"), [batch])
    engine = scorer_engine(f"auto:{folder}?engine=vllm&kv_cache=0.25&slots=32")
    assert isinstance(engine, VllmScorer)
    assert engine.chosen.startswith("family orm (architecture Qwen2ForSequenceClassification)")
    assert (engine.steps, engine.low) == (False, None if labels == 1 else 0.0)
    (found,) = replies(engine, [batch])
    for reply, other in zip(found, expected, strict=True):
        assert good(reply).scores == pytest.approx(good(other).scores, abs=1e-4)


def test_what_vllm_cannot_read_is_refused(tmp_path: Path) -> None:
    folder = make_pqm(tmp_path / "pqm")
    with pytest.raises(EngineError, match=r"value head .* omit `engine=vllm`"):
        scorer_engine(f"pqm:{folder}?engine=vllm")
    with pytest.raises(EngineError, match=r"unknown option `rows`; options: dtype, "):
        scorer_engine(f"pqm:{folder}?engine=vllm&rows=2")
