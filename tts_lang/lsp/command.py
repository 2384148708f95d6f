"""`tts-lsp`: starts the language server, or says what is missing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tts_lang.cli.process import MISTAKE


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the editor that started it, over standard input and output, until that ends."""
    options = argparse.ArgumentParser(
        prog="tts-lsp",
        description="The language server of tts-lang, for editors: it speaks the Language Server "
        "Protocol over standard input and output.",
        epilog="How to set up an editor: docs/editors.md",
    )
    # Clients of other servers pass it, and this server has no other way.
    options.add_argument("--stdio", action="store_true", help="the default, and all there is")
    options.parse_args(arguments)
    try:
        import pygls  # noqa: F401
    except ImportError:
        print("tts-lsp needs pygls: pip install 'tts-lang[lsp]'", file=sys.stderr)
        return MISTAKE
    from tts_lang.lsp.server import serve

    serve()
    return 0
