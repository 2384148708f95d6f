"""Makes foreign text safe to print: control characters are shown, not obeyed."""

from __future__ import annotations

import json
import re
import unicodedata

#: C0 (but tab and line feed) and C1 controls, bidirectional controls (CVE-2021-42574), characters
#: that are not seen, and halves of surrogate pairs.
_HIDDEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_OBEYED = re.compile(f"[{_HIDDEN}\ud800-\udfff]")
_IN_LINE = re.compile(f"[\t\n{_HIDDEN}\ud800-\udfff]")
#: A key where users write it though it is refused: as an option (`?api_key=...`), a member of JSON
#: or YAML, in place of the name of its variable, or as the password of an address. In
#: `python:secret:f` it is the name of a module.
_KEY = re.compile(
    r"""(
    (?<![\w-])(?<!python:)(?:(?:\w+[_-])?api[_-]?key|(?:access|auth|api|hf)[_-]?token|secret
        |password|authorization|bearer)["']?\s*[=:]\s*["']?(?:bearer(?:\s+|%20))?
    |[?&.](?-i:key|token)=
    |[?&.]key[_-]env=(?![a-z_]\w*(?:[^\w-]|$))
    )[^\s&#`"'}]+
    |(://)[^/?#\s`]*(?=@)""",
    re.IGNORECASE | re.VERBOSE,
)

#: Texts that are never shown, and what stands for each.
_SECRETS: dict[str, str] = {}


def conceal(secret: str, shown: str) -> None:
    """From now on `shown` stands for a secret in all that is printed or written."""
    _SECRETS[secret] = shown
    _SECRETS[json.dumps(secret)[1:-1]] = shown  # as it stands in JSON


def concealed(text: str) -> str:
    """A text without secrets; whoever shortens a text does it after this."""
    for secret, shown in _SECRETS.items():
        text = text.replace(secret, shown)
    return text


def without_keys(text: str) -> str:
    """What a user wrote, or a message about it, with `$KEY` in place of keys and passwords.

    Only for command lines and settings: in a model's text it would change what is no key.
    """
    return _KEY.sub(lambda match: f"{match[1] or match[2]}$KEY", text)


def concealed_beginning(text: str) -> str:
    """The beginning of a text that grows, `concealed`: without an end that may become a secret."""
    text = concealed(text)
    held = 0
    for secret in _SECRETS:
        sizes = range(held + 1, min(len(secret), len(text) + 1))
        held = max([held, *(size for size in sizes if text.endswith(secret[:size]))])
    return text[: len(text) - held]


def printable_json(data: bytes) -> bytes:
    """`printable` of a JSON text in one line, where control characters are escapes already."""
    if data.isascii() and b"\x7f" not in data and not _SECRETS:
        return data
    return printable(data.decode("utf-8", "surrogatepass")).encode()


def printable(text: object, *, line: bool = False) -> str:
    r"""A text with escapes (`\u001b`) in place of control and bidirectional characters.

    Secrets are removed. A JSON document keeps its meaning. Add control sequences of your own, such
    as colors, after this.

    Args:
        text: Anything; its `str` is shown.
        line: Also escape tabs and line ends, as in an id or a name.
    """
    pattern = _IN_LINE if line else _OBEYED
    return pattern.sub(lambda match: f"\\u{ord(match[0]):04x}", concealed(str(text)))


def columns(text: str) -> int:
    """Columns of a text in a font of one width: wide characters take two, accents none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.category(character) in ("Mn", "Me") for character in text)
    return len(text) + wide - marks
