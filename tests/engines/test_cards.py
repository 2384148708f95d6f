"""Engines state how large their models are; run directories keep that, and EXPLAIN reads it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from safetensors import safe_open

from tests.support.records import solution
from tts_lang.explain.assumptions import assumed
from tts_lang.explain.models import Model
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.paths import bundled
from tts_runtime.runs.rundir import write_models


def stored(folder: Path) -> Model:
    """What the files of a model say."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    values = 0
    with safe_open(folder / "model.safetensors", framework="np") as weights:
        for name in weights.keys():  # noqa: SIM118  (not a mapping)
            count = 1
            for size in weights.get_slice(name).get_shape():
                count *= size
            values += count
    return Model(values, config["num_hidden_layers"], config["hidden_size"])


def test_sizes_of_the_bundled_models_reach_explain(tmp_path: Path) -> None:
    async def cards() -> tuple[Model | None, Model | None]:
        policy, prm = BundledPolicy(bundled("policy")), BundledPrm(bundled("prm"))
        write_models(tmp_path, "", {"policy": policy, "prm": prm, "other": SimPolicy()})
        await policy.close()
        await prm.close()
        return policy.card, prm.card

    policy, prm = asyncio.run(cards())
    assert policy == stored(bundled("policy"))
    assert prm == stored(bundled("prm"))
    (tmp_path / "nodes.jsonl").write_text(json.dumps(solution(100, 4)))
    models = assumed([], tmp_path).models
    assert models.of_policy("policy") == policy
    assert models.of_scorer("prm") == prm
    assert models.of_policy("other") is None
