"""Data between the policy engine and the logits processor, in vLLM's public fields.

To the processor: `SamplingParams.extra_args` per request, `additional_config` once. From it: a
value per drawn token, its raw log-probability, or a positive number for an error. Where vLLM's
scheduler and its model are in one process, the values are written to a list in `extra_args`, which
the request brings back when it ends (the connector in `internals`). Otherwise, and with statistics
or conditions, vLLM returns them as log-probabilities (`logprobs_mode="processed_logits"`), token by
token, which is slower. Statistics are then at the ids after the token; all other ids are -inf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

import tts_runtime.sampling as sampling  # not from the package: its root imports this
from tts_runtime.engines.base import EngineError, GenerateRequest, Limits, Sampling
from tts_runtime.steps import NOTHING, StepSplit

#: Our key in `extra_args` and `additional_config`.
KEY: Final = "tts"
#: Values of a drawn token that are not log-probabilities.
NOTHING_ALLOWED: Final = 1.0
NO_NUMBERS: Final = 1.5
RANK_TOO_HIGH: Final = 2.0  # plus the number of tokens
#: Limits of a request that vLLM ends itself.
_ENDLESS: Final = Limits(1 << 60)
#: Statistics are written as -(1 + s) times this: lossless, and below every log-probability.
_SCALE: Final = 2.0**60


@dataclass(frozen=True, slots=True)
class ProcessorConfig:
    """Settings of the logits processor, common to all requests.

    Args:
        folder: Of the tokenizer.
        visible: See `HuggingFaceTokenizer`.
        ends: Tokens that end a solution.
        delimiter: Ends a step.
        vocabulary: Ids below it may be drawn.
    """

    folder: str
    visible: tuple[str, ...]
    ends: tuple[int, ...]
    delimiter: str
    vocabulary: int

    @property
    def stop(self) -> int:
        """The id that the processor draws to stop a request: vLLM then ends it."""
        return self.ends[0] if self.ends else self.vocabulary - 1

    def packed(self) -> dict[str, Any]:
        """As `additional_config`."""
        return {KEY: asdict(self)}

    @classmethod
    def unpacked(cls, config: Mapping[str, Any]) -> ProcessorConfig:
        """From `additional_config`."""
        found = config[KEY]
        return cls(
            found["folder"],
            tuple(found["visible"]),
            tuple(found["ends"]),
            found["delimiter"],
            found["vocabulary"],
        )


def packed(request: GenerateRequest, *, listed: bool = False) -> dict[str, Any]:
    """How a request's tokens are drawn, as `extra_args`; `listed`: values go to a list there.

    Omits what the processor does not need: limits that vLLM checks, texts of steps.
    """
    how, limits, segments = request.sampling, request.limits, request.segments
    fields: dict[str, Any] = {
        "key": request.key,
        "start": len(request.prompt),
        "sampling": [how.temperature, how.top_p, how.top_k, how.min_p],
    }
    if how.penalties:
        fields["penalties"] = [list(each) for each in how.penalties]
    if request.first_rank is not None:
        fields["rank"] = request.first_rank
    if request.statistics:
        fields["statistics"] = list(request.statistics)
    if followed(limits):
        fields["limits"] = [
            *(limits.steps, list(limits.thought), limits.stop_at, limits.at_least),
            *(limits.matching, limits.begun),
        ]
        fields["segments"] = [segments.many_closed, segments.tail, segments.grown]
    if listed:
        fields["values"] = []
    return {KEY: fields}


def values_in(extra: Mapping[str, Any] | None) -> list[float] | None:
    """The list of values in `extra_args`, if there is one."""
    values: list[float] | None = (extra or {}).get(KEY, {}).get("values")
    return values


def unpacked(extra: Mapping[str, Any] | None, ids: Sequence[int]) -> GenerateRequest | None:
    """The request in `extra_args`; `ids` are vLLM's prompt, our prompt and prefix.

    `None` for a request that is not ours.
    """
    fields = (extra or {}).get(KEY)
    if fields is None:
        return None
    limits, segments = _ENDLESS, NOTHING
    if "limits" in fields:
        steps, thought, *others = fields["limits"]
        limits = _limits(steps, tuple(thought), *others)
        segments = StepSplit.counted(*fields["segments"])
    start = fields["start"]
    penalties = tuple((token, nats) for token, nats in fields.get("penalties", ()))
    return GenerateRequest(
        tuple(ids[:start]),
        tuple(ids[start:]),
        fields["key"],
        _sampling(*fields["sampling"], penalties),
        limits,
        segments,
        fields.get("rank"),
        tuple(fields.get("statistics", ())),
    )


# The requests of a search differ in few settings: these are made once, and compared by identity.
_sampling = lru_cache(256)(Sampling)


@lru_cache(256)
def _limits(
    steps: int, thought: tuple[int, ...], stop_at: bytes, at_least: int, matching: str, begun: int
) -> Limits:
    return Limits(
        _ENDLESS.max_tokens,
        steps=steps,
        thought=thought,
        stop_at=stop_at,
        at_least=at_least,
        matching=matching,
        begun=begun,
    )


def followed(limits: Limits) -> bool:
    """Whether the processor has to follow a request's tokens, to stop it or to forbid some.

    vLLM itself stops only at single ids and at a length.
    """
    return bool(
        limits.steps
        or limits.stop_at
        or limits.at_least
        or limits.matching
        or len(limits.thought) > 1
    )


def statistic_value(statistic: Any) -> Any:
    """The processor's encoding of a statistic: of a number, or of a tensor."""
    return -(1.0 + statistic) * _SCALE


def read_values(
    token: int, values: Mapping[int, float], statistics: Sequence[str], vocabulary: int
) -> tuple[float, tuple[float, ...]]:
    """Raw log-probability and statistics of a drawn token, from the values by id.

    Raises:
        EngineError: Nothing could be drawn.
    """
    logprob = read_value(values[token])
    places = ((token + number) % vocabulary for number in range(1, len(statistics) + 1))
    return logprob, tuple(-values[place] / _SCALE - 1.0 for place in places)


def read_value(logprob: float) -> float:
    """A drawn token's value.

    Raises:
        EngineError: Nothing could be drawn.
    """
    if logprob == NOTHING_ALLOWED:
        raise EngineError(sampling.NOTHING_ALLOWED)
    if logprob == NO_NUMBERS:
        raise EngineError(sampling.NO_NUMBERS)
    if logprob >= RANK_TOO_HIGH:
        raise EngineError(
            "`likeliest` asks for more first tokens than the policy has "
            f"({int(logprob - RANK_TOO_HIGH)}); ask for fewer children"
        )
    return logprob
