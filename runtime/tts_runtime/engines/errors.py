"""Errors of engines, in a module that imports no engine and no NumPy."""

from __future__ import annotations

from enum import StrEnum

from tts_lang.errors import CopiedWhole
from tts_lang.printable import concealed


class EngineError(CopiedWhole):
    """An engine cannot be used, or broke; the message says what is wrong and what to do.

    It ends the problem that sent the request; an error of a single request is a `CandidateError`.
    Secrets (API keys) are removed from the message. `wait`: seconds after which its server wants to
    be asked again, if it said so.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(concealed(message))
        self.wait = wait


class NotRecordedError(EngineError):
    """A record does not have what was asked for: it ends the problem if the answer needs it.

    A run that ended early was given less than it had asked for, so its record has less, too.
    """


class Fault(StrEnum):
    """Why a single candidate has no text or no score."""

    TOO_LONG = "too_long"  # for the window, or for memory
    MARKED = "marked"  # its text contains one of the scorer's own marks
    BLANK = "blank"  # one of its steps is blank
    FILTERED = "filtered"  # a server withheld its reply
    UNUSABLE = "unusable"  # a malformed reply
    EXCEPTION = "exception"  # the scorer's code raised an error
    NO_SCORE = "no_score"  # the scorer returned none
    UNREADABLE = "unreadable"  # no verdict in a judge's replies


class CandidateError(EngineError):
    """A request that cannot be answered because of its content: a fault of its candidate.

    The candidate has no score or no answer, is counted, and the others decide.

    Args:
        fault: Its kind.
        message: As for an `EngineError`.

    Attributes:
        drawn, prefilled: As of a `Generation`: what the engine did for it all the same.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.drawn = self.prefilled = 0
