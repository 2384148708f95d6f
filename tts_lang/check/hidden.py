"""Characters that are not seen: a text may be another one than it looks (CVE-2021-42574)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tts_lang.diagnostics import Diagnostic, warning
from tts_lang.source import Source, Span

#: Controls, bidirectional ones among them, and characters without a glyph. The two joiners belong
#: to scripts and pictures, so they are hidden only where they join nothing.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
#: Lines about which something is said.
_MOST = 20


def hidden_characters(source: Source) -> Iterator[Diagnostic]:
    """A warning for each line that holds some, at the first of them."""
    seen: set[int] = set()
    for found in _HIDDEN.finditer(source.text):
        line = source.position(found.start()).line
        if line in seen:
            continue
        if len(seen) == _MOST:
            return
        seen.add(line)
        yield warning(
            "TTS912",
            f"{_called(found[0])} is not seen, so this line may not be what it looks like",
            Span(found.start(), found.end()),
            source,
            suggestion="remove it",
        )


def _called(character: str) -> str:
    import unicodedata

    name = unicodedata.name(character, "control character").lower()
    return f"U+{ord(character):04X} ({name})"
