"""Answers: found in a candidate's text, brought to one canonical form, graded against gold."""

from tts_runtime.answers.canonical import AnswerKind, Canonical, canonical, canonical_form
from tts_runtime.answers.extract import DEFAULT_MARKERS, MarkerError, check_marker, extract_answer
from tts_runtime.answers.grade import grade

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
