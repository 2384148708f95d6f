"""Short ways to compile texts in tests of the checker."""

from __future__ import annotations

from collections.abc import Mapping

from tts_lang.compiler import check_source, compile_with_warnings
from tts_lang.plan.graph import Operation, Plan, Spec, operations
from tts_lang.source import Source


def compiled(
    text: str, strategy: str | None = None, settings: Mapping[str, str | int | float] | None = None
) -> Plan:
    """The plan of a text's strategy; a `CompileError` if it has errors."""
    return compile_with_warnings(Source.of(text, "test.tts"), strategy, settings).plan


def body(*lines: str, header: str = "strategy s(n = 4):") -> str:
    """A strategy with these lines."""
    return "\n".join([header, *(f"    {line}" for line in lines)]) + "\n"


def codes(text: str, name: str = "test.tts") -> list[str]:
    """The codes of what the checker finds, in order of place."""
    return [diagnostic.code for diagnostic in check_source(Source.of(text, name)).diagnostics]


def operation(plan: Plan, kind: type[Spec]) -> Operation:
    """The only operation of a kind."""
    (found,) = (each for each in operations(plan.body) if isinstance(each.spec, kind))
    return found
