"""The clauses of a generation call: compiled once per operation, evaluated per execution or row.

Among them the conditions that are read after every token (`stop when`, `end when`, C27).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

from tts_lang.plan.decoding import call_expressions
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Amount, Decoding, Unit
from tts_lang.plan.reads import of_a_row
from tts_runtime.engines.base import CandidateError, Fault, Limits, Partial, Sampling
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.nodes import Conversation, Node
from tts_runtime.executor.problem import RunError, error_at
from tts_runtime.executor.rows import Row
from tts_runtime.executor.views import Evaluate, View, excerpt
from tts_runtime.streams import UNCLAIMED, sampling_tag
from tts_runtime.tokens import to_text

#: Limits that a call's settings keep.
_MANY_LIMITS: Final = 4096

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
        "made",
        "matching",
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
        matching: str = "",
        avoiding: tuple[str, ...] = (),
        avoided_by: float = 0.0,
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
        self.matching = matching
        # The unit decides what is masked: a step's end, or a thought's.
        least = [f"at least {at_least} in {unit.value}"] * (at_least > 0)
        words = least + ["likeliest"] * likeliest
        words += [f"matching {matching}"] * bool(matching)
        self.irregular = bool(words)
        self.tag = _tag(policy.name, sampling, " ".join(words), avoided(avoiding, avoided_by))
        #: All of a request that comes from the clauses, but its token limit; equal if they are.
        self.signature = repr((self.tag, unit, length, at_least, stop_at))
        #: Limits, by the room that there is: rows that one operation continues share them.
        self.made: dict[int, Limits] = {}
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
                    ("matching", matching, ""),
                    ("avoiding", list(avoiding) if avoided_by else [], []),
                    ("avoided_by", avoided_by, 0),
                )
                if value != off
            },
        }

    def room(self, node: Node) -> int:
        """Tokens that the path still has room for, whatever `max` says (C21)."""
        policy, conversation = self.policy, node.conversation
        prompt = conversation.prompts.get(policy.name) or conversation.prompt(policy)
        room = policy.context - len(prompt) - node.position
        if self.within is not None:
            room = min(room, self.within - node.tokens)
        return room

    def limits(self, room: int) -> Limits:
        """When a call with that much room stops."""
        found = self.made.get(room)
        if found is None:
            if len(self.made) >= _MANY_LIMITS:
                self.made.clear()
            found = self.made[room] = self._limits(room)
        return found

    def _limits(self, room: int) -> Limits:
        unit = self.unit
        return Limits(
            room if self.max_tokens is None else min(room, self.max_tokens),
            self.length if unit is Unit.STEPS else 0,
            self.policy.thought if unit is Unit.THOUGHTS else (),
            self.length if unit is Unit.TOKENS else 0,
            self.stop_at,
            at_least=self.at_least,
            matching=self.matching,
        )


@lru_cache(maxsize=4096)
def _tag(policy: str, sampling: Sampling, irregular: str, avoiding: str) -> bytes:
    return sampling_tag(
        policy,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.min_p,
        irregular,
        avoiding,
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
        self._matching = decoding.pattern
        self._avoiding = decoding.avoiding
        self._avoided = _beginnings(self._policy, decoding.avoiding)
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
        nats = values.get("avoided_by") or 0
        if nats < 0:
            raise error_at(self._operation, f"the penalty is {nats}", "it must be 0 or more")
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
            self._matching,
            self._avoiding,
            float(nats),
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
        penalty = float(values.get("avoided_by") or 0)
        penalties = tuple((token, penalty) for token in self._avoided if penalty)
        return Sampling(
            float(temperature), float(top_p), View.whole(top_k), float(min_p), penalties
        )

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


def avoided(words: Sequence[str], nats: float) -> str:
    """The clause `avoiding` as part of a key; empty where nothing is taken away."""
    return f"avoiding {', '.join(map(repr, words))} by {nats!r}" if nats else ""


def _beginnings(policy: Policy, words: Iterable[str]) -> tuple[int, ...]:
    """The tokens that begin words, at the beginning of a text or after a space (C78)."""
    found = set[int]()
    for word in words:
        for text in (word, f" {word.strip()}"):
            ids = policy.forced(text)
            found.update([token for token in ids if policy.pieces[token].strip()][:1])
    return tuple(sorted(found))


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


def watcher(
    condition: Evaluate, policy: Policy, node: Node, row: Callable[[Node], Row], view: View
) -> Callable[[Partial], bool]:
    """Evaluates a condition on the whole path after every token.

    Args:
        condition: What is read of a row.
        policy: Draws the tokens.
        node: What is continued.
        row: The row of a path so far.
        view: Of the operation.
    """
    streaming = View(view.draw_key, view.inputs, None, streaming=True)
    segments = node.segments
    seen = 0
    watched: Partial | None = None

    def fires(partial: Partial) -> bool:
        nonlocal segments, seen, watched
        if partial is not watched:  # a reply that was there before, or an engine's attempt
            segments, seen, watched = node.segments, 0, partial
        for token in partial.ids[seen:]:
            segments = segments.add(policy.pieces[token], policy.delimiter)
        seen = len(partial.ids)
        path = Node(
            node.conversation,
            node,
            policy,
            # Lists where a node has tuples: copying them for every token would cost n squared.
            cast("tuple[int, ...]", partial.ids),
            node.key,
            UNCLAIMED,
            0,
            segments,
            None,
            False,
            True,
            partial.logprobs,
            0.0,
            cast("Mapping[str, tuple[float, ...]]", partial.statistics),
        )
        return condition(row(path), streaming) is True

    return fires
