"""vLLM's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tts_runtime.engines.base import CandidateError, EngineError, Fault


@contextmanager
def explained(who: str) -> Iterator[None]:
    """Turns what vLLM raises into an `EngineError`; what it refuses into a `CandidateError`."""
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    try:
        yield
    except ValueError as error:
        raise CandidateError(Fault.UNUSABLE, f"{who}: vLLM refuses the request: {error}") from error
    except (EngineDeadError, EngineGenerateError) as error:
        cause = error.__cause__ or error
        raise EngineError(
            f"{who}: vLLM broke: {cause} (add `log=true` to see its messages)"
        ) from error
