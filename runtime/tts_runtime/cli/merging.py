"""`tts-merge DIR... --out DIR`: the shards of a run as one run directory."""

from __future__ import annotations

import sys
from argparse import SUPPRESS
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tts_lang.cli.completion import complete, folders, script
from tts_lang.cli.parser import CommandParser, UsageError, usage_error
from tts_lang.cli.process import MISTAKE
from tts_lang.printable import printable
from tts_runtime.runs.merge import merge
from tts_runtime.runs.rundir import RunDirectoryError

_NOTES = """
Examples:
  tts-run majority --out runs/x --shard 1/2
  tts-run majority --out runs/x --shard 2/2
  tts-merge runs/x --out runs/whole

Exit codes: 0 success, 2 usage error, or shards that are
missing, unfinished, damaged, there twice or of other runs.
"""


def merge_parser() -> CommandParser:
    """The arguments and options of `tts-merge`."""
    command = CommandParser(
        "tts-merge",
        "DIR... --out DIR",
        "Merge the shards of a run (tts-run --shard) into one run directory. DIR is a shard, or a "
        "folder with shards.",
        _NOTES,
        {"--out DIR": ("output",)},
    )
    command.add_argument("directories", metavar="DIR", nargs="+", help=SUPPRESS)
    group = command.group("Options")
    group.value(
        "-o", "--out", metavar="DIR", help="the merged run directory, a new one", completer=folders
    )
    command.common()
    return command


def merge_command(arguments: Sequence[str]) -> int:
    """Runs `tts-merge` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    command = merge_parser()
    complete(command)
    try:
        options = command.parse(arguments)
        if options.version:
            print(f"{command.prog} {version('tts-lang')}")
            return 0
        if options.completion is not None:
            sys.stdout.write(script(options.completion))
            return 0
        if not options.out:
            raise UsageError("--out: name the merged run directory, a new one")
        run = merge([Path(each) for each in options.directories], Path(options.out))
    except UsageError as error:
        return usage_error(command.prog, error)
    except RunDirectoryError as error:
        sys.stdout.flush()
        print(f"error: {printable(error)}", file=sys.stderr)
        return MISTAKE
    count = len(run.problems)
    print(printable(f"{run.directory}: {count} problems, {', '.join(run.strategies)}"))
    return 0
