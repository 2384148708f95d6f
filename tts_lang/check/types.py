"""What a scalar expression is while it is being checked, and how messages call it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Kind


class ScalarType(Enum):
    """The kinds of expression that the checker tells apart; pools are told apart before."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    KEY = "key"  # `parent`, `root`: which row, good for comparing and grouping only
    STEPS = "steps"  # a process scorer's vector, good for reductions only
    UNKNOWN = "unknown"  # already reported, or a parameter without a value: fits everywhere


WORDS = {
    ScalarType.NUMBER: "a number",
    ScalarType.TEXT: "a text",
    ScalarType.FLAG: "a condition",
    ScalarType.KEY: "a row reference",
    ScalarType.STEPS: "one number per step",
    ScalarType.UNKNOWN: "unknown",
}

#: How a plan calls the types that values can have.
VALUE_KINDS = {
    ScalarType.NUMBER: Kind.NUMBER,
    ScalarType.TEXT: Kind.TEXT,
    ScalarType.FLAG: Kind.FLAG,
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A checked scalar expression.

    `share`: written as a percentage, so that `select top E` takes a part of the pool.
    """

    type: ScalarType
    expr: Expr
    share: bool = False


#: Stands for what has been reported already; it suppresses further messages.
POISON = Typed(ScalarType.UNKNOWN, Const(None))
