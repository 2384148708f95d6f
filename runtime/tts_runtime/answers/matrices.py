r"""Sums, products and multiples of matrices of numbers: `2\begin{pmatrix}1\\0\end{pmatrix}`."""

import re
from fractions import Fraction

from tts_runtime.answers.numbers import number_key, number_value

Matrix = list[list[Fraction]]

MAXIMUM_MATRICES = 8
MAXIMUM_ENTRIES = 36

MATRIX = re.compile(r"\\begin\{pmatrix\}((?:(?!\\begin|\\end).)*)\\end\{pmatrix\}", re.DOTALL)
_FACTOR = re.compile(r"\s*(?:\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|\*)?\s*")


def calculate(text: str) -> Matrix | None:
    """The matrix that a cleaned formula of several matrices, or a multiple of one, describes."""
    matrices = list(MATRIX.finditer(text))
    if not matrices or len(matrices) > MAXIMUM_MATRICES or matrices[0].span() == (0, len(text)):
        return None
    if matrices[-1].end() != len(text):
        return None
    total: Matrix | None = None
    product: Matrix | None = None
    position = 0
    for match in matrices:
        matrix = _numbers(match[1])
        between = text[position : match.start()].strip()
        if matrix is None:
            return None
        sign, rest = (between[0], between[1:]) if between[:1] in ("+", "-") else ("", between)
        factor = _coefficient(rest.strip())
        if factor is None or (rest.strip() and product is not None and not sign):
            if not (product is not None and not sign and _FACTOR.fullmatch(between)):
                return None
            factor = Fraction(1)
        if sign == "-":
            factor = -factor
        scaled = [[factor * entry for entry in row] for row in matrix]
        if product is not None and not sign:
            product = _product(product, scaled)
            if product is None:
                return None
        else:
            if product is not None:
                total = _sum(total, product)
                if total is None:
                    return None
            product = scaled
        position = match.end()
    return None if product is None else _sum(total, product)


def rows(body: str) -> list[list[str]]:
    """The entries of a matrix, row by row, as written."""
    return [row.split("&") for row in re.split(r"\\\\", body) if row.strip()]


def _numbers(body: str) -> Matrix | None:
    matrix: Matrix = []
    for row in rows(body):
        values = [number_value(number_key(entry.strip()) or "") for entry in row]
        matrix.append([value for value in values if value is not None])
        if None in values or len(row) != len(matrix[0]):
            return None
    return matrix if matrix and len(matrix) * len(matrix[0]) <= MAXIMUM_ENTRIES else None


def _coefficient(text: str) -> Fraction | None:
    text = _FACTOR.sub("", text)
    return number_value(number_key(text) or "") if text else Fraction(1)


def _sum(left: Matrix | None, right: Matrix) -> Matrix | None:
    if left is None:
        return right
    if [len(row) for row in left] != [len(row) for row in right]:
        return None
    return [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(left, right, strict=True)]


def _product(left: Matrix, right: Matrix) -> Matrix | None:
    if len(left[0]) != len(right):
        return None
    columns = list(zip(*right, strict=True))
    return [
        [sum((a * b for a, b in zip(row, column, strict=True)), Fraction(0)) for column in columns]
        for row in left
    ]
