"""`tts-export DIR --as FORMAT`: a record as training data."""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from pathlib import Path

from tts_lang.cli.completion import files, fixed
from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.cli.process import MISTAKE
from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.units import counted
from tts_lang.printable import printable
from tts_runtime.cli.record_command import name_damage, read_records
from tts_runtime.record.reader import open_run
from tts_runtime.record.training import FORMATS, rows

_NOTES = """
Examples:
  tts-export runs/x --as sft --chat --out sft.jsonl
  tts-export runs/x --as preference --strategy beam_search
  tts-export runs/x --as prm --out steps.jsonl

Exit codes: 0 success, 2 usage error, no run there, or nothing to write.
"""


def export_parser() -> CommandParser:
    """The arguments and options of `tts-export`."""
    command = CommandParser(
        "tts-export",
        "DIR --as FORMAT [OPTION...]",
        "Write a run (tts-run --out) as training data, in the formats of TRL: one JSON object a "
        "line.",
        _NOTES,
        {"--out FILE": ("output", "write"), "--as FORMAT": ("format",)},
    )
    command.add_argument("directory", metavar="DIR", help=SUPPRESS)
    group = command.group("Options")
    group.value(
        "--as",
        metavar="FORMAT",
        help="sft: right solutions; preference: a right and a wrong one that share a beginning; "
        "stepwise: steps, right or wrong; prm: steps with the share of right solutions below; "
        "trajectories: token ids, log-probabilities and reward of every draw (a run with --keep "
        "ids,logprobs)",
        completer=fixed(*FORMATS),
    )
    group.flag("--chat", help="messages in place of texts (sft, preference)")
    group.value("--strategy", metavar="NAME", help="only this strategy (default: all)")
    group.value(
        "-o",
        "--out",
        metavar="FILE",
        help="a JSONL file (default: standard output)",
        completer=files(".jsonl"),
    )
    command.common()
    return command


def export_command(arguments: Sequence[str]) -> int:
    """Runs `tts-export` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    return read_records(export_parser(), arguments, _export)


def _export(options: Namespace) -> int:
    form = getattr(options, "as")
    if form not in FORMATS:
        hint = did_you_mean(form or "", FORMATS) or f"one of {', '.join(FORMATS)}"
        raise UsageError(f"--as: expected a format; {hint}")
    if options.chat and form not in FORMATS[:2]:
        raise UsageError(f"--chat: it goes with --as {' or '.join(FORMATS[:2])}")
    run = open_run(options.directory)
    names = [run.strategy(options.strategy).name] if options.strategy else list(run.strategies)

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    lines = [
        json.dumps(row, ensure_ascii=False) + "\n"
        for row in rows(run, form, names, chat=options.chat, say=say)
    ]
    name_damage([run])
    if not lines:
        print("error: nothing to write: no solution of this run fits", file=sys.stderr)
        return MISTAKE
    if options.out is None:
        sys.stdout.write("".join(map(printable, lines)))
    else:
        try:
            Path(options.out).write_text("".join(lines), encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"--out: {options.out} cannot be written: {error.strerror}") from error
        print(f"{counted(len(lines), 'row')} in {printable(options.out)}", file=sys.stderr)
    return 0
