"""The version of tts-lang that runs."""

from __future__ import annotations

from functools import cache


@cache
def release() -> str:
    """The version of the installed package; `checkout` where the code runs uninstalled."""
    # Loads the parser of e-mail headers, which few commands need.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tts-lang")
    except PackageNotFoundError:
        return "checkout"
