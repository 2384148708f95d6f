"""Output of the commands to a terminal or a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from tts_lang.diagnostics import Diagnostic, render_text


def in_color(stream: object) -> bool:
    """Whether a stream is a terminal that has colors and whose user has not refused them.

    `NO_COLOR` refuses them; a terminal called `dumb`, as in Emacs, shows their codes.
    """
    isatty = getattr(stream, "isatty", None)
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return bool(isatty and isatty()) and not plain


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Errors and warnings to standard error."""
    sys.stdout.flush()
    sys.stderr.write(render_text(diagnostics, color=in_color(sys.stderr)))
