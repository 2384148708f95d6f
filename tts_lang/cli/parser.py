"""The parser behind both command lines: one look of `--help`, one wording of usage errors.

argparse, because it is the only parser that imports in a few milliseconds
(docs/decisions/0008-command-lines.md). No option may be abbreviated, and none is overridden
silently: an option that takes one value is an error when it is given twice.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypedDict, Unpack

from tts_lang.cli.completion import SHELLS, Completer, fixed, script
from tts_lang.cli.hints import option_hint
from tts_lang.cli.printing import in_color
from tts_lang.cli.process import MISTAKE
from tts_lang.diagnostics import did_you_mean
from tts_lang.printable import printable, without_keys
from tts_lang.release import release

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

#: Longest line of `--help`, in characters; a narrower terminal narrows it.
_WIDEST = 100
_HEADING = re.compile(r"^(usage:|[A-Z][\w ,]*:$)", re.MULTILINE)
#: Dashes that a word processor puts in place of `--`.
_TYPOGRAPHIC = ("\u2013", "\u2014", "\u2212")


#: argparse's reason for a value that `_filled` refuses.
_EMPTY: Final = "empty"


class UsageError(Exception):
    """A command line that cannot be used; the message is for the user."""


class OptionSettings(TypedDict, total=False):
    """argparse's settings of an option, and the completer of its value."""

    metavar: str
    dest: str
    completer: Completer


class Group:
    """Options under one heading of `--help`."""

    def __init__(self, group: argparse._ArgumentGroup) -> None:
        self._group = group

    def flag(self, *names: str, help: str) -> None:
        """An option without a value."""
        self._group.add_argument(*names, action="store_true", help=help)

    def value(self, *names: str, help: str, **settings: Unpack[OptionSettings]) -> None:
        """An option with one value, which may be given once."""
        self._add(names, help, settings, action=_Once)

    def values(self, *names: str, help: str, **settings: Unpack[OptionSettings]) -> None:
        """An option that may be repeated; a list of texts."""
        self._add(names, f"{help} (repeatable)", settings, action="append", default=[])

    def _add(self, names: Sequence[str], help: str, settings: OptionSettings, **more: Any) -> None:
        arguments: dict[str, Any] = dict(settings)
        completer = arguments.pop("completer", _nothing)
        arguments["type"] = _filled
        _complete(self._group.add_argument(*names, help=help, **arguments, **more), completer)


def _filled(text: str) -> str:
    """A value that is not empty: some options would take that for none (`--problems "$UNSET"`)."""
    if not text:
        raise argparse.ArgumentTypeError(_EMPTY)
    return text


def empty_value(metavar: str | tuple[str, ...] | None) -> str:
    """The message about an empty value, which a shell makes of a variable that is not set."""
    what = {"FILE": "a file", "DIR": "a folder", "SITE": "a folder"}.get(str(metavar), metavar)
    return f"expected {what}, not an empty text"


def _complete(action: argparse.Action, completer: Completer) -> None:
    """Attaches a completer where argcomplete looks for it."""

    def call(prefix: str, parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
        return completer(prefix, parsed_args)

    action.completer = call  # type: ignore[attr-defined]


def _nothing(_prefix: str, _options: argparse.Namespace) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """An option by its long name without dashes; `values`: it may be repeated."""

    name: str
    dest: str
    kind: Literal["flag", "value", "values"]
    metavar: str | tuple[str, ...]


class CommandParser(argparse.ArgumentParser):
    """A command's options in groups.

    Args:
        prog: The command's name.
        usage: Its arguments, in one line.
        description: What the command does; paragraphs that are indented are kept as they are.
        notes: Paragraphs below the options: examples, configuration.
        synonyms: Per option of ours, as help shows it (`--policy ENGINE`), names of other tools.
    """

    def __init__(
        self,
        prog: str,
        usage: str,
        description: str,
        notes: str,
        synonyms: Mapping[str, Sequence[str]],
    ) -> None:
        super().__init__(
            prog,
            usage=f"{prog} {usage}",
            description=description,
            epilog=notes,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self._synonyms = synonyms

    def group(self, title: str) -> Group:
        """A new heading of `--help`."""
        return Group(self.add_argument_group(title))

    def strategies(self, completer: Completer) -> Group:
        """The first heading: strategies and their parameters."""
        group = self.group("Strategies")
        action = group._group.add_argument(
            "strategies",
            nargs="*",
            metavar="STRATEGY",
            help="a shipped strategy (--list shows them), FILE.tts, FILE.tts:NAME or PLAN.json",
        )
        _complete(action, completer)
        return group

    def common(self) -> None:
        """The last heading: options that every command has."""
        group = self.group("Help")
        group._group.add_argument("-h", "--help", action="help", help="show this help and exit")
        group._group.add_argument(
            "--version", action=_Version, nargs=0, help="show the version and exit"
        )
        action = group._group.add_argument(
            "--completion",
            action=_Completion,
            metavar="SHELL",
            help="print the script that completes the commands in bash, zsh or fish",
        )
        _complete(action, fixed(*SHELLS))

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Options and positional arguments, in any order.

        Raises:
            UsageError: With a suggestion.
            SystemExit: After `--help`, `--version` and `--completion`.
        """
        self._refuse_wrong_dashes(arguments)
        options, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            name = unknown[0].partition("=")[0]
            longer = [each for each in self._names() if len(name) > 3 and each.startswith(name)]
            if longer:
                *first, last = map(repr, longer)
                either = f"{', '.join(first)} or {last}" if first else last
                hint: str | None = f"did you mean {either}?"
            else:
                hint = option_hint(unknown[0], arguments, self._synonyms)
                hint = hint or did_you_mean(name, self._names())
            raise UsageError(f"no such option: {name}" + (f"; {hint}" if hint else ""))
        return options

    def declared(self) -> list[OptionSpec]:
        """The options that a configuration may set, in the order of `--help`."""
        return [
            OptionSpec(name.removeprefix("--"), action.dest, kind, action.metavar or "")
            for action in self._actions
            for name in action.option_strings
            if name.startswith("--") and (kind := _KINDS.get(type(action)))
        ]

    def has(self, name: str) -> bool:
        """Whether there is an option of this name."""
        return name in self._names()

    def _names(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]

    def _refuse_wrong_dashes(self, arguments: Sequence[str]) -> None:
        """`-out x`, which would be `-o ut x`, and dashes that a word processor has joined."""
        for argument in arguments:
            if argument == "--":
                return
            name = argument.partition("=")[0]
            bare = name.lstrip("-" + "".join(_TYPOGRAPHIC))
            joined = name.startswith(_TYPOGRAPHIC)
            single = name.startswith("-") and not name.startswith("--") and len(name) > 2
            if (joined or single) and f"--{bare}" in self._names():
                raise UsageError(f"no such option: {name}; did you mean '--{bare}'?")

    def error(self, message: str) -> NoReturn:
        """Raises argparse's error as a `UsageError` in our words."""
        match = re.match(r"argument ([^:]*): (.*)", message, re.DOTALL)
        if match is None:
            missing = message.removeprefix("the following arguments are required: ")
            raise UsageError(message if missing == message else f"{missing} is missing")
        option, reason = match[1].split("/")[-1], match[2]
        action = next((each for each in self._actions if option in each.option_strings), None)
        if action is not None and reason == _EMPTY:
            reason = empty_value(action.metavar)
        elif action is not None and reason == "expected one argument":
            reason = (
                f"expected a value: {option} {action.metavar} (with `=` if it starts with a dash: "
                f"{option}=-...)"
            )
        elif reason.startswith("ignored explicit argument"):
            reason = "this option takes no value"
        raise UsageError(f"{option}: {reason}")

    def format_help(self) -> str:
        """`--help`, its headings in bold on a terminal."""
        text = super().format_help()
        return _HEADING.sub("\033[1m\\1\033[0m", text) if in_color(sys.stdout) else text

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse would swallow that a pipe is closed.
        (file or sys.stderr).write(message)


class _Once(argparse.Action):
    """Stores one value; a second one is an error."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        earlier = getattr(namespace, self.dest)
        if earlier is not None:
            raise UsageError(
                f"{option_string}: given twice (`{earlier}` and `{values}`); give it once"
            )
        setattr(namespace, self.dest, values)


class _Version(argparse.Action):
    """Prints the version and ends, whatever else is missing."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {release()}")
        raise SystemExit(0)


class _Completion(argparse.Action):
    """Prints the completion script of a shell and ends, whatever else is missing."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            sys.stdout.write(script(values))
        except ValueError as error:
            raise UsageError(f"{option_string}: {error}") from error
        raise SystemExit(0)


_KINDS: Final[Mapping[type[argparse.Action], Literal["flag", "value", "values"]]] = {
    argparse._StoreTrueAction: "flag",
    _Once: "value",
    argparse._AppendAction: "values",
}


class _HelpFormatter(argparse.HelpFormatter):
    """Fits the terminal, up to a width that reads well; indented paragraphs stay as they are."""

    def __init__(self, prog: str) -> None:
        width = max(40, min(get_terminal_size().columns, _WIDEST))
        super().__init__(prog, max_help_position=28 if width >= 80 else 20, width=width - 1)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            paragraph
            if ":\n" in paragraph
            else fill(paragraph, width, initial_indent=indent, break_on_hyphens=False)
            for paragraph in text.strip("\n").split("\n\n")
        )

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # `-o, --out DIR`, as Python 3.13 and later write it.
        if not action.option_strings:
            return super()._format_action_invocation(action)
        names = ", ".join(action.option_strings)
        return names if action.nargs == 0 else f"{names} {action.metavar}"


def usage_error(prog: str, error: UsageError, notes: Sequence[str] = ()) -> int:
    """Prints a usage error and lines about it; returns the exit code."""
    sys.stdout.flush()
    lines = [f"error: {error}", *(f"  note: {note}" for note in notes)]
    lines.append(f"  help: {prog} --help lists the options")
    sys.stderr.write("".join(f"{printable(without_keys(line))}\n" for line in lines))
    return MISTAKE
