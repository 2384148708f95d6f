"""The PRM: one score per step, the same alone and in a batch, from scratch and incrementally."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tts_runtime.binding import BindingError
from tts_runtime.engines.base import EngineError, ScoreReply, ScoreRequest
from tts_runtime.engines.bundled.prm import BundledPrm, load_prm_binding

STEPS = ("a: 17*3=51", " b: 51+45=96\n", "c: 96-8=88", "The answer is \\boxed{88}")


def path(number: int = 0, steps: int = 4, known: int = 0) -> ScoreRequest:
    """A path of some steps on one of several problems."""
    problem = f"Start with {number}"
    return ScoreRequest(problem, {}, "\n\n".join(STEPS[:steps]), STEPS[:steps], known)


def replies(folder: Path, batches: Sequence[Sequence[ScoreRequest]]) -> list[list[ScoreReply]]:
    """Replies of one engine to batches, one after another."""

    async def main() -> list[list[ScoreReply]]:
        engine = BundledPrm(folder)
        found = [list(await asyncio.gather(*map(engine.score, batch))) for batch in batches]
        await engine.close()
        return found

    return asyncio.run(main())


def test_scores_are_the_probability_of_the_good_verdict(prm_folder: Path) -> None:
    """Against transformers, on the ids written out by hand."""
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(prm_folder / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(prm_folder).eval()
    ids = tokenizer.encode("Q: Start with 0\nA: ", add_special_tokens=False)
    places = []
    for step in STEPS:
        ids += tokenizer.encode(step.strip() + "\n\n", add_special_tokens=False)
        places.append(len(ids) - 1)
    signs = [tokenizer.convert_tokens_to_ids(sign) for sign in ("+", "-")]
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, places][:, signs]
    expected = torch.softmax(logits, dim=-1)[:, 0].tolist()
    ((reply,),) = replies(prm_folder, [[path()]])
    assert reply.scores == pytest.approx(expected, abs=1e-4)
    assert reply.tokens == len(ids)


def test_alone_equals_batched(prm_folder: Path) -> None:
    requests = [path(number, steps) for number in range(20) for steps in (1, 3, 4)]
    (batched,) = replies(prm_folder, [requests])
    for number in (0, 7, 31, 59):
        ((alone,),) = replies(prm_folder, [[requests[number]]])
        assert alone.scores == pytest.approx(batched[number].scores, abs=1e-5)


def test_incremental_equals_from_scratch_and_reads_only_what_is_new(prm_folder: Path) -> None:
    ((whole,),) = replies(prm_folder, [[path()]])
    parts = replies(prm_folder, [[path(0, steps, steps - 1)] for steps in (1, 2, 3, 4)])
    scores = [score for (part,) in parts for score in part.scores]
    assert scores == pytest.approx(whole.scores, abs=1e-5)
    assert sum(part.tokens for (part,) in parts) == whole.tokens
    # Known to the caller, but not in this engine's memory: read again, not scored again.
    ((late,),) = replies(prm_folder, [[path(0, 4, 3)]])
    assert late.scores == pytest.approx(whole.scores[3:], abs=1e-5)
    assert late.tokens == whole.tokens


def test_equal_paths_are_read_once(prm_folder: Path) -> None:
    ((first, second),) = replies(prm_folder, [[path(1), path(1)]])
    assert first.scores == second.scores
    assert min(first.tokens, second.tokens) < max(first.tokens, second.tokens)


@pytest.mark.parametrize("together", [True, False])
def test_steps_that_candidates_share_are_read_and_scored_once(
    prm_folder: Path, together: bool
) -> None:
    """Whoever comes first, with the scores that each has alone."""
    ends = ("d: 88+1=89", "d: 88+2=90", "so it is 88")
    paths = [replace(path(0, 3), steps=(*STEPS[:3], end)) for end in ends]
    batches = [paths] if together else [[each] for each in paths]
    found = [reply for batch in replies(prm_folder, batches) for reply in batch]
    alone = [replies(prm_folder, [[each]])[0][0] for each in paths]
    assert [reply.scores for reply in found] == [reply.scores for reply in alone]
    ((shared,),) = replies(prm_folder, [[path(0, 3)]])
    new = shared.tokens + sum(reply.tokens - shared.tokens for reply in alone)
    assert new - 20 <= sum(reply.tokens for reply in found) <= new  # ends may begin alike


def test_nothing_new_gives_no_scores(prm_folder: Path) -> None:
    ((empty, known),) = replies(prm_folder, [[path(0, 0), path(0, 2, 2)]])
    assert (empty.scores, known.scores) == ((), ())


def test_too_long_a_path_fails_alone(prm_folder: Path) -> None:
    long = replace(path(), steps=("1+1=2" * 60,))

    async def main() -> list[ScoreReply | BaseException]:
        engine = BundledPrm(prm_folder)
        futures = [engine.score(long), engine.score(path())]
        found = await asyncio.gather(*futures, return_exceptions=True)
        await engine.close()
        return found

    failed, scored = asyncio.run(main())
    assert isinstance(scored, ScoreReply)
    assert isinstance(failed, EngineError)
    assert str(failed).startswith("a path of 315 tokens")
    assert "reads 256" in str(failed)


def test_wrong_bindings_name_the_key(tmp_path: Path) -> None:
    file = tmp_path / "binding.yaml"
    file.write_text("name: x\nfamily: telepathic\nprompt: ''\ngood: '+'\nbad: '-'\ncontext: 0\n")
    with pytest.raises(BindingError, match=r"(?s)family: .*context: "):
        load_prm_binding(file)
    with pytest.raises(BindingError, match="cannot be read"):
        load_prm_binding(tmp_path / "none.yaml")
