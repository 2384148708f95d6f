"""inspect_ai runs a strategy, as a model and as a solver: three problems of the bundled set."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.conftest import PROBLEMS, answered

ENTRY = "tts_runtime.adapters.inspect_registry"
needed = pytest.mark.skipif(find_spec("inspect_ai") is None, reason="needs tts-lang[inspect]")


def test_the_package_names_its_entry_point() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["inspect_ai"] == {"tts_runtime": ENTRY}


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Evaluates a task; logs stay in the test's folder."""
    inspect_ai = pytest.importorskip("inspect_ai")
    from importlib import import_module

    import_module(ENTRY)  # as the entry point does
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes

    monkeypatch.chdir(tmp_path)

    def evaluated(**options: Any) -> Any:
        samples = [
            Sample(id=each.id, input=each.text, target=f"boxed{{{each.answer}}}")
            for each in PROBLEMS
        ]
        task = inspect_ai.Task(dataset=samples, scorer=includes(ignore_case=False))
        [log] = inspect_ai.eval(
            task, display="none", log_dir=str(tmp_path / "logs"), log_realtime=False, **options
        )
        assert log.status == "success", log.error
        return log

    return evaluated


@needed
def test_a_strategy_is_a_model(harness: Any) -> None:
    log = harness(model="tts/majority", model_args={"n": 3, "policy": "bundled"})
    from tts_runtime.adapters.strategy_model import name_of

    expected = answered([name_of(each.text) for each in PROBLEMS])
    for sample, response, problem in zip(log.samples, expected, PROBLEMS, strict=True):
        assert sample.output.completion == response.text
        assert sample.output.metadata["answer"] == response.answer
        assert (sample.scores["includes"].value == "C") == (response.answer == problem.answer)
    usage = log.stats.model_usage["tts/majority"]
    assert usage.output_tokens == sum(each.usage.policy_tokens for each in expected)
    drawn = usage.output_tokens - sum(each.usage.returned_tokens for each in expected)
    assert usage.reasoning_tokens == drawn


@needed
def test_a_strategy_is_a_solver_whose_samples_are_problems(harness: Any) -> None:
    from tts_runtime.adapters.inspect_registry import tts_strategy

    log = harness(
        model="mockllm/model",
        solver=tts_strategy("majority", n=3, policy="bundled"),
        epochs=2,
    )
    for epoch in (1, 2):
        expected = answered([each.id for each in PROBLEMS], seed=epoch - 1)
        said = {each.id: each.output.completion for each in log.samples if each.epoch == epoch}
        assert said == {each.problem.id: each.text for each in expected}


@needed
def test_a_process_may_evaluate_several_times(harness: Any) -> None:
    for _ in range(2):  # each in an event loop of its own
        log = harness(model="tts/majority", model_args={"n": 3, "policy": "sim"})
        assert len(log.samples) == len(PROBLEMS)


@needed
def test_tools_and_images_are_refused(harness: Any) -> None:
    import asyncio

    from inspect_ai.model import ChatMessageUser, ContentImage, GenerateConfig, get_model
    from inspect_ai.tool import ToolInfo

    assert harness
    model = get_model("tts/majority", policy="sim")
    tool = ToolInfo(name="calculate", description="Calculates.")
    picture = ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AA==")])
    for messages, tools, message in (
        ([ChatMessageUser(content="1 + 1")], [tool], "no tools"),
        ([picture], [], "only texts are read"),
    ):
        with pytest.raises(ValueError, match=message):
            asyncio.run(model.api.generate(messages, tools, "auto", GenerateConfig()))
