"""The operators of a plan: the one table that everything else reads.

Each is a frozen dataclass under `@operator`, which states all that analyses need to know of it:
its text, what its rows are, how many there are, what it numbers (`plan.operator` explains the
entries). Its clauses are the fields, with type and range. `Spec` is their union; a `match` over
most of it ends in `assert_never`, so that mypy names the places that a new operator has to visit,
and tests name the tables that lack it (tests/plan/test_completeness.py). docs/howto has the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from tts_lang.plan.clauses import FLAG, KEY, NUMBER, SHARE, TEXT, ClauseType, number, size
from tts_lang.plan.decoding import Amount, Decoding, Unit
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.operator import OPERATORS, Kind, Makes, Numbers, OperatorEntry, operator
from tts_lang.plan.rows import N, RowCounts, best_rows, distinct_rows, keyed_rows, same_rows, some

# ------------------------------------------------------------------------------ values


@operator("none", Makes.NOTHING, rows=lambda _, of: of.exactly(0), inputs=(), row_input=None)
@dataclass(frozen=True, slots=True)
class Empty:
    """`none`: the pool without rows, which has every column. No inputs."""

    op: ClassVar[str] = "empty"


@operator(
    "{value}", Makes.VALUE, inputs=(), output=(Kind.NUMBER, Kind.TEXT, Kind.FLAG), row_input=None
)
@dataclass(frozen=True, slots=True)
class Compute:
    """A number, text or flag from an expression."""

    op: ClassVar[str] = "compute"
    value: Expr


# ------------------------------------------------------------------------------ sampling


def _expand_form(spec: Any) -> str:
    dealing = "to" if spec.deal else "by"
    weight = "[ weighted by {weight}][rounding_up? rounding up]"
    return f"expand {{0}} {dealing} {{amount}}{weight}[ per {{per}}]{{decoding}}"


def _expand_rows(spec: Any, of: RowCounts[N]) -> N:
    """Live rows give children, done ones pass once; dealt children are those of live rows (C18)."""
    count, live = of.count(spec.amount.count), of.live(spec.decoding.within)
    if not spec.deal:
        return of.product(of.rows(), count if live else of.either(count, of.exactly(1)))
    dealt = of.product(of.least(of.groups(spec.per), of.rows()), count)
    if live:
        return dealt
    # The one row that all children are dealt to may have no room left, and pass.
    dealt = of.either(dealt, of.least(dealt, of.least(of.rows(), of.exactly(1))))
    if not of.extra(spec.decoding.within):
        return dealt
    return of.either(of.either(dealt, of.rows()), of.sum(dealt, of.less_one(of.rows())))


@operator(_expand_form, Makes.CHILDREN, rows=_expand_rows, numbers=Numbers.CHILDREN)
@dataclass(frozen=True, slots=True)
class Expand:
    """Children of every row of input 0: `amount.count` each, or `amount.count` in all when `deal`.

    `per` deals that many to each group. `weight` (only with `deal`) shares them in proportion;
    `rounding_up` heaviest first, each the ceiling of its share of what is left (C20). `sample n` is
    `expand problem by n`.
    """

    op: ClassVar[str] = "expand"
    amount: Amount
    decoding: Decoding
    deal: bool = False
    weight: Annotated[Expr | None, NUMBER] = None
    rounding_up: bool = False
    per: Annotated[str | None, KEY] = None


def _ask_rows(spec: Any, of: RowCounts[N]) -> N:
    about = of.least(of.rows(), of.groups(spec.per)) if spec.together else of.rows()
    return of.product(about, of.count(spec.amount.count))


@operator(
    "ask {prompt}{arguments} about {0}[together? together][ per {per}][history? with history]"
    " by {amount}{decoding}",
    Makes.CONVERSATIONS,
    rows=_ask_rows,
    numbers=Numbers.CHILDREN,
)
@dataclass(frozen=True, slots=True)
class Ask:
    """New conversations from a prompt about the rows of input 0 (C5, C6), and children of each.

    `together` makes one conversation of the whole pool, or one per `per`; `history` continues
    each row's, by another turn (C73). An argument is an
    expression, or the index of the operation's input that is a pool. `shown` are the columns in
    the prompt's slots, by slot.
    """

    op: ClassVar[str] = "ask"
    prompt: str
    amount: Amount
    decoding: Decoding
    arguments: tuple[tuple[str, Expr | int], ...] = ()
    together: bool = False
    per: Annotated[str | None, KEY] = None
    shown: tuple[tuple[str, Expr], ...] = ()
    history: bool = False


@operator(
    "fork {0} into {count}",
    Makes.COPIES,
    about="k copies of each candidate, each a tree of its own; no tokens are spent",
    rows=lambda spec, of: of.product(of.rows(), of.count(spec.count)),
    numbers=Numbers.COPIES,
)
@dataclass(frozen=True, slots=True)
class Fork:
    """`count` copies of each row of input 0, each a tree of its own (C3)."""

    op: ClassVar[str] = "fork"
    count: Annotated[Expr, size("rows", "into {}", called="the number of copies")]


@operator(
    "resample {0} to {count} by {by}[ per {per}]",
    Makes.COPIES,
    about="n draws with replacement in proportion to E (systematic)",
    rows=lambda spec, of: of.product(
        of.least(of.groups(spec.per), of.rows()), of.count(spec.count)
    ),
    numbers=Numbers.DRAWS,
)
@dataclass(frozen=True, slots=True)
class Resample:
    """`count` draws with replacement in proportion to `by`, systematic (C12)."""

    op: ClassVar[str] = "resample"
    count: Annotated[Expr, size("rows", "to {}", called="the number of draws")]
    by: Annotated[Expr, NUMBER]
    per: Annotated[str | None, KEY] = None


# ------------------------------------------------------------------------------ statements


@operator(
    "score {0} by {scorer}{arguments}[ times {times}][ looking ahead {ahead} steps][ per {per}]",
    Makes.SAME,
    rows=same_rows,
    statement=True,
)
@dataclass(frozen=True, slots=True)
class Score:
    """Adds the column `scorer` to input 0.

    `times` independent readings (judges); `ahead` greedy steps looked ahead (C11); `per` makes one
    reading a group with a set-wise scorer. `arguments` are a judge's (name, expression) pairs,
    `shown` the columns in its slots.
    """

    op: ClassVar[str] = "score"
    scorer: str
    times: Annotated[Expr | None, size("rows", "times {}")] = None
    ahead: Annotated[Expr | None, size("steps", "looking ahead {} steps")] = None
    per: Annotated[str | None, KEY] = None
    arguments: tuple[tuple[str, Expr], ...] = ()
    shown: tuple[tuple[str, Expr], ...] = ()


@operator("let {name} of {0} = {value}", Makes.SAME, rows=same_rows, statement=True)
@dataclass(frozen=True, slots=True)
class Let:
    """Adds the column `name`, computed for each row of input 0; children inherit it (C31)."""

    op: ClassVar[str] = "let"
    name: str
    value: Expr


@operator("force {text} into {0}", Makes.EDITED, rows=same_rows, foreign=True, statement=True)
@dataclass(frozen=True, slots=True)
class Force:
    """Appends `text` to every row of input 0 (C4)."""

    op: ClassVar[str] = "force"
    text: Annotated[Expr, TEXT]


@operator(
    "backup {0} from {1} by {by}[ keeping {keeping}]",
    Makes.SAME,
    rows=same_rows,
    inputs=(Kind.POOL, Kind.POOL),
    row_input=1,
    lineage=True,
    statement=True,
)
@dataclass(frozen=True, slots=True)
class Backup:
    """One visit and `by` of each row of input 1 for its ancestors in input 0, of whose values they
    keep the mean, or another of `KEEPING` (C54)."""

    op: ClassVar[str] = "backup"
    by: Annotated[Expr, NUMBER]
    keeping: str = "mean"


#: Statistics of backed-up values that a row of a tree can keep.
KEEPING = ("mean", "max", "sum", "last")


# ------------------------------------------------------------------------------ choosing rows


@operator(
    "{0} where {condition}",
    Makes.SUBSET,
    rows=lambda spec, of: of.product(of.rows(), of.fraction(spec.condition)),
    selects=True,
)
@dataclass(frozen=True, slots=True)
class Where:
    """The rows of input 0 for which `condition` is true."""

    op: ClassVar[str] = "where"
    condition: Annotated[Expr, FLAG]


def _select_form(spec: Any) -> str:
    many = "{count}" if spec.count is not None else "1"
    if spec.share is not None:
        literal = isinstance(spec.share, Const) and isinstance(spec.share.value, int | float)
        many = f"{100 * spec.share.value:g}%" if literal else "share {share}"
    return f"select top {many} of {{0}} by {{by}}[ per {{per}}]"


def _select_rows(spec: Any, of: RowCounts[N]) -> N:
    if spec.share is None:
        return best_rows(spec, of)
    return of.least(of.rows(), of.share(spec.share, spec.per))


@operator(_select_form, Makes.SUBSET, rows=_select_rows, selects=True)
@dataclass(frozen=True, slots=True)
class Select:
    """The best `count` rows (or the best `share` of them, in [0, 1]) of input 0 by `by` (C39)."""

    op: ClassVar[str] = "select"
    by: Annotated[Expr, NUMBER]
    count: Annotated[Expr | None, size("rows", "top {}")] = None
    share: Annotated[Expr | None, number(SHARE)] = None
    per: Annotated[str | None, KEY] = None


@operator("first {count} of {0}[ per {per}]", Makes.SUBSET, rows=best_rows, selects=True)
@dataclass(frozen=True, slots=True)
class First:
    """The first `count` rows of input 0."""

    op: ClassVar[str] = "first"
    count: Annotated[Expr, size("rows", "first {}")]
    per: Annotated[str | None, KEY] = None


@operator(
    "sort {0} by {by}[ per {per}]", Makes.SUBSET, about="all rows, largest E first", rows=keyed_rows
)
@dataclass(frozen=True, slots=True)
class Sort:
    """Input 0 by falling `by`, ties in their order, missing last."""

    op: ClassVar[str] = "sort"
    by: Annotated[Expr, NUMBER]
    per: Annotated[str | None, KEY] = None


@operator(
    "vote {0}[ on {on}][ weighted by {weight}][ per {per}]",
    Makes.SUBSET,
    about="equal answers add up 1 or E; the heaviest wins, ties to the earlier",
    rows=lambda spec, of: of.up_to(of.exactly(0), of.least(of.rows(), of.groups(spec.per))),
    selects=True,
)
@dataclass(frozen=True, slots=True)
class Vote:
    """The heaviest class of equal `on` in input 0: one row, or one per `per` (C43)."""

    op: ClassVar[str] = "vote"
    on: Annotated[str, KEY] = "answer"
    weight: Annotated[Expr | None, NUMBER] = None
    per: Annotated[str | None, KEY] = None


@operator(
    "dedupe {0}[ by {key}][ per {per}]",
    Makes.SUBSET,
    about="the first row of each text, or of each KEY",
    rows=distinct_rows,
    selects=True,
)
@dataclass(frozen=True, slots=True)
class Dedupe:
    """The first row of each value of `key` in input 0; a missing key equals nothing (C52)."""

    op: ClassVar[str] = "dedupe"
    key: Annotated[str, KEY] = "text"
    per: Annotated[str | None, KEY] = None


@operator(
    "leaves({0})", Makes.SUBSET, rows=lambda _, of: some(of, of.rows()), lineage=True, selects=True
)
@dataclass(frozen=True, slots=True)
class Leaves:
    """The rows of input 0 that are no other row's parent in it."""

    op: ClassVar[str] = "leaves"


@operator(
    "descend {0} by {by}[ times {times}][ staying by {staying}]",
    Makes.SUBSET,
    about="from a tree's roots to a leaf by the largest E",
    rows=lambda spec, of: some(of, of.least(of.rows(), of.count(spec.times))),
    lineage=True,
)
@dataclass(frozen=True, slots=True)
class Descend:
    """`times` leaves of the tree in input 0, each reached by the largest `by` (C54, C55)."""

    op: ClassVar[str] = "descend"
    by: Annotated[Expr, NUMBER]
    times: Annotated[Expr | None, size("rows", "times {}")] = None
    staying: Annotated[Expr | None, NUMBER] = None


@operator("{0} + {1}", Makes.BOTH, rows=lambda _, of: of.union(), inputs=(Kind.POOL, Kind.POOL))
@dataclass(frozen=True, slots=True)
class Union:
    """Input 0, then the rows of input 1 that are not in it (C30, C51)."""

    op: ClassVar[str] = "union"


@operator(
    "{0} - {1}",
    Makes.SUBSET,
    rows=lambda _, of: of.difference(),
    inputs=(Kind.POOL, Kind.POOL),
    selects=True,
)
@dataclass(frozen=True, slots=True)
class Difference:
    """The rows of input 0 that are not in input 1 (C51)."""

    op: ClassVar[str] = "difference"


# ------------------------------------------------------------------------------ editing


@operator(
    "cut {0} to {length} {unit}",
    Makes.EDITED,
    about="each candidate back to its first steps",
    rows=same_rows,
)
@dataclass(frozen=True, slots=True)
class Cut:
    """Each row of input 0 back to its first `length` steps or tokens; reopens it (C17)."""

    op: ClassVar[str] = "cut"
    length: Annotated[Expr, size("unit", "to {} {unit}")]
    unit: Unit


@operator(
    "split {0} at {at}[ at most {most}]",
    Makes.CHILDREN,
    about="each candidate's text as pieces",
    rows=lambda spec, of: of.product(of.rows(), of.pieces(spec.most)),
    foreign=True,
)
@dataclass(frozen=True, slots=True)
class Split:
    """Each row of input 0 as the pieces of its text between `at`, at most `most` of them."""

    op: ClassVar[str] = "split"
    at: Annotated[Expr, ClauseType("text", once=True)]
    most: Annotated[Expr | None, size("rows", "at most {}")] = None


# ------------------------------------------------------------------------------ control


@operator("[fresh?fresh ]{strategy}(...)[on_rows? on {0}]", Makes.REGIONS, regions=("do",))
@dataclass(frozen=True, slots=True)
class Call:
    """A strategy inlined: its region runs once for each row of input 0, in a scope of its own
    (C13).

    The region has one parameter, the callee's `problem`. `thinks` says whether the callee's own
    statements use thoughts, which decides how its problem prompt opens. `fresh`: on a lane of its
    own, numbered among the scope's fresh calls of that strategy (C65).
    """

    op: ClassVar[str] = "call"
    strategy: str
    thinks: bool = False
    on_rows: bool = False
    fresh: bool = False


@operator(
    "repeat {trips}",
    Makes.REGIONS,
    brief=lambda spec: f"repeat at most {{trips}} round{'s' * (spec.trips != 1)}",
    inputs=(),
    output=None,
    regions=("until", "do"),
    row_input=None,
)
@dataclass(frozen=True, slots=True)
class Repeat:
    """At most `trips` rounds of region 1, whose parameters and results are the carried values.

    Region 0 (same parameters, one flag as result) is read before every round and ends the loop when
    true (C46). Inputs are the first round's carried values; outputs the last round's.
    """

    op: ClassVar[str] = "repeat"
    trips: Annotated[int, ClauseType(counts="rounds", text="repeat {}")]


@operator(
    "if {0}",
    Makes.REGIONS,
    inputs=(Kind.FLAG,),
    output=None,
    regions=("then", "else"),
    row_input=None,
)
@dataclass(frozen=True, slots=True)
class Branch:
    """Region 0 if input 0 (a flag) is true, region 1 otherwise (also when it is missing, C38)."""

    op: ClassVar[str] = "branch"


Spec: TypeAlias = (
    Empty
    | Compute
    | Expand
    | Ask
    | Fork
    | Resample
    | Score
    | Let
    | Force
    | Backup
    | Where
    | Select
    | First
    | Sort
    | Vote
    | Dedupe
    | Leaves
    | Descend
    | Union
    | Difference
    | Cut
    | Split
    | Call
    | Repeat
    | Branch
)

SPECS: tuple[type[Spec], ...] = Spec.__args__

#: The verbs on one pool whose surface form is their text, by name.
POOL_VERBS: Mapping[str, OperatorEntry] = {
    operator.name: operator for operator in OPERATORS.values() if operator.is_verb
}
