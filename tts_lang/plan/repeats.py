"""Finds calls that repeat an earlier call: a call means what it means alone (C13).

Two plain calls of one strategy with equal arguments on equal rows give equal candidates, and so
does one call in every round of a loop that does not change its rows. Fresh calls (C65) never do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

from tts_lang.plan import graph
from tts_lang.plan.expr import Random, fields_in, walk
from tts_lang.plan.graph import Exit, Operation, Region
from tts_lang.plan.operator import Makes, Numbers, entry

#: An operator that numbers these gives other rows each time. (A `fork` gives other rows on the same
#: nodes, so that a call on them gives the same.)
_OTHER_ROWS = (Numbers.CHILDREN, Numbers.DRAWS)


@dataclass(frozen=True, slots=True)
class RepeatedCall:
    """A call that gives what another one gave.

    Args:
        call: The later call.
        earlier: The earlier one; the call itself where it runs in several rounds of a loop.
        meets: Candidates of both may come into one pool, or into one in different rounds.
    """

    call: Operation
    earlier: Operation
    meets: bool


def repeats(region: Region, meaning: Callable[[Operation], Hashable]) -> Iterator[RepeatedCall]:
    """The calls of one scope that repeat others, in program order.

    Args:
        region: The body of a strategy or call; what it calls has scopes of its own.
        meaning: Which strategy a call runs, with which arguments.
    """
    scope = _ScopeValues(meaning)
    scope.region(region, (), ())
    for output, call in scope.calls.items():
        if output in scope.rounds:
            yield RepeatedCall(call, call, True)
        elif output in scope.met:
            yield RepeatedCall(call, scope.calls[scope.met[output]], True)
        elif output in scope.again:
            yield RepeatedCall(call, scope.calls[scope.again[output]], False)


def whole_meaning(call: Operation) -> Hashable:
    """The meaning of an inlined call: its region, with values renumbered."""
    numbers: dict[int, int] = {}

    def number(value: int) -> int:
        return numbers.setdefault(value, len(numbers))

    def described(region: Region) -> Hashable:
        parameters = tuple(map(number, region.parameters))
        operations = tuple(
            (
                operation.spec,
                tuple(map(number, operation.inputs)),
                tuple(map(described, operation.regions)),
                tuple(map(number, operation.outputs)),
            )
            for operation in region.operations
        )
        return parameters, operations, tuple(map(number, region.results)), region.exit

    return call.spec, tuple(map(described, call.regions))


class _ScopeValues:
    """Numbers the values of a scope so that values of one number are equal.

    Attributes:
        calls: By output, in program order.
        again: Calls that repeat another, and that call.
        met: Those whose candidates meet those of another, and that call.
        rounds: Those that repeat themselves.
    """

    def __init__(self, meaning: Callable[[Operation], Hashable]) -> None:
        self.meaning = meaning
        self.calls: dict[int, Operation] = {}
        self.again: dict[int, int] = {}
        self.met: dict[int, int] = {}
        self.rounds: set[int] = set()
        self._places: dict[int, int] = {}
        self._numbers: dict[Hashable, int] = {}
        #: By number: the loops in whose rounds the value differs.
        self._varies: list[frozenset[int]] = []
        self._of: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._loops = 0
        #: By pool: calls whose candidates may be in it, one for each number of a call's result.
        self._holds: dict[int, dict[int, int]] = {}

    def region(self, region: Region, around: tuple[int, ...], again: tuple[int, ...]) -> None:
        """The operations inside the loops `around`, in whose rounds `again` they may run again."""
        for parameter in region.parameters:
            if parameter not in self._of:
                self._of[parameter] = self._own(parameter, around)
        for operation in region.operations:
            match operation.spec:
                case graph.Repeat(trips):
                    self._repeat(operation, trips, around, again)
                case graph.Branch():
                    self._branch(operation, around, again)
                case graph.Call() as spec:
                    self._call(operation, spec, around, again)
                case _:
                    self._plain(operation, around)

    # ------------------------------------------------------------------ numbers

    def _own(self, value: int, around: tuple[int, ...]) -> int:
        """The number of a value that equals no other, in no other round."""
        return self._number(("own", value), frozenset(around))

    def _derived(self, what: Hashable, values: Iterable[int]) -> int:
        """The number of what depends on these values alone."""
        numbers = tuple(self._of[value] for value in values)
        varies = frozenset[int]().union(*(self._varies[number] for number in numbers))
        return self._number((what, numbers), varies)

    def _number(self, key: Hashable, varies: frozenset[int]) -> int:
        number = self._numbers.setdefault(key, len(self._varies))
        if number == len(self._varies):
            self._varies.append(varies)
        return number

    # ------------------------------------------------------------------ operations

    def _plain(self, operation: Operation, around: tuple[int, ...]) -> None:
        spec, output = operation.spec, operation.outputs[0]
        operator = entry(spec)
        drawn = operator.numbers in _OTHER_ROWS or any(
            isinstance(node, Random) for field in fields_in(spec) for node in walk(field)
        )
        self._of[output] = (
            self._own(output, around) if drawn else self._derived(spec, operation.inputs)
        )
        sources = operation.inputs[: operator.row_inputs]
        if operator.makes is Makes.BOTH:
            self._meet(*sources)
        if operator.numbers is not Numbers.CHILDREN:  # which gives new rows
            self._hold(output, sources)

    def _hold(self, value: int, sources: Iterable[int]) -> None:
        merged: dict[int, int] = {}
        for source in sources:
            merged = {**self._holds.get(source, {}), **merged}
        if merged:
            self._holds[value] = merged

    def _meet(self, one: int, other: int) -> None:
        left, right = self._holds.get(one, {}), self._holds.get(other, {})
        for number in left.keys() & right.keys():
            earlier, later = sorted((left[number], right[number]), key=self._places.__getitem__)
            if earlier != later:
                self.met.setdefault(later, earlier)

    def _call(
        self,
        operation: Operation,
        spec: graph.Call,
        around: tuple[int, ...],
        again: tuple[int, ...],
    ) -> None:
        output = operation.outputs[0]
        self.calls[output] = operation
        self._places[output] = len(self._places)
        if spec.fresh:
            self._of[output] = self._own(output, around)
            return
        number = self._derived((self.meaning(operation), spec.on_rows), operation.inputs)
        self._of[output] = number
        self._holds[output] = {number: output}
        first = self._first.setdefault(number, output)
        if first != output:
            self.again[output] = first
        if again and again[-1] not in self._varies[number]:
            self.rounds.add(output)

    def _branch(
        self, operation: Operation, around: tuple[int, ...], again: tuple[int, ...]
    ) -> None:
        for side in operation.regions:
            self.region(side, around, again if side.exit is Exit.YIELD else ())
        ends = [side.results for side in operation.regions if side.exit is Exit.YIELD]
        for place, output in enumerate(operation.outputs):
            sides = [results[place] for results in ends]
            if len({self._of[value] for value in sides}) == 1:
                self._of[output] = self._of[sides[0]]
            else:
                self._of[output] = self._derived("branch", [operation.inputs[0], *sides])
            self._hold(output, sides)

    def _repeat(
        self, operation: Operation, trips: int, around: tuple[int, ...], again: tuple[int, ...]
    ) -> None:
        until, body = operation.regions
        rounds = trips > 1 and body.exit is Exit.YIELD
        inside, inner = around, again
        if rounds:
            self._loops += 1
            inside, inner = (*around, self._loops), (*again, self._loops)
        for place, value in enumerate(operation.inputs):
            unchanged = not rounds or body.results[place] == body.parameters[place]
            for parameter in (until.parameters[place], body.parameters[place]):
                self._of[parameter] = self._of[value] if unchanged else self._own(parameter, inside)
                self._hold(parameter, [value])
        self.region(until, inside, inner)
        self.region(body, inside, inner)
        for place, output in enumerate(operation.outputs):
            self._of[output] = self._own(output, around)
            ends = [body.results[place]] if body.exit is Exit.YIELD else []
            self._hold(output, [operation.inputs[place], *ends])
