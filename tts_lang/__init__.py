"""tts-lang: a small language for test-time scaling of language models.

`compile` makes a plan of a strategy, `diagnose` lists what is wrong with one, `explain_plan` gives
what a plan does and costs at most; `tts_runtime.run` executes plans. What these need is imported
when they are called: `import tts_lang` loads nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tts_lang.diagnostics import Diagnostic, DiagnosticError
    from tts_lang.plan.graph import Plan
    from tts_lang.plan.verify import PlanError
    from tts_lang.source import Source

__all__ = [
    "Diagnostic",
    "DiagnosticError",
    "Plan",
    "PlanError",
    "Source",
    "compile",
    "diagnose",
    "explain_plan",
]

_HOMES = {
    "Diagnostic": "tts_lang.diagnostics",
    "DiagnosticError": "tts_lang.diagnostics",
    "Plan": "tts_lang.plan.graph",
    "PlanError": "tts_lang.plan.verify",
    "Source": "tts_lang.source",
}


def compile(strategy: str | Path | Source, /, **parameters: int | float | str) -> Plan:
    """The plan of a strategy.

    Args:
        strategy: A shipped name, a file, `FILE:STRATEGY`, or a text (`Source.of("...")`).
        parameters: Values in place of the defaults: numbers, or texts as after `--set`.

    Raises:
        DiagnosticError: The strategy cannot be compiled; `diagnostics` says why, and the message
            is what `tts-compile` prints.
    """
    from tts_lang.compiler import compile_strategy

    return compile_strategy(strategy, settings=parameters)


def diagnose(strategy: str | Path | Source, /) -> tuple[Diagnostic, ...]:
    """Every error and warning about a file, all its strategies at their defaults.

    Args:
        strategy: As for `compile`. A file that cannot be read is a diagnostic too.

    Raises:
        DiagnosticError: Neither a file nor a shipped strategy.
    """
    from tts_lang.compiler import check_path, check_source, helped, locate
    from tts_lang.source import Source

    if isinstance(strategy, Source):
        return helped(check_source(strategy).diagnostics)
    path, _ = locate(strategy)
    return helped(check_path(path).diagnostics)


def explain_plan(plan: Plan, form: str = "text", context: int | None = None) -> str:
    """A description of a plan with bounds on rows and cost, as `tts-compile --explain` prints it.

    Args:
        form: `text`, `json`, `dot` (Graphviz), `mermaid` or `html`.
        context: Context window in tokens that bounds assume; by default the bundled policy's.

    Raises:
        ValueError: Another form.
    """
    from tts_lang.explain.formats import explained

    return explained(plan, form, context)


def __getattr__(name: str) -> object:
    """The types of the interface, from where they are defined."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """The interface, for completion."""
    return sorted(__all__)
