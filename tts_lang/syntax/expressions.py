"""The expressions of the syntax tree, verb phrases included; `nodes` has the rest and exports all.

Every node has a `span`, which equality and printing ignore. A `Name` is a node of its own, so that
a message can point at it. Verb phrases (`Sample` ... `CallOn`) are expressions: the grammar lets
them stand after `=`, after `return` or in parentheses.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TypeAlias

from tts_lang.plan.decoding import Unit as Unit
from tts_lang.syntax.node import SyntaxNode, node

# ------------------------------------------------------------------------------ small parts


class NumberKind(Enum):
    """Notations of numbers: `16`, `0.5` (also `1e-3`), `10%`."""

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
    END_WHEN = "end when"
    MATCHING = "matching"
    ONE_OF = "one of"
    AVOIDING = "avoiding"


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


@node
class Name(SyntaxNode):
    """A name, where it is given or where it is used."""

    text: str


@node
class Argument(SyntaxNode):
    """`value` or `name = value` in a call."""

    name: Name | None
    value: Expression


@node
class Parameter(SyntaxNode):
    """`name` or `name = default` in a header."""

    name: Name
    default: Expression | None = None


@node
class AmountPhrase(SyntaxNode):
    """`COUNT [x LENGTH] [UNIT]`; no unit means whole solutions."""

    count: Expression
    length: Expression | None = None
    unit: Unit | None = None


@node
class Clause(SyntaxNode):
    """One decoding clause; `value` is a `Name` for `from`, and missing for `likeliest`, `one of`.

    `words`: the texts of `one of` and `avoiding`.
    """

    kind: ClauseKind
    value: Expression | None = None
    words: tuple[Expression, ...] = ()


def find_clause(clauses: tuple[Clause, ...], kind: ClauseKind) -> Clause | None:
    """The clause of this kind; the parser has refused second ones."""
    return next((clause for clause in clauses if clause.kind is kind), None)


# ------------------------------------------------------------------------------ expressions


@node
class Number(SyntaxNode):
    """A number literal. `value` is the number as written: `10%` has the value 10."""

    value: int | float
    kind: NumberKind = NumberKind.INTEGER
    literal: str = field(default="", kw_only=True)

    @property
    def fraction(self) -> int | float:
        """The number meant: a hundredth of the value for a percentage."""
        return self.value / 100 if self.kind is NumberKind.PERCENT else self.value


@node
class Text(SyntaxNode):
    """A text literal. `block`: written with three quotes; first newline and indentation gone."""

    value: str
    block: bool = field(default=False, kw_only=True)


@node
class CallExpression(SyntaxNode):
    """`f(arguments)`: a function, a reduction over a path, or a strategy on the problem.

    `fresh`: a strategy, on samples of its own (C65).
    """

    function: Name
    arguments: tuple[Argument, ...] = ()
    fresh: bool = False


class TokenRange(Enum):
    """The tokens that a token statistic covers."""

    ALL = "all"
    STEP = "step"
    ANSWER = "answer"
    TAIL = "tail"
    LOWEST = "lowest"


@node
class TokenSpan(SyntaxNode):
    """Argument of `confidence`, `certainty`, `entropy`, `margin`.

    `all | step | answer | tail WIDTH | lowest WIDTH [share PART]`. (`confidence(w)` alone stays a
    call with a number and means `lowest w`.)
    """

    range: TokenRange
    width: Expression | None = None
    share: Expression | None = None


@node
class AggregateExpression(SyntaxNode):
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
    on: Name | None = None
    weight: Expression | None = None
    arguments: tuple[Argument, ...] = ()


@node
class UnaryExpression(SyntaxNode):
    """`-E`, `not E`."""

    operator: UnaryOperator
    operand: Expression


@node
class BinaryExpression(SyntaxNode):
    """`E + F`, `E < F`, `E and F`, `text ends with T` ..."""

    operator: Operator
    left: Expression
    right: Expression


@node
class ConditionalExpression(SyntaxNode):
    """`then if condition else otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@node
class QuantifiedExpression(SyntaxNode):
    """`all P done` (`every`), or `any P done`."""

    every: bool
    pool: Expression


@node
class WhereExpression(SyntaxNode):
    """`P where CONDITION`."""

    pool: Expression
    condition: Expression


# ------------------------------------------------------------------------------ verb phrases


@node
class SamplePhrase(SyntaxNode):
    """`sample AMOUNT clauses`."""

    amount: AmountPhrase
    clauses: tuple[Clause, ...] = ()


class Dealing(Enum):
    """`by`: each row gets the amount. `to`: the amount is dealt over all rows."""

    BY = "by"
    TO = "to"


@node
class ExpandPhrase(SyntaxNode):
    """`expand P by AMOUNT clauses`; `to AMOUNT [weighted by E [rounding up]] [per KEY] clauses`."""

    pool: Expression
    dealing: Dealing
    amount: AmountPhrase
    weight: Expression | None = None
    rounding_up: bool = False
    per: Name | None = None
    clauses: tuple[Clause, ...] = ()


@node
class SelectPhrase(SyntaxNode):
    """`select top K of P by E [per KEY]`; a percentage as count is a share of the pool."""

    count: Expression
    pool: Expression
    by: Expression
    per: Name | None = None


@node
class BestPhrase(SyntaxNode):
    """`best of P by E [per KEY]`."""

    pool: Expression
    by: Expression
    per: Name | None = None


@node
class InTurn(SyntaxNode):
    """`(a, b)` behind `by`: the first that differs decides."""

    keys: tuple[Expression, ...]


@node
class FirstPhrase(SyntaxNode):
    """`first [K] of P [per KEY]`."""

    count: Expression | None
    pool: Expression
    per: Name | None = None


@node
class AskPhrase(SyntaxNode):
    """`ask PROMPT[(arguments)] about P [together [per KEY]] [with history] [by AMOUNT] clauses`."""

    prompt: Name
    arguments: tuple[Argument, ...]
    pool: Expression
    together: bool = False
    per: Name | None = None
    amount: AmountPhrase | None = None
    clauses: tuple[Clause, ...] = ()
    history: bool = False


@node
class VerbClause(SyntaxNode):
    """A clause of a `PoolVerb`: the field of the operator, and what is written in it."""

    field: str
    value: Expression | Unit


@node
class PoolVerbPhrase(SyntaxNode):
    """A verb on one pool, as in `sort P by E [per KEY]`; `plan.ops` has its form and clauses."""

    verb: str
    pool: Expression
    clauses: tuple[VerbClause, ...] = ()


@node
class CallOnPhrase(SyntaxNode):
    """`[fresh] strategy(arguments) on P`: once per row, the row being its problem."""

    call: CallExpression
    pool: Expression


VerbPhrase: TypeAlias = (
    SamplePhrase
    | ExpandPhrase
    | SelectPhrase
    | BestPhrase
    | FirstPhrase
    | AskPhrase
    | PoolVerbPhrase
    | CallOnPhrase
)
Expression: TypeAlias = (
    Name
    | Number
    | Text
    | CallExpression
    | TokenSpan
    | AggregateExpression
    | UnaryExpression
    | BinaryExpression
    | ConditionalExpression
    | QuantifiedExpression
    | WhereExpression
    | InTurn
    | VerbPhrase
)
