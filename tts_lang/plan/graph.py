"""The plan's operators, regions and values.

A plan is structured SSA: a `Region` is a straight list of `Operation`s in program order; each
defines values by number and reads values defined before it, in its own region or an enclosing one.
Loops, branches and calls hold regions of their own. Nothing is ever changed in place.

Two `Expand`s of one pool are two different operations even when they look alike: they ask for
different children (semantics.md C2), so they must never be merged by structural equality. The
position in the program is what tells them apart; every rewrite must keep the child numbers of the
program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, TypeAlias

from tts_lang.plan.expr import Expr, Scalar
from tts_lang.plan.template import Template


class Kind(Enum):
    """What a value is."""

    POOL = "pool"
    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


class Unit(Enum):
    """What one generation call runs to (semantics.md C23 to C25)."""

    SOLUTIONS = "solutions"
    STEPS = "steps"
    THOUGHTS = "thoughts"
    TOKENS = "tokens"


class Exit(Enum):
    """How a region ends."""

    YIELD = "yield"  # its results become the outputs of the operation that holds it
    RETURN = "return"  # its one result is what the strategy (or call) returns
    NEVER = "never"  # its last operation always returns, so its end is not reached


@dataclass(frozen=True, slots=True)
class Amount:
    """`COUNT [x LENGTH] UNIT`: `count` children, each `length` units long (8 x 256 tokens)."""

    count: Expr
    unit: Unit = Unit.SOLUTIONS
    length: Expr | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How one generation call samples and when it stops early.

    Args:
        policy: Name of the policy in the strategy.
        temperature, top_p, top_k, min_p: Sampling; `None` leaves the binding's default.
        max_tokens: Limit for this call (`max E tokens`); the step or solution stays open (C21).
        within: Limit on the sampled tokens of the whole path in this conversation (C21).
        at_least: Ends and delimiters are masked for the first tokens of this call.
        stop_at: Text that stops the call once it is complete (C26).
        stop_when: Condition checked after every token; true stops the call, open (C27).
        end_when: The same, and what is drawn is done (C17, C27).
        likeliest: Child j starts with the j-th likeliest token.
    """

    policy: str = "policy"
    temperature: Expr | None = None
    top_p: Expr | None = None
    top_k: Expr | None = None
    min_p: Expr | None = None
    max_tokens: Expr | None = None
    within: Expr | None = None
    at_least: Expr | None = None
    stop_at: Expr | None = None
    stop_when: Expr | None = None
    end_when: Expr | None = None
    likeliest: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """`none`: the pool without rows, which has every column. No inputs."""

    op: ClassVar[str] = "empty"


@dataclass(frozen=True, slots=True)
class Compute:
    """A number, text or flag from an expression."""

    op: ClassVar[str] = "compute"
    value: Expr


@dataclass(frozen=True, slots=True)
class Expand:
    """Children of every row of input 0: `amount.count` each, or `amount.count` in all when `deal`.

    `per` deals them group by group, so many to each group. `weight` (only with `deal`) shares them
    in proportion; `rounding_up` heaviest first, each the
    ceiling of its share of what is left (C20). `sample n` is `expand problem by n`.
    """

    op: ClassVar[str] = "expand"
    amount: Amount
    decoding: Decoding
    deal: bool = False
    weight: Expr | None = None
    rounding_up: bool = False
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """`count` copies of each row of input 0, each a tree of its own (C3)."""

    op: ClassVar[str] = "fork"
    count: Expr


@dataclass(frozen=True, slots=True)
class Score:
    """Adds the column `scorer` to input 0.

    `times` independent readings (judges); `ahead` greedy steps looked ahead (C11); `per` makes one
    reading a group with a set-wise scorer. `arguments` are a judge's (name, expression) pairs.
    """

    op: ClassVar[str] = "score"
    scorer: str
    times: Expr | None = None
    ahead: Expr | None = None
    per: str | None = None
    arguments: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Let:
    """Adds the column `name`, computed for each row of input 0; children inherit it (C31)."""

    op: ClassVar[str] = "let"
    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Force:
    """Appends `text` to every row of input 0 (C4)."""

    op: ClassVar[str] = "force"
    text: Expr


@dataclass(frozen=True, slots=True)
class Ask:
    """New conversations from a prompt about the rows of input 0 (C5, C6), and children of each.

    `together` makes one conversation of the whole pool, or one per `per`. An argument is an
    expression, or the index of the operation's input that is a pool.
    """

    op: ClassVar[str] = "ask"
    prompt: str
    amount: Amount
    decoding: Decoding
    arguments: tuple[tuple[str, Expr | int], ...] = ()
    together: bool = False
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """The rows of input 0 for which `condition` is true."""

    op: ClassVar[str] = "where"
    condition: Expr


@dataclass(frozen=True, slots=True)
class Select:
    """The best `count` rows (or the best `share` of them, in [0, 1]) of input 0 by `by` (C39)."""

    op: ClassVar[str] = "select"
    by: Expr
    count: Expr | None = None
    share: Expr | None = None
    per: str | None = None


@dataclass(frozen=True, slots=True)
class First:
    """The first `count` rows of input 0."""

    op: ClassVar[str] = "first"
    count: Expr
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """Input 0 by falling `by`, ties in their order, missing last."""

    op: ClassVar[str] = "sort"
    by: Expr
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """The heaviest class of equal `on` in input 0: one row, or one per `per` (C43)."""

    op: ClassVar[str] = "vote"
    on: str = "answer"
    weight: Expr | None = None
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Resample:
    """`count` draws with replacement in proportion to `by`, systematic (C12)."""

    op: ClassVar[str] = "resample"
    count: Expr
    by: Expr
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Descend:
    """`times` leaves of the tree in input 0, each reached by the largest `by` (C54, C55)."""

    op: ClassVar[str] = "descend"
    by: Expr
    times: Expr | None = None
    staying: Expr | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """One visit and `by` of each row of input 1, added to its ancestors in input 0 (C54)."""

    op: ClassVar[str] = "backup"
    by: Expr


@dataclass(frozen=True, slots=True)
class Leaves:
    """The rows of input 0 that are no other row's parent in it."""

    op: ClassVar[str] = "leaves"


@dataclass(frozen=True, slots=True)
class Dedupe:
    """The first row of each value of `key` in input 0; a missing key equals nothing (C52)."""

    op: ClassVar[str] = "dedupe"
    key: str = "text"
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Union:
    """Input 0, then the rows of input 1 that are not in it (C30, C51)."""

    op: ClassVar[str] = "union"


@dataclass(frozen=True, slots=True)
class Difference:
    """The rows of input 0 that are not in input 1 (C51)."""

    op: ClassVar[str] = "difference"


@dataclass(frozen=True, slots=True)
class Cut:
    """Each row of input 0 back to its first `length` steps or tokens; reopens it (C17)."""

    op: ClassVar[str] = "cut"
    length: Expr
    unit: Unit


@dataclass(frozen=True, slots=True)
class Split:
    """Each row of input 0 as the pieces of its text between `at`, at most `most` of them."""

    op: ClassVar[str] = "split"
    at: Expr
    most: Expr | None = None


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


@dataclass(frozen=True, slots=True)
class Repeat:
    """At most `trips` rounds of region 1, whose parameters and results are the carried values.

    Region 0 (same parameters, one flag as result) is read before every round and ends the loop when
    true (C46). Inputs are the first round's carried values; outputs the last round's.
    """

    op: ClassVar[str] = "repeat"
    trips: int


@dataclass(frozen=True, slots=True)
class Branch:
    """Region 0 if input 0 (a flag) is true, region 1 otherwise (also when it is missing, C38)."""

    op: ClassVar[str] = "branch"


Spec: TypeAlias = (
    Empty
    | Compute
    | Expand
    | Fork
    | Score
    | Let
    | Force
    | Ask
    | Where
    | Select
    | First
    | Sort
    | Vote
    | Resample
    | Descend
    | Backup
    | Leaves
    | Dedupe
    | Union
    | Difference
    | Cut
    | Split
    | Call
    | Repeat
    | Branch
)

SPECS: tuple[type[Spec], ...] = Spec.__args__


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in a strategy file something comes from, 1-based; several after a rewrite."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a region: what it does, the values it reads, the values it defines."""

    spec: Spec
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    regions: tuple[Region, ...] = ()
    origins: tuple[Origin, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Region:
    """A list of operations in program order, the values it starts from, and what it ends with."""

    parameters: tuple[int, ...]
    operations: tuple[Operation, ...]
    results: tuple[int, ...]
    exit: Exit = Exit.YIELD


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a value: its kind, the name it had in the file, a pool's columns.

    `columns` maps each column beyond the built-in ones to "steps" (a process scorer's vector),
    "number", "text" or "flag"; `None` stands for every column (the pool `none`).
    """

    kind: Kind
    name: str = ""
    columns: Mapping[str, str] | None = field(default_factory=dict)


#: Likeliest first tokens that `read probability` looks at; what is none of them has probability 0.
PROBABILITY_RANKS = 20


@dataclass(frozen=True, slots=True)
class Judge:
    """How a judge's number is asked for and read.

    Args:
        policy: The policy that answers.
        template: The question; its slots as in a prompt.
        read: "number", "choice", "ranking" or "probability" (of `options[0]` as the first token).
        after: Text after which the number stands in the reply; anywhere (the last) when absent.
        low, high: Accepted range of a "number".
        retries: How often an unreadable reply is asked again before the score is missing.
        decoding: How the reply is sampled.
        options: Words that stand for numbers, with `read choice of "sure" = 20, "likely" = 1`.
        pairwise: It sees two rows at a time, every ordered pair, and a row's score is its wins.
    """

    policy: str
    template: Template
    read: str
    after: str | None
    low: float | None
    high: float | None
    retries: int
    decoding: Decoding
    options: tuple[tuple[str, float], ...] = ()
    pairwise: bool = False


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer that the plan reads.

    `steps`: a process scorer (a number per step), else one per solution. `together`: it sees the
    whole pool. `low`, `high`: its declared range; `None` for unbounded. `field`: it reads this
    field of the problem file, so it needs no engine.
    """

    name: str
    steps: bool
    together: bool = False
    low: float | None = 0.0
    high: float | None = 1.0
    judge: Judge | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled strategy: what to do for one problem.

    `body` has one parameter, the pool `problem` (its one row is the problem itself), and exits by
    RETURN. `values` describes every value by its number. `thinks`: as in `Call`, for the main
    strategy.
    """

    strategy: str
    parameters: Mapping[str, Scalar]
    body: Region
    values: tuple[Value, ...]
    policies: tuple[str, ...] = ("policy",)
    scorers: tuple[Scorer, ...] = ()
    prompts: tuple[Template, ...] = ()
    thinks: bool = False
    document: str = ""
    file: str = ""

    def scorer(self, name: str) -> Scorer:
        """The scorer called `name`; a KeyError if the plan reads none of that name."""
        return {scorer.name: scorer for scorer in self.scorers}[name]

    def prompt(self, name: str) -> Template:
        """The prompt called `name`; a KeyError if the plan asks none of that name."""
        return {prompt.name: prompt for prompt in self.prompts}[name]


def operations(region: Region) -> Iterator[Operation]:
    """Every operation of a region and of the regions inside it, in program order."""
    for operation in region.operations:
        yield operation
        for inner in operation.regions:
            yield from operations(inner)
