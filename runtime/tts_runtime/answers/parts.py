"""The parts of an answer."""

from dataclasses import dataclass
from enum import Enum


class StructureKind(Enum):
    """The kinds of structure; the items of lists, sets and unions have no order."""

    SCALAR = "scalar"
    LIST = "list"  # repetition counts
    SET = "set"
    SEQUENCE = "sequence"  # with dots, so that the order says how it continues
    TUPLE = "tuple"  # `text`: its brackets; an interval as well
    MATRIX = "matrix"  # items are rows (tuples)
    RECORD = "record"  # `names`: of the values
    UNION = "union"
    RATIO = "ratio"
    BASED = "based"  # a number in a base; `text`: digits and base
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Structure:
    """An answer taken apart. `text`: of a scalar, cleaned; for other kinds see `StructureKind`."""

    kind: StructureKind
    text: str = ""
    items: tuple["Structure", ...] = ()
    names: tuple[str, ...] = ()


def interval(opening: str, low: str, high: str, closing: str) -> Structure:
    """An interval as the pair of its ends."""
    return Structure(
        StructureKind.TUPLE,
        opening + closing,
        (Structure(StructureKind.SCALAR, low), Structure(StructureKind.SCALAR, high)),
    )
