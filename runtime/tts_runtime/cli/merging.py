"""`tts-merge DIR... --out DIR`: the shards of a run as one run directory."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from pathlib import Path

from tts_lang.cli.completion import folders
from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.explain.units import counted
from tts_lang.printable import printable
from tts_runtime.cli.record_command import read_records
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
    return read_records(merge_parser(), arguments, _merge, RunDirectoryError)


def _merge(options: Namespace) -> int:
    if not options.out:
        raise UsageError("--out: name the merged run directory, a new one")
    run = merge([Path(each) for each in options.directories], Path(options.out))
    count = counted(len(run.problems), "problem")
    print(printable(f"{run.directory}: {count}, {', '.join(run.strategies)}"))
    return 0
