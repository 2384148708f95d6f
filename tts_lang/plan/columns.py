"""The columns that every pool has, as one table.

Scorers and `let` add columns of their own (C28 to C31); these need no declaration. The checker, the
verifier, the bounds of EXPLAIN, the rules of the optimiser and the prover, and the executor read
what they need to know of a column here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from tts_lang.plan.expr import KEY


@dataclass(frozen=True, slots=True)
class BuiltInColumn:
    """A built-in column's entry.

    Args:
        about: What it is, in a few words: what editors show.
        type: "number", "text", "flag", or "key": a reference to a row, for comparing and grouping.
        low, high: Range of a number.
        per_token: A number that is at most one for each token of the context window.
        optional: It is missing in some rows.
        values: What a text can be; empty if it can be anything.
        needs_pool: It says how the row stands among the rows of its pool, so it is not known while
            the row is generated.
        history: It says how the row came about, not what it is: one long generation and a chain of
            short ones that draw the same tokens differ in it.
        lineage: It depends on which row is whose parent.
        engine: The policy's engine has to give it.
    """

    about: str
    type: str
    low: float = -inf
    high: float = inf
    per_token: bool = False
    optional: bool = False
    values: tuple[str, ...] = ()
    needs_pool: bool = False
    history: bool = False
    lineage: bool = False
    engine: bool = False


#: By name. `visits`, `value` and `parent_visits` are those of search trees (C54); a pool that was
#: never backed up reads as unvisited.
COLUMNS: Mapping[str, BuiltInColumn] = {
    "text": BuiltInColumn("everything since the prompt, forced text included", "text"),
    "answer": BuiltInColumn("the final answer in `text`, in canonical form", "text", optional=True),
    "tokens": BuiltInColumn("sampled tokens on the path", "number", low=0, per_token=True),
    "steps": BuiltInColumn("steps on the path", "number", low=0, per_token=True),
    "done": BuiltInColumn("nothing more can be added", "flag", low=0, high=1),
    "finish": BuiltInColumn(
        "why the last generation stopped",
        "text",
        optional=True,
        values=("stop", "end", "length", "cut", "failed"),
        history=True,
    ),
    "logprob": BuiltInColumn(
        "sum of the sampled tokens' log-probabilities", "number", high=0, optional=True, engine=True
    ),
    "parent": BuiltInColumn(
        "what it was expanded from", KEY, optional=True, history=True, lineage=True
    ),
    "root": BuiltInColumn("its tree", KEY, optional=True),
    "index": BuiltInColumn("place in the pool, from 0", "number", low=0, needs_pool=True),
    "visits": BuiltInColumn(
        "how often `backup` reached it", "number", low=0, history=True, lineage=True
    ),
    "value": BuiltInColumn(
        "what `backup` keeps of the values that reached it",
        "number",
        optional=True,
        history=True,
        lineage=True,
    ),
    "parent_visits": BuiltInColumn(
        "the visits of its parent",
        "number",
        low=0,
        optional=True,
        needs_pool=True,
        history=True,
        lineage=True,
    ),
}

NEEDS_POOL = frozenset(name for name, column in COLUMNS.items() if column.needs_pool)
HISTORY = frozenset(name for name, column in COLUMNS.items() if column.history)
LINEAGE = frozenset(name for name, column in COLUMNS.items() if column.lineage)
