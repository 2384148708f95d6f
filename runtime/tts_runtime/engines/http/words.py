"""Error descriptions of servers: their forms, and what kind of error each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tts_lang.printable import concealed
from tts_lang.readers import parse_json

_LONGEST: Final = 400
#: Members of replies that are no errors.
_CONTENT: Final = ("choices", "data", "models", "usage")
#: Codes and types of temporary errors.
_PASSING: Final = ("rate", "overload", "server", "internal", "unavailable", "timeout", "capacity")
#: Codes and types of permanent errors.
_LASTING: Final = {
    "invalid": 400,
    "bad_request": 400,
    "badrequest": 400,
    "unsupported": 400,
    "context_length": 400,
    "content_filter": 400,
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
    "notfound": 404,
    "insufficient_quota": 402,
    "billing": 402,
}


@dataclass(frozen=True, slots=True)
class Words:
    """A server's description of an error.

    Args:
        reason: The message; shortened by `shown`.
        code: A number or name, if any.
        kind: The error's type, if any.
        field: The field of the request that it is about, if any.
    """

    reason: str
    code: int | str | None = None
    kind: str = ""
    field: str = ""

    @property
    def status(self) -> int:
        """The HTTP status that fits an error which came with another status; 500 if unknown."""
        code = self.code
        if isinstance(code, str) and code.isdecimal() and len(code) == 3:
            code = int(code)
        if isinstance(code, int) and 400 <= code < 600:
            return code
        named = f"{code or ''} {self.kind}".lower().replace(" ", "_")
        lasting = next((status for word, status in _LASTING.items() if word in named), 500)
        return 500 if any(word in named for word in _PASSING) else lasting

    def concealed(self) -> Words:
        """The same without secrets."""
        code = concealed(self.code) if isinstance(self.code, str) else self.code
        return Words(concealed(self.reason), code, concealed(self.kind), concealed(self.field))


def shown(reason: str) -> str:
    """A reason, shortened."""
    return reason[:_LONGEST] + "..." if len(reason) > _LONGEST else reason


def problem_in(reply: Any) -> Words | None:
    """The error in a reply with a successful status, if any."""
    if isinstance(reply, list) and len(reply) == 1:
        reply = reply[0]  # Gemini's way
    if not isinstance(reply, Mapping) or reply.get("choices"):
        return None
    # Nothing but words, as FastAPI (`detail`) and gateways (`code`, `message`) write errors.
    message = reply.get("detail") or reply.get("message")
    only = isinstance(message, str | list) and message and not any(map(reply.get, _CONTENT))
    wrong = reply.get("error") or (reply if only or reply.get("object") == "error" else None)
    return words_of({"error": wrong}) if wrong else None


def words_in(content: bytes) -> Words:
    """The error description in a body: JSON of the usual forms, or a text."""
    text = content.decode("utf-8", errors="replace").strip()
    try:
        found = parse_json(text)
    except ValueError:
        return Words(_line(text))
    words = words_of(found)
    return words if words.reason else Words(_line(text), words.code, words.kind, words.field)


def words_of(found: Any) -> Words:
    """The error description in JSON; see `words_in`."""
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    inner = found.get("error", found) if isinstance(found, Mapping) else found
    if not isinstance(inner, Mapping):
        return Words(_line(inner) if isinstance(inner, str) else "")
    reason = inner.get("message") or inner.get("detail") or ""
    code, kind, field = (inner.get(name) for name in ("code", "type", "param"))
    if code is None:
        code = inner.get("status")
    reason = _line(reason if isinstance(reason, str) else str(reason))
    field = field if isinstance(field, str) else ""
    behind = _behind(inner)
    if behind is not None and behind.reason:
        reason, field = f"{reason}: {behind.reason}", field or behind.field
    return Words(
        reason,
        code if isinstance(code, int | str) and not isinstance(code, bool) else None,
        kind if isinstance(kind, str) else "",
        field,
    )


def _behind(error: Mapping[str, Any]) -> Words | None:
    """What the server behind a router says: OpenRouter's own message is always the same."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str):
        return words_in(raw.encode("utf-8", "replace"))
    return words_of(raw) if isinstance(raw, Mapping) else None


def _line(text: str) -> str:
    return " ".join(text.split())
