"""Names that every strategy has: columns, functions, constants."""

from __future__ import annotations

from tts_lang.check.types import ScalarType
from tts_lang.plan import columns
from tts_lang.plan.expr import STEP_FUNCTIONS

COLUMNS: dict[str, ScalarType] = {
    name: ScalarType(column.type) for name, column in columns.COLUMNS.items()
}

#: Values of `finish` (C17).
FINISHES = columns.COLUMNS["finish"].values

#: Functions of numbers: the plan's function and how many arguments it takes.
MATHEMATICS: dict[str, int] = {
    "log": 1,
    "exp": 1,
    "sqrt": 1,
    "floor": 1,
    "ceil": 1,
    "abs": 1,
    "clip": 3,
    "odds": 1,
    "remainder": 2,
    "erf": 1,
}

#: `min(a, b)` and `max(a, b)` of plain numbers.
EXTREMES = {"min": "least", "max": "greatest"}

#: Aggregates `f(E of P)`; those of `POOL_AGGREGATES` take a pool and no value.
VALUE_AGGREGATES = ("mean", "sum", "min", "max", "std", "first", "quantile")
POOL_AGGREGATES = ("count", "share", "lead", "entropy")

#: Delimiters that a policy's binding defines, usable as texts.
DELIMITERS = ("end_of_thought", "end_of_step")

#: Leaves a clause as it is without it (C72).
UNSET = "default"

#: Pools that are there from the start.
POOLS = ("problem", "none")

FUNCTIONS = tuple(
    dict.fromkeys(
        (
            *POOL_AGGREGATES,
            *VALUE_AGGREGATES,
            "last",
            "prod",
            *MATHEMATICS,
            "extract",
            "number",
            *STEP_FUNCTIONS,
            "take",
            "softmax",
            "rank",
            "has",
            "leaves",
            "uniform",
            "normal",
            "gumbel",
            "beta",
            "confidence",
            "certainty",
            "margin",
        )
    )
)


def meaning(name: str) -> str | None:
    """The role of a built-in name, for messages; `None` for a free name."""
    if name in COLUMNS:
        return "a column that every candidate has"
    if name in FUNCTIONS:
        return "a function"
    if name in DELIMITERS:
        return "a delimiter of the policy"
    if name == UNSET:
        return "the value that leaves a clause as it is"
    if name == "problem":
        return "the problem itself"
    if name == "none":
        return "the empty pool"
    return None
