"""Sampling of children: how many, how far, with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Annotated

from tts_lang.plan.clauses import FLAG, MIN_P, PENALTY, TEMPERATURE, TEXT, TOP_P, number, size
from tts_lang.plan.expr import Const, Expr
from tts_lang.regex import RegexError, compiled, escaped


class Unit(Enum):
    """The length of one generation call (semantics.md C23 to C25)."""

    SOLUTIONS = "solutions"
    STEPS = "steps"
    THOUGHTS = "thoughts"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Amount:
    """`COUNT [x LENGTH] UNIT`: `count` children, each `length` units long (8 x 256 tokens)."""

    count: Annotated[Expr, size("rows", "{} children")]
    unit: Unit = Unit.SOLUTIONS
    length: Annotated[Expr | None, size("unit", "x {} {unit}", 1)] = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """The sampling settings and stop conditions of one generation call.

    Args:
        policy: Name of the policy in the strategy.
        temperature, top_p, top_k, min_p: Sampling; `None` leaves the binding's default.
        max_tokens: Limit for this call (`max E tokens`); the step or solution stays open (C21).
        within: Limit on the sampled tokens of the whole path in this conversation (C21).
        at_least: Ends and delimiters are masked for the first tokens of this call.
        stop_at: Text that stops the call once it is complete (C26).
        stop_when: Condition checked after every token; true stops the call, open (C27).
        end_when: The same, and what is drawn is done (C17, C27).
        likeliest: Child j starts with the j-th likeliest token.
        matching: An expression that all that the call draws has to match; empty: any text.
        one_of: Texts of which it draws one; empty: any text.
        avoiding: Words that begin less often.
        avoided_by: What is taken from the logits of their first tokens, in nats.
    """

    policy: str = "policy"
    temperature: Annotated[Expr | None, number(TEMPERATURE)] = None
    top_p: Annotated[Expr | None, number(TOP_P)] = None
    top_k: Annotated[Expr | None, number((0, inf, False))] = None
    min_p: Annotated[Expr | None, number(MIN_P)] = None
    max_tokens: Annotated[Expr | None, size("tokens", "max {} tokens", 1)] = None
    within: Annotated[Expr | None, size("tokens", "within {} tokens")] = None
    at_least: Annotated[Expr | None, size("tokens", "at least {} tokens")] = None
    stop_at: Annotated[Expr | None, TEXT] = None
    stop_when: Annotated[Expr | None, FLAG] = None
    end_when: Annotated[Expr | None, FLAG] = None
    likeliest: bool = False
    matching: str = ""
    one_of: tuple[str, ...] = ()
    avoiding: tuple[str, ...] = ()
    avoided_by: Annotated[Expr | None, number(PENALTY)] = None

    @property
    def pattern(self) -> str:
        """The expression that drawn texts have to match, from either clause."""
        return self.matching or "|".join(map(escaped, self.one_of))

    @property
    def longest(self) -> float:
        """Upper bound of the bytes of a text that its form allows; infinite without a bound."""
        if self.one_of:
            return max(len(option.encode()) for option in self.one_of)
        return compiled(self.matching).longest if self.matching else inf


def misfit(unit: Unit, decoding: Decoding) -> str | None:
    """The error of a generation whose form does not fit its unit (C77, C78), if there is one."""
    options = decoding.one_of
    if decoding.matching and options:
        return "`matching` and `one of` both say what is drawn"
    if options and ("" in options or len(set(options)) < len(options)):
        return "the texts of `one of` must differ, and have something in them"
    if decoding.matching:
        try:
            if compiled(decoding.matching).asserts:
                return (
                    "all that is drawn has to match, so `^`, `$` and `\\b` have no place in the "
                    "expression"
                )
        except RegexError as error:
            return f"this regular expression cannot be used: {error}"
    if decoding.pattern and unit is Unit.THOUGHTS:
        return "a thought has no form: ask it of what is drawn behind `end_of_thought`"
    if decoding.pattern and decoding.at_least not in (None, Const(0)):
        return "`at least` may forbid the only tokens that fit: say it in the expression, `.{20,}`"
    if "" in [word.strip() for word in decoding.avoiding]:
        return "a word to avoid must have something in it"
    return None


def call_expressions(amount: Amount, decoding: Decoding) -> dict[str, Expr]:
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
        "avoided_by": decoding.avoided_by,
    }
    return {name: expression for name, expression in named.items() if expression is not None}
