"""Options of both commands."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from shutil import get_terminal_size
from textwrap import shorten

import tts_lang.cli.completion as completion
import tts_lang.library as library
from tts_lang.arguments import split_settings
from tts_lang.cli.parser import CommandParser, Group, UsageError
from tts_lang.compiler import locate, settings_of
from tts_lang.diagnostics import DiagnosticError
from tts_lang.explain.budget import KINDS
from tts_lang.printable import printable
from tts_lang.syntax.parser import load

NO_STRATEGY = "no strategy: name a file, or a shipped strategy (--list shows them)"


def settings_option(group: Group) -> None:
    """`--set`, which both commands have."""
    group.values(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        help="set a parameter in every strategy that has it, like a plain NAME=VALUE",
        completer=completion.parameters,
    )


def library_options(group: Group) -> None:
    """`--list` and `--source`, which both commands have."""
    group.flag("--list", help="list the shipped strategies and exit")
    group.value(
        "--source",
        metavar="NAME",
        help="print the file of a shipped strategy and exit",
        completer=completion.shipped,
    )


def budget_option(group: Group) -> None:
    """`--budget`, which both commands have."""
    group.values(
        "--budget",
        metavar="KIND=N",
        help="refuse a strategy that may need more of KIND per problem, such as tokens=2e6; KIND "
        f"is one of {', '.join(KINDS)}",
        completer=completion.pairs(*KINDS),
    )


def shared(options: Namespace) -> bool:
    """Runs `--list` or `--source`; whether it was one of them."""
    if options.list:
        print_list()
    elif options.source is not None:
        print_source(options.source)
    else:
        return False
    return True


def place_settings(options: Namespace) -> None:
    """Moves plain `n=16` from the strategies to the settings."""
    options.strategies, plain = split_settings(options.strategies)
    options.settings = [*plain, *options.settings]


def check_strategies(command: CommandParser, options: Namespace) -> None:
    """Refuses a command line without a strategy, and `limit=10` where `--limit 10` is meant.

    Raises:
        UsageError: With what to write.
    """
    if not options.strategies or not all(options.strategies):
        raise UsageError(NO_STRATEGY)
    for setting in options.settings:
        name, _, value = setting.partition("=")
        if command.has(f"--{name}") and name not in _parameters(options.strategies):
            raise UsageError(
                f"`{setting}`: no strategy here has a parameter `{name}`; did you mean "
                f"`--{name} {value}`?"
            )


def _parameters(strategies: Sequence[str]) -> set[str]:
    names: set[str] = set()
    for strategy in strategies:
        if not strategy.endswith(".json"):
            try:
                names.update(settings_of(strategy))
            except DiagnosticError:
                continue  # reported when it is compiled
    return names


def print_list() -> None:
    """Prints the shipped strategies with their descriptions, one per line."""
    strategies = library.listed()
    widest = max(map(len, strategies), default=0)
    room = max(40, get_terminal_size((100, 24)).columns - widest - 2)
    for name, summary in strategies.items():
        print(f"{name:{widest}}  {shorten(summary, room, placeholder='...')}".rstrip())


def print_source(strategy: str) -> None:
    """Prints the file of a strategy.

    Raises:
        DiagnosticError: No such strategy, or its file cannot be read.
    """
    path, _ = locate(strategy)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise DiagnosticError(load(path).diagnostics) from None
    sys.stdout.write(printable(text))
