"""The clauses of a generation call: compiled once per operation, evaluated once per execution."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Amount, Decoding, Unit
from tts_runtime.engines.base import CandidateError, Fault, Limits, Sampling
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.errors import error_at
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.model import Conversation, Node, Row
from tts_runtime.executor.views import Evaluate, View
from tts_runtime.streams import sampling_tag

#: What to do about a question that fills the context window.
SHORTEN: Final = "shorten the problem or the prompt, or bind a policy with a longer context"


class CallSettings:
    """A call's clauses with all numbers known.

    `irregular`: its draws depend on where the call starts, so children do not hand on their key
    (streams.py). `length` is in the amount's unit.
    """

    __slots__ = (
        "at_least",
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
        self._expressions = {
            name: compiler.compile(expression)
            for name, expression in expressions(amount, decoding).items()
        }
        self._likeliest = decoding.likeliest
        self._stop_when = compiler.optional(decoding.stop_when)
        self._end_when = compiler.optional(decoding.end_when)
        literal = all(
            isinstance(expression, Const) for expression in expressions(amount, decoding).values()
        )
        self._literal = literal
        self._settings: CallSettings | None = None

    def settings(self, row: Row, view: View) -> CallSettings:
        """The clauses' values; `row` stands for the problem."""
        if self._settings is not None:
            return self._settings
        settings = self._evaluated(
            {name: evaluate(row, view) for name, evaluate in self._expressions.items()}
        )
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


def expressions(amount: Amount, decoding: Decoding) -> dict[str, Expr]:
    """The expressions of a call's clauses that are evaluated before it starts, by their names."""
    named = {
        "length": amount.length,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "min_p": decoding.min_p,
        "max_tokens": decoding.max_tokens,
        "within": decoding.within,
        "at_least": decoding.at_least,
        "stop_at": decoding.stop_at,
    }
    return {name: expression for name, expression in named.items() if expression is not None}


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
