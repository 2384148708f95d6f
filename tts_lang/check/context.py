"""The state of elaboration: the check, the strategy being walked, its variables and regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import TypeAlias

from tts_lang.check.scope import Declared, FileScope, Role
from tts_lang.check.types import PoolType, ScalarType, Typed
from tts_lang.check.uses import Uses
from tts_lang.diagnostics import Diagnostic, error, warning
from tts_lang.plan.expr import Input
from tts_lang.plan.graph import (
    Exit,
    Kind,
    Operation,
    Origin,
    Region,
    Scorer,
    Spec,
    Value,
)
from tts_lang.plan.operator import entry
from tts_lang.plan.rows import RowLimit
from tts_lang.plan.template import Template
from tts_lang.source import Span
from tts_lang.syntax import nodes

#: Number of the value that stands for what has been reported already.
NO_VALUE = -1


@dataclass(frozen=True, slots=True)
class PoolValue:
    """A pool that has a value number in the plan."""

    number: int
    type: PoolType


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, text or flag that is computed when the plan runs."""

    number: int
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Fixed:
    """A number or text that is known now."""

    typed: Typed


@dataclass(frozen=True, slots=True)
class Unset:
    """A variable that has no value on some path; `why` says on which."""

    why: str


#: The value of a variable.
Binding: TypeAlias = PoolValue | Scalar | Fixed | Unset


@dataclass(frozen=True, slots=True)
class NameValue:
    """A parameter's value that is a name: a scorer, policy, prompt, strategy or reduction.

    `arguments` are those that it has already: `beam_search(width = 8)` (C71).
    """

    role: Role
    name: str
    declared: Declared | None = None
    arguments: tuple[tuple[str, Parameter], ...] = ()


Parameter: TypeAlias = "Typed | NameValue"


@dataclass(slots=True)
class Inputs:
    """The inputs of the operation that is being made; equal values share a place."""

    numbers: list[int] = field(default_factory=list)

    def index(self, number: int) -> int:
        """The place of a value among the inputs; added at the end if it is new."""
        if number not in self.numbers:
            self.numbers.append(number)
        return self.numbers.index(number)

    def read(self, scalar: Scalar) -> Typed:
        """An expression that reads a computed scalar."""
        return Typed(scalar.type, Input(self.index(scalar.number)))


@dataclass(slots=True)
class RegionBuilder:
    """Operations of a region that is being made."""

    parameters: tuple[int, ...] = ()
    operations: list[Operation] = field(default_factory=list)
    results: tuple[int, ...] = ()
    exit: Exit = Exit.YIELD

    def region(self) -> Region:
        """The finished region."""
        return Region(self.parameters, tuple(self.operations), self.results, self.exit)


#: Limits of one plan, so that everything that is done with it stays quick: values, blocks and calls
#: inside each other (an arm of `choose` lies in the one before), and made columns of a pool.
MOST_VALUES = 10_000
MOST_NESTED = 44
MOST_COLUMNS = 200


class PlanTooLarge(Exception):
    """A limit is passed; the argument says which, with the place if that is one statement."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        super().__init__()
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a strategy's text that hold for all arguments."""

    uses: Uses
    let_columns: frozenset[str]
    broken: bool  # some statement did not parse


@dataclass(frozen=True, slots=True)
class Callee:
    """Facts about a strategy that has been walked, for its callers.

    Args:
        thinks: Its own statements use thoughts.
        closed: All that it returns is done.
    """

    thinks: bool
    closed: bool


@dataclass(slots=True)
class CheckContext:
    """State shared by all strategies of one check or compilation.

    Args:
        plan_wanted: Calls are inlined. Otherwise a called strategy is checked once for each list
            of arguments, so that checking stays fast whatever the calls would grow to.
        bounds: Upper bound of the rows of each value; infinite for one that is no pool.
    """

    plan_wanted: bool
    diagnostics: list[Diagnostic] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    before: int = 0
    policies: dict[str, None] = field(default_factory=lambda: {"policy": None})
    scorers: dict[str, tuple[Declared, Scorer]] = field(default_factory=dict)
    prompts: dict[str, tuple[Declared, Template]] = field(default_factory=dict)
    checked: dict[object, Callee] = field(default_factory=dict)
    facts: dict[int, Facts] = field(default_factory=dict)
    collisions: dict[int, list[Diagnostic]] = field(default_factory=dict)

    def add(self, diagnostic: Diagnostic) -> None:
        """Keeps a finding."""
        self.diagnostics.append(diagnostic)

    def begin(self) -> None:
        """Another plan begins: the values so far are not its own."""
        self.before = len(self.values)

    def new(self, value: Value, bound: float = inf) -> int:
        """The number of a new value; raises `PlanTooLarge` where there are too many."""
        if len(self.values) - self.before >= MOST_VALUES:
            raise PlanTooLarge
        self.values.append(value)
        self.bounds.append(bound)
        return len(self.values) - 1

    def mark(self) -> tuple[int, int, int]:
        """The current numbers of findings and values, for `back_to`."""
        return len(self.diagnostics), len(self.values), len(self.checked)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Forgets what was found and made since a mark: a loop's body is walked again."""
        findings, values, checked = mark
        del self.diagnostics[findings:]
        del self.values[values:]
        del self.bounds[values:]
        for key in list(self.checked)[checked:]:
            del self.checked[key]


@dataclass(slots=True)
class StrategyContext:
    """One strategy being walked with given arguments.

    Args:
        warn: Whether warnings are wanted: not inside calls, whose files have their own check.
        numbers_matter: False in a branch that the constants rule out: what its counts would be
            does not matter.
        used: `score` statements whose column something read.
        flows: Further `score` statements that are used when one is: those of a round before.
        guarded: Pools whose emptiness the strategy looks at.
        reported: Unknown names that have had their message.
        idle: Variables of a loop about which there is a warning already.
        still: `expand` phrases about which there is one.
        closed: All that has been returned so far is done.
        outside: Regions around the call of this strategy.
        calls: By the output of a call of a strategy: where it stands, and what it runs.
    """

    check: CheckContext
    scope: FileScope
    declared: Declared
    parameters: dict[str, Parameter]
    facts: Facts
    chain: tuple[Declared, ...]
    warn: bool
    problem: int = 0
    env: dict[str, Binding] = field(default_factory=dict)
    regions: list[RegionBuilder] = field(default_factory=list)
    loops: list[nodes.RepeatStatement] = field(default_factory=list)
    assumed: dict[Span, dict[str, PoolType]] = field(default_factory=dict)
    numbers_matter: bool = True
    thinks: bool = False
    closed: bool = True
    calls: dict[int, tuple[nodes.CallExpression, object]] = field(default_factory=dict)
    used: set[Span] = field(default_factory=set)
    flows: dict[Span, set[Span]] = field(default_factory=dict)
    scored: dict[Span, tuple[str, Span]] = field(default_factory=dict)
    default_policy: str = "policy"
    guarded: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    still: set[Span] = field(default_factory=set)
    notes: tuple[str, ...] = ()
    outside: int = 0

    @property
    def strategy(self) -> nodes.StrategyDeclaration:
        """The declaration of the strategy."""
        return self.declared.strategy

    @property
    def let_columns(self) -> frozenset[str]:
        """The columns that some `let` of the strategy makes."""
        return self.facts.let_columns

    def needed(self, name: str, node: nodes.SyntaxNode) -> bool:
        """Whether a variable is read after a statement, or in another round of a loop around it."""
        uses = self.facts.uses
        return uses.after(name, node.span.end) or any(
            uses.within(name, loop.span) for loop in self.loops
        )

    # -------------------------------------------------------------------------- messages

    def error(
        self,
        code: str,
        message: str,
        node: nodes.SyntaxNode,
        help_: str | None = None,
        *,
        notes: tuple[str, ...] = (),
        expected: tuple[str, ...] = (),
    ) -> None:
        """Reports an error at a node."""
        self.check.add(
            error(
                code,
                message,
                node.span,
                self.scope.source,
                expected=expected,
                suggestion=help_,
                notes=notes + self.notes,
            )
        )

    def warning(
        self, code: str, message: str, node: nodes.SyntaxNode, help_: str | None = None
    ) -> None:
        """Reports a warning at a node, where warnings are wanted."""
        if self.warn:
            self.check.add(warning(code, message, node.span, self.scope.source, suggestion=help_))

    def line(self, node: nodes.SyntaxNode) -> int:
        """The line on which a node starts."""
        return self.scope.source.position(node.span.start).line

    # -------------------------------------------------------------------------- making the plan

    def value(self, kind: Kind, name: str = "", columns: Mapping[str, str] | None = None) -> int:
        """A new value."""
        return self.check.new(Value(kind, name, {} if columns is None else columns))

    def pool_value(self, type_: PoolType, name: str = "") -> int:
        """A new value that is a pool."""
        columns = None
        if type_.columns is not None:
            columns = {key: column.type.value for key, column in type_.columns.items()}
        return self.check.new(Value(Kind.POOL, name, columns), type_.bound)

    def origin(self, node: nodes.SyntaxNode) -> tuple[Origin, ...]:
        """The line and column of a node."""
        source = self.scope.source
        place = source.position(node.span.start)
        return (Origin(source.name, place.line, place.column),)

    def enter(self, builder: RegionBuilder, node: nodes.SyntaxNode) -> None:
        """Begins a region inside the one that is being made."""
        if self.outside + len(self.regions) > MOST_NESTED:
            raise self.too_large(
                "TTS407",
                f"more than {MOST_NESTED} blocks, branches and calls inside each other",
                node,
                "each `else if` and each arm of `choose` lies inside the one before: use fewer",
            )
        self.regions.append(builder)

    def too_large(
        self, code: str, message: str, node: nodes.SyntaxNode, help_: str
    ) -> PlanTooLarge:
        """The exception for a statement that passes a limit."""
        source = self.scope.source
        return PlanTooLarge(
            error(code, message, node.span, source, suggestion=help_, notes=self.notes)
        )

    def emit(
        self,
        spec: Spec,
        inputs: Inputs,
        outputs: tuple[int, ...],
        node: nodes.SyntaxNode,
        regions: tuple[Region, ...] = (),
    ) -> None:
        """Adds an operation to the region that is being made."""
        self.regions[-1].operations.append(
            Operation(spec, tuple(inputs.numbers), outputs, regions, self.origin(node))
        )

    def emit_pool(
        self, spec: Spec, inputs: Inputs, type_: PoolType, node: nodes.SyntaxNode
    ) -> PoolValue:
        """Adds an operation that gives one pool.

        Args:
            type_: The pool's type but for its bound, which the operator's row rule gives.
        """
        operator = entry(spec)
        assert operator.rows is not None
        rows = RowLimit([self._bound(number) for number in inputs.numbers])
        type_ = replace(type_, bound=operator.rows(spec, rows))
        number = self.pool_value(type_)
        self.emit(spec, inputs, (number,), node)
        return PoolValue(number, type_)

    def _bound(self, number: int) -> float:
        return 1 if number == NO_VALUE else self.check.bounds[number]

    def returned(self, pool: PoolValue) -> None:
        """Ends the region that is being made by returning a pool."""
        self.regions[-1].exit = Exit.RETURN
        self.regions[-1].results = (pool.number,)
        self.closed = self.closed and pool.type.closed

    def rename(self, number: int, name: str) -> None:
        """Gives a value the name of the variable that it is assigned to, if it has none yet."""
        value = self.check.values[number] if number >= 0 else None
        if value is not None and not value.name:
            self.check.values[number] = Value(value.kind, name, value.columns)
