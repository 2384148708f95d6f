"""A strategy that answers texts: what harnesses set, what is wrong with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tts_lang.diagnostics import DiagnosticError
from tts_runtime.adapters.strategy_model import StrategyModel, text_of
from tts_runtime.runs.response import AnswerError

SIM = {"policy": "sim", "scorer": "prm=sim", "n": 3}


def test_a_text_asked_again_has_another_seed_and_names_begin_streams() -> None:
    async def asked() -> None:
        model = StrategyModel("best_of_n", {**SIM, "seed": 5})
        try:
            first, second = [await model.answer("1 + 1") for _ in range(2)]
            assert (first.seed, second.seed) == (5, 6)
            again = await model.answer("1 + 1", repeat=0)
            assert again.text == first.text
            named = await model.answer("1 + 1", name="p1", repeat=0)
            assert named.problem.id == "p1"
            assert len(first.candidates) == 3
        finally:
            await model.close()
        reopened = await model.answer("1 + 1", repeat=0)
        assert reopened.text == first.text
        await model.close()

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("majorty", {}, "did you mean"),
        ("majority", {"m": 3}, "no parameter"),
        ("majority", {"policy": "sim critic=sim"}, "critic"),
        ("best_of_n", {"policy": "sim", "scorer": "sim"}, "prm=sim"),
        ("majority", {"seed": "x"}, "seed"),
        ("majority", {"policy": "sim", "strict": "maybe"}, "strict: expected true or false"),
    ],
)
def test_a_mistake_is_said_before_anything_is_asked(
    strategy: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, DiagnosticError), match=message):
        StrategyModel(strategy, options)


def test_each_evaluation_may_have_an_event_loop_of_its_own() -> None:
    model = StrategyModel("best_of_n", SIM)

    async def evaluation() -> list[str]:
        texts = ("1 + 1", "2 + 2", "3 + 3")
        return [each.text for each in await asyncio.gather(*(model.answer(text) for text in texts))]

    first, second = asyncio.run(evaluation()), asyncio.run(evaluation())
    assert first == second
    asyncio.run(model.close())


@pytest.mark.parametrize("strict", [False, "False", "no", "true", True])
def test_a_text_turns_strictness_on_or_off(strict: bool | str, tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("def f(problem, solutions): raise ValueError\n")
    scorer = f"orm=python:{tmp_path}/fails.py:f"
    options = {"policy": "sim", "scorer": scorer, "strict": strict}
    model = StrategyModel("best_of_n_outcome", options)

    async def evaluation() -> None:
        try:
            await model.answer("1 + 1")
        finally:
            await model.close()

    if strict in (True, "true"):
        with pytest.raises(AnswerError, match="ValueError"):
            asyncio.run(evaluation())
    else:
        asyncio.run(evaluation())


def test_chats_become_one_text() -> None:
    user = {"role": "user", "content": "1 + 1"}
    assert text_of([user]) == "1 + 1"
    assert text_of([{"role": "system", "content": "Be brief."}, user]) == "Be brief.\n\n1 + 1"
    with pytest.raises(ValueError, match="only texts are read, not `image`"):
        text_of([{"role": "user", "content": [{"type": "image"}]}])
