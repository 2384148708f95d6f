"""Options that change what vLLM runs: a LoRA adapter, a model in two parts."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.tiny_models import tiny_model
from tests.support.vllm_engines import opening
from tts_runtime.engines.base import Generation, Limits, PolicyEngine
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.vllm.options import VllmPolicyOptions
from tts_runtime.engines.vllm.policy import VllmPolicy

RANK, ALPHA = 4, 8


def with_adapter(folder: Path) -> tuple[Path, Path]:
    """A random adapter of a model, and a copy of the model with the adapter's weights added."""
    adapter, merged = folder.with_name("adapter"), folder.with_name("merged")
    adapter.mkdir()
    shutil.copytree(folder, merged)
    weights = load_file(folder / "model.safetensors")
    torch.manual_seed(3)
    parts: dict[str, torch.Tensor] = {}
    for name in [name for name in weights if "q_proj" in name or "down_proj" in name]:
        rows, columns = weights[name].shape
        down, up = torch.randn(RANK, columns) * 0.1, torch.randn(rows, RANK) * 0.1
        base = f"base_model.model.{name.removesuffix('.weight')}"
        parts |= {f"{base}.lora_A.weight": down, f"{base}.lora_B.weight": up}
        weights[name] = weights[name] + up @ down * (ALPHA / RANK)
    save_file(parts, adapter / "adapter_model.safetensors")
    save_file(weights, merged / "model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": ["q_proj", "down_proj"],
        "bias": "none",
    }
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    return adapter, merged


def written(engine: PolicyEngine) -> list[Generation]:
    """Paths of an engine, which is closed."""
    requests = [opening(engine, number, Limits(40, at_least=40)) for number in range(8)]

    async def main() -> list[Generation]:
        try:
            return list(await asyncio.gather(*map(engine.generate, requests)))
        finally:
            await engine.close()

    return asyncio.run(main())


def assert_same(found: list[Generation], expected: list[Generation]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.ids == other.ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_an_adapter_is_as_if_it_were_in_the_model(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "policy")
    adapter, merged = with_adapter(folder)
    options = VllmPolicyOptions(slots=16, kv_cache=0.1, lora=str(adapter))
    found = written(VllmPolicy(str(folder), options))
    assert_same(found, written(BundledPolicy(merged)))
    assert [one.ids for one in found] != [one.ids for one in written(BundledPolicy(folder))]


def test_two_parts_write_what_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|0")  # vLLM wants a NUMA node for each
    folder = tiny_model(tmp_path / "policy")
    options = VllmPolicyOptions(slots=16, kv_cache=0.1, tensor_parallel=2)
    assert_same(written(VllmPolicy(str(folder), options)), written(BundledPolicy(folder)))
