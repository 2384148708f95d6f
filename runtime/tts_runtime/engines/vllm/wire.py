"""What the policy engine and the logits processor tell each other, in vLLM's public fields.

To the processor: `SamplingParams.extra_args` per request, `additional_config` once. From it: the
values that vLLM gives back as log-probabilities (`logprobs_mode="processed_logits"`), which are
whatever the processor wrote. At the drawn token stands its raw log-probability, or a positive
number for an error; everything else is -inf, but for statistics, at the ids that follow the token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tts_runtime.engines.base import EngineError, Limits, Sampling
from tts_runtime.segment import NOTHING, Segments

#: Our key in `extra_args` and `additional_config`.
KEY: Final = "tts"
#: Values of a drawn token that are no log-probability.
NOTHING_ALLOWED: Final = 1.0
RANK_TOO_HIGH: Final = 2.0  # plus how many tokens there are
#: Limits that forbid nothing.
NO_BANS: Final = Limits(1)
#: Statistics are written as -(1 + s) times this: below every log-probability, nothing lost.
_SCALE: Final = 2.0**60


@dataclass(frozen=True, slots=True)
class World:
    """What holds for all requests of an engine.

    Args:
        folder: Where the tokenizer is.
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

    def packed(self) -> dict[str, Any]:
        """As `additional_config`."""
        return {KEY: asdict(self)}

    @classmethod
    def unpacked(cls, config: Mapping[str, Any]) -> World:
        """From `additional_config`."""
        given = config[KEY]
        return cls(
            given["folder"],
            tuple(given["visible"]),
            tuple(given["ends"]),
            given["delimiter"],
            given["vocabulary"],
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """How one request's tokens are drawn.

    Args:
        key: The stream.
        position: Of the first token.
        sampling: Temperature and truncation.
        first_rank: Take the token of this rank first.
        statistics: Wanted per token.
        path: Ids after the prompt, only with `limits.at_least`.
        limits: Only `at_least` and what it forbids: ends, steps, the thought's delimiter.
        segments: How the path is cut, only with `limits.at_least`.
    """

    key: bytes
    position: int
    sampling: Sampling
    first_rank: int | None = None
    statistics: tuple[str, ...] = ()
    path: tuple[int, ...] = ()
    limits: Limits = NO_BANS
    segments: Segments = NOTHING

    def packed(self) -> dict[str, Any]:
        """As `extra_args`."""
        sampling = self.sampling
        given: dict[str, Any] = {
            "key": self.key,
            "position": self.position,
            "sampling": [sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p],
        }
        if self.first_rank is not None:
            given["rank"] = self.first_rank
        if self.statistics:
            given["statistics"] = list(self.statistics)
        if self.limits.at_least:
            given["limits"] = [
                self.limits.at_least,
                self.limits.steps,
                list(self.limits.thought),
                list(self.path),
                [list(self.segments.closed), self.segments.tail, self.segments.grown],
            ]
        return {KEY: given}

    @classmethod
    def unpacked(cls, extra: Mapping[str, Any] | None) -> Draw | None:
        """From `extra_args`; nothing for a request that is not ours."""
        given = (extra or {}).get(KEY)
        if given is None:
            return None
        plain = cls(
            given["key"],
            given["position"],
            Sampling(*given["sampling"]),
            given.get("rank"),
            tuple(given.get("statistics", ())),
        )
        if "limits" not in given:
            return plain
        at_least, steps, thought, path, (closed, tail, grown) = given["limits"]
        return cls(
            plain.key,
            plain.position,
            plain.sampling,
            plain.first_rank,
            plain.statistics,
            tuple(path),
            Limits(1 << 30, steps=steps, thought=tuple(thought), at_least=at_least),
            Segments(tuple(closed), tail, grown),
        )


def statistic_value(statistic: Any) -> Any:
    """What the processor writes for a statistic: a number, or a tensor of them."""
    return -(1.0 + statistic) * _SCALE


def read_values(
    token: int, values: Mapping[int, float], statistics: Sequence[str], vocabulary: int
) -> tuple[float, tuple[float, ...]]:
    """Raw log-probability and statistics of a drawn token, from the values by id.

    Raises:
        EngineError: Nothing could be drawn.
    """
    logprob = values[token]
    if logprob == NOTHING_ALLOWED:
        raise EngineError("no token may be drawn: `at least` forbids all that the policy knows")
    if logprob >= RANK_TOO_HIGH:
        raise EngineError(
            "`likeliest` asks for more tokens than the policy can start with "
            f"({int(logprob - RANK_TOO_HIGH)}); ask for fewer children"
        )
    places = ((token + number) % vocabulary for number in range(1, len(statistics) + 1))
    return logprob, tuple(-values[place] / _SCALE - 1.0 for place in places)
