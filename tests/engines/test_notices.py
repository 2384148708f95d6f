"""`tts-run` with transformers engines: the user is told what they chose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engines.test_reward_models import value_head
from tests.support.tiny_hf import QWEN_TOKENS, add_weights, byte_level, metaspace, save_model
from tts_runtime.cli.command import run_command
from tts_runtime.paths import bundled


def test_a_run_through_transformers_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = byte_level(QWEN_TOKENS)
    prm = add_weights(save_model(tmp_path / "prm", tokenizer, architecture="qwen2"), value_head())
    policy = f"transformers:{bundled('policy')}?slots=8"
    arguments = ["best_of_n", "--set", "n=3", "--problems", "arith", "--limit", "2", "--json"]
    engines = ["--policy", policy, "--scorer", f"prm=auto:{prm}"]
    assert run_command(arguments + engines) == 0
    out, err = capsys.readouterr()
    said = " ".join(err.split())
    for known in (
        "binding `bundled` (from the model's folder)",
        "family skywork (it has a value head), layout authors",
    ):
        assert f"{known}, cpu, float32 (exact up to near ties), window 1024" in said
    summary = json.loads(out.splitlines()[-1])
    assert (summary["exact"], summary["exactness"]) == (True, "exact up to near ties")
    assert summary["policies"] == {"policy": policy}
    assert run_command([*arguments, "--scorer", f"prm=auto:{prm}"]) == 0
    plain = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert plain["exactness"] == "exact up to near ties"  # the weakest engine's
    assert plain["policy_tokens"] == summary["policy_tokens"]


def test_raw_scores_need_a_declared_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is spent; what is declared then holds for every score."""
    tokenizer = metaspace(("<s>", "</s>", "[PRM]"))
    prm = add_weights(save_model(tmp_path / "prm", tokenizer), value_head())
    declared = tmp_path / "declared.tts"
    arguments = ["--problems", "arith", "--limit", "1", "--policy", "sim"]
    arguments += ["--scorer", f"prm=pqm:{prm}"]
    assert run_command(["best_of_n", "--set", "n=2", *arguments]) == 2
    assert "such as `scorer prm per step from -50 to 50`" in capsys.readouterr().err
    for bound, code in ((90, 0), (0.0001, 3)):
        declared.write_text(
            f"scorer prm per step from {-bound} to {bound}\n\nstrategy raw():\n"
            "    pool = sample 2\n    score pool by prm\n    return best of pool by last(prm)\n"
        )
        assert run_command([str(declared), *arguments]) == code
