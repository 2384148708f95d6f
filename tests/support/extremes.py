"""Values at the edges of arithmetic, for tests and for generators of programs."""

from __future__ import annotations

import math
from typing import Any, Final

#: Numbers of the language.
NUMBERS: Final[tuple[float, ...]] = (
    *(0, -0.0, 1, -1, 2, 0.5, 1 / 3, -7, 40, 1e-9, 5e-324),
    *(2**53 + 1, 2**63, -(2**63) - 1, 2**600, 1e308, -1e308, 1.7e308),
)
#: Everything that a value can be, and what can only come in from outside.
VALUES: Final[tuple[Any, ...]] = (
    *NUMBERS,
    *(math.inf, -math.inf, math.nan, 10**400, None, True, False, "", "2", "a b"),
)
#: Numbers as a strategy writes them.
LITERALS: Final = (
    *("0", "1", "-1", "0.5", "1 / 3", "1e-9", "2 ** 63", "2 ** 600", "2 ** 1024", "1e308"),
    *("-1e308", "0 * -1.0", "1e200 ** 2", "1 / 0", "10 ** 400"),
)
