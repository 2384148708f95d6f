"""`tts-view DIR...`: the page of `tts-report` from a server that follows runs while they grow."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from tts_lang.cli.parser import CommandParser, UsageError
from tts_runtime.cli.options import limit_of
from tts_runtime.cli.record_command import read_records
from tts_runtime.cli.reporting import baseline_option, directories, study_of
from tts_runtime.report.serve import Live, server

_NOTES = """
Examples:
  tts-view runs/x                then open the address
  tts-view runs/x --port 8000    at a port of your choice

The server answers this machine only; from elsewhere, forward its port with ssh -L.

Exit codes: 0 after Ctrl-C, 2 usage error, no run there, or a port that is taken.
"""


def view_parser() -> CommandParser:
    """The arguments and options of `tts-view`."""
    command = CommandParser(
        "tts-view",
        "DIR... [OPTION...]",
        "Show the report of runs in a browser, and follow them while they grow.",
        _NOTES,
        {},
    )
    directories(command)
    group = command.group("Options")
    group.value("--port", metavar="N", help="port of the server (default: any that is free)")
    baseline_option(group)
    command.common()
    return command


def view_command(arguments: Sequence[str]) -> int:
    """Runs `tts-view` with these arguments, until Ctrl-C.

    Returns:
        The exit code.
    """
    return read_records(view_parser(), arguments, _view)


def _view(options: Namespace) -> int:
    port = limit_of("--port", options.port, least=0) or 0
    if port > 65535:
        raise UsageError(f"--port: expected at most 65535, not {port}")
    live = Live(study_of(options), options.baseline)
    try:
        http = server(live, port)
    except OSError as error:
        raise UsageError(f"--port: {port} cannot be used: {error.strerror}") from error
    with http:
        print(f"http://127.0.0.1:{http.server_address[1]}/ (Ctrl-C ends)", flush=True)
        try:
            http.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return 0
    return 0
