"""Options of `replay:PATH`."""

from __future__ import annotations

from pydantic import Field

from tts_runtime.engines.options import NoOptions


class ReplayOptions(NoOptions):
    """Facts that a file of samples does not state; a run directory states them all."""

    policy: str | None = Field(
        default=None, description="Which policy of a run directory, by its name in the strategies"
    )
    temperature: float | None = Field(
        default=None, ge=0, description="Temperature of samples whose file does not state it"
    )
    max_tokens: int | None = Field(
        default=None, gt=0, description="Limit that samples were cut at, if not stated"
    )
    delimiter: str = Field(default="\n\n", min_length=1, description="What ends a step")


class ReplayScorerOptions(ReplayOptions):
    """Options of `--scorer NAME=replay:PATH`: those of the policy, and which scorer."""

    scorer: str | None = Field(
        default=None, description="Which scorer of the record; absent: the only one"
    )
