"""One generation call: its clauses, the requests for children by number, the children as rows.

Clauses are compiled once per operation and evaluated once per execution, or
for each row (`CallSettings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Final

from tts_lang.plan.decoding import call_expressions
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Amount, Decoding, Operation, Unit
from tts_lang.plan.reads import of_a_row
from tts_runtime.engines.base import (
    CandidateError,
    Fault,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Sampling,
    StreamOrigin,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.answer_feed import AnswerDrawn, AnswerFeed
from tts_runtime.executor.errors import RunError, error_at
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.model import EMPTY, Candidate, Conversation, Node, Row, ScoreCache
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.scheduler import Demand, Item, PendingReply, PendingRow
from tts_runtime.executor.views import Evaluate, View, excerpt
from tts_runtime.executor.watching import watcher
from tts_runtime.streams import UNCLAIMED, Key, child_key, sampling_tag
from tts_runtime.tokens import to_text

# ------------------------------------------------------------------ clauses

#: What to do about a question that fills the context window.
SHORTEN: Final = "shorten the problem or the prompt, or bind a policy with a longer context"


class CallSettings:
    """A call's clauses with all numbers known.

    `irregular`: its draws depend on where the call starts, so children do not hand on their key
    (streams.py). `length` is in the amount's unit.
    """

    __slots__ = (
        "at_least",
        "clauses",
        "end_when",
        "irregular",
        "length",
        "likeliest",
        "max_tokens",
        "policy",
        "sampling",
        "signature",
        "stop_at",
        "stop_when",
        "tag",
        "unit",
        "within",
    )

    def __init__(
        self,
        policy: Policy,
        sampling: Sampling,
        unit: Unit,
        length: int = 1,
        max_tokens: int | None = None,
        within: int | None = None,
        at_least: int = 0,
        stop_at: bytes = b"",
        stop_when: Evaluate | None = None,
        end_when: Evaluate | None = None,
        likeliest: bool = False,
    ) -> None:
        self.policy = policy
        self.sampling = sampling
        self.unit = unit
        self.length = length
        self.max_tokens = max_tokens
        self.within = within
        self.at_least = at_least
        self.stop_at = stop_at
        self.stop_when = stop_when
        self.end_when = end_when
        self.likeliest = likeliest
        # The unit decides what is masked: a step's end, or a thought's.
        least = [f"at least {at_least} in {unit.value}"] * (at_least > 0)
        words = least + ["likeliest"] * likeliest
        self.irregular = bool(words)
        self.tag = _tag(policy.name, sampling, " ".join(words))
        #: All of a request that comes from the clauses, but its token limit; equal if they are.
        self.signature = repr((self.tag, unit, length, at_least, stop_at))
        #: What the record says of it: the policy's name, and each clause that is not off.
        self.clauses: Mapping[str, Any] = {
            "policy": policy.name,
            "unit": unit.value,
            "temperature": sampling.temperature,
            **{
                name: value
                for name, value, off in (
                    ("length", length, 1),
                    ("top_p", sampling.top_p, 1),
                    ("top_k", sampling.top_k, 0),
                    ("min_p", sampling.min_p, 0),
                    ("max_tokens", max_tokens, None),
                    ("within", within, None),
                    ("at_least", at_least, 0),
                    ("stop_at", to_text(stop_at), ""),
                    ("stop_when", stop_when is not None, False),
                    ("end_when", end_when is not None, False),
                    ("likeliest", likeliest, False),
                )
                if value != off
            },
        }

    def room(self, node: Node) -> int:
        """Tokens that the path still has room for, whatever `max` says (C21)."""
        policy = self.policy
        room = policy.context - len(node.conversation.prompt(policy)) - node.position
        return room if self.within is None else min(room, self.within - node.tokens)

    def limits(self, room: int) -> Limits:
        """When a call with that much room stops."""
        unit = self.unit
        return Limits(
            room if self.max_tokens is None else min(room, self.max_tokens),
            self.length if unit is Unit.STEPS else 0,
            self.policy.thought if unit is Unit.THOUGHTS else (),
            self.length if unit is Unit.TOKENS else 0,
            self.stop_at,
            at_least=self.at_least,
        )


@lru_cache(maxsize=4096)
def _tag(policy: str, sampling: Sampling, irregular: str) -> bytes:
    return sampling_tag(
        policy,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.min_p,
        irregular,
    )


class Clauses:
    """A call's clauses, compiled; `settings` evaluates them, once for good if they are literals."""

    def __init__(
        self,
        compiler: Compiler,
        policies: Mapping[str, Policy],
        amount: Amount,
        decoding: Decoding,
    ) -> None:
        self._operation = compiler.operation
        self._policy = policies[decoding.policy]
        self._unit = amount.unit
        named = call_expressions(amount, decoding)
        self._expressions = {
            name: compiler.compile(expression) for name, expression in named.items()
        }
        self._likeliest = decoding.likeliest
        self._stop_when = compiler.optional(decoding.stop_when)
        self._end_when = compiler.optional(decoding.end_when)
        self._literal = all(isinstance(expression, Const) for expression in named.values())
        self._settings: CallSettings | None = None
        #: Whether the rows of one pool may differ in them (C69).
        self.differ = any(
            name != "length" and of_a_row(expression) for name, expression in named.items()
        )

    def settings(self, row: Row, view: View) -> CallSettings:
        """The clauses' values for a row; where rows cannot differ, any will do."""
        if self._settings is not None:
            return self._settings
        values = {name: evaluate(row, view) for name, evaluate in self._expressions.items()}
        try:
            settings = self._evaluated(values)
        except RunError as error:
            if not self.differ or row.candidate.problem:
                raise
            message = f"{error.message} for the candidate {excerpt(row)}"
            raise error_at(self._operation, message, error.hint) from None
        if self._literal:
            self._settings = settings
        return settings

    def _evaluated(self, values: Mapping[str, Any]) -> CallSettings:
        stop_at = values.get("stop_at")
        return CallSettings(
            self._policy,
            self._sampling(values),
            self._unit,
            self._least(values, "length", 1, 1) or 1,
            self._least(values, "max_tokens", 1, None),
            self._least(values, "within", None, None),
            self._least(values, "at_least", None, 0) or 0,
            b"" if stop_at is None else str(stop_at).encode(),
            self._stop_when,
            self._end_when,
            self._likeliest,
        )

    def _sampling(self, values: Mapping[str, Any]) -> Sampling:
        defaults = self._policy.defaults
        temperature, top_p, top_k, min_p = (
            getattr(defaults, name) if values.get(name) is None else values[name]
            for name in ("temperature", "top_p", "top_k", "min_p")
        )
        if temperature < 0:
            raise error_at(
                self._operation, f"the temperature is {temperature}", "it must be 0 or more"
            )
        if not 0 < top_p <= 1:
            raise error_at(self._operation, f"top_p is {top_p}", "it must be above 0 and at most 1")
        if not 0 <= min_p <= 1:
            raise error_at(self._operation, f"min_p is {min_p}", "it must lie between 0 and 1")
        if top_k < 0:
            raise error_at(self._operation, f"top_k is {top_k}", "it must be 0 (off) or more")
        return Sampling(float(temperature), float(top_p), View.whole(top_k), float(min_p))

    def _least(
        self, values: Mapping[str, Any], name: str, least: int | None, default: int | None
    ) -> int | None:
        """A whole number of a clause; missing leaves the default."""
        value = values.get(name)
        if value is None:
            return default
        number = View.whole(value)
        if least is not None and number < least:
            words = {"length": "the length", "max_tokens": "max"}[name]
            raise error_at(self._operation, f"{words} is {value}", f"it must be at least {least}")
        return number


def overlong(conversation: Conversation, settings: CallSettings) -> CandidateError | None:
    """The error of a question that fills the window; a path that has filled it is done."""
    policy = settings.policy
    length = len(conversation.prompt(policy))
    if length < policy.context:
        return None
    return CandidateError(
        Fault.TOO_LONG,
        f"the prompt has {length} tokens, but policy `{policy.name}` "
        f"(`{policy.binding.name}`) has a context window of {policy.context}",
    )


# ------------------------------------------------------------------ children


@dataclass(frozen=True, slots=True)
class CandidateMade:
    """A policy's reply, or what stands for it where there is none, has become a candidate."""

    run: ProblemRun
    row: Row


class GenerationCall:
    """One execution of an operation that generates.

    Args:
        run: The problem.
        operation: The operation, for errors and records.
        settings: Its clauses.
        sequence: Its number among the operations of the scope that number children.
        demand: Makes the requests when they are needed; `None`: at once.
        answer: Its one child is the answer.
    """

    __slots__ = ("demand", "on_answer", "on_candidate", "operation", "run", "sequence", "settings")

    def __init__(
        self,
        run: ProblemRun,
        operation: Operation,
        settings: CallSettings,
        sequence: int,
        demand: Demand | None = None,
        answer: bool = False,
    ) -> None:
        self.demand = demand
        self.run = run
        self.operation = operation
        self.settings = settings
        self.sequence = sequence
        self.on_candidate = run.events.listeners(CandidateMade)
        # Of a thought's delimiter, which is withheld, the first tokens would be told.
        told = answer and settings.unit is not Unit.THOUGHTS
        self.on_answer = run.events.listeners(AnswerDrawn) if told else ()


class ChildSpec:
    """What all children of one row in one operation share.

    Args:
        call: The operation's execution.
        node: What they continue.
        room: Tokens that their path has room for.
        parent, root, about: As in `Candidate`.
        lets, known: As in `Row`.
    """

    __slots__ = ("about", "call", "known", "lets", "node", "parent", "room", "root")

    def __init__(
        self,
        call: GenerationCall,
        node: Node,
        room: int,
        parent: Row | None,
        root: Candidate | None,
        about: Row | None,
        lets: Mapping[str, Any] = EMPTY,
        known: Mapping[str, ScoreCache] = EMPTY,
    ) -> None:
        self.call = call
        self.node = node
        self.room = room
        self.parent = parent
        self.root = root
        self.about = about
        self.lets = lets
        self.known = known

    def row(self, node: Node) -> Row:
        """A new row on a node; without a root it is the first of a tree of its own (C49)."""
        call = self.call
        candidate = Candidate(
            node, self.parent, self.root, None, self.about, call.sequence, call.operation
        )
        row = Row(node, candidate, self.lets, EMPTY, self.known)
        for listener in call.on_candidate:
            listener(CandidateMade(call.run, row))
        return row


class OnReply:
    """The callback of one pending child; one that comes to have `fewer` tokens is lost (C74)."""

    __slots__ = ("fewer", "number", "rank", "slot", "spec")

    def __init__(self, slot: PendingRow, spec: ChildSpec, number: int, rank: int) -> None:
        self.slot = slot
        self.spec = spec
        self.number = number
        self.rank = rank
        self.fewer: int | None = None

    def __call__(self, generation: Generation) -> None:
        spec = self.spec
        slot = self.slot
        call = spec.call
        if self.fewer is not None and spec.node.tokens + len(generation.ids) >= self.fewer:
            call.run.resolve(slot, None)
            return
        node = child_node(spec.node, slot.key, call.settings, spec.room, generation)
        node.number = self.number
        node.rank = self.rank
        call.run.deliver(slot, spec.row(node))


def child_node(
    node: Node, key: Key, settings: CallSettings, room: int, generation: Generation
) -> Node:
    """The child node that a generation gives (C10, C17)."""
    ids = generation.ids
    finish = generation.finish
    child = Node(
        node.conversation,
        node,
        settings.policy,
        ids,
        key,
        UNCLAIMED if settings.irregular else settings.tag,
        0 if ids else node.level + 1,
        generation.segments,
        finish,
        finish is Finish.END or generation.halted or len(ids) >= room,
        True,
        generation.logprobs,
        generation.end_logprob,
        generation.statistics,
        generation.error,
    )
    child.sampling = settings.clauses
    return child


def request_for(
    run: ProblemRun,
    node: Node,
    path: tuple[int, ...],
    number: int,
    settings: CallSettings,
    limits: Limits,
) -> GenerateRequest:
    """The request for a node's child of this number; `path`: that of the node."""
    rank = node.rank
    return GenerateRequest(
        node.conversation.prompt(settings.policy),
        path,
        child_key(node.key, node.claimed, node.position, node.level, number, settings.tag),
        settings.sampling,
        limits,
        node.segments,
        number if settings.likeliest else None,
        run.engines.statistics,
        number if number > rank else rank,
        StreamOrigin(run.root_key, node.key, number, node.level),
    )


def children(
    spec: ChildSpec, first: int, many: int, view: View, place: PendingRow | None = None
) -> PendingRow | list[Item]:
    """`many` children of a row from number `first`, requested now; its room is above 0.

    `place`: receives them. An only child takes it for itself.
    """
    call, node = spec.call, spec.node
    run, settings = call.run, call.settings
    limits, path = settings.limits(spec.room), node.path()
    found: list[Item] = []
    ask = partial(run.generate, settings.policy, settings.signature)
    for number in range(first, first + many):
        request = request_for(run, node, path, number, settings, limits)
        if settings.stop_when is not None or settings.end_when is not None:
            # Every request has watchers of its own: they follow what it draws.
            request = replace(request, limits=_watched(limits, spec, view))
        if call.on_answer:
            request = replace(request, on_token=AnswerFeed(call.on_answer, settings.policy, node))
        if place is not None and many == 1:
            slot = place
            slot.key = request.key
        else:
            slot = PendingRow(request.key, 1)
            found.append(slot)
        on_reply = OnReply(slot, spec, number, request.priority)
        if call.demand is None:
            slot.source = ask(node, request, on_reply)
        else:
            call.demand.add(slot, partial(_ask_shorter, ask, node, request, on_reply))
    return found or place or []


def _ask_shorter(
    ask: Callable[[Node, GenerateRequest, OnReply], PendingReply],
    node: Node,
    request: GenerateRequest,
    on_reply: OnReply,
    fewer: int | None,
) -> PendingReply | None:
    """Makes a request; with `fewer`, it is cut off once its path has that many tokens."""
    if fewer is None:
        return ask(node, request, on_reply)
    on_reply.fewer = fewer
    if node.tokens >= fewer:
        on_reply.spec.call.run.resolve(on_reply.slot, None)
        return None
    limits = request.limits
    # Ends and delimiters are drawn, and are no tokens of the path.
    most = fewer - node.tokens + len(limits.thought) + 1
    if most < limits.max_tokens:
        request = replace(request, limits=replace(limits, max_tokens=most))
    return ask(node, request, on_reply)


def _watched(limits: Limits, spec: ChildSpec, view: View) -> Limits:
    """The limits with `stop when` and `end when`."""
    settings = spec.call.settings
    drawn = partial(_drawn, spec)
    stop, end = settings.stop_when, settings.end_when
    policy, node = settings.policy, spec.node
    return replace(
        limits,
        stop_when=None if stop is None else watcher(stop, policy, node, drawn, view),
        end_when=None if end is None else watcher(end, policy, node, drawn, view),
    )


def _drawn(spec: ChildSpec, path: Node) -> Row:
    """A row while it is being drawn."""
    parent = spec.parent
    candidate = Candidate(path, parent, spec.root, None, spec.about, 0, None)
    return Row(path, candidate, spec.lets, EMPTY if parent is None else parent.scores)
