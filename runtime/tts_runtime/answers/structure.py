r"""Read a cleaned answer: numbers, lists, tuples, intervals, sets, unions, matrices, assignments.

`read` gives the parts of an answer (it never fails: what has no structure is a scalar), `key` the
canonical form of them, for the vote; `same` in `grade` compares parts more loosely. Only scalars
go to the LaTeX parser and sympy (`expression`). Decisions, all of them documented in `canonical`:

* `1, 2` and `\{2, 1\}` are the same set; `(1, 2)` is ordered, and a pair or an open interval;
* `x = 5`, `f(x) = 5`, `x \in \{5\}` and `5` are the same answer; `y = 2x + 3` stays an equation;
* `1 \pm 2` is the set of both;
* `2 < x \le 3` and `(2, 3]` are the same interval.
"""

import re

import tts_runtime.answers.intervals as intervals
import tts_runtime.answers.matrices as matrices
from tts_runtime.answers.clean import clean
from tts_runtime.answers.keys import DOTS, NOTHING, UNION, key, scalar_key
from tts_runtime.answers.latex import depth, enclosed, split_outside
from tts_runtime.answers.names import FUNCTION, NAME, NAMES, is_constant, is_quantity
from tts_runtime.answers.numbers import date_key, number_key
from tts_runtime.answers.parts import Structure, StructureKind, interval
from tts_runtime.answers.words import plain_words

MAXIMUM_DEPTH = 10
MAXIMUM_ELEMENTS = 60

_BASE = re.compile(r"(-?[0-9][0-9A-F]*|[A-F][0-9A-F]*)_(?:\{([0-9]{1,2})\}|([0-9]{1,2}))")
# One letter, or letters joined by signs, are formulas: "x", "p-q", "a b".
_WORDS = re.compile(r"(?=.*[A-Za-z]{3})[A-Za-z]+(?:(?:\. |[ '\-]+)[A-Za-z]+)*|[A-Za-z]{2}")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
REALS = r"\mathbb{R}"
_MINUS = r"\setminus"
_BOTH_SIGNS = r"\pm"
_ALL_REALS = re.compile(r"(?:all |the )*(?:set of )?(?:all )?real numbers|all reals")
_BUILDER = re.compile(
    r"([a-z])(?:\s*\\in\s*(?:\\mathbb\{R\}|R))?\s*(?:\||:|\\text\{such that\})\s*(.+)"
)
_RELATION = re.compile(r"<|>|\\(?:le|ge|ne|in|notin|equiv|approx|sim|to|subset\w*)(?![A-Za-z])|=")
_EVENT = re.compile(r"^P\([^()]*\)|^\\(?:lim|sum|prod|int)_\{[^{}]*\}")
_OPERATED = re.compile(r"\\(?:lim|sum|prod|int)(?![A-Za-z])")
_BINDS = re.compile(r"=|\\(?:in|ni|notin)(?![A-Za-z])")
_BOUND = re.compile(r"(?:<|>|\\(?:le|ge|ne)(?![A-Za-z]))")
_HALF_LINE = re.compile(r"\\mathbb\{R\}\^\{?([+-])\}?")
_BOUNDED_LINE = re.compile(r"\\mathbb\{R\}_\{((?:<|>|\\[lg]e)\s*0)\}")
_DISTANCE = re.compile(r"\|([^|]+)\|\s*(<|>|\\[lg]e(?![A-Za-z]))([^|<>]+)")
_QUANTIFIED = re.compile(r"\\(?:forall|exists|Rightarrow|implies|iff|pmod|bmod|mod)(?![A-Za-z])")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?")


def read_words(text: str) -> str | None:
    """A name or sentence without any digit or sign, in lower case, or a date; None for all else."""
    if _ALL_REALS.fullmatch(text.lower()):
        return None
    return plain_words(text) if _WORDS.fullmatch(text) else date_key(text)


def read(text: str) -> Structure:
    """The structure of a cleaned answer; beyond the limits on depth it is one scalar."""
    text = text.strip()
    return _scalar(text) if depth(text) > MAXIMUM_DEPTH else _read(text)


def read_value(text: str) -> str | None:
    """The canonical form of a cleaned mathematical answer, None if it is none that we understand.

    Its cost is bounded by the limits on depth, elements and the size of each scalar.
    """
    return key(read(text)) if text.strip() else None


def _scalar(text: str) -> Structure:
    return Structure(StructureKind.SCALAR, text)


def _read(text: str) -> Structure:
    if not text or number_key(text) is not None or _QUANTIFIED.search(text):
        return _scalar(text)
    if text in (REALS, "R") or _ALL_REALS.fullmatch(text.lower()):
        return interval("(", r"-\infty", r"\infty", ")") if text != "R" else _scalar(text)
    bounded = _BOUNDED_LINE.fullmatch(text)
    if bounded is not None:
        return _read(f"x{bounded[1]}")
    half = _HALF_LINE.fullmatch(text)
    if half is not None:
        return interval("(", *(("0", r"\infty") if half[1] == "+" else (r"-\infty", "0")), ")")
    words = read_words(text)
    if words is not None:
        return Structure(StructureKind.WORDS, words)
    base = _BASE.fullmatch(text)
    if base is not None:
        return Structure(StructureKind.BASED, f"{base[1]}_{{{base[2] or base[3]}}}")
    bound = _BOUND.match(text)
    if bound is not None and _is_plain(text[bound.end() :].strip()):
        return _read(f"x{text}")
    for reader in (_list, _union, _enclosed, _matrix, _assigned, _ordered, _ratio):
        structure = reader(text)
        if structure is not None:
            return structure
    return _scalar(text)


def _list(text: str) -> Structure | None:
    groups = split_outside(text, ";")
    if len(groups) > 1 and all(groups):
        items = [_read(group.strip()) for group in groups[:MAXIMUM_ELEMENTS]]
        if all(
            item.kind is StructureKind.RECORD and item.names == items[0].names for item in items
        ):
            return _collection(
                StructureKind.LIST,
                [Structure(StructureKind.TUPLE, "()", item.items) for item in items],
            )
        text = text.replace(";", ",")
    parts = [part.strip() for part in split_outside(text, ",")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if len(parts) == 1:
        signed = _both_signs(text)
        if (
            len(signed) == 1
            or text[0] in "(["
            or text.startswith("\\{")
            or matrices.MATRIX.search(text)
        ):
            return None
        return _items(signed, StructureKind.LIST)
    if len(parts) > MAXIMUM_ELEMENTS or not all(parts):
        return _scalar(text)
    if DOTS in parts:
        return Structure(StructureKind.SEQUENCE, items=tuple(_part(part) for part in parts))
    return _items([sign for part in parts for sign in _both_signs(part)], StructureKind.LIST)


def _items(parts: list[str], kind: StructureKind) -> Structure:
    """The elements of a list or set, as written; assignments keep names where they differ."""
    if len(parts) > MAXIMUM_ELEMENTS:
        return _scalar(",".join(parts))
    if parts[0] in (rf"x\in {REALS}", rf"x\in{REALS}") and len(parts) > 1:
        parts = parts[1:]
    names: list[str] = []
    values: list[Structure] = []
    for part in parts:
        left, sign, right = part.partition("=" if "=" in part else ":")
        left = left.strip()
        named = sign and sign not in right and (NAME.fullmatch(left) or is_quantity(left))
        if named and not FUNCTION.fullmatch(left) and (sign == "=" or _is_plain(right)):
            name = re.sub(r"\\text(?=\{)|\s|[{}]", "", left)
            names.append(name.lower() if len(name) > 2 else name)
            values.append(_part(right.strip()))
    if len(names) == len(parts) and len(set(names)) > 1:
        if len(set(names)) == len(names):
            order = sorted(range(len(names)), key=lambda at: names[at])
            return Structure(
                StructureKind.RECORD,
                items=tuple(values[at] for at in order),
                names=tuple(names[at] for at in order),
            )
        return _scalar(",".join(parts))
    subjects = [intervals.subject(part) for part in parts]
    if None not in subjects and len(set(subjects)) > 1:
        return _of_each(parts, [str(subject) for subject in subjects])
    excluded = [part.replace(r"\ne", "", 1).strip() for part in parts if r"\ne" in part]
    if excluded and r"\ne" in parts[0]:
        return _everything_but([_part(_after_name(part)) for part in parts], parts)
    read = [_part(part) for part in parts]
    if all(
        intervals.ORDER.search(part) and _is_interval(item)
        for part, item in zip(parts, read, strict=True)
    ):
        of_one = len(set(map(intervals.unknowns, parts))) == 1
        both = intervals.combine([endpoints(item) for item in read]) if of_one else None
        if both is not None:
            return _pieces(both)
    return _collection(kind, read)


def _of_each(parts: list[str], subjects: list[str]) -> Structure:
    """What the parts say of each unknown: `x > 1, y = 2`, `x \ne 0, y \ne 0`."""
    own: dict[str, list[str]] = {name: [] for name in sorted(set(subjects))}
    for part, name in zip(parts, subjects, strict=True):
        own[name].append(part.partition("=")[2].strip() or part)
    values = tuple(_items(each, StructureKind.LIST) for each in own.values())
    return Structure(StructureKind.RECORD, items=values, names=tuple(own))


def _part(text: str) -> Structure:
    """An element: it may have units and words of its own."""
    return _read(clean(text) if re.search(r"[A-Za-z$%]", text) else text)


def _after_name(part: str) -> str:
    return part.rpartition(r"\ne")[2].strip()


def _everything_but(points: list[Structure], parts: list[str]) -> Structure:
    left = intervals.everything()
    flat = [item for point in points for item in (point.items or (point,))]
    values = [key(point) for point in flat]
    pieces = intervals.without(left, [intervals.point(each) for each in values if each is not None])
    if None in values or pieces is None:
        return _scalar(",".join(parts))
    return _pieces(pieces)


def _collection(kind: StructureKind, items: list[Structure]) -> Structure:
    """Lists in lists are one list; one element stands alone."""
    flat: list[Structure] = []
    for item in items:
        flat.extend(item.items if item.kind is StructureKind.LIST else (item,))
    return flat[0] if len(flat) == 1 else Structure(kind, items=tuple(flat))


def _both_signs(text: str) -> list[str]:
    if text.count(_BOTH_SIGNS) != 1 or text[0] in "([" or text.startswith("\\{"):
        return [text]
    before, _, after = text.partition(_BOTH_SIGNS)
    return [clean(f"{before.strip()}{sign}{after.strip()}") for sign in "+-"]


def _union(text: str) -> Structure | None:
    minus = split_outside(text, _MINUS)
    if len(minus) == 1 and text.startswith(REALS) and text[len(REALS) :].lstrip().startswith("-"):
        minus = [REALS, text[len(REALS) :].lstrip()[1:]]
    if len(minus) == 2 and not _BINDS.search(minus[0]):
        whole, removed = _read(minus[0].strip()), _read(minus[1].strip())
        pieces = [endpoints(item) for item in _members(whole) if _is_interval(item)]
        listed = removed.kind in (StructureKind.LIST, StructureKind.UNION)
        cuts = [
            each
            for item in (removed.items if listed else (removed,))
            for each in _on_the_line(item)
        ]
        values = removed.kind is not StructureKind.TUPLE or _is_interval(removed)
        if len(pieces) == len(_members(whole)) and pieces and values:
            left = intervals.without(pieces, cuts)
            return None if left is None else _pieces(left)
        return None
    parts = [part.strip() for part in split_outside(text, UNION)]
    if len(parts) == 1 or len(parts) > MAXIMUM_ELEMENTS:
        return None
    if _BINDS.search(parts[0]) and not all(map(_RELATION.search, parts)):
        return None  # `x \in (1, 2) \cup (3, 4)`
    subjects = [intervals.subject(part) or intervals.unknowns(part) for part in parts]
    bounded = {name for part, name in zip(parts, subjects, strict=True) if _RELATION.search(part)}
    if len(bounded) > 1:
        return _either_of(parts, subjects)
    return _joined([member for part in parts for member in _members(_read(part))], parts)


def _either_of(parts: list[str], subjects: list[str]) -> Structure:
    """What holds of one unknown or of another: `x > 1 or y = 2`, `a > b or c > d`."""
    items: list[Structure] = []
    for name in sorted(set(subjects)):
        own = [part for part, subject in zip(parts, subjects, strict=True) if subject == name]
        for item in _members(_read(UNION.join(own))):
            named = NAME.fullmatch(name) is not None and item.kind is not StructureKind.RECORD
            items.append(
                Structure(StructureKind.RECORD, items=(item,), names=(name,)) if named else item
            )
    return _unordered(items)


def _unordered(items: list[Structure]) -> Structure:
    """A union in an order that does not depend on how it is written."""
    by_key = {key(item) or item.text: item for item in items}
    return Structure(StructureKind.UNION, items=tuple(by_key[form] for form in sorted(by_key)))


def _joined(items: list[Structure], parts: list[str]) -> Structure:
    """The union of what stands for values of one unknown."""
    sets = all(part.startswith("\\{") for part in parts)
    if sets and all(is_constant_part(item) and not _is_interval(item) for item in items):
        each = [member for item in items for member in (item.items or (item,))]
        return Structure(StructureKind.SET, items=tuple(each))
    if any(map(_is_interval, items)) and all(map(is_constant_part, items)):
        merged = intervals.merge([piece for item in items for piece in _on_the_line(item)])
        if merged is not None:
            return _pieces(merged)
    return _unordered(items)


def _members(structure: Structure) -> tuple[Structure, ...]:
    return structure.items if structure.kind is StructureKind.UNION else (structure,)


def _pieces(pieces: list[intervals.Piece]) -> Structure:
    items = tuple(
        interval(piece.opening, piece.low, piece.high, piece.closing)
        if piece.low != piece.high
        else Structure(StructureKind.SET, items=(_scalar(piece.low),))
        for piece in pieces
    )
    return items[0] if len(items) == 1 else Structure(StructureKind.UNION, items=items)


def _is_interval(item: Structure) -> bool:
    return (
        item.kind is StructureKind.TUPLE
        and len(item.items) == 2
        and all(map(is_constant_part, item.items))
    )


def _on_the_line(item: Structure) -> list[intervals.Piece]:
    """The pieces of an interval, a number or a set of numbers."""
    if _is_interval(item):
        return [endpoints(item)]
    points = item.items if item.kind is StructureKind.SET else (item,)
    values = [key(point) or point.text for point in points]
    return [intervals.point(value) for value in values]


def endpoints(item: Structure) -> intervals.Piece:
    """The piece of the real line that a pair of constants in brackets describes."""
    low, high = (key(end) or end.text for end in item.items)
    return intervals.Piece(item.text[0], low, high, item.text[1])


def _enclosed(text: str) -> Structure | None:
    if text.startswith("\\{") and text.endswith("\\}") and _closes_last(text):
        inner = text[2:-2].strip()
        builder = _BUILDER.fullmatch(inner)
        if builder is not None and _RELATION.search(builder[2]):
            return _read(clean(builder[2]))
        parts = [part.strip() for part in split_outside(inner, ",")]
        if len(parts) > MAXIMUM_ELEMENTS or not all(parts):
            return _scalar(text)
        if DOTS in parts:
            return Structure(StructureKind.SEQUENCE, items=tuple(_part(part) for part in parts))
        members = _items([sign for part in parts for sign in _both_signs(part)], StructureKind.SET)
        if members.kind is StructureKind.LIST:
            return Structure(StructureKind.SET, items=members.items)
        # A set in a set is not that set; a number is.
        nested = members.kind is StructureKind.SET or members.text.startswith((NOTHING, "\\{"))
        text = f"\\{{{key(members) or parts[0]}\\}}"
        return Structure(StructureKind.WORDS, text) if nested and len(parts) == 1 else members
    if not enclosed(text, "([", ")]"):
        return None
    parts = [part.strip() for part in split_outside(text[1:-1].replace(";", ","), ",")]
    if len(parts) > 1 and text[0] + text[-1] == "()" and text.count(_BOTH_SIGNS) == 1:
        both = [text.replace(_BOTH_SIGNS, sign) for sign in "+-"]
        return _items(both, StructureKind.LIST)
    if len(parts) == 1:
        return _read(parts[0])
    if len(parts) > MAXIMUM_ELEMENTS or (
        text[0] + text[-1] not in ("()", "[]") and len(parts) != 2
    ):
        return None
    return Structure(
        StructureKind.TUPLE,
        text[0] + text[-1],
        tuple(_read(clean(part) if part else part) for part in parts),
    )


def _closes_last(text: str) -> bool:
    return enclosed(text.replace("\\{", "{").replace("\\}", "}"), "{", "}")


def _matrix(text: str) -> Structure | None:
    value = matrices.calculate(text) if r"\begin" in text else None
    if value is not None:
        return _from_rows([[_scalar(str(entry)) for entry in row] for row in value])
    matrix = matrices.MATRIX.fullmatch(text)
    if matrix is None:
        return None
    rows = matrices.rows(matrix[1])
    if not rows or sum(map(len, rows)) > MAXIMUM_ELEMENTS or len({len(row) for row in rows}) > 1:
        return _scalar(text)
    return _from_rows([[_read(clean(entry)) for entry in row] for row in rows])


def _from_rows(rows: list[list[Structure]]) -> Structure:
    return Structure(
        StructureKind.MATRIX,
        items=tuple(Structure(StructureKind.TUPLE, "[]", tuple(row)) for row in rows),
    )


def _assigned(text: str) -> Structure | None:
    r"""`name = value`, chains of equalities, `name \in set` and `name \ne value`."""
    member = re.fullmatch(r"(.+?)\\in(?![A-Za-z])(.+)", text)
    if member is not None and "=" not in text:
        named = NAME.fullmatch(member[1].strip()) or NAMES.fullmatch(member[1].strip())
        return _read(member[2].strip()) if named else None
    other = re.fullmatch(rf"({NAME.pattern})\s*\\ne(?![A-Za-z])(.+)", text)
    if other is not None and not _RELATION.search(other[2]):
        points = [_read(sign) for sign in _both_signs(other[2].strip())]
        return _everything_but(points, [text])
    outside = re.fullmatch(rf"({NAME.pattern})\s*\\not(?:in|\s*\\in)(?![A-Za-z])(.+)", text)
    if outside is not None:
        return _everything_but([_read(outside[2].strip())], [text])
    sides = [side.strip() for side in split_outside(text, "=")]
    if len(sides) < 2 or not all(sides) or _RELATION.search(_EVENT.sub("", "".join(sides))):
        return None
    left, right = sides[0], _read(sides[-1])
    if len(sides) > 2:
        if NAME.fullmatch(left) or is_quantity(left) or _is_plain(left):
            return right if _is_plain(sides[-1]) or is_constant_part(right) else None
        return None
    if FUNCTION.fullmatch(left) or left.startswith(r"\text{"):
        return right
    if NAMES.fullmatch(left) and right.kind in (
        StructureKind.TUPLE,
        StructureKind.LIST,
        StructureKind.SET,
    ):
        return right
    constant = is_constant_part(right)
    value_of = bool(NAME.fullmatch(left) or _OPERATED.match(left)) or is_quantity(left)
    if constant and left != r"\pi" and value_of:
        return right
    if NAME.fullmatch(sides[1]) and sides[1] != r"\pi" and _is_plain(left):
        return _read(left)
    if constant and _is_plain(left) and left != sides[1]:
        value, other_value = key(_read(left)), key(right)
        return right if value is not None and value == other_value else None
    return None


def _is_plain(text: str) -> bool:
    return is_constant(text) and not _RELATION.search(text)


def _ordered(text: str) -> Structure | None:
    """`1 < f(x) <= 3`: between constants, whatever it is that lies there."""
    distance = _DISTANCE.fullmatch(text)
    if distance is not None:
        return _within(*distance.groups())
    signs = intervals.ORDER.findall(text)
    if not 1 <= len(signs) <= 2 or "=" in text or ":" in text:
        return None
    bounds = scalar_key(text)
    if bounds is not None and enclosed(bounds, "([", ")]") and "," in bounds:
        return _enclosed(bounds)
    if len(signs) != 2 or len({sign[0:2] in (">", r"\g") for sign in signs}) > 1:
        return None
    low, middle, high = (part.strip() for part in intervals.ORDER.split(text))
    if signs[0] in (">", r"\ge"):
        low, high, signs = high, low, signs[::-1]
    if not (_is_plain(low) and _is_plain(high) and is_quantity(middle)):
        return None
    opening, closing = "(" if signs[0] in "<>" else "[", ")" if signs[1] in "<>" else "]"
    if re.fullmatch(r"\|[a-zA-Z]\|", middle):
        pieces = intervals.mirrored(
            intervals.Piece(opening, key(_read(low)) or low, key(_read(high)) or high, closing)
        )
        return None if pieces is None else _pieces(pieces)
    return interval(opening, low, high, closing)


def _within(inner: str, sign: str, bound: str) -> Structure | None:
    """`|x - 2| < 3` as what it says of x, for a positive bound."""
    value = key(_read(bound.strip())) if _is_plain(bound.strip()) else None
    position = None if value is None else intervals.place(value)
    if position is None or position <= 0:
        return None
    if sign in ("<", r"\le"):
        return _ordered(f"-({value}){sign} {inner}{sign} {value}")
    turned = "<" if sign == ">" else r"\le "
    return _items([f"{inner}{sign} {value}", f"{inner}{turned}-({value})"], StructureKind.LIST)


def _ratio(text: str) -> Structure | None:
    text = re.sub(r"(?<=[0-9])\s*\\text\{to\}\s*(?=[0-9])", ":", text)
    parts = split_outside(text, ":")
    if len(parts) == 1 or len(parts) > MAXIMUM_ELEMENTS or not all(map(str.strip, parts)):
        return None
    if _TIME.fullmatch(text):
        return Structure(StructureKind.RATIO, text)
    return Structure(StructureKind.RATIO, items=tuple(_read(part.strip()) for part in parts))


def is_constant_part(structure: Structure) -> bool:
    """Whether a structure has no unknowns."""
    if structure.kind is StructureKind.SCALAR:
        return is_constant(structure.text) and not _RELATION.search(structure.text)
    if structure.kind is StructureKind.RATIO and not structure.items:
        return True
    return structure.kind is StructureKind.BASED or (
        bool(structure.items) and all(map(is_constant_part, structure.items))
    )
