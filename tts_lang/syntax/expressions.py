"""The expressions of the syntax tree, verb phrases included; `nodes` has the rest and exports all.

Every node has a `span`, which equality and printing ignore. A `Name` is a node of its own, so that
a message can point at it. Verb phrases (`Sample` ... `CallOn`) are expressions: the grammar lets
them stand after `=`, after `return` or in parentheses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, TypeAlias

from tts_lang.source import NOWHERE, Span


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Node:
    """Anything that stands somewhere in a file.

    Equality, hashing and printing look at the positional fields only, and are written once here:
    having `dataclass` generate them for every class would double the time to import this module.
    """

    __match_args__: ClassVar[tuple[str, ...]]

    span: Span = NOWHERE

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.__match_args__)))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({', '.join(shown)})"


# ------------------------------------------------------------------------------ small parts


class Unit(Enum):
    """How far one generation goes."""

    SOLUTIONS = "solutions"
    STEPS = "steps"
    THOUGHTS = "thoughts"
    TOKENS = "tokens"


class NumberKind(Enum):
    """How a number was written: `16`, `0.5` (also `1e-3`), `10%`."""

    INTEGER = "integer"
    FLOAT = "float"
    PERCENT = "percent"


class ClauseKind(Enum):
    """Decoding clauses; the value is how the clause is written."""

    TEMPERATURE = "at temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    MIN_P = "min_p"
    MAX = "max"
    WITHIN = "within"
    AT_LEAST = "at least"
    LIKELIEST = "likeliest"
    FROM = "from"
    STOP_AT = "stop at"
    STOP_WHEN = "stop when"


class Operator(Enum):
    """Binary operators, comparisons and tests of a text included."""

    OR = "or"
    AND = "and"
    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    ENDS_WITH = "ends with"
    CONTAINS = "contains"
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    POWER = "**"


class UnaryOperator(Enum):
    """Operators with one operand."""

    NOT = "not"
    NEGATE = "-"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name(Node):
    """A name, where it is given or where it is used."""

    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Argument(Node):
    """`value` or `name = value` in a call."""

    name: Name | None
    value: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parameter(Node):
    """`name` or `name = default` in a header."""

    name: Name
    default: Expression | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Amount(Node):
    """`COUNT [x LENGTH] [UNIT]`; no unit means whole solutions."""

    count: Expression
    length: Expression | None = None
    unit: Unit | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Clause(Node):
    """One decoding clause; `value` is missing for `likeliest` only, and a `Name` for `from`."""

    kind: ClauseKind
    value: Expression | None = None


def find_clause(clauses: tuple[Clause, ...], kind: ClauseKind) -> Clause | None:
    """The clause of this kind; the parser has refused second ones."""
    return next((clause for clause in clauses if clause.kind is kind), None)


# ------------------------------------------------------------------------------ expressions


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Number(Node):
    """A number literal. `value` is the number as written: `10%` has the value 10."""

    value: int | float
    kind: NumberKind = NumberKind.INTEGER
    literal: str = field(default="", kw_only=True)

    @property
    def fraction(self) -> int | float:
        """The number meant: a hundredth of the value for a percentage."""
        return self.value / 100 if self.kind is NumberKind.PERCENT else self.value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Text(Node):
    """A text literal. `block`: written with three quotes; first newline and indentation gone."""

    value: str
    block: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Node):
    """`f(arguments)`: a function, a reduction over a path, or a strategy on the problem."""

    function: Name
    arguments: tuple[Argument, ...] = ()


class TokenRange(Enum):
    """Which tokens a token statistic looks at."""

    ALL = "all"
    STEP = "step"
    ANSWER = "answer"
    TAIL = "tail"
    LOWEST = "lowest"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenSpan(Node):
    """Argument of `confidence`, `certainty`, `entropy`, `margin`.

    `all | step | answer | tail WIDTH | lowest WIDTH [share PART]`. (`confidence(w)` alone stays a
    call with a number and means `lowest w`.)
    """

    range: TokenRange
    width: Expression | None = None
    share: Expression | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Aggregate(Node):
    """A function over a pool: `mean(E of P per KEY)`, `count(P)`, `quantile(E of P, q)`.

    `count`, `share`, `lead`, `entropy` take a pool and no value: `share(P on KEY weighted by E)`.
    `below`: over the descendants of the current row in the pool. `per` alone (no pool) belongs to
    the functions over the current pool: `softmax(E per KEY, temperature)`, `rank(E per KEY)`.
    """

    function: Name
    value: Expression | None
    pool: Expression | None
    below: bool = False
    per: Name | None = None
    key: Name | None = None
    weight: Expression | None = None
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unary(Node):
    """`-E`, `not E`."""

    operator: UnaryOperator
    operand: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Binary(Node):
    """`E + F`, `E < F`, `E and F`, `text ends with T` ..."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conditional(Node):
    """`then if condition else otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Quantified(Node):
    """`all P done` (`every`), or `any P done`."""

    every: bool
    pool: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Where(Node):
    """`P where CONDITION`."""

    pool: Expression
    condition: Expression


# ------------------------------------------------------------------------------ verb phrases


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sample(Node):
    """`sample AMOUNT clauses`."""

    amount: Amount
    clauses: tuple[Clause, ...] = ()


class Dealing(Enum):
    """`by`: each row gets the amount. `to`: the amount is dealt over all rows."""

    BY = "by"
    TO = "to"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expand(Node):
    """`expand P by AMOUNT clauses`; `to AMOUNT [weighted by E [rounding up]] [per KEY] clauses`."""

    pool: Expression
    dealing: Dealing
    amount: Amount
    weight: Expression | None = None
    rounding_up: bool = False
    per: Name | None = None
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fork(Node):
    """`fork P into K`."""

    pool: Expression
    count: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Select(Node):
    """`select top K of P by E [per KEY]`; a percentage as count is a share of the pool."""

    count: Expression
    pool: Expression
    by: Expression
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Best(Node):
    """`best of P by E [per KEY]`."""

    pool: Expression
    by: Expression
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class First(Node):
    """`first [K] of P [per KEY]`."""

    count: Expression | None
    pool: Expression
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sort(Node):
    """`sort P by E [per KEY]`: stable, largest first."""

    pool: Expression
    by: Expression
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Vote(Node):
    """`vote P [on KEY] [weighted by E] [per KEY]`."""

    pool: Expression
    key: Name | None = None
    weight: Expression | None = None
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Resample(Node):
    """`resample P to N by E [per KEY]`."""

    pool: Expression
    count: Expression
    by: Expression
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ask(Node):
    """`ask PROMPT[(arguments)] about P [together [per KEY]] [by AMOUNT] clauses`."""

    prompt: Name
    arguments: tuple[Argument, ...]
    pool: Expression
    together: bool = False
    per: Name | None = None
    amount: Amount | None = None
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Descend(Node):
    """`descend T by E [times K] [staying by F]`."""

    tree: Expression
    by: Expression
    times: Expression | None = None
    staying: Expression | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dedupe(Node):
    """`dedupe P [by KEY] [per KEY]`."""

    pool: Expression
    key: Name | None = None
    per: Name | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cut(Node):
    """`cut P to E steps|tokens`."""

    pool: Expression
    length: Expression
    unit: Unit


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Split(Node):
    """`split P at TEXT [at most K]`."""

    pool: Expression
    separator: Expression
    most: Expression | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CallOn(Node):
    """`strategy(arguments) on P`: once per row, the row being its problem."""

    call: Call
    pool: Expression


VerbPhrase: TypeAlias = (
    Sample
    | Expand
    | Fork
    | Select
    | Best
    | First
    | Sort
    | Vote
    | Resample
    | Ask
    | Descend
    | Dedupe
    | Cut
    | Split
    | CallOn
)
Expression: TypeAlias = (
    Name
    | Number
    | Text
    | Call
    | TokenSpan
    | Aggregate
    | Unary
    | Binary
    | Conditional
    | Quantified
    | Where
    | VerbPhrase
)
