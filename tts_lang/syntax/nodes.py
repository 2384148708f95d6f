"""The syntax tree of a strategy file: immutable values, equal when they mean the same text.

Every node has a `span`, which equality and printing ignore. A `Name` is a node of its own, so that
a message can point at it. Verb phrases (`Sample` ... `CallOn`) are expressions: the grammar lets
them stand after `=`, after `return` or in parentheses.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from tts_lang.syntax.expressions import (
    AggregateExpression,
    AmountPhrase,
    Argument,
    AskPhrase,
    BestPhrase,
    BinaryExpression,
    CallExpression,
    CallOnPhrase,
    Clause,
    ClauseKind,
    ConditionalExpression,
    Dealing,
    ExpandPhrase,
    Expression,
    FirstPhrase,
    InTurn,
    Name,
    Number,
    NumberKind,
    Operator,
    Parameter,
    PoolVerbPhrase,
    QuantifiedExpression,
    SamplePhrase,
    SelectPhrase,
    Text,
    TokenRange,
    TokenSpan,
    UnaryExpression,
    UnaryOperator,
    Unit,
    VerbClause,
    VerbPhrase,
    WhereExpression,
    find_clause,
)
from tts_lang.syntax.node import SyntaxNode, node

__all__ = [
    "AggregateExpression",
    "AmountPhrase",
    "Argument",
    "Arm",
    "AskPhrase",
    "AssignStatement",
    "BackupStatement",
    "BestPhrase",
    "BinaryExpression",
    "Broken",
    "CallExpression",
    "CallOnPhrase",
    "ChooseStatement",
    "Clause",
    "ClauseKind",
    "ConditionalExpression",
    "Dealing",
    "ExpandPhrase",
    "Expression",
    "File",
    "FirstPhrase",
    "ForceStatement",
    "IfStatement",
    "Import",
    "InTurn",
    "Item",
    "JudgeDeclaration",
    "JudgeView",
    "Law",
    "LetStatement",
    "Name",
    "Number",
    "NumberKind",
    "Operator",
    "Parameter",
    "PolicyDeclaration",
    "PoolVerbPhrase",
    "PromptDeclaration",
    "QuantifiedExpression",
    "ReadKind",
    "ReadOption",
    "Reading",
    "RepeatStatement",
    "ReturnStatement",
    "SamplePhrase",
    "ScoreStatement",
    "ScorerDeclaration",
    "ScorerScale",
    "SelectPhrase",
    "Statement",
    "StrategyDeclaration",
    "SyntaxNode",
    "Text",
    "TokenRange",
    "TokenSpan",
    "UnaryExpression",
    "UnaryOperator",
    "Unit",
    "ValueRange",
    "VerbClause",
    "VerbPhrase",
    "WhereExpression",
    "find_clause",
]

# ------------------------------------------------------------------------------ statements


@node
class Broken(SyntaxNode):
    """A statement or top-level item that did not parse; its error has been reported.

    `names` are what it would have given a value or declared, in its block too, as far as that could
    be read: later uses of them are not worth a second message.
    """

    names: tuple[Name, ...] = ()


@node
class AssignStatement(SyntaxNode):
    """`target = value`."""

    target: Name
    value: Expression


@node
class ScoreStatement(SyntaxNode):
    """`score P by S[(arguments)] [times K] [looking ahead K steps] [per KEY]`."""

    pool: Expression
    scorer: Name
    arguments: tuple[Argument, ...] = ()
    times: Expression | None = None
    look_ahead: Expression | None = None
    per: Name | None = None


@node
class ForceStatement(SyntaxNode):
    """`force TEXT into P`."""

    text: Expression
    pool: Expression


@node
class LetStatement(SyntaxNode):
    """`let COLUMN of P = E`."""

    column: Name
    pool: Expression
    value: Expression


@node
class BackupStatement(SyntaxNode):
    """`backup T from P by E [keeping max]`."""

    tree: Expression
    pool: Expression
    by: Expression
    keeping: Name | None = None


@node
class ReturnStatement(SyntaxNode):
    """`return E`."""

    value: Expression


@node
class RepeatStatement(SyntaxNode):
    """`repeat COUNT [until CONDITION]:`; the condition is read before every round (C46)."""

    count: Expression
    until: Expression | None
    body: tuple[Statement, ...]


@node
class IfStatement(SyntaxNode):
    """`if C: ... else: ...`; `else if` nests another `If` as the only statement of `otherwise`."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@node
class Arm(SyntaxNode):
    """`above THRESHOLD: body`."""

    threshold: Expression
    body: tuple[Statement, ...]


@node
class ChooseStatement(SyntaxNode):
    """`choose by E:` with arms, and `otherwise:` (empty when it is not written)."""

    subject: Expression
    arms: tuple[Arm, ...]
    otherwise: tuple[Statement, ...] = ()


Statement: TypeAlias = (
    AssignStatement
    | ScoreStatement
    | ForceStatement
    | LetStatement
    | BackupStatement
    | ReturnStatement
    | RepeatStatement
    | IfStatement
    | ChooseStatement
    | Broken
)

# ------------------------------------------------------------------------------ top level


@node
class Import(SyntaxNode):
    """`import "other.tts"`."""

    path: Text


@node
class PolicyDeclaration(SyntaxNode):
    """`policy NAME`."""

    name: Name


class ScorerScale(Enum):
    """One number per step (process scorer) or one per solution (outcome scorer)."""

    STEP = "step"
    SOLUTION = "solution"


@node
class ValueRange(SyntaxNode):
    """`from LOW to HIGH`: the values a scorer or judge may give."""

    low: Expression
    high: Expression


@node
class ScorerDeclaration(SyntaxNode):
    """`scorer NAME [per step | per solution] [together] [from A to B] [field "pass_rate"]`.

    `problem_field` binds the scorer to a field of the problem file (gold answers,
    oracle difficulty).
    """

    name: Name
    scale: ScorerScale | None = None
    together: bool = False
    range: ValueRange | None = None
    problem_field: Text | None = None


@node
class PromptDeclaration(SyntaxNode):
    """`prompt NAME[(parameters)] = TEXT`; `template.parse_template` reads the slots of the text."""

    name: Name
    parameters: tuple[Parameter, ...]
    text: Text


class JudgeView(Enum):
    """The scope of one reading of a judge: a candidate, a pool, or every ordered pair."""

    SINGLE = "single"
    TOGETHER = "together"
    PAIRWISE = "pairwise"


class ReadKind(Enum):
    """Ways to read a number from a judge's reply."""

    NUMBER = "number"
    CHOICE = "choice"
    RANKING = "ranking"
    PROBABILITY = "probability"


@node
class ReadOption(SyntaxNode):
    """`"likely" = 1` in `read choice of ...`, `"Yes"` in `read probability of "Yes"`."""

    text: Text
    value: Expression | None = None


@node
class Reading(SyntaxNode):
    """`read number|choice|ranking|probability [of OPTIONS] [after TEXT] [from A to B]`."""

    kind: ReadKind
    options: tuple[ReadOption, ...] = ()
    after: Text | None = None
    range: ValueRange | None = None


@node
class JudgeDeclaration(SyntaxNode):
    """A policy that scores. `clauses` hold its decoding, `from POLICY` included."""

    name: Name
    parameters: tuple[Parameter, ...]
    view: JudgeView
    clauses: tuple[Clause, ...]
    text: Text
    reading: Reading
    retry: Expression | None = None
    history: bool = False


@node
class StrategyDeclaration(SyntaxNode):
    """A strategy; `clauses` after its header are its decoding defaults."""

    name: Name
    parameters: tuple[Parameter, ...]
    clauses: tuple[Clause, ...]
    docstring: Text | None
    body: tuple[Statement, ...]


@node
class Law(SyntaxNode):
    """`law left == right`: equal answers for every policy, scorer and problem."""

    left: CallExpression
    right: CallExpression
    docstring: Text | None = None

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names used as arguments, in order: those that no declaration gives are free."""
        arguments = self.left.arguments + self.right.arguments
        values = (argument.value for argument in arguments)
        return tuple(dict.fromkeys(v.text for v in values if isinstance(v, Name)))


Item: TypeAlias = (
    Import
    | PolicyDeclaration
    | ScorerDeclaration
    | PromptDeclaration
    | JudgeDeclaration
    | StrategyDeclaration
    | Law
    | Broken
)


@node
class File(SyntaxNode):
    """One `.tts` file."""

    items: tuple[Item, ...]
    docstring: Text | None = None
