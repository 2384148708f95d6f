"""What a strategy decided, as lines of `decisions.jsonl`: rows in, rows out, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from tts_lang.plan.graph import Operation
from tts_lang.values import votes
from tts_runtime.executor.problem import Events, place
from tts_runtime.executor.rows import Candidate
from tts_runtime.executor.scope import Decided, Scope
from tts_runtime.problems.model import Trial
from tts_runtime.record.nodes import place_of

Value: TypeAlias = "bool | int | float | str | None"


class Decision(BaseModel):
    """One execution of an operation that chooses rows."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    problem: str
    seed: int = 0
    op: str = Field(description="select, where, vote, resample, dedupe, first, sort or descend")
    place: str = Field(description="Where it stands: FILE:LINE, without folders")
    round: Sequence[int] = Field(default=(), description="Rounds of the loops around it")
    in_: Sequence[int] = Field(alias="in", description="Nodes that it decided about")
    out: Sequence[int] = Field(description="Nodes that it gave, in order")
    values: Sequence[Value] = Field(
        default=(), description="Per node of `in`: the value of `by`, condition, class or key"
    )
    weights: Sequence[float | None] = Field(default=(), description="Of votes, per node of `in`")
    groups: Sequence[Sequence[int]] = Field(
        default=(), description="With `per`: places in `in` of each group"
    )


class _Heard(NamedTuple):
    """A `Decided` with candidates in place of rows: these stay until the problem ends, anyway."""

    scope: Scope
    operation: Operation
    round: tuple[int, ...]
    about: list[Candidate]
    kept: Sequence[int]
    groups: Sequence[Sequence[int]]
    values: Sequence[Any] | None
    weights: Sequence[float] | None


class DecisionLog:
    """Collects the decisions of a strategy, by problem and seed, until the problem ends."""

    def __init__(self) -> None:
        self._heard: dict[Trial, list[_Heard]] = {}
        #: Where operations stand, by `id`; they are kept with it, so that no other gets theirs.
        self._places: dict[int, tuple[Operation, str]] = {}

    def subscribe(self, trial: Trial, events: Events) -> None:
        """Listens to a run; what an earlier attempt of it decided is forgotten."""
        heard: list[_Heard] = []
        self._heard[trial] = heard

        def decided(event: Decided) -> None:
            about = [row.candidate for row in event.rows]
            heard.append(
                _Heard(
                    event.scope,
                    event.operation,
                    event.round,
                    about,
                    event.kept,
                    event.groups,
                    event.values,
                    event.weights,
                )
            )

        events.subscribe(Decided, decided)

    def forget(self, trial: Trial) -> None:
        """Drops the decisions of a problem that failed."""
        self._heard.pop(trial, None)

    def lines(self, trial: Trial) -> list[dict[str, Any]]:
        """The decisions of a problem that ended, whose nodes have their numbers now.

        They stand in the order of the nodes that they are about, whatever came first in time.
        """
        merged: dict[tuple[object, ...], dict[str, Any]] = {}
        for event in self._heard.pop(trial, ()):
            operation = event.operation
            key = (id(event.scope), id(operation), event.round)
            if id(operation) not in self._places:
                self._places[id(operation)] = operation, place_of(place(operation.origins))
            line = _line(event, self._places[id(operation)][1])
            if key not in merged:
                merged[key] = line
            elif line["op"] == "where":
                for name in ("in", "out", "values"):
                    merged[key][name] += line[name]
            else:
                merged[*key, len(merged)] = line
        found = [(max(line["in"], default=0), _ordered(line)) for line in merged.values()]
        found.sort(key=_LAST)
        # Those about the same nodes may have come in any order.
        same = [[line for _, line in group] for _, group in groupby(found, key=_LAST)]
        return [line for lines in same for line in _in_one_order(lines)]


#: The last node that a decision is about, beside its line.
_LAST: Final = itemgetter(0)


def _in_one_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(lines, key=repr) if len(lines) > 1 else lines


def _line(event: _Heard, at: str) -> dict[str, Any]:
    rows = [each.uid for each in event.about]
    line: dict[str, Any] = {"op": event.operation.spec.op, "place": at}
    if event.round:
        line["round"] = list(event.round)
    line["in"] = rows
    line["out"] = [rows[at] for at in event.kept]
    if event.values is not None:
        line["values"] = _values(event.values)
    if event.weights is not None:
        line["weights"] = _values(event.weights)
    if len(event.groups) > 1:
        line["groups"] = [list(group) for group in event.groups]
    return line


def _ordered(line: dict[str, Any]) -> dict[str, Any]:
    """`where` decides row by row, in order of arrival: written in the order of the nodes."""
    if line["op"] != "where":
        return line
    values: Sequence[Any] = line.get("values") or [None] * len(line["in"])
    pairs = sorted(zip(line["in"], values, strict=True), key=lambda pair: pair[0])
    ordered = {**line, "in": [uid for uid, _ in pairs], "out": sorted(line["out"])}
    if "values" in line:
        ordered["values"] = [value for _, value in pairs]
    return ordered


def _values(values: Sequence[Any]) -> list[Value]:
    if {*map(type, values)} <= _PLAIN:
        return list(values)
    plain = (bool, int, float, str, type(None))
    return [value if isinstance(value, plain) else str(value) for value in values]


#: Types of values that JSON has.
_PLAIN: Final[Set[type]] = {bool, int, float, str, type(None)}


def classes(decision: Mapping[str, Any]) -> list[dict[Value, float]]:
    """Of a vote: the classes of each group and their weights, as counted, the heaviest first."""
    values: Sequence[Value] = decision.get("values", ())
    weights = decision.get("weights") or [1.0] * len(values)
    result = []
    for places in decision.get("groups", (range(len(values)),)):
        ballots: dict[Value, list[float]] = {}
        for at in places:
            if values[at] is not None:
                ballots.setdefault(values[at], []).append(weights[at] or 0.0)
        counted = {key: votes(each) for key, each in ballots.items()}
        result.append(dict(sorted(counted.items(), key=lambda each: -each[1])))
    return result
