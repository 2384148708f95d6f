"""The device that vLLM runs on, by its documented interface of platforms."""

from __future__ import annotations

import os

import torch
from vllm.platforms import current_platform


def on_gpu() -> bool:
    """Whether the installed vLLM runs on a GPU."""
    return not current_platform.is_cpu()


def device_memory() -> int | None:
    """Bytes of a GPU's memory; `None` on a CPU."""
    return current_platform.get_device_total_memory() if on_gpu() else None


def cannot_be_invariant() -> str:
    """Why this device gives a row other bits in other batches; empty if `VLLM_BATCH_INVARIANT`
    works on it."""
    if not on_gpu():
        return "VLLM_BATCH_INVARIANT needs a GPU"
    if os.environ.get("VLLM_BATCH_INVARIANT") == "0":
        return "the environment says VLLM_BATCH_INVARIANT=0"
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        return "VLLM_BATCH_INVARIANT needs a GPU of compute capability 8.0 or higher"
    return ""
