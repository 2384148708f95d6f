"""Normalisation by vLLM's compiled kernel on a CPU: what vLLM's own layer computes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.platforms import current_platform

from tts_runtime.engines.vllm.cpu_kernels import KernelNorm, use_kernels

pytestmark = pytest.mark.skipif(not current_platform.is_cpu(), reason="of vLLM on a CPU")
ROWS = torch.sin(torch.arange(5.0 * 64)).reshape(5, 64) * 3


@pytest.fixture
def norm() -> Iterator[KernelNorm]:
    """A layer with weights that differ."""
    with set_current_vllm_config(VllmConfig()), torch.inference_mode():
        layer = KernelNorm(64, eps=1e-5)
        layer.weight.data[:] = torch.linspace(-1, 2, 64)
        yield layer


def test_it_computes_what_vllms_layer_does(norm: KernelNorm) -> None:
    residual = ROWS.flip(0).contiguous()
    assert torch.allclose(norm.forward_cpu(ROWS), norm.forward_native(ROWS), atol=1e-6)
    found = norm.forward_cpu(ROWS.clone(), residual.clone())
    expected = norm.forward_native(ROWS.clone(), residual.clone())
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_row_has_the_same_bits_in_every_batch(norm: KernelNorm) -> None:
    alone = torch.cat([norm.forward_cpu(ROWS[[row]]) for row in range(5)])
    assert torch.equal(alone, norm.forward_cpu(ROWS))


def test_what_the_kernel_cannot_read_goes_to_vllms_layer(norm: KernelNorm) -> None:
    every_other = torch.stack([ROWS, 2 * ROWS], dim=2)[..., 0]
    assert not every_other.is_contiguous()
    assert torch.allclose(norm.forward_cpu(every_other), norm.forward_native(ROWS), atol=1e-6)


def test_a_kernel_that_computes_something_else_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[type] = []
    monkeypatch.setattr(KernelNorm.__bases__[0], "register_oot", registered.append)
    use_kernels()
    assert registered == [KernelNorm]
    monkeypatch.setattr(torch.ops._C, "rms_norm", lambda out, *_: out.zero_())
    use_kernels()
    monkeypatch.delattr(torch.ops._C, "fused_add_rms_norm")
    use_kernels()
    assert registered == [KernelNorm]
