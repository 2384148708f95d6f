"""vLLM's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tts_runtime.engines.base import EngineError


@contextmanager
def explained(who: str) -> Iterator[None]:
    """Turns what vLLM raises for a request into an `EngineError`."""
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    try:
        yield
    except (EngineDeadError, EngineGenerateError, ValueError) as error:
        cause = error.__cause__ or error
        raise EngineError(
            f"{who}: vLLM broke: {cause} (add `log=true` to see its messages)"
        ) from error
