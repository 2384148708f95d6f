"""Recognising that memory ran out, and returning what is not needed."""

from __future__ import annotations

import sys


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that an array did not fit, on a GPU or in the machine's memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, which may not be installed
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def release_memory() -> None:
    """Returns freed tensors to the GPU, so that a smaller batch finds room."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
