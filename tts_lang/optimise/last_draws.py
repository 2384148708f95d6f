"""Finds generations whose text is the answer, whatever they draw.

An analysis of the plan: where it ends in one sample, a server can show the answer's tokens while
they are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias

from tts_lang.optimise.early_exit import values_read
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Plan, Region

#: Per loop around an operation in its strategy call, the outermost first: the round in which it
#: runs; `None`: any, since the strategy returns in that round.
Rounds: TypeAlias = tuple[int | None, ...]


def last_draws(plan: Plan) -> Mapping[int, Rounds]:
    """Values of generations and calls whose rows a strategy, or a call, returns as they are.

    They are read by nothing but `let`, `score` and what ends regions, none of which drops a row or
    changes its text. So a generation draws what its strategy returns if it runs in these rounds and
    makes one row; a call of that kind returns it for its caller.
    """
    draws: dict[int, Rounds] = {}
    readers = Counter(values_read(plan.body))
    _search(plan.body, (), (), 0, readers, draws)
    return draws


def _search(
    region: Region,
    yielded: Collection[int],
    rounds: Rounds,
    loops: int,
    readers: Counter[int],
    draws: dict[int, Rounds],
) -> None:
    """Looks for them in a region.

    Args:
        region: The region.
        yielded: Values that become the answer where it ends by YIELD, in the rounds `rounds`.
        rounds: Of the loops around it.
        loops: How many those are.
        readers: How often each value is read.
        draws: Is filled.
    """
    final: dict[int, Rounds] = {}
    if region.exit is Exit.RETURN:
        final[region.results[0]] = (None,) * loops
    elif region.exit is Exit.YIELD:
        final = dict.fromkeys(yielded, rounds)
    for operation in reversed(region.operations):
        spec = operation.spec
        places = [
            place
            for place, value in enumerate(operation.outputs)
            if value in final and readers[value] == 1
        ]
        where = final[operation.outputs[places[0]]] if places else ()
        if isinstance(spec, graph.Expand | graph.Ask | graph.Call) and places:
            draws[operation.outputs[0]] = where
        if isinstance(spec, graph.Let | graph.Score) and places:
            final[operation.inputs[0]] = where
        elif isinstance(spec, graph.Call):
            _search(operation.regions[0], (), (), 0, readers, draws)
        elif isinstance(spec, graph.Repeat | graph.Branch):
            last: Rounds = (spec.trips - 1,) if isinstance(spec, graph.Repeat) else ()
            for inner in operation.regions[len(last) :]:
                ends = inner.exit is Exit.YIELD
                results = [inner.results[place] for place in places] if ends else []
                _search(inner, results, (*where, *last), loops + len(last), readers, draws)


def are_running(rounds: Rounds, running: tuple[int, ...]) -> bool:
    """Whether loops are in these rounds; `running`: the rounds that they are in."""
    return len(rounds) == len(running) and all(
        expected is None or expected == number
        for expected, number in zip(rounds, running, strict=True)
    )
