"""Output of the commands to a terminal or a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from tts_lang.diagnostics import Diagnostic, render_text


def in_color(stream: object) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text (NO_COLOR)."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and not os.environ.get("NO_COLOR")


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Errors and warnings to standard error."""
    sys.stdout.flush()
    sys.stderr.write(render_text(diagnostics, color=in_color(sys.stderr)))
