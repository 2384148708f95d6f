"""Answers: found in a candidate's text, brought to one canonical form, graded against gold.

What is used here is imported when it is asked for: a run on plain numbers needs little of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tts_runtime.answers.extract import (
        DEFAULT_MARKERS,
        MarkerError,
        check_marker,
        extract_answer,
    )
    from tts_runtime.answers.forms import (
        AnswerKind,
        Canonical,
        canonical,
        canonical_form,
    )
    from tts_runtime.answers.grading import grade

__all__ = [
    "DEFAULT_MARKERS",
    "AnswerKind",
    "Canonical",
    "MarkerError",
    "canonical",
    "canonical_form",
    "check_marker",
    "extract_answer",
    "grade",
]

_MODULES: Final = {
    **dict.fromkeys(("AnswerKind", "Canonical", "canonical", "canonical_form"), "forms"),
    **dict.fromkeys(
        ("DEFAULT_MARKERS", "MarkerError", "check_marker", "extract_answer"), "extract"
    ),
    "grade": "grading",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
