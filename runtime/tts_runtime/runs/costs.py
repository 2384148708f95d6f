"""FLOPs per answer; wall time and engine work per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter

from tts_lang.explain.assumptions import stated as stated_in
from tts_lang.explain.models import Models
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.executor import Work
from tts_runtime.runs.results import Answer, Summary


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """Parameters of the models behind policies and scorers, by their names in strategies."""

    policies: Mapping[str, float]
    scorers: Mapping[str, float]

    @staticmethod
    def of(
        policies: Mapping[str, PolicyEngine], scorers: Mapping[str, ScorerEngine], assumed: Models
    ) -> ModelSizes:
        """Sizes that engines state, else assumed ones."""
        by_kind: tuple[dict[str, float], dict[str, float]] = ({}, {})
        for sizes, engines, of in (
            (by_kind[0], policies, assumed.of_policy),
            (by_kind[1], scorers, assumed.of_scorer),
        ):
            for name, engine in engines.items():
                model = engine.card or of(name)
                if model is not None:
                    sizes[name] = model.parameters
        return ModelSizes(*by_kind)

    @staticmethod
    def read(directory: Path, plan: Plan, assumed: Models) -> ModelSizes:
        """Sizes that engines stated when a run began, else assumed ones.

        Raises:
            LengthError: The run directory's file of sizes is damaged.
        """
        stated = stated_in(directory).named
        policies, scorers = plan.policies, [scorer.name for scorer in plan.scorers]
        models = (
            {name: stated.get(name) or assumed.of_policy(name) for name in policies},
            {name: stated.get(name) or assumed.of_scorer(name) for name in scorers},
        )
        parameters = (
            {name: each.parameters for name, each in one.items() if each} for one in models
        )
        return ModelSizes(*parameters)

    def priced(self, answer: Answer) -> Answer:
        """The answer with its FLOPs."""
        return answer.model_copy(update={"flops": self._flops(answer)})

    def _flops(self, answer: Answer) -> int | None:
        """2 x parameters x tokens, summed over models; `None` if a model's size is not known."""
        total = 0
        for tokens, sizes in (
            (answer.tokens_by_policy, self.policies),
            (answer.tokens_by_scorer, self.scorers),
        ):
            for name, count in tokens.items():
                if count and name not in sizes:
                    return None
                total += 2 * int(sizes.get(name, 0)) * count
        return total


class RunMeter:
    """Wall time and engine work of a run: all its strategies together, over all its sessions.

    Args:
        earlier: Summaries that an earlier session wrote.
        policies: Engines, which count the tokens of cancelled requests.
    """

    def __init__(
        self, earlier: Sequence[Summary | None], policies: Mapping[str, PolicyEngine]
    ) -> None:
        #: Every summary of a session says the same, those written last the most.
        last = max(filter(None, earlier), key=lambda summary: summary.wall_s, default=None)
        self._wall_s = 0.0 if last is None else last.wall_s
        self._before = Work() if last is None else last.engines
        self._policies = list({id(engine): engine for engine in policies.values()}.values())
        self._cancelled_before = self._cancelled()
        self._start = self._end = perf_counter()
        #: The engines' work in this session.
        self.work = Work()

    def _cancelled(self) -> int:
        return sum(engine.cancelled_tokens for engine in self._policies)

    def start(self) -> None:
        """Starts the clock."""
        self._start = self._end = perf_counter()

    def advance(self) -> None:
        """Moves the end of the run to now: a problem finished."""
        self._end = perf_counter()

    @property
    def wall_s(self) -> float:
        """Seconds from the first request to the last answer."""
        return self._wall_s + self._end - self._start

    @property
    def engines(self) -> Work:
        """The engines' work."""
        self.work.cancelled_tokens = self._cancelled() - self._cancelled_before
        return Work(
            **{
                field.name: getattr(self._before, field.name) + getattr(self.work, field.name)
                for field in fields(Work)
            }
        )
