"""Normalisation on a CPU by vLLM's compiled kernel, which vLLM itself takes on GPUs alone.

Its layer in PyTorch is eight small operations, a tenth of a step of a small model. vLLM documents
how a layer is replaced (`register_oot`); its kernel is tried before it is trusted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vllm.model_executor.layers.layernorm import RMSNorm


class KernelNorm(RMSNorm):  # type: ignore[misc]  # vLLM is not there to check
    """vLLM's `RMSNorm`, with the kernel where it fits."""

    def forward_cpu(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """As `forward_native`: normalises x [..., hidden], after adding the residual if any.

        As in vLLM's own way both may be overwritten if there is a residual.
        """
        weight = self.weight.data
        if (
            self.variance_size_override is not None
            or not (self.has_weight and x.is_contiguous())
            or x.dtype != weight.dtype
        ):
            return self.forward_native(x, residual)
        if residual is None:
            out = torch.empty_like(x)
            torch.ops._C.rms_norm(out, x, weight, self.variance_epsilon)
            return out
        torch.ops._C.fused_add_rms_norm(x, residual, weight, self.variance_epsilon)
        return x, residual


def use_kernels() -> None:
    """Has models that are loaded from now on normalise by the kernel, if it computes the same."""
    if _fits():
        RMSNorm.register_oot(KernelNorm)


def _fits() -> bool:
    x, residual = torch.linspace(-3, 3, 96).reshape(3, 32), torch.linspace(1, 2, 96).reshape(3, 32)
    weight, out = torch.linspace(0, 2, 32), torch.empty(3, 32)
    both = x + residual
    expected = [
        values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + 1e-5) * weight
        for values in (x, both)
    ]
    try:
        torch.ops._C.rms_norm(out, x, weight, 1e-5)
        torch.ops._C.fused_add_rms_norm(x, residual, weight, 1e-5)
    except (AttributeError, RuntimeError, TypeError):
        return False
    found = [(out, expected[0]), (x, expected[1]), (residual, both)]
    return all(torch.allclose(one, other, atol=1e-5) for one, other in found)
