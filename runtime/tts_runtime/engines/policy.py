"""Engines as a plan names them: policies with what their bindings say in bytes and ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tts_runtime.answers.boundary import find
from tts_runtime.engines.base import Finish, PolicyEngine, Sampling, ScorerEngine
from tts_runtime.tokens import Trusted, encode

#: What a strategy's policy is called where it names none.
DEFAULT_POLICY: Final = "policy"


class Policy:
    """One name of a strategy, bound to an engine."""

    __slots__ = (
        "_encoded",
        "binding",
        "context",
        "defaults",
        "delimiter",
        "engine",
        "ids",
        "name",
        "pieces",
        "thought",
        "tokenizer",
    )

    def __init__(self, name: str, engine: PolicyEngine) -> None:
        binding = engine.binding
        self.name = name
        self.engine = engine
        self.binding = binding
        self.tokenizer = engine.tokenizer
        self.pieces: Sequence[bytes] = engine.tokenizer.pieces
        self.context = binding.context
        self.delimiter = binding.step_delimiter.encode()
        self.thought: tuple[int, ...] = ()
        if binding.thinking is not None:
            self.thought = encode(self.tokenizer, Trusted(binding.thinking.end), continued=True)
        defaults = binding.defaults
        self.defaults = Sampling(
            float(defaults.temperature),
            float(defaults.top_p),
            defaults.top_k,
            float(defaults.min_p),
        )
        #: Ids that it has drawn, lengths of paths: one object for all that are equal.
        self.ids: dict[int, int] = {}
        self._encoded: dict[tuple[str, tuple[tuple[int, int], ...]], tuple[int, ...]] = {}

    def forced(self, text: str) -> tuple[int, ...]:
        """Ids of a text that a strategy forces; few texts, forced often.

        Only the binding's own delimiters in it may be control tokens.
        """
        key = text, text.spans if isinstance(text, Trusted) else ()
        ids = self._encoded.get(key)
        if ids is None:
            ids = encode(self.tokenizer, text, continued=True)
            if len(self._encoded) < 1024:
                self._encoded[key] = ids
        return ids

    def written(self, text: str, finish: Finish | None) -> tuple[str | None, str | None]:
        """The answer as written in a text (C35), and why it could not be looked for."""
        thinking = self.binding.thinking
        last_line = self.engine.last_line
        written, why = find(
            text,
            self.binding.answer,
            "end" if finish is Finish.END and not last_line else "",
            thinking.end if thinking is not None else None,
        )
        if last_line and written is None and finish is Finish.END:
            written = text.strip().rpartition("\n")[2].strip() or None
        return written, why


@dataclass(frozen=True, slots=True)
class BoundEngines:
    """The engines of a plan.

    Args:
        policies, scorers: By the names that the plan gives them.
        default: The policy that opens the problem's conversation and rolls out look-ahead.
        statistics: Token statistics that the plan's expressions read, requested of every
            generation.
        logprobs: Somebody reads log-probabilities (`GenerateRequest.logprobs`).
        strict: A fault of one candidate fails its problem (C64).
    """

    policies: Mapping[str, Policy]
    scorers: Mapping[str, ScorerEngine]
    default: Policy
    statistics: tuple[str, ...]
    logprobs: bool
    strict: bool
