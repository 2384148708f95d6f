"""The entry of an operator: all facts about it; `ops` has the operators and their entries.

An operator is a frozen dataclass, whose fields are its clauses. `@operator(...)` states what every
analysis needs to know of it; `entry(spec)` looks it up. A clause's type, range and size stand at
its field, as `Annotated[Expr, COUNT]`.

How many rows an operator gives is one rule over an abstract count (`plan.rows`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from tts_lang.plan.rows import RowRule

T = TypeVar("T")


class Kind(Enum):
    """The type of a value."""

    POOL = "pool"
    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


class Makes(Enum):
    """The relation of an operator's output rows to the rows of its input 0.

    This decides which columns they have (C28 to C31) and on which nodes they lie (C2, C3).
    """

    SAME = "same"  # the rows of input 0, with a column or a visit added
    SUBSET = "subset"  # rows of input 0, some of them or in another order
    COPIES = "copies"  # further rows on the nodes of input 0
    BOTH = "both"  # the rows of inputs 0 and 1; columns that both have
    EDITED = "edited"  # one row of another text for each; scores go
    CHILDREN = "children"  # rows that continue those of input 0; scores go
    CONVERSATIONS = "conversations"  # rows of new conversations about them; scores go
    NOTHING = "nothing"  # no rows, and every column
    REGIONS = "regions"  # what its regions give
    VALUE = "value"  # a number, text or flag

    @property
    def subset(self) -> bool:
        """Every row of the output is a row of input 0."""
        return self in (Makes.SAME, Makes.SUBSET)

    @property
    def same_nodes(self) -> bool:
        """Every row of the output lies on the node of a row of input 0."""
        return self.subset or self is Makes.COPIES

    @property
    def keeps_scores(self) -> bool:
        """The rows keep all their columns, those of scorers included (C28)."""
        return self.same_nodes or self is Makes.BOTH


class Numbers(Enum):
    """The counter that an operator advances, so that later operators depend on its having run."""

    CHILDREN = "children"  # per node (C2), or per prompt (C7)
    COPIES = "copies"  # per lane (C3)
    DRAWS = "draws"  # per set of rows (C12)


#: A text form: `{0}` is the name of an input, `{field}` a clause. What stands in brackets is left
#: out where the field named in it has its default; `[field? text]` shows the text alone.
Form: TypeAlias = "str | Callable[[Any], str]"


_PLACE = re.compile(r"\{(\w+)\}")
_OPTIONAL = re.compile(r"\[(?:(\w+)\?)?([^\]]*)\]")


def fill(form: str, present: Callable[[str], bool], shown: Callable[[str], str]) -> str:
    """A text form with its places filled; `present` says which optional clauses are there."""

    def optional(match: re.Match[str]) -> str:
        return match[2] if present(match[1] or _PLACE.findall(match[2])[0]) else ""

    # In one pass: what is filled in may hold braces and brackets of its own.
    return _PLACE.sub(lambda match: shown(match[1]), _OPTIONAL.sub(optional, form))


@dataclass(frozen=True, slots=True)
class OperatorEntry:
    """The facts about an operator.

    Args:
        spec: Its class; `spec.op` is its name.
        form: Its text, in plans, EXPLAIN and drawings.
        makes: How its rows relate to those of input 0.
        about: Of a verb: what it gives, in a few words. Editors show it.
        rows: How many rows it gives; `None` where it gives no pool, or its regions decide.
        brief: Its text for people, where that differs.
        inputs: Kinds of the first inputs; expressions may read more.
        output: Kinds that its output may have; `None` where the regions decide.
        regions: What each of its regions is called in the text of a plan.
        row_input: Its expressions are evaluated for each row of this input; `None`: once.
        numbers: The counter that it advances.
        lineage: It looks at which rows are descendants of which.
        selects: It chooses some of the rows by what they are.
        foreign: It adds text that no policy has sampled.
        statement: In the language it is a statement, which changes the pool that it names (C29).
    """

    spec: type[Any]
    form: Form
    makes: Makes
    about: str = ""
    rows: RowRule | None = None
    brief: Form | None = None
    inputs: tuple[Kind, ...] = (Kind.POOL,)
    output: tuple[Kind, ...] | None = (Kind.POOL,)
    regions: tuple[str, ...] = ()
    row_input: int | None = 0
    numbers: Numbers | None = None
    lineage: bool = False
    selects: bool = False
    foreign: bool = False
    statement: bool = False

    @property
    def name(self) -> str:
        """The name of the operator, as in messages and in plans as JSON."""
        name: str = self.spec.op
        return name

    @property
    def is_verb(self) -> bool:
        """Whether it is a verb on one pool whose surface form is its text, as in `sort P by E`.

        Parser, formatter and checker know such verbs by their entries alone.
        """
        verb = isinstance(self.form, str) and self.form.startswith(f"{self.name} {{0}}")
        return verb and not self.statement

    @property
    def places(self) -> tuple[str, ...]:
        """The clauses of its form in the order in which they are written."""
        return tuple(each for each in _PLACE.findall(str(self.form)) if not each.isdecimal())

    @property
    def samples(self) -> bool:
        """Whether it asks a policy for children."""
        return any(field.name == "decoding" for field in fields(self.spec))

    @property
    def pure(self) -> bool:
        """Whether nothing but its output depends on its having run; operators with regions are as
        pure as what is in them."""
        return self.numbers is None and not self.regions

    @property
    def row_inputs(self) -> int:
        """The number of first inputs whose rows it gives, or whose rows its rows are made of."""
        if self.makes in (Makes.NOTHING, Makes.VALUE):
            return 0
        return 2 if self.makes is Makes.BOTH else 1

    def text(self, spec: object, *, brief: bool = False) -> str:
        """The text form for certain clauses."""
        form = self.brief if brief and self.brief is not None else self.form
        return form if isinstance(form, str) else form(spec)


#: Every operator by its class, in the order of `ops`.
OPERATORS: dict[type, OperatorEntry] = {}


def operator(form: Form, makes: Makes, **facts: Any) -> Callable[[type[T]], type[T]]:
    """Registers a class as an operator; the arguments are those of `OperatorEntry`."""
    template = OperatorEntry(object, form, makes, **facts)

    def register(spec: type[T]) -> type[T]:
        OPERATORS[spec] = replace(template, spec=spec)
        return spec

    return register


def entry(spec: object) -> OperatorEntry:
    """The entry of an operator, or of its class."""
    return OPERATORS[spec if isinstance(spec, type) else type(spec)]
