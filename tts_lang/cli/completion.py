"""Completion of command lines: scripts for shells, and candidates for arguments.

A shell's script starts the command with `_ARGCOMPLETE` set; argcomplete then asks the completers
here and ends the process. Completers are called with the text before the cursor and the options
read so far; candidates that do not start with this text are dropped by argcomplete.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tts_lang.arguments import plan_from
from tts_lang.diagnostics import DiagnosticError, did_you_mean
from tts_lang.plan.verify import PlanError

#: Completes the value of an option: (text before the cursor, options read so far) -> candidates.
Completer = Callable[[str, Namespace], Iterable[str]]

COMMANDS = (
    "tts-compile",
    "tts-run",
    "tts-show",
    "tts-report",
    "tts-view",
    "tts-tune",
    "tts-metrics",
    "tts-export",
    "tts-serve",
    "tts-merge",
    "tts-lsp",
)
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """The completion script of all commands.

    Raises:
        ValueError: Another shell; the message says which there are.
    """
    if shell not in SHELLS:
        hint = did_you_mean(shell, SHELLS) or f"choose {', '.join(SHELLS)}"
        raise ValueError(f"no completion for `{shell}`; {hint}")
    from argcomplete.shell_integration import shellcode

    text: str = shellcode(list(COMMANDS), shell=shell)
    return text if text.endswith("\n") else text + "\n"


def complete(parser: ArgumentParser) -> None:
    """Answers a shell that asks for candidates, and ends the process; else returns."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete
        from argcomplete.completers import SuppressCompleter

        argcomplete.autocomplete(parser, default_completer=SuppressCompleter())


def fixed(*values: str) -> Completer:
    """Completes one of these values."""
    return lambda _prefix, _options: values


def pairs(*names: str) -> Completer:
    """Completes the names of NAME=VALUE."""
    return lambda prefix, _options: [f"{name}=" for name in names] if "=" not in prefix else ()


def files(*endings: str) -> Completer:
    """Completes folders, and files with these endings (without endings: all files)."""
    return lambda prefix, _options: paths(prefix, endings)


def folders(prefix: str, _options: Namespace) -> Iterable[str]:
    """Completes folders."""
    return [path for path in paths(prefix, ()) if path.endswith("/")]


def paths(prefix: str, endings: Sequence[str]) -> list[str]:
    """Folders (with a slash at their end) and files that start with `prefix`."""
    head, _, start = prefix.rpartition("/")
    folder = Path(os.path.expanduser(head + "/" if "/" in prefix else "."))  # noqa: PTH111
    matches = []
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    for entry in entries:
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        shown = f"{head}/{entry.name}" if "/" in prefix else entry.name
        if entry.is_dir():
            matches.append(f"{shown}/")
        elif not endings or entry.name.endswith(tuple(endings)):
            matches.append(shown)
    return matches


def strategies(prefix: str, options: Namespace) -> Iterable[str]:
    """Completes strategies: shipped names, files, plans; and parameters of those named before."""
    import tts_lang.library as library

    if "=" in prefix:
        return ()
    return [*library.listed(), *paths(prefix, (".tts", ".json")), *parameters(prefix, options)]


def shipped(prefix: str, _options: Namespace) -> Iterable[str]:
    """Completes shipped strategies and `.tts` files."""
    import tts_lang.library as library

    return [*library.listed(), *paths(prefix, (".tts",))]


def parameters(prefix: str, options: Namespace) -> Iterable[str]:
    """Completes `NAME=` for the parameters of the strategies in the command line."""
    return [] if "=" in prefix else [f"{name}=" for name in _named(options, _parameters)]


def policies(options: Namespace) -> list[str]:
    """Names of the policies that the strategies in the command line use."""
    return _named(options, _policies)


def scorers(options: Namespace) -> list[str]:
    """Names of the scorers that the strategies in the command line use."""
    return _named(options, _scorers)


def _named(options: Namespace, names_of: Callable[[str], Iterable[str]]) -> list[str]:
    """Names that the strategies in the command line use; one with errors has none."""
    names: dict[str, None] = {}
    for strategy in options.strategies or ():
        try:
            names.update(dict.fromkeys(names_of(strategy)))
        except (DiagnosticError, PlanError):
            continue
    return list(names)


def _parameters(strategy: str) -> Iterable[str]:
    from tts_lang.compiler import settings_of

    return () if strategy.endswith(".json") else settings_of(strategy)


def _policies(strategy: str) -> Iterable[str]:
    return plan_from([strategy], {})[0].policies


def _scorers(strategy: str) -> Iterable[str]:
    return [scorer.name for scorer in plan_from([strategy], {})[0].scorers]
