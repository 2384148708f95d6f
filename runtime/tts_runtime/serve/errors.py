"""Errors for clients: in OpenAI's shape, without facts about this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tts_lang.diagnostics import DiagnosticError
from tts_lang.printable import printable

_LONGEST: Final = 1000
#: Files with their folders, and addresses: clients need not know where things are.
_ADDRESS: Final = re.compile(r"(?:\bserver )?\b[a-z][a-z0-9+.-]*://[^\s`'\"]*[^\s`'\":;,.)]")
_PATH: Final = re.compile(r"(?<![\w./])(?:~|\.{1,2})?/(?:[^\s/:`'\"]+/)*(?=[^\s/:`'\"]*)")


class ApiError(Exception):
    """A request that gets no answer.

    Args:
        status: Of HTTP.
        message: For the client.
        code: For its program: `model_not_found`, ...
        param: The member of the request that is wrong.
        headers: Beside it, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The error in the form of the OpenAI interface."""
        message = printable(without_places(str(self)))[:_LONGEST]
        error = {"message": message, "type": _type(self.status)}
        return {"error": {**error, "param": self.param, "code": self.code}}


def _type(status: int) -> str:
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return kinds.get(status, "invalid_request_error" if status < 500 else "server_error")


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """A request that is wrong in itself."""
    return ApiError(400, message, code, param)


def without_places(text: str) -> str:
    """A message without addresses and folders; names of files stay."""
    return _PATH.sub("", _ADDRESS.sub("the server", text))


def told(error: DiagnosticError) -> str:
    """A diagnostic's message, without the lines of the file."""
    first = next(each for each in error.diagnostics if each.is_error)
    hint = first.suggestion
    return f"{first.message}; {hint}" if hint else first.message
