"""The registry of diagnostic codes: one entry each, collected from the stages that report them.

A stage adds its codes by listing its own `CODES` in `_STAGES`. The documentation of diagnostics is
generated from here, and the tests require a fixture for every code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Modules that define `CODES: tuple[Code, ...]`. A missing stage is a bug, so nothing is guarded.
_STAGES = ("tts_lang.syntax.codes", "tts_lang.check.codes")


@dataclass(frozen=True, slots=True)
class Code:
    """The meaning of a diagnostic code.

    Ranges: TTS1xx text and syntax, 2xx names, kinds and columns, 3xx numbers and bounds,
    4xx control and calls, 5xx files, imports and flags, 9xx warnings.
    """

    code: str
    title: str
    explanation: str


@cache
def registry() -> Mapping[str, Code]:
    """Every code, in order. Raises `ValueError` if two stages claim the same one."""
    codes: dict[str, Code] = {}
    for stage in _STAGES:
        for entry in import_module(stage).CODES:
            if entry.code in codes:
                raise ValueError(f"diagnostic code {entry.code} is defined twice")
            codes[entry.code] = entry
    return dict(sorted(codes.items()))
