"""Every exported form is what a trainer of TRL reads: one training step of the bundled policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import tts_runtime
from tts_runtime.cli.export import export_command
from tts_runtime.paths import bundled

#: Imported where they are used: that takes seconds.
pytestmark = pytest.mark.skipif(
    None in (find_spec("datasets"), find_spec("trl")), reason="TRL trains on what was exported"
)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """No word of interfaces that TRL calls experimental."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six problems, four solutions each by the bundled policy."""
    out = tmp_path_factory.mktemp("trl") / "run"
    settings = tts_runtime.Settings(out=out, keep=["ids", "logprobs"])
    problems = tts_runtime.problems_named("arith", limit=6)
    tts_runtime.run(["pass_at"], problems, settings=settings, parameters={"n": 4})
    return out


def loaded(run: Path, form: str, *options: str) -> Any:
    """The data set as `datasets` reads the file."""
    import datasets

    file = run.parent / f"{form}.jsonl"
    assert export_command([str(run), "--as", form, "--out", str(file), *options]) == 0
    return datasets.load_dataset(
        "json", data_files=str(file), split="train", cache_dir=str(run.parent / "cache")
    )


def policy(kind: str = "CausalLM") -> dict[str, Any]:
    """The bundled policy, with a head of this kind, and its tokenizer."""
    import transformers

    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(bundled("policy"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(bundled("policy"))
    return {"model": model, "processing_class": tokenizer}


def one_step(run: Path) -> dict[str, Any]:
    """One step on the processor that writes nothing."""
    return {
        "output_dir": str(run.parent / "trained"),
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
    }


def changed_by_training(trainer: Any) -> bool:
    """Whether training changed the model, all of it finite."""
    before = [weights.detach().clone() for weights in trainer.model.parameters()]
    trainer.train()
    after = list(trainer.model.parameters())
    assert all(weights.isfinite().all() for weights in after)
    return any(not one.equal(other) for one, other in zip(before, after, strict=True))


def test_sft_on_right_solutions(run: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(**one_step(run), completion_only_loss=True)
    trainer = SFTTrainer(args=arguments, train_dataset=loaded(run, "sft"), **policy())
    assert changed_by_training(trainer)


def test_dpo_on_pairs(run: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    pairs = loaded(run, "preference")
    trainer = DPOTrainer(args=DPOConfig(**one_step(run)), train_dataset=pairs, **policy())
    assert changed_by_training(trainer)


def test_a_prm_on_steps(run: Path) -> None:
    from trl.experimental.prm import PRMConfig, PRMTrainer

    arguments = PRMConfig(**one_step(run), step_separator="\n\n")
    steps = loaded(run, "stepwise")
    # A trainer of two classes cannot read shares; what they round up to are the classes.
    assert [[label > 0 for label in row["labels"]] for row in loaded(run, "prm")] == steps["labels"]
    model = policy("TokenClassification")
    trainer = PRMTrainer(args=arguments, train_dataset=steps, **model)
    assert changed_by_training(trainer)


def test_grpo_on_trajectories(run: Path) -> None:
    """TRL trains on the very tokens of the record, with the rewards of its grader."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in loaded(run, "trajectories"):
        groups[row["prompt"]].append(row)
    mixed = [prompt for prompt, rows in groups.items() if len({r["reward"] for r in rows}) == 2]
    assert mixed
    served: dict[str, Iterator[dict[str, Any]]] = {p: iter(groups[p]) for p in mixed}

    def rollout(prompts: list[str], _trainer: Any) -> dict[str, Any]:
        rows = [next(served[prompt]) for prompt in prompts]
        names = ("prompt_ids", "completion_ids", "logprobs", "env_mask", "reward")
        return {name: [row[name] for row in rows] for name in names}

    def reward(reward: list[float], **_others: Any) -> list[float]:
        return reward

    trainer = GRPOTrainer(
        args=GRPOConfig(**one_step(run), num_generations=4, max_completion_length=200),
        train_dataset=Dataset.from_list([{"prompt": mixed[0]}]),
        reward_funcs=reward,
        rollout_func=rollout,
        **policy(),
    )
    assert changed_by_training(trainer)
    assert trainer.state.log_history[0]["reward"] == sum(r["reward"] for r in groups[mixed[0]]) / 4
