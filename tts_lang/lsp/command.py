"""`tts-lsp`: starts the language server, or names the missing package."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tts_lang.cli.completion import complete
from tts_lang.cli.parser import CommandParser, UsageError, usage_error
from tts_lang.cli.process import MISTAKE

_NOTES = """
How to set up an editor: docs/editors.md

Exit codes: 0 when the editor ends, 2 usage error, or pygls is not installed.
"""


def lsp_parser() -> CommandParser:
    """The options of `tts-lsp`."""
    command = CommandParser(
        "tts-lsp",
        "[OPTION...]",
        "The language server of tts-lang, for editors: it speaks the Language Server Protocol over "
        "standard input and output.",
        _NOTES,
        {},
    )
    # Clients of other servers pass it, and this server has no other way.
    command.group("Options").flag("--stdio", help="the default, and all there is")
    command.common()
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the editor that started it, over standard input and output, until that ends."""
    command = lsp_parser()
    complete(command)
    try:
        command.parse(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        return usage_error(command.prog, error)
    try:
        import pygls  # noqa: F401
    except ImportError:
        print("tts-lsp needs pygls: pip install 'tts-lang[lsp]'", file=sys.stderr)
        return MISTAKE
    from tts_lang.lsp.server import serve

    serve()
    return 0
