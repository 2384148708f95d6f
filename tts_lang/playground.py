"""The compiler's interface for the documentation's playground: JSON texts.

It runs in a browser, in Pyodide, from the wheel: nothing here needs files of the user's, a network
or threads. `docs/site/playground` has the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tts_lang.compiler import check_source, compile_with_warnings, helped
from tts_lang.diagnostics import Diagnostic, DiagnosticError, as_json
from tts_lang.plan.graph import Plan
from tts_lang.source import Source

_FOLDER = re.compile(r'(?<=^import ")[^"\n]*/', re.MULTILINE)
#: The text's file name in messages.
NAME = "playground.tts"


def answer(request: str) -> str:
    """The result, as JSON, of the function that a request `{"do": NAME, ...}` names."""
    arguments: dict[str, Any] = json.loads(request)
    return json.dumps(_ANSWERS[arguments.pop("do")](**arguments))


def examples() -> list[dict[str, str]]:
    """The shipped strategies: name and text of the file, whose imports are shipped names."""
    import tts_lang.library as library

    return [
        {"name": name, "text": _FOLDER.sub("", path.read_text(encoding="utf-8"))}
        for name, path in library.names().items()
        if name == path.stem
    ]


def check(text: str, tried: bool = False) -> dict[str, Any]:
    """A text's diagnostics and declarations.

    Args:
        tried: Try helps on the file first, which takes longer.
    """
    result = check_source(Source.of(text, NAME))
    diagnostics = helped(result.diagnostics) if tried else result.diagnostics
    return {
        "diagnostics": shown(diagnostics),
        "strategies": [
            {"name": each.name, "parameters": _texts(each.parameters)} for each in result.strategies
        ],
        "laws": len(result.laws),
    }


def explain(text: str, strategy: str, settings: Mapping[str, str], form: str) -> dict[str, Any]:
    """Bounds on a strategy's cost, in one of the forms of `tts-compile --format`.

    A parameter's text is read as after `--set`; an empty one means the default.
    """
    from tts_lang.explain.formats import explained

    plan, diagnostics = compiled(text, strategy, settings)
    if plan is None:
        return {"diagnostics": diagnostics}
    return {"diagnostics": [], "page": explained(plan, form, width=80)}


def compiled(
    text: str, strategy: str, settings: Mapping[str, str]
) -> tuple[Plan | None, list[dict[str, object]]]:
    """A strategy's plan, or its errors."""
    changed = {name: value for name, value in settings.items() if value.strip()}
    try:
        return compile_with_warnings(Source.of(text, NAME), strategy, changed).plan, []
    except DiagnosticError as error:
        return None, shown(error.diagnostics)


def formatted(text: str) -> dict[str, Any]:
    """The text in canonical layout, as `tts-compile --fmt` writes it."""
    from tts_lang.syntax.format import format_source

    try:
        return {"diagnostics": [], "text": format_source(Source.of(text, NAME))}
    except DiagnosticError as error:
        return {"diagnostics": shown(error.diagnostics)}


def shown(diagnostics: Sequence[Diagnostic]) -> list[dict[str, object]]:
    """Diagnostics as JSON; those of an import name its file."""
    return [as_json(each) for each in diagnostics]


def _texts(parameters: Mapping[str, object]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in parameters.items()}


_ANSWERS: dict[str, Callable[..., Any]] = {
    "examples": examples,
    "check": check,
    "explain": explain,
    "format": formatted,
}
