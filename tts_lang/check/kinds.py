"""What a scalar expression is while it is being checked, and how messages call it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Kind


class Sort(Enum):
    """The kinds of expression that the checker tells apart; pools are told apart before."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    KEY = "key"  # `parent`, `root`: which row, good for comparing and grouping only
    STEPS = "steps"  # a process scorer's vector, good for reductions only
    UNKNOWN = "unknown"  # already reported, or a parameter without a value: fits everywhere


WORDS = {
    Sort.NUMBER: "a number",
    Sort.TEXT: "a text",
    Sort.FLAG: "a condition",
    Sort.KEY: "a row reference",
    Sort.STEPS: "one number per step",
    Sort.UNKNOWN: "unknown",
}

#: How a plan calls the sorts that values can have.
VALUE_KINDS = {Sort.NUMBER: Kind.NUMBER, Sort.TEXT: Kind.TEXT, Sort.FLAG: Kind.FLAG}


@dataclass(frozen=True, slots=True)
class Typed:
    """A checked scalar expression.

    `share`: written as a percentage, so that `select top E` takes a part of the pool.
    """

    sort: Sort
    expr: Expr
    share: bool = False


#: Stands for what has been reported already; it suppresses further messages.
POISON = Typed(Sort.UNKNOWN, Const(None))
