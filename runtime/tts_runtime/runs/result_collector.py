"""What one strategy of a run has done so far: its answers, their sums, its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tts_lang.plan.graph import Plan
from tts_runtime.answers.boundary import Grade, grade_answer
from tts_runtime.executor import CandidateRecord, Outcome, Work
from tts_runtime.reliability import Reliability
from tts_runtime.runs.costs import Figures, Sizes
from tts_runtime.runs.op_stats import Made
from tts_runtime.runs.results import Answer, Summary, Tally
from tts_runtime.runs.resume import Kept
from tts_runtime.runs.rundir import StrategyWriter


@dataclass(frozen=True, slots=True)
class Result:
    """What one strategy did: the summary, and the answers in the order of the problems.

    `work`: what the engines did in this session, for all strategies of the run. `made`: with
    `Settings.analyze`, what each operation made. `kept`: ids of the problems that an earlier
    session of the run had finished (`Settings.out`).
    """

    summary: Summary
    answers: tuple[Answer, ...]
    work: Work = field(default_factory=Work)
    made: Made | None = None
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Signature:
    """What a summary says of its run beside numbers."""

    exact: bool
    seed: int
    policies: Mapping[str, str]
    scorers: Mapping[str, str]
    problem_set: str | None


class Ledger:
    """Takes the outcomes of one strategy as they come, after what earlier sessions kept."""

    def __init__(
        self,
        plan: Plan,
        signature: Signature,
        kept: Kept,
        figures: Figures,
        sizes: Sizes,
        *,
        made: Made | None = None,
        writer: StrategyWriter | None = None,
    ) -> None:
        self._plan = plan
        self._signature = signature
        self._kept = kept
        self._figures = figures
        self._sizes = sizes
        self._made = made
        self._writer = writer
        self._tally = Tally()
        self._answers: dict[str, Answer] = {}
        for answer in kept.answers.values():
            self._add(self._sizes.priced(answer))

    def _add(self, answer: Answer) -> None:
        self._tally.add(answer)
        self._answers[answer.id] = answer

    def has(self, problem: str) -> bool:
        """Whether this problem is done."""
        return problem in self._answers

    def outcome(self, outcome: Outcome, gold: str | None) -> Answer:
        """Grades, counts and writes what the strategy gave for a problem."""
        answer = self._sizes.priced(graded(outcome, gold))
        self._figures.goes_on()
        candidates: Sequence[CandidateRecord] = ()
        if self._made is not None or self._writer is not None:
            candidates = outcome.candidates
        if self._made is not None:
            self._made.add(candidates)
        if self._writer is not None:
            self._writer.problem(answer, candidates)
        self._add(answer)
        return answer

    def summary(self) -> Summary:
        """What has been done so far."""
        signature = self._signature
        return self._tally.summary(
            strategy=self._plan.strategy,
            params=self._plan.parameters,
            wall_s=self._figures.wall_s,
            engines=self._figures.engines,
            exact=signature.exact,
            seed=signature.seed,
            policies=signature.policies,
            scorers=signature.scorers,
            problem_set=signature.problem_set,
        )

    def write_summary(self) -> None:
        """Writes the summary into the run directory, if there is one and anything is done."""
        if self._writer is not None and self._answers:
            self._writer.summary(self.summary())

    def result(self, problems: Sequence[str]) -> Result:
        """The result once all problems are done."""
        answers = tuple(self._answers[problem] for problem in problems)
        kept = frozenset(self._kept.answers)
        return Result(self.summary(), answers, self._figures.work, self._made, kept)


def graded(outcome: Outcome, gold: str | None) -> Answer:
    """What a strategy gave for a problem, graded; whatever it is, this does not fail."""
    counts = outcome.counts
    graded = Grade(None) if gold is None else grade_answer(outcome.answer, gold)
    reliability = outcome.reliability
    if graded.fault is not None:
        reliability += Reliability(ungraded={graded.kind: 1}, unread=graded.fault)
    return Answer(
        id=outcome.problem_id,
        answer=outcome.answer,
        key=outcome.answer_key,
        gold=gold,
        correct=graded.correct,
        ungraded=graded.fault,
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
