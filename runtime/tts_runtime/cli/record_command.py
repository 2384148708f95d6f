"""Shared by commands that read a record: `tts-show`, `tts-report`, `tts-tune`..."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tts_lang.cli.completion import complete
from tts_lang.cli.parser import CommandParser, UsageError, usage_error
from tts_lang.cli.process import MISTAKE
from tts_lang.printable import printable
from tts_runtime.record.files import DirectoryError, refuse_twice
from tts_runtime.record.reader import Run, StrategyRecord, open_run


def read_records(
    command: CommandParser,
    arguments: Sequence[str],
    act: Callable[[Namespace], int],
    *mistakes: type[Exception],
) -> int:
    """Runs a command with these arguments; every mistake of the user's ends with a message.

    Args:
        command: Its options.
        arguments: As typed.
        act: What it does with the options; returns the exit code.
        mistakes: Exceptions whose message is for the user, beside those of every record.

    Returns:
        The exit code.
    """
    expected: tuple[type[Exception], ...] = (DirectoryError, KeyError, *mistakes)
    complete(command)
    try:
        return act(command.parse(arguments))
    except (UsageError, ValueError) as error:
        return usage_error(command.prog, UsageError(error))
    except expected as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        sys.stdout.flush()
        print(f"error: {printable(message)}", file=sys.stderr)
        return MISTAKE


def refuse_others(options: Namespace, belongs: Mapping[str, Sequence[str]], chosen: str) -> None:
    """Refuses options that would have no effect.

    Args:
        options: As parsed.
        belongs: What an option belongs to.
        chosen: What the command does.

    Raises:
        UsageError: One belongs to something else.
    """
    for name, uses in belongs.items():
        value = getattr(options, name.removeprefix("--").replace("-", "_"))
        if value is not None and chosen not in uses:
            raise UsageError(f"{name} belongs to {' or '.join(uses)}, not to {chosen}")


def name_damage(runs: Iterable[Run]) -> None:
    """Names what was read of some runs and left out, to standard error."""
    sys.stdout.flush()
    for damage in dict.fromkeys(damage for run in runs for damage in run.damaged):
        print(f"damaged, left out: {printable(damage)}", file=sys.stderr)


def chosen_records(options: Namespace) -> list[tuple[Run, StrategyRecord]]:
    """The strategies that are asked for, of all directories.

    Raises:
        DirectoryError: A directory holds no run, or one is named twice.
        KeyError: No run has this strategy.
    """
    refuse_twice(map(Path, options.directories))
    runs: list[Run] = options.runs
    runs += [open_run(each) for each in options.directories]
    if options.strategy is None:
        return [(run, record) for run in runs for record in run.strategies.values()]
    chosen = [(r, r.strategies[options.strategy]) for r in runs if options.strategy in r.strategies]
    return chosen or [(run, run.strategy(options.strategy)) for run in runs]


def labels_of(records: Sequence[tuple[Run, StrategyRecord]]) -> list[str]:
    """Names of strategies, with their directories if there are several."""
    several = len({run.directory for run, _ in records}) > 1
    return [
        f"{record.name} ({run.directory})" if several else record.name for run, record in records
    ]
