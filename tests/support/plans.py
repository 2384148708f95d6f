"""Plans built by hand, for what looks at plans without a compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tts_lang.plan import graph
from tts_lang.plan.expr import Aggregate, Apply, Column, Const, Expr, Input, Reduce
from tts_lang.plan.graph import (
    Amount,
    Decoding,
    Exit,
    Kind,
    Operation,
    Origin,
    Plan,
    Region,
    Scorer,
    Spec,
    Unit,
    Value,
)
from tts_lang.plan.template import Template

PRM = {"prm": "steps"}
LAST = Reduce("last", "prm")


def steps(count: int, length: int | None = None) -> Amount:
    """`COUNT [x LENGTH] steps`."""
    return Amount(Const(count), Unit.STEPS, None if length is None else Const(length))


def solutions(count: int) -> Amount:
    """`COUNT` whole solutions."""
    return Amount(Const(count))


class Builder:
    """Builds one region after another; `problem` is value 0."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.stack: list[list[Operation]] = [[]]
        self.problem = self.value(Kind.POOL, "problem")

    def value(self, kind: Kind, name: str = "", columns: Mapping[str, str] | None = None) -> int:
        """A value that nothing defines yet."""
        self.values.append(Value(kind, name, dict(columns or {})))
        return len(self.values) - 1

    def add(
        self,
        spec: Spec,
        *inputs: int,
        outputs: tuple[int, ...],
        regions: tuple[Region, ...] = (),
    ) -> tuple[int, ...]:
        """An operation with given outputs; its origin is its number in the region."""
        line = len(self.stack[-1]) + 1
        operation = Operation(spec, inputs, outputs, regions, (Origin("hand.tts", line, 1),))
        self.stack[-1].append(operation)
        return outputs

    def pool(
        self, spec: Spec, *inputs: int, name: str = "", columns: Mapping[str, str] | None = None
    ) -> int:
        """An operation that gives a pool."""
        return self.add(spec, *inputs, outputs=(self.value(Kind.POOL, name, columns),))[0]

    def flag(self, expression: Expr, *inputs: int) -> int:
        """A flag computed from an expression."""
        flag = self.value(Kind.FLAG)
        return self.add(graph.Compute(expression), *inputs, outputs=(flag,))[0]

    def region(
        self,
        build: Callable[..., tuple[int, ...]],
        *parameters: int,
        exit: Exit = Exit.YIELD,
    ) -> Region:
        """A region: `build(*parameters)` adds its operations and gives its results."""
        self.stack.append([])
        results = build(*parameters)
        return Region(parameters, tuple(self.stack.pop()), results, exit)

    def repeat(
        self,
        trips: int,
        carried: tuple[int, ...],
        until: Callable[..., Expr],
        body: Callable[..., tuple[int, ...]],
    ) -> tuple[int, ...]:
        """A loop; `until` gives an expression over the carried values (inputs 0, 1 ...)."""

        def fresh() -> tuple[int, ...]:
            old = [self.values[value] for value in carried]
            return tuple(self.value(v.kind, v.name, v.columns) for v in old)

        asked = self.region(lambda *given: (self.flag(until(), *given),), *fresh())
        rounds = self.region(body, *fresh())
        return self.add(graph.Repeat(trips), *carried, outputs=fresh(), regions=(asked, rounds))

    def plan(self, result: int, strategy: str = "hand", exit: Exit = Exit.RETURN) -> Plan:
        """The finished plan, with a process scorer `prm`, an outcome scorer `orm`, a prompt."""
        results = (result,) if exit is Exit.RETURN else ()
        return Plan(
            strategy=strategy,
            parameters={},
            body=Region((self.problem,), tuple(self.stack[0]), results, exit),
            values=tuple(self.values),
            scorers=(Scorer("prm", steps=True), Scorer("orm", steps=False)),
            prompts=(Template("revise", ("again",)),),
        )


def best(build: Builder, pool: int) -> int:
    """`best of pool by last(prm)`."""
    return build.pool(graph.Select(LAST, Const(1)), pool, name="", columns=PRM)


def beam_search(n: int = 16, width: int = 4, depth: int = 40) -> Plan:
    """Beam search as in the shipped strategy of that name."""
    build = Builder()
    expand = graph.Expand(steps(width), Decoding())

    def scored(pool: int) -> int:
        return build.pool(graph.Score("prm"), pool, name="beams", columns=PRM)

    def round_(beams: int) -> tuple[int, ...]:
        kept = build.pool(graph.Select(LAST, Const(n // width)), beams, name="beams", columns=PRM)
        return (scored(build.pool(expand, kept, name="beams")),)

    first = build.pool(graph.Expand(steps(n), Decoding()), build.problem, name="beams")
    (beams,) = build.repeat(depth - 1, (scored(first),), lambda: Aggregate("all done", 0), round_)
    ends = build.pool(graph.Expand(solutions(1), Decoding()), beams, name="beams")
    return build.plan(best(build, scored(ends)), "beam_search")


def rebase(n: int = 16, depth: int = 40) -> Plan:
    """REBASE's loop: dealt to what is missing, guarded by `count(finished) >= n`."""
    build = Builder()
    done, live = Column("done"), Apply("not", (Column("done"),))
    deal = graph.Expand(
        Amount(Apply("-", (Const(n), Aggregate("count", 1))), Unit.STEPS), Decoding(), deal=True
    )

    def round_(finished: int, rows: int) -> tuple[int, ...]:
        children = build.pool(deal, rows, finished, name="live")
        ended = build.pool(graph.Where(done), children)
        return (
            build.pool(graph.Union(), finished, ended, name="finished"),
            build.pool(graph.Where(live), children, name="live"),
        )

    first = build.pool(graph.Expand(steps(n), Decoding()), build.problem, name="live")
    finished, rows = build.repeat(
        depth,
        (
            build.pool(graph.Where(done), first, name="finished"),
            build.pool(graph.Where(live), first, name="live"),
        ),
        lambda: Apply(">=", (Aggregate("count", 0), Const(n))),
        round_,
    )
    both = build.pool(graph.Union(), finished, rows)
    return build.plan(build.pool(graph.Vote(), both), "rebase")


__all__ = ["LAST", "PRM", "Builder", "Input", "beam_search", "best", "rebase", "solutions", "steps"]
