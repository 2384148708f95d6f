"""Telling that memory ran out, and giving back what is not needed."""

from __future__ import annotations

import torch


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that a tensor did not fit, on a GPU or in the machine's memory."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def release_memory() -> None:
    """Returns freed tensors to the device, so that a smaller batch finds room."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
