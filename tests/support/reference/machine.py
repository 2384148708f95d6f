"""One problem's world: engines, the memo of requests, and the rows that were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

from tests.support.reference.expressions import Context
from tests.support.reference.model import (
    Conversation,
    Counts,
    Node,
    Pool,
    Row,
    Scope,
    Value,
    Vector,
)
from tests.support.reference.spans import written_answer
from tts_lang.plan import graph
from tts_lang.plan.expr import Expr, Statistic, walk
from tts_runtime.answers import canonical
from tts_runtime.binding import Binding, Messages
from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.streams import Key, fresh_key, lane_key, root_key, thinking_key
from tts_runtime.tokens import Tokenizer


class Problem(Protocol):
    """A problem: what the problem file says of it."""

    @property
    def id(self) -> str:
        """Unique in a run."""

    @property
    def text(self) -> str:
        """The question."""

    @property
    def before(self) -> Messages:
        """The messages before it."""

    @property
    def answer(self) -> str | None:
        """The gold answer."""

    @property
    def fields(self) -> Mapping[str, object]:
        """Everything else."""


class Policy(Protocol):
    """A policy engine that can be asked without an event loop."""

    binding: Binding
    tokenizer: Tokenizer

    def generate_now(self, request: GenerateRequest) -> Generation:
        """Answers one request."""


class ScorerEngine(Protocol):
    """A scorer engine that can be asked without an event loop."""

    steps: bool
    low: float | None
    high: float | None

    def score_now(self, request: ScoreRequest) -> ScoreReply:
        """Answers one request."""

    def score_together_now(self, requests: Sequence[ScoreRequest]) -> Sequence[ScoreReply]:
        """Answers for a whole pool."""


@dataclass(slots=True)
class Machine:
    """Everything that lasts as long as one problem's run."""

    plan: graph.Plan
    problem: Problem
    seed: int
    policies: Mapping[str, Policy]
    scorers: Mapping[str, ScorerEngine]
    made: list[tuple[str, Row]] = field(default_factory=list)
    scores: dict[int, dict[str, Value | Vector]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    generations: dict[object, Generation] = field(default_factory=dict)
    replies: dict[object, object] = field(default_factory=dict)
    drawn: list[tuple[str, GenerateRequest, Generation]] = field(default_factory=list)

    @property
    def root_key(self) -> Key:
        """H(run seed, problem id)."""
        return root_key(self.seed, self.problem.id)

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Bindings by policy name."""
        return {name: policy.binding for name, policy in self.policies.items()}

    def statistics(self) -> tuple[str, ...]:
        """Token statistics that the plan reads anywhere."""
        found: set[str] = set()
        for operation in graph.operations(self.plan.body):
            for value in fields_of(operation.spec):
                found |= {e.how for e in walk(value) if isinstance(e, Statistic)}
        return tuple(sorted(found))

    def opening(self, thinks: bool, lanes: tuple[int | tuple[str, int], ...] = ()) -> Node:
        """The node of the problem's own conversation, the thinking one if the strategy thinks.

        `lanes` are those of the calls that it is the problem of: copies (>= 1, C13), and fresh
        calls by strategy and number (C65).
        """
        policy = self.policies["policy"]
        thinking = thinks and policy.binding.thinking is not None
        opened = thinking_key(self.root_key) if thinking else self.root_key
        prompt = policy.binding.open(
            self.problem.text, thinking=thinking, before=self.problem.before
        )
        key = opened
        for lane in lanes:
            key = lane_key(key, lane) if isinstance(lane, int) else fresh_key(key, 0, *lane)
        conversation = Conversation(opened, prompt, problems_own=True)
        return Node(conversation, key, policy.tokenizer, start=True, lanes=lanes)

    def context(self, scope: Scope, inputs: Sequence[Pool | Value]) -> Context:
        """A context outside any pool."""
        return Context(scope, self.root_key, self.bindings, self.column, inputs)

    def made_by(self, operation: str, row: Row) -> Row:
        """Notes a row that an operation made; the first below `problem` starts a tree (C49)."""
        if row.root is None and operation in ("expand", "ask", "fork", "call"):
            row = row.again(root=row.uid)
        self.made.append((operation, row))
        self.scores[row.uid] = dict(row.scores)
        return row

    def generate(self, name: str, request: GenerateRequest) -> Generation:
        """Asks a policy; the same request twice costs once (C62)."""
        greedy = request.sampling.temperature == 0  # which ignores the key (C15)
        key = (name, replace(request, key=b"") if greedy else request)
        shared = not request.limits.watched
        if shared and key in self.generations:
            return self.generations[key]
        generation = self.policies[name].generate_now(request)
        self.drawn.append((name, request, generation))
        self.counts.policy_calls += 1
        self.counts.policy_tokens += generation.drawn
        if shared:
            self.generations[key] = generation
        return generation

    def answer(self, node: Node) -> str | None:
        """The answer as written (C35)."""
        return written_answer(node, self.policies["policy"].binding)

    def answer_key(self, node: Node) -> str | None:
        """The answer's canonical form (C42)."""
        written = self.answer(node)
        return None if written is None else canonical(written)

    def column(self, row: Row, name: str) -> Value:
        """A built-in column."""
        node = row.node
        if name == "answer":
            return self.answer_key(node)
        if name == "finish":
            return None if node.finish is None else node.finish.value
        if name == "parent":
            return None if row.parent is None else row.parent.uid
        if name == "root":
            return row.root
        if name == "value":
            return row.value
        if name == "visits":
            return row.visits
        if name == "steps":
            return node.segments.steps
        if name in ("text", "tokens", "done", "logprob"):
            value: Value = getattr(node, name)
            return value
        raise AssertionError(f"no column {name}")


def fields_of(spec: graph.Spec | graph.Amount | graph.Decoding) -> list[Expr]:
    """All expressions that a spec (or its amount or decoding) holds."""
    found: list[Expr] = []
    for item in fields(spec):
        value = getattr(spec, item.name)
        if isinstance(value, Expr):
            found.append(value)
        elif isinstance(value, graph.Amount | graph.Decoding):
            found.extend(fields_of(value))
        elif isinstance(value, tuple):  # arguments of a prompt or judge
            given = [each[1] for each in value if isinstance(each, tuple)]
            found.extend(each for each in given if isinstance(each, Expr))
    return found
