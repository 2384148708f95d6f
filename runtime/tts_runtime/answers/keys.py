"""The canonical form of a structure, for the vote."""

from tts_runtime.answers.numbers import number_key, ratio_key
from tts_runtime.answers.parts import Structure, StructureKind

NOTHING = r"\emptyset"
UNION = r"\cup"
DOTS = r"\ldots"


def key(structure: Structure) -> str | None:
    """The canonical form, None if a part is not understood."""
    if structure.kind is StructureKind.SCALAR:
        return scalar_key(structure.text)
    if structure.kind in (StructureKind.BASED, StructureKind.WORDS) or not structure.items:
        return structure.text
    if structure.kind is StructureKind.MATRIX:
        return _matrix_key(structure)
    keys = [key(item) for item in structure.items]
    forms = [each for each in keys if each is not None]
    if len(forms) < len(keys):
        return None
    return _written(structure, forms)


def _written(structure: Structure, keys: list[str]) -> str | None:
    match structure.kind:
        case StructureKind.TUPLE:
            return f"{structure.text[0]}{','.join(keys)}{structure.text[1]}"
        case StructureKind.RECORD:
            named = [f"{name}={value}" for name, value in zip(structure.names, keys, strict=True)]
            return named[0] if len(named) == 1 else "\\{" + ",".join(named) + "\\}"
        case StructureKind.UNION:
            return keys[0] + "".join(
                f"{UNION} {each}" if each[0].isalpha() else f"{UNION}{each}" for each in keys[1:]
            )
        case StructureKind.RATIO:
            return ratio_key(keys) or ":".join(keys)
        case StructureKind.SEQUENCE:
            return ",".join(keys)
    if structure.kind is StructureKind.LIST and len(set(keys)) < len(keys):
        # A space keeps "100, 100" from being one number.
        return ", ".join(sorted(keys))
    different = sorted(set(keys))
    return different[0] if len(different) == 1 else "\\{" + ",".join(different) + "\\}"


def _matrix_key(matrix: Structure) -> str | None:
    rows = [[key(entry) for entry in row.items] for row in matrix.items]
    forms = [[each for each in row if each is not None] for row in rows]
    if list(map(len, forms)) != list(map(len, rows)):
        return None
    body = r"\\".join("&".join(row) for row in forms)
    return rf"\begin{{pmatrix}}{body}\end{{pmatrix}}"


def scalar_key(text: str) -> str | None:
    """The canonical form of a scalar, None if it is not understood."""
    number = number_key(text)
    if number is not None:
        return number
    if text in (NOTHING, DOTS):
        return text
    if not text:
        return None
    import tts_runtime.answers.expression as expression

    return expression.scalar_key(text)
