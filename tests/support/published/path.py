"""A path through a policy's texts: what stands after a prompt, and the stream that continues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import TypedDict

from tts_runtime.engines.base import Partial
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED, Key
from tts_runtime.tokens import Tokenizer, to_bytes, to_text

#: The delimiter that ends a thought.
END = "</think>"
Statistics = tuple[tuple[str, tuple[float, ...]], ...]


class How(TypedDict, total=False):
    """Until where and how a path is continued; nothing: to its end, as the binding samples.

    `steps`, `tokens`, `thought`: the unit; `most`: tokens of this call; `within`: of the path.
    `cut_off` sees the confidences of the call's tokens after each, and ends the path if true;
    `stop_when` sees all that is known of them, and leaves it open. `avoiding`: a word, and what is
    taken from the logits of the tokens that begin it.
    """

    steps: int
    tokens: int
    thought: bool
    most: int
    within: int | None
    at_least: int
    stop_at: str
    temperature: float
    likeliest: bool
    statistics: tuple[str, ...]
    cut_off: Callable[[Sequence[float]], bool]
    stop_when: Callable[[Partial], bool]
    avoiding: tuple[str, float]
    matching: str


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One partial or whole solution; `parent` is what it continues or asks about."""

    prompt: tuple[int, ...]
    key: Key
    tokenizer: Tokenizer
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()  # of what was sampled; forced ids have none
    statistics: Statistics = ()
    segments: StepSplit = NOTHING
    claimed: bytes = UNCLAIMED
    level: int = 0
    finish: str | None = None
    done: bool = False
    end_logprob: float = 0.0
    parent: Path | None = None
    question: str | None = None  # the problem's text, on the problem itself

    @property
    def written(self) -> str:
        """What stands after the prompt."""
        return to_text(to_bytes(self.tokenizer, self.ids))

    @property
    def text(self) -> str:
        """What was written; the question itself before anything was."""
        return self.written if self.question is None else self.question

    @property
    def tokens(self) -> int:
        """Sampled tokens."""
        return len(self.logprobs)

    @property
    def logprob(self) -> float:
        """Of everything sampled, the end included."""
        return fsum([*self.logprobs, self.end_logprob])

    def values(self, statistic: str) -> tuple[float, ...]:
        """A statistic of every sampled token."""
        return dict(self.statistics).get(statistic, ())
