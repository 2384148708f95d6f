"""Errors of engines, in a module that imports no engine and no NumPy."""

from __future__ import annotations

from enum import StrEnum

from tts_lang.printable import concealed


class EngineError(Exception):
    """An engine cannot be used, or broke; the message says what is wrong and what to do.

    It ends the problem that asked. What is wrong with one request only is a `CandidateError`.
    Secrets (API keys) are taken out of the message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(concealed(message))


class Fault(StrEnum):
    """Why one candidate has no text or no score, where others can have theirs."""

    TOO_LONG = "too_long"  # beyond the window, or beyond the memory
    MARKED = "marked"  # its text holds a mark of the scorer's own
    BLANK = "blank"  # it has a step without text
    FILTERED = "filtered"  # a server kept its reply back
    UNUSABLE = "unusable"  # a reply that says nothing: no number, another form
    EXCEPTION = "exception"  # the scorer's code failed
    NO_SCORE = "no_score"  # the scorer itself gave none
    UNREADABLE = "unreadable"  # no verdict in a judge's replies


class CandidateError(EngineError):
    """A request that cannot be answered for what it holds: its candidate's fault, not the engine's.

    The candidate goes without (a missing score, no answer), is counted, and the others decide.

    Args:
        fault: Of which kind.
        message: As of an `EngineError`.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
