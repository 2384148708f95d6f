"""How children are sampled: how many, how far, with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Annotated

from tts_lang.plan.clauses import FLAG, MIN_P, TEMPERATURE, TEXT, TOP_P, number, size
from tts_lang.plan.expr import Expr


class Unit(Enum):
    """What one generation call runs to (semantics.md C23 to C25)."""

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
    """How one generation call samples and when it stops early.

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
    }
    return {name: expression for name, expression in named.items() if expression is not None}
