"""A Llama's pass in one function: used where it gives the bits of vLLM's modules, only there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import vllm._custom_ops  # noqa: F401  (loads its kernels)
from torch import Tensor, nn

from tests.support.vllm_engines import opening
from tts_runtime.engines.base import Limits
from tts_runtime.engines.vllm.direct_llama import run_directly
from tts_runtime.engines.vllm.policy import VllmPolicy

IDS, POSITIONS = torch.arange(3), torch.arange(3)


class Doubled(nn.Module):
    """A layer of vLLM's, which has chosen how it computes."""

    def _forward_method(self, hidden: Tensor, residual: Tensor | None) -> Any:
        return 2 * hidden, residual


class LlamaModel(nn.Module):
    """As vLLM's, without layers; `other` is what it computes otherwise."""

    __module__ = "vllm.model_executor.models.llama"

    def __init__(self, other: float) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(3, 2)
        self.layers = nn.ModuleList()
        self.norm = Doubled()
        self.other = other
        self.calls = 0

    def forward(self, ids: Tensor, positions: Tensor, *more: Any) -> Tensor:  # noqa: ARG002
        """Hidden states."""
        self.calls += 1
        hidden: Tensor = 2 * self.embed_tokens(ids) + self.other
        return hidden


def changed(other: float = 0.0, **context: Any) -> LlamaModel:
    """A model that may be computed directly."""
    inner = LlamaModel(other)
    outer = nn.Module()
    outer.model = inner
    found = SimpleNamespace(**({"attn_metadata": {}, "slot_mapping": {}} | context))
    run_directly(outer, lambda: found)
    return inner


def calls_of_vllm(inner: LlamaModel, *more: Any) -> list[int]:
    """How often vLLM's way was taken, after each of three passes."""
    calls = []
    for _ in range(3):
        assert torch.equal(inner(IDS, POSITIONS, *more), LlamaModel.forward(inner, IDS, POSITIONS))
        inner.calls -= 1
        calls.append(inner.calls)
    return calls


@torch.inference_mode()
def test_one_pass_is_computed_both_ways() -> None:
    assert calls_of_vllm(changed()) == [1, 1, 1]


@torch.inference_mode()
def test_other_bits_are_never_used() -> None:
    assert calls_of_vllm(changed(other=1e-7)) == [1, 2, 3]


@torch.inference_mode()
def test_what_it_does_not_compute_is_vllms() -> None:
    inner = changed()
    assert calls_of_vllm(inner, None, torch.zeros(3, 2)) == [1, 2, 3]  # embeddings are given
    assert calls_of_vllm(changed(attn_metadata=None)) == [1, 2, 3]  # vLLM only warms up
    assert calls_of_vllm(changed(attn_metadata=[{}])) == [1, 2, 3]  # it drafts tokens


def in_use(model: Any) -> bool:
    """Whether a model is computed directly; called in vLLM's process."""
    proved: bool = model.model._pass.proved
    return proved


def test_the_bundled_policy_is_computed_directly(
    policy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_ALLOW_INSECURE_SERIALIZATION", "1")  # to send a function there
    engine = VllmPolicy(str(policy_folder))

    async def main() -> list[bool]:
        await engine.generate(opening(engine, 0, Limits(3)))
        ask = engine.service.client.collective_rpc
        found: list[bool] = await engine.service.submit(ask, "apply_model", None, (in_use,))
        await engine.close()
        return found

    assert asyncio.run(main()) == [True]
