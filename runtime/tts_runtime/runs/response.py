"""The result of `Session.answer`: the answer to one problem, and its search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

from tts_lang.plan.graph import Plan
from tts_lang.printable import printable
from tts_runtime.executor import CandidateRecord, Outcome, ScoreColumn, Work
from tts_runtime.problems import Problem
from tts_runtime.record.decisions import classes
from tts_runtime.record.reader import Tree
from tts_runtime.reliability import warnings_of
from tts_runtime.runs.html import table
from tts_runtime.runs.results import Answer


@dataclass(frozen=True, slots=True)
class Solution:
    """A candidate of a response.

    Args:
        uid: Its number in the trace.
        text: Its whole text.
        answer: The answer as written there; `None` if it has none.
        key: Canonical form of the answer, which votes compare.
        scores: The latest score of each scorer: a number, or one per step.
        tokens: Tokens drawn on its path; `logprob`: the sum of their log-probabilities, if known.
        finish: Why its generation stopped: "end", "stop", "length", ...
    """

    uid: int
    text: str
    answer: str | None
    key: str | None
    scores: Mapping[str, ScoreColumn]
    tokens: int
    logprob: float | None
    finish: str | None


class AnswerError(Exception):
    """A strategy that failed on its problem: an engine's error, a weight below 0, ...

    The message says what went wrong, and where in the strategy. `by_engine`: an engine failed, not
    the strategy; `wait`: seconds after which its server wants to be asked again, if it said so.
    """

    def __init__(self, message: str, *, by_engine: bool = False, wait: float | None = None) -> None:
        super().__init__(message)
        self.by_engine = by_engine
        self.wait = wait


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The cost of an answer.

    The first seven are the strategy's own cost, each thing once, whatever the engine had cached.

    Args:
        policy_calls: Generations.
        policy_tokens: Tokens drawn by policies, of all candidates.
        returned_tokens: Of these, tokens of the returned candidate.
        prompt_tokens: Prompt and forced tokens that policies read.
        scorer_calls: Paths that scorers scored.
        scorer_tokens: Tokens that scorers read.
        flops: 2 x parameters x tokens; `None` if a model's size is not known.
        engines: What engines did for it: what no cache had, cancelled requests included.
    """

    policy_calls: int
    policy_tokens: int
    returned_tokens: int
    prompt_tokens: int
    scorer_calls: int
    scorer_tokens: int
    flops: int | None
    engines: Work


class Response:
    """The answer of a strategy to one problem.

    `candidates` and `trace` are made when they are first read: until then a response holds all that
    its run created.

    Attributes:
        plan: The strategy, with the values of its parameters.
        problem: The problem.
        seed: Of the random streams.
        returned: Whether a candidate was returned: a vote returns none where none has an answer.
        text: The returned candidate's whole text; empty if none was returned.
        thought, reply: Of it, what the policy thought, and what it said after that.
        answer: The answer as written there; `None` if it has none.
        finish: Why its generation stopped: "end", "stop", "length", ...
        fault: Why the returned candidate has no text of its own (finish "failed").
        correct: Whether it is right; `None` without a grade (no gold answer).
        exact: Every engine follows the streams: the same seed gives the same response.
        usage: What it cost.
    """

    def __init__(
        self,
        plan: Plan,
        problem: Problem,
        outcome: Outcome,
        record: Answer,
        decisions: Callable[[], Sequence[dict[str, Any]]],
        work: Work,
        *,
        exact: bool,
    ) -> None:
        self.plan = plan
        self.problem = problem
        self.seed = record.seed
        self.returned = outcome.row is not None
        self.text = outcome.text
        self.thought = outcome.thought
        self.reply = outcome.reply
        self.answer = outcome.answer
        self.finish = outcome.finish
        self.fault = outcome.fault
        self.correct = record.correct
        self.exact = exact
        self._outcome = outcome
        self._record = record
        self._decisions = decisions
        self._work = work

    @cached_property
    def usage(self) -> TokenUsage:
        """The cost of the answer."""
        record = self._record
        return TokenUsage(
            record.policy_calls,
            record.policy_tokens,
            self._outcome.tokens,
            record.prompt_tokens,
            record.scorer_calls,
            record.scorer_tokens,
            record.flops,
            self._work,
        )

    @cached_property
    def trace(self) -> Tree:
        """Everything that the strategy made and decided, as `open_run(...).tree` gives it."""
        nodes = {each.uid: each for each in self._outcome.candidates}
        decisions = list(self._decisions())
        counts = {"nodes": len(nodes), "decisions": len(decisions)}
        return Tree(self.problem, self._record.model_copy(update=counts), nodes, decisions)

    def lines(self) -> list[dict[str, Any]]:
        """The nodes of `trace` as lines of `nodes.jsonl`."""
        return self._outcome.lines()

    @cached_property
    def candidates(self) -> tuple[Solution, ...]:
        """Solutions, the best first: the returned one, then all others that are complete.

        Those that the last decision chose from come first, ranked by its values (the score of
        `by`; the weight of their class in a vote); then the others, in program order. Where a vote
        found no answer, none is returned, and those come first that it was about.
        """
        return tuple(
            Solution(
                candidate.uid,
                self.trace.text(candidate.uid),
                candidate.answer,
                candidate.answer_key,
                candidate.scores,
                candidate.tokens,
                candidate.logprob,
                candidate.finish,
            )
            for candidate in _ranked(self.trace)
        )

    def __repr__(self) -> str:
        return f"<Response of {self.plan.strategy}: {self.answer!r}>"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about frequent faults of candidates, with advice."""
        return tuple(warnings_of(self._record.reliability))

    def _repr_html_(self) -> str:
        """For notebooks: answer, text, cost, the best candidates, warnings."""
        grade = {True: " (right)", False: " (wrong)", None: ""}[self.correct]
        head = "no answer" if self.answer is None else self.answer
        usage = self.usage
        cost = f"{usage.policy_calls:,} calls, {usage.policy_tokens:,} policy tokens"
        if usage.scorer_tokens:
            cost += f", {usage.scorer_tokens:,} scorer tokens"
        rows = [
            (candidate.answer or "", _scores(candidate), candidate.finish or "")
            for candidate in self.candidates[:_LISTED]
        ]
        return (
            f"<p><b>{escape(printable(head))}</b>{grade} by {escape(self.plan.strategy)}: {cost}"
            f"</p><pre>{escape(printable(self.text.strip()))}</pre>"
            + table(("candidates", "scores", "finish"), rows)
            + "".join(f"<p>{escape(printable(each))}</p>" for each in self.warnings)
        )


#: Candidates that a notebook shows.
_LISTED = 8


def _scores(candidate: Solution) -> str:
    last = (
        (name, value[-1] if isinstance(value, tuple) and value else value)
        for name, value in candidate.scores.items()
    )
    return ", ".join(f"{name} {value:.3g}" for name, value in last if isinstance(value, float))


def _ranked(trace: Tree) -> list[CandidateRecord]:
    """The solutions of a trace, the best first."""
    winner = trace.winner
    first = _undecided(trace) if winner is None else [winner]
    if not first:
        return []
    continued = {node.parent for node in trace.nodes.values() if node.prompt is None}
    solutions = [
        node
        for node in trace.nodes.values()
        if node.prompt is None and _complete(node) and node.uid not in continued
    ]
    if winner is not None:
        order = _order(trace, winner)
        solutions.sort(key=lambda each: order.get(each.uid, len(order)))
    shown = {each.uid for each in first}
    return [*first, *(each for each in solutions if each.uid not in shown)]


def _complete(node: CandidateRecord) -> bool:
    return node.done and node.finish != "failed"


def _undecided(trace: Tree) -> list[CandidateRecord]:
    """The nodes that the last decision was about, if it was a vote that found no answer."""
    last = next((each for each in reversed(trace.decisions) if each["in"]), None)
    if last is None or last["op"] != "vote" or last["out"]:
        return []
    nodes = [trace.nodes[uid] for uid in last["in"] if uid in trace.nodes]
    # Solutions that were cut off are not done, but it was about them.
    return [node for node in nodes if node.finish == "length" or _complete(node)]


def _order(trace: Tree, winner: CandidateRecord) -> dict[int, int]:
    """Places of the nodes that the decision about the winner chose from."""
    path = {each.uid for each in trace.path(winner.uid)}
    for decision in reversed(trace.decisions):
        values = decision.get("values")
        chosen = path.intersection(decision["out"])
        if not values or not chosen or len(decision["in"]) < 2:
            continue
        nodes = decision["in"]
        if decision["op"] == "vote":
            weights, *others = classes(decision)
            if others:  # a vote of each group: the winner was chosen among theirs
                continue
            ranks = [weights.get(value, -1.0) for value in values]
        elif all(value is None or isinstance(value, int | float) for value in values):
            best = [values[at] for at, node in enumerate(nodes) if node in chosen]
            if not best or best[0] is None:
                continue
            numbers = [value for value in values if value is not None]
            sign = -1.0 if best[0] == min(numbers) < max(numbers) else 1.0
            ranks = [float("-inf") if value is None else sign * value for value in values]
        else:
            continue
        listed = sorted(zip(nodes, ranks, strict=True), key=lambda each: -each[1])
        return {node: place for place, (node, _) in enumerate(listed)}
    return {}
