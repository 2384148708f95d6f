"""Collects the results of one strategy of a run: answers, totals, files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tts_lang.plan.graph import Plan
from tts_runtime.answers.boundary import Grade
from tts_runtime.executor import Outcome
from tts_runtime.executor.problem import Events
from tts_runtime.problems.model import Trial
from tts_runtime.record.decisions import DecisionLog
from tts_runtime.record.nodes import count_of, grade_nodes, recorded
from tts_runtime.reliability import Reliability
from tts_runtime.runs.compact import AnswerTable, encoded_answer
from tts_runtime.runs.costs import ModelSizes, RunMeter
from tts_runtime.runs.op_stats import OpStats
from tts_runtime.runs.results import Answer, Result, RunInfo, Summary, summary_of
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
        keep: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._info = info
        self._resumed = frozenset(finished.answers)
        self._meter = meter
        self._sizes = sizes
        self._op_stats = op_stats
        self._writer = writer
        self._keep = keep
        self._decisions = DecisionLog()
        self._answers = AnswerTable(map(sizes.priced, finished.answers.values()))

    def listen(self, trial: Trial, events: Events) -> None:
        """Subscribes to the events of a problem's run, if what it decides is written."""
        if self._writer is not None:
            self._decisions.subscribe(trial, events)

    def has(self, trial: Trial) -> bool:
        """Whether this problem is finished under this seed."""
        return trial in self._answers

    def recorded(self, trial: Trial) -> bool:
        """Whether this problem is finished, and need not be tried again."""
        return trial in self._answers and not self._answers.failed(trial)

    def nodes(self, outcome: Outcome) -> Sequence[dict[str, Any]]:
        """Lines of the candidates of a problem, if anything is done with them."""
        needed = self._op_stats is not None or self._writer is not None
        return outcome.lines(self._keep) if needed else ()

    def add(
        self,
        outcome: Outcome,
        gold: str | None,
        grade: Grade,
        nodes: Sequence[dict[str, Any]] = (),
        right: Mapping[str, bool] = MappingProxyType({}),
        decisions: Sequence[dict[str, Any]] | None = None,
    ) -> Answer:
        """Counts and writes the outcome of a problem.

        Args:
            outcome: What a strategy gave.
            gold, grade: The problem's answer, and the grade of the strategy's.
            nodes: As `nodes` gives them.
            right: Grades of their answers, as far as there are any.
            decisions: Of a run elsewhere; absent: those that `listen` has heard.
        """
        answer = self._sizes.priced(answer_of(outcome, gold, grade))
        self._meter.advance()
        if right:
            grade_nodes(nodes, right)
        if self._op_stats is not None:
            self._op_stats.add(recorded(nodes))
        if self._writer is not None:
            if decisions is None:
                failed = outcome.error is not None
                decisions = [] if failed else self._decisions.lines(answer.trial)
            self._decisions.forget(answer.trial)
            counts = {"nodes": sum(map(count_of, nodes)), "decisions": len(decisions)}
            answer = answer.model_copy(update=counts)
        line = encoded_answer(answer)
        if self._writer is not None:
            self._writer.problem(answer.trial, line, nodes, decisions or ())
        self._answers.add(answer, line)
        return answer

    def _summary(self, answers: Iterable[Answer]) -> Summary:
        return summary_of(
            answers,
            strategy=self._plan.strategy,
            params=self._plan.parameters,
            wall_s=self._meter.wall_s,
            engines=self._meter.engines,
            info=self._info,
        )

    def write_summary(self) -> None:
        """Writes the summary of all that the run directory has, if there is one with an answer."""
        if self._writer is not None and self._answers:
            self._writer.summary(self._summary(self._answers.values()))

    def result(self, trials: Iterable[Trial]) -> Result:
        """The result once these are finished; the directory may have more."""
        answers = self._answers.listed(trials)
        summary = self._summary(answers)
        return Result(summary, answers, self._meter.work, self._op_stats, self._resumed)


def answer_of(outcome: Outcome, gold: str | None, grade: Grade) -> Answer:
    """The outcome of a problem, with its grade."""
    counts = outcome.counts
    reliability = outcome.reliability
    if grade.fault is not None:
        reliability += Reliability(ungraded={grade.kind: 1}, unread=grade.fault)
    return Answer(
        id=outcome.problem_id,
        seed=outcome.seed,
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
