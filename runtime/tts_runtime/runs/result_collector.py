"""Collects the results of one strategy of a run: answers, totals, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_lang.plan.graph import Plan
from tts_runtime.answers.boundary import Grade
from tts_runtime.executor import CandidateRecord, Outcome
from tts_runtime.executor.problem_run import Events
from tts_runtime.record.decisions import DecisionLog
from tts_runtime.reliability import Reliability
from tts_runtime.runs.costs import ModelSizes, RunMeter
from tts_runtime.runs.op_stats import OpStats
from tts_runtime.runs.results import Answer, Result, RunInfo, Summary, Totals
from tts_runtime.runs.resume import FinishedProblems
from tts_runtime.runs.rundir import StrategyWriter


class ResultCollector:
    """Takes the outcomes of one strategy as they arrive, after those of earlier sessions."""

    def __init__(
        self,
        plan: Plan,
        info: RunInfo,
        finished: FinishedProblems,
        meter: RunMeter,
        sizes: ModelSizes,
        *,
        op_stats: OpStats | None = None,
        writer: StrategyWriter | None = None,
    ) -> None:
        self._plan = plan
        self._info = info
        self._finished = finished
        self._meter = meter
        self._sizes = sizes
        self._op_stats = op_stats
        self._writer = writer
        self._decisions = DecisionLog()
        self._totals = Totals()
        self._answers: dict[str, Answer] = {}
        for answer in finished.answers.values():
            self._count(self._sizes.priced(answer))

    def listen(self, problem: str, events: Events) -> None:
        """Subscribes to the events of a problem's run, if what it decides is written."""
        if self._writer is not None:
            self._decisions.subscribe(problem, events)

    def _count(self, answer: Answer) -> None:
        self._totals.add(answer)
        self._answers[answer.id] = answer

    def has(self, problem: str) -> bool:
        """Whether this problem is finished."""
        return problem in self._answers

    def recorded(self, problem: str) -> bool:
        """Whether this problem is finished, and need not be tried again."""
        return problem in self._answers and self._answers[problem].error is None

    def add(self, outcome: Outcome, gold: str | None, grade: Grade) -> Answer:
        """Counts and writes the outcome of a problem, with its grade."""
        answer = self._sizes.priced(answer_of(outcome, gold, grade, self._info.seed))
        self._meter.advance()
        candidates: Sequence[CandidateRecord] = ()
        if self._op_stats is not None or self._writer is not None:
            candidates = outcome.candidates
        if self._op_stats is not None:
            self._op_stats.add(candidates)
        if self._writer is not None:
            decisions: list[dict[str, Any]] = []
            if outcome.error is None:
                decisions = self._decisions.lines(answer.id)
            self._decisions.forget(answer.id)
            counts = {"nodes": len(candidates), "decisions": len(decisions)}
            answer = answer.model_copy(update=counts)
            self._writer.problem(answer, candidates, decisions)
        self._count(answer)
        return answer

    def summary(self) -> Summary:
        """The summary of the problems finished so far."""
        return self._totals.summary(
            strategy=self._plan.strategy,
            params=self._plan.parameters,
            wall_s=self._meter.wall_s,
            engines=self._meter.engines,
            info=self._info,
        )

    def write_summary(self) -> None:
        """Writes the summary into the run directory, if there is one and a problem has finished."""
        if self._writer is not None and self._answers:
            self._writer.summary(self.summary())

    def result(self, problems: Sequence[str]) -> Result:
        """The result once all problems are finished."""
        answers = tuple(self._answers[problem] for problem in problems)
        resumed = frozenset(self._finished.answers)
        return Result(self.summary(), answers, self._meter.work, self._op_stats, resumed)


def answer_of(outcome: Outcome, gold: str | None, grade: Grade, seed: int = 0) -> Answer:
    """The outcome of a problem, with its grade."""
    counts = outcome.counts
    reliability = outcome.reliability
    if grade.fault is not None:
        reliability += Reliability(ungraded={grade.kind: 1}, unread=grade.fault)
    return Answer(
        id=outcome.problem_id,
        seed=seed,
        node=outcome.row,
        answer=outcome.answer,
        key=outcome.answer_key,
        gold=gold,
        correct=grade.correct,
        ungraded=grade.fault,
        error=outcome.error,
        policy_calls=counts.policy_calls,
        policy_tokens=counts.policy_tokens,
        prompt_tokens=counts.prompt_tokens,
        scorer_calls=counts.scorer_calls,
        scorer_tokens=counts.scorer_tokens,
        tokens_by_policy=counts.by_policy,
        tokens_by_scorer=counts.by_scorer,
        reliability=reliability,
    )
