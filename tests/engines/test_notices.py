"""`tts-run` with transformers engines: the user is told what they chose."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.engines.test_reward_models import VALUE
from tests.support.tiny_hf import QWEN_TOKENS, add_weights, byte_level, metaspace, save_model
from tts_runtime.cli.command import app
from tts_runtime.executor import BindError
from tts_runtime.paths import bundled


def test_a_run_through_transformers_alone(tmp_path: Path) -> None:
    tokenizer = byte_level(QWEN_TOKENS)
    prm = add_weights(save_model(tmp_path / "prm", tokenizer, architecture="qwen2"), VALUE)
    policy = f"transformers:{bundled('policy')}?slots=8"
    arguments = ["best_of_n", "--set", "n=3", "--problems", "arith", "--limit", "2", "--json"]
    engines = ["--policy", policy, "--scorer", f"prm=auto:{prm}"]
    done = CliRunner().invoke(app, arguments + engines)
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert "binding `bundled` (from the model's folder), cpu, float32, window 1024" in said
    assert "family skywork (it has a value head), layout authors, cpu, float32, window 1024" in said
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["exact"]
    assert summary["policies"] == {"policy": policy}
    plain = CliRunner().invoke(app, [*arguments, "--scorer", f"prm=auto:{prm}"])
    assert json.loads(plain.stdout.splitlines()[-1])["policy_tokens"] == summary["policy_tokens"]


def test_raw_scores_need_a_declared_range(tmp_path: Path) -> None:
    """Before anything is spent; what is declared then holds for every score."""
    tokenizer = metaspace(("<s>", "</s>", "[PRM]"))
    prm = add_weights(save_model(tmp_path / "prm", tokenizer), VALUE)
    declared = tmp_path / "declared.tts"
    arguments = ["--problems", "arith", "--limit", "1", "--policy", "sim"]
    arguments += ["--scorer", f"prm=pqm:{prm}"]
    refused = CliRunner().invoke(app, ["best_of_n", "--set", "n=2", *arguments])
    assert isinstance(refused.exception, BindError)
    assert "such as `scorer prm per step from -50 to 50`" in str(refused.exception)
    for bound, code in ((90, 0), (0.0001, 3)):
        declared.write_text(
            f"scorer prm per step from {-bound} to {bound}\n\nstrategy raw():\n"
            "    pool = sample 2\n    score pool by prm\n    return best of pool by last(prm)\n"
        )
        done = CliRunner().invoke(app, [str(declared), *arguments])
        assert done.exit_code == code, done.output
