"""`tts-report DIR...`: runs as a static site, or in the terminal."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from pathlib import Path

from tts_lang.cli.completion import folders
from tts_lang.cli.parser import CommandParser, Group, UsageError
from tts_lang.printable import printable
from tts_runtime.cli.record_command import read_records
from tts_runtime.report.drawing import can_draw
from tts_runtime.report.site import SiteError, write_site
from tts_runtime.report.study import Study

_OUT = "report"

_NOTES = """
Examples:
  tts-report runs/x                writes report/index.html
  tts-report runs/x runs/y -o xy   two runs side by side
  tts-report runs/x --text         in the terminal

For papers, SITE/figures has SVG, PDF, PNG (300 dpi) and CSV files, SITE/tables LaTeX (booktabs),
Markdown and CSV. SVG, PDF and PNG files need vl-convert: pip install 'tts-lang[report]'. Without it
the page saves SVG and CSV.

Exit codes: 0 success, 2 usage error, no run there, or a folder that cannot be written.
"""


def directories(command: CommandParser) -> None:
    """The runs that a command reads."""
    command.add_argument("directories", metavar="DIR", nargs="*", help=SUPPRESS)


def baseline_option(group: Group) -> None:
    """`--baseline`, which both commands have."""
    group.value(
        "--baseline",
        metavar="NAME",
        help="strategy that the others are compared with, at the same budget",
    )


def study_of(options: Namespace) -> Study:
    """The study of the directories that are named.

    Raises:
        UsageError: None is.
        DirectoryError: One is named twice.
    """
    if not options.directories:
        raise UsageError("no run: name directories that `tts-run --out` wrote")
    return Study([Path(each) for each in options.directories])


def report_parser() -> CommandParser:
    """The arguments and options of `tts-report`."""
    command = CommandParser(
        "tts-report",
        "DIR... [OPTION...]",
        "Make a site of runs (tts-run --out) that opens without a server: accuracy against budget "
        "and cost, by difficulty, paired differences, reward models, and every search tree.",
        _NOTES,
        {"--out SITE": ("output", "o_dir", "dest"), "--baseline NAME": ("reference", "control")},
    )
    directories(command)
    group = command.group("Options")
    group.value(
        "-o",
        "--out",
        metavar="SITE",
        help=f"write the site into this folder (default: {_OUT})",
        completer=folders,
    )
    baseline_option(group)
    group.flag("--text", help="print tables and plots instead of writing a site")
    command.common()
    return command


def report_command(arguments: Sequence[str]) -> int:
    """Runs `tts-report` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    return read_records(report_parser(), arguments, _report, SiteError)


def _report(options: Namespace) -> int:
    study = study_of(options)
    if options.text and options.out is not None:
        raise UsageError("--text prints and --out writes a site: choose one of them")
    if options.text:
        from tts_runtime.report.text import print_study

        print_study(study, options.baseline)
    else:
        written = write_site(study, Path(options.out or _OUT), options.baseline)
        kinds = "SVG, PDF, PNG, CSV" if can_draw() else "CSV"
        print(
            f"wrote {printable(written.index)}: strategies {len(study.entries)}, problems "
            f"{len(study.problems):,}, figures {written.figures} ({kinds}), tables "
            f"{written.tables} (LaTeX, Markdown, CSV), search trees {written.trees:,}; "
            f"{written.size / 1e6:,.1f} MB"
        )
    for note in study.notes():
        print(f"note: {printable(note)}", file=sys.stderr)
    return 0
