"""Results as typed values: one answer per problem, one summary and one result per strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.units import counted, rounded, short, span
from tts_lang.printable import printable
from tts_runtime.engines.base import Exactness
from tts_runtime.executor import Work
from tts_runtime.problems.model import Trial
from tts_runtime.reliability import Reliability, warnings_of
from tts_runtime.runs.html import table
from tts_runtime.runs.op_stats import OpStats
from tts_runtime.runs.seeds import in_words
from tts_runtime.stats.paired import PairedComparison, compare_two
from tts_runtime.stats.proportions import clustered_wilson

#: Fields that are summed over problems.
COSTS = (
    "policy_calls",
    "policy_tokens",
    "prompt_tokens",
    "scorer_calls",
    "scorer_tokens",
)


class Answer(BaseModel):
    """The answer of a strategy to one problem, and its cost."""

    model_config = ConfigDict(frozen=True)

    id: str
    seed: int = Field(default=0, description="Of the random streams")
    answer: str | None = Field(
        default=None, description="As written in the solution; null when there is none"
    )
    key: str | None = Field(default=None, description="Canonical form that votes compare")
    gold: str | None = Field(default=None, description="The problem's answer, if it has one")
    correct: bool | None = Field(default=None, description="Null when there is no grade")
    node: int | None = Field(default=None, description="Number of the candidate that was returned")
    nodes: int = Field(default=0, description="Candidates of the problem in nodes.jsonl")
    decisions: int = Field(default=0, description="Lines of the problem in decisions.jsonl")
    ungraded: str | None = Field(
        default=None, description="Why there is no grade, where one could be expected"
    )
    error: str | None = Field(default=None, description="Why this problem failed, if it did")
    policy_calls: int = 0
    policy_tokens: int = Field(default=0, description="Tokens drawn from policies")
    prompt_tokens: int = Field(
        default=0, description="Prompt and forced tokens that policies read, each once"
    )
    scorer_calls: int = 0
    scorer_tokens: int = Field(default=0, description="Tokens that scorers read, each step once")
    flops: int | None = Field(
        default=None, description="2 x parameters x tokens; null if a model's size is not known"
    )
    tokens_by_policy: Mapping[str, int] = Field(default={}, description="Drawn and read")
    tokens_by_scorer: Mapping[str, int] = {}
    reliability: Reliability = Field(
        default=Reliability(), description="What went wrong with its candidates"
    )

    @property
    def trial(self) -> Trial:
        """The problem and seed that it answers."""
        return Trial(self.id, self.seed)


class Summary(BaseModel):
    """One strategy over one problem set, under one or several seeds.

    Counts are of trials: a problem under a seed. Costs are totals over the trials that did not
    fail, of what the strategy needed (semantics.md, C66); `wall_s` and `engines` are of the run,
    with all strategies that ran beside this one.
    """

    model_config = ConfigDict(frozen=True)

    strategy: str
    params: Mapping[str, int | float | str | bool | None]
    problems: int
    trials: int = Field(description="Problems times seeds, as far as they have finished")
    answered: int = Field(description="Trials that got an answer, right or wrong")
    failed: int = Field(description="Trials that ended with an error")
    correct: int
    graded: int = Field(default=0, description="Trials that have a grade, right or wrong")
    accuracy: float | None = Field(description="Share correct of those with a grade")
    accuracy_low: float | None = Field(
        description="Lower end of the 95 % interval: Wilson's, with problems as clusters of seeds"
    )
    accuracy_high: float | None = Field(description="Upper end of the interval")
    policy_calls: int
    policy_tokens: int
    prompt_tokens: int
    scorer_calls: int
    scorer_tokens: int
    flops: int | None = Field(
        default=None, description="2 x parameters x tokens; null if a model's size is not known"
    )
    wall_s: float = Field(description="Of the run: seconds from the first request to the end")
    engines: Work = Field(default_factory=Work, description="Of the run: what engines did")
    exact: bool = Field(
        description="Every engine follows the streams: a rerun gives the same texts"
    )
    exactness: Exactness = Field(
        default=Exactness.BITS, description="How far a rerun repeats the run"
    )
    seeds: Sequence[int]
    policies: Mapping[str, str]
    scorers: Mapping[str, str]
    problem_set: str | None = Field(
        default=None, description="Name or file of the problems; null if a caller gave them"
    )
    graders: tuple[str, ...] = Field(default=("math",), description="What graded the answers")
    reliability: Reliability = Field(
        default=Reliability(), description="What went wrong with candidates, over all problems"
    )


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The summary of one strategy, and its answers by seed, in the order of the problems.

    Args:
        work: What the engines did in this session, for all strategies of the run.
        op_stats: Counts per operation, with `Settings.analyze`.
        resumed: What an earlier session of the run finished (`Settings.out`).
    """

    summary: Summary
    answers: Sequence[Answer]
    work: Work = field(default_factory=Work)
    op_stats: OpStats | None = None
    resumed: frozenset[Trial] = frozenset()

    def __repr__(self) -> str:
        summary = self.summary
        right = "not graded" if summary.accuracy is None else f"{summary.correct} right"
        problems = counted(summary.problems, "problem")
        return f"<Result of {summary.strategy}: {problems}, {right}>"

    def _repr_html_(self) -> str:
        return _summaries([self.summary]) + _answers(self.answers)


class Results(list[Result]):
    """The results of a run, one per strategy; a notebook shows their table."""

    def compare(self, left: str, right: str | None = None) -> PairedComparison:
        """A strategy against another, on the same problems and seeds (`stats.paired`).

        Args:
            left: Its name.
            right: The other's; the first of the run if absent.

        Raises:
            KeyError: There is no such strategy.
            ValueError: No answer is graded for both.
        """
        answers = {result.summary.strategy: result.answers for result in self}
        pair = left, right or self[0].summary.strategy
        for name in pair:
            if name not in answers:
                hint = did_you_mean(name, answers) or f"there are: {', '.join(answers)}"
                raise KeyError(f"no strategy {name!r} in these results; {hint}")
        return compare_two(answers, *pair)

    def _repr_html_(self) -> str:
        return _summaries([result.summary for result in self])


def total_flops(answers: Iterable[Answer], start: int = 0) -> int | None:
    """The sum over all answers; `None` if it is unknown for one that did not fail."""
    for answer in answers:
        if answer.error is None:
            if answer.flops is None:
                return None
            start += answer.flops
    return start


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The part of a summary that is known before the run: engines, problem set."""

    exactness: Exactness
    policies: Mapping[str, str]
    scorers: Mapping[str, str]
    problem_set: str | None
    graders: tuple[str, ...] = ("math",)


def summary_of(
    answers: Iterable[Answer],
    *,
    strategy: str,
    params: Mapping[str, int | float | str | bool | None],
    wall_s: float,
    engines: Work,
    info: RunInfo,
) -> Summary:
    """The summary of these answers of a strategy."""
    trials = answered = failed = 0
    costs = dict.fromkeys(COSTS, 0)
    flops: int | None = 0
    reliability = Reliability()
    seeds: set[int] = set()
    grades: dict[str, tuple[int, int]] = {}
    for answer in answers:
        trials += 1
        seeds.add(answer.seed)
        answered += answer.answer is not None
        failed += answer.error is not None
        right, graded = grades.get(answer.id, (0, 0))
        grades[answer.id] = right + bool(answer.correct), graded + (answer.correct is not None)
        for name in costs:
            costs[name] += getattr(answer, name)
        reliability += answer.reliability
        flops = None if flops is None else total_flops((answer,), flops)
    correct = sum(right for right, _ in grades.values())
    graded = sum(count for _, count in grades.values())
    low, high = clustered_wilson(grades.values())
    return Summary(
        strategy=strategy,
        params=params,
        problems=len(grades),
        trials=trials,
        answered=answered,
        failed=failed,
        correct=correct,
        graded=graded,
        accuracy=correct / graded if graded else None,
        accuracy_low=low if graded else None,
        accuracy_high=high if graded else None,
        flops=flops,
        wall_s=wall_s,
        engines=engines,
        exact=info.exactness.exact,
        exactness=info.exactness,
        seeds=sorted(seeds),
        policies=info.policies,
        scorers=info.scorers,
        problem_set=info.problem_set,
        graders=info.graders,
        reliability=reliability,
        **costs,
    )


# ------------------------------------------------------------------ notebooks

#: Answers of one result that are listed.
_LISTED: Final = 20


def _summaries(summaries: Sequence[Summary]) -> str:
    """The table at the end of `tts-run`."""
    head = ("strategy", "accuracy", "95 % interval", "policy tokens", "scorer tokens", "FLOPs")
    rows = []
    for summary in summaries:
        count = max(1, summary.trials - summary.failed)
        accuracy, interval = "not graded", ""
        if summary.accuracy is not None and summary.accuracy_low is not None:
            accuracy = f"{rounded(100 * summary.accuracy)} %"
            ends = summary.accuracy_low, summary.accuracy_high or 0
            interval = " - ".join(rounded(100 * each, 0) for each in ends)
        cells = (f"{summary.policy_tokens / count:,.0f}", f"{summary.scorer_tokens / count:,.0f}")
        flops = "unknown" if summary.flops is None else short(summary.flops / count)
        failed = f" ({summary.failed} failed)" * (summary.failed > 0)
        rows.append((summary.strategy + failed, accuracy, interval, *cells, flops))
    lines = ["tokens and FLOPs: means per problem and seed", *accuracy_over(summaries)]
    if summaries:
        lines.append(named_in(summaries))
    lines += [
        f"{summary.strategy}: {line}"
        for summary in summaries
        for line in warnings_of(summary.reliability)
    ]
    return table(head, rows) + "".join(f"<p>{escape(printable(line))}</p>" for line in lines)


def accuracy_over(summaries: Sequence[Summary]) -> list[str]:
    """A line of a table about the answers that its accuracies leave out, if there are any."""
    rated = [each for each in summaries if each.accuracy is not None]
    if all(each.graded == each.trials for each in rated):
        return []
    graded = span({each.graded for each in rated}, "answer")
    return [f"accuracy: over {graded} with a grade, of {max(each.trials for each in rated):,}"]


def named_in(summaries: Sequence[Summary]) -> str:
    """The footer of a table: engines, problem set, seeds."""
    engines: dict[str, str] = {}
    for summary in summaries:
        engines |= summary.policies
        engines |= summary.scorers
    parts = [f"{name} {engine}" for name, engine in engines.items()]
    first = summaries[0]
    parts.append(f"problems {first.problem_set or 'given'} ({first.problems:,})")
    if first.graders != ("math",):
        parts.append(f"graded by {', '.join(first.graders)}")
    return "; ".join([*parts, in_words(first.seeds)] if first.seeds else parts)


def _answers(answers: Sequence[Answer]) -> str:
    """The first answers of a result."""
    grades = {True: "right", False: "wrong", None: ""}
    rows = [
        (
            answer.id,
            str(answer.seed),
            answer.error or answer.answer or "",
            answer.gold or "",
            grades[answer.correct],
        )
        for answer in answers[:_LISTED]
    ]
    more = f"<p>and {len(answers) - _LISTED:,} more</p>" if len(answers) > _LISTED else ""
    return table(("problem", "seed", "answer", "gold", ""), rows) + more
