"""Options from the command line, `TTS_*` variables and a YAML file, in this order of precedence.

The options are those of the parser: each is declared once, and its value is read by the same
function wherever it comes from. An error names the source of the value that it is about.
"""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tts_lang.cli.parser import CommandParser, OptionSpec, UsageError, empty_value
from tts_lang.diagnostics import did_you_mean, suggest
from tts_lang.printable import without_keys
from tts_lang.readers import read_written

_PREFIX = "TTS_"
#: Options that cannot be configured: they replace the run.
_COMMANDS = frozenset({"help", "version", "completion", "list", "source"})
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class ValueSource:
    """A value that is in effect and does not come from the command line."""

    option: str
    value: str
    source: str

    def __str__(self) -> str:
        value = without_keys(self.value)
        return f"--{self.option} {value} comes from {self.source}".replace("  ", " ")

    def concerns(self, message: str) -> bool:
        """Whether an error message is about this value."""
        name, equals, value = self.value.partition("=")
        parts = [f"--{self.option}", self.value]
        if equals:
            parts += [f"`{name.rpartition('.')[2]}`", value if len(value) > 3 else f"`{value}`"]
        return any(
            re.search(rf"(?<![\w-]){re.escape(part)}(?![\w-])", message) for part in parts if part
        )


def configured(
    parser: CommandParser,
    options: Namespace,
    environment: Mapping[str, str],
    replaced: Sequence[str] = (),
) -> list[ValueSource]:
    """Fills the options that the command line leaves out.

    Args:
        parser: Declares the options.
        options: Those of the command line; completed in place.
        environment: Variables of the process.
        replaced: Options that others of the command line replace, by their long names.

    Returns:
        The values that were filled in.

    Raises:
        UsageError: A variable or file that cannot be used.
    """
    declared = {each.name: each for each in parser.declared() if each.name not in _COMMANDS}
    values_of = _of_environment(declared, environment)
    _refuse_synonyms(declared, values_of)
    sources = list(_fill(declared, options, _without(values_of, replaced)))
    if options.config is not None:
        file = options.config
        del declared["config"]
        values = _of_file(Path(file), declared)
        strategies = values.pop("strategies", None)
        if strategies is not None and not options.strategies:
            options.strategies = strategies
        values_of = {name: (texts, f"{file} ({name})") for name, texts in values.items()}
        _refuse_synonyms(declared, values_of)
        sources += _fill(declared, options, _without(values_of, replaced))
    return sources


def unread_variables(parser: CommandParser, environment: Mapping[str, str]) -> list[str]:
    """Warnings about variables that are almost, but not quite, one of an option."""
    options = [each for each in parser.declared() if each.name not in _COMMANDS]
    variables = {variable(each).removeprefix(_PREFIX) for each in options}
    return [
        f"the variable {name} is not read; did you mean '{_PREFIX}{close}'?"
        for name in environment
        if name.startswith(_PREFIX)
        and (rest := name.removeprefix(_PREFIX)) not in variables
        and (close := suggest(rest, variables)) is not None
    ]


def variable(option: OptionSpec) -> str:
    """The environment variable of an option: `TTS_NO_PASS` of `--no-pass`."""
    return _PREFIX + option.name.upper().replace("-", "_")


def _refuse_synonyms(
    declared: Mapping[str, OptionSpec], values: Mapping[str, tuple[list[str], str]]
) -> None:
    """Refuses both names of one option (`seed`, `seeds`) in one source.

    Raises:
        UsageError: With both.
    """
    sources: dict[str, str] = {}
    for name, (_, source) in values.items():
        other = sources.setdefault(declared[name].dest, source)
        if other != source:
            raise UsageError(f"{other} and {source} are one option; give it once")


def _without(
    values: Mapping[str, tuple[list[str], str]], names: Sequence[str]
) -> dict[str, tuple[list[str], str]]:
    return {name: value for name, value in values.items() if name not in names}


def _fill(
    declared: Mapping[str, OptionSpec],
    options: Namespace,
    values: Mapping[str, tuple[list[str], str]],
) -> Iterator[ValueSource]:
    """Fills options from one source; those that have a value keep it."""
    for name, (texts, source) in values.items():
        option = declared[name]
        current = getattr(options, option.dest)
        if option.kind == "flag":
            used = texts[:1] if not current else []
            if used:
                setattr(options, option.dest, used[0] in _TRUE)
            used = [""] if used and used[0] in _TRUE else []
        elif option.kind == "value":
            used = texts if current is None else []
            if used:
                setattr(options, option.dest, used[0])
        else:
            used = _merged(option, options, current, texts)
            setattr(options, option.dest, [*current, *used])
        for text in used:
            yield ValueSource(name, text, source)


def _merged(
    option: OptionSpec, options: Namespace, current: Sequence[str], texts: Sequence[str]
) -> list[str]:
    """Values that a source with less precedence adds to those of a repeatable option."""
    if "=" not in option.metavar or option.name == "where":
        return [] if current else list(texts)
    others = {"set": "sweep", "sweep": "settings"}.get(option.name)
    keys = {_key(option, each) for each in [*current, *(getattr(options, others or "", []))]}
    return [text for text in texts if _key(option, text) not in keys]


def _key(option: OptionSpec, text: str) -> str:
    name, equals, _ = text.partition("=")
    if option.name == "policy" and not (equals and name.isidentifier()):
        return "policy"
    return name.strip()


def _of_environment(
    declared: Mapping[str, OptionSpec], environment: Mapping[str, str]
) -> dict[str, tuple[list[str], str]]:
    values: dict[str, tuple[list[str], str]] = {}
    for name, option in declared.items():
        text = environment.get(variable(option), "")
        if not text:
            continue
        if option.kind == "flag":
            text = _switch(text, variable(option))
        texts = [text]
        if option.kind == "values":
            try:
                texts = _split(option, shlex.split(text))
            except ValueError as error:
                raise UsageError(f"{variable(option)}: {error}: `{text}`") from error
        values[name] = (texts, variable(option))
    return values


def _of_file(path: Path, declared: Mapping[str, OptionSpec]) -> dict[str, list[str]]:
    try:
        data = yaml.load(read_written(path).decode("utf-8"), _UniqueLoader)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"--config: {path} cannot be read: {reason}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"--config: {path} is not YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UsageError(f"--config: {path}: expected options and values, such as `limit: 10`")
    texts: dict[str, list[str]] = {}
    for key, value in data.items():
        name = str(key).replace("_", "-")
        if name in texts:
            raise UsageError(f"--config: {path}: `{name}` is given twice")
        if name == "strategies" and value is not None:
            texts[name] = _strategies(value, f"{path} ({key})")
        elif name not in {*declared, "strategies"}:
            hint = did_you_mean(name, [*declared, "strategies"]) or (
                "a strategy's parameters stand under `set`, as `set: {n: 8}`"
            )
            raise UsageError(f"--config: {path}: there is no option `{key}`; {hint}")
        elif value is not None:
            texts[name] = _texts(declared[name], value, f"{path} ({key})")
    return texts


def _strategies(value: Any, place: str) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in names):
        raise UsageError(f"{place}: expected names of strategies; parameters stand under `set`")
    return names


def _texts(option: OptionSpec, value: Any, place: str) -> list[str]:
    """A value of a file as the command line would write it."""
    _refuse_null(value, place)
    if option.kind == "flag":
        return [_switch(_text(value), place)]
    if value == "":
        raise UsageError(f"{place}: {empty_value(option.metavar)}")
    if option.kind == "value":
        if isinstance(value, dict | list):
            raise UsageError(f"{place}: expected one value")
        return [_text(value)]
    if isinstance(value, dict):
        return _split(option, list(_pairs(value)))
    return _split(option, [_text(each) for each in (value if isinstance(value, list) else [value])])


def _refuse_null(value: Any, place: str) -> None:
    """Refuses a null in a list or a mapping, which would be read as the text `None`."""
    if value is None:
        raise UsageError(f"{place}: expected a value, not null")
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_null(each, place)


def _pairs(values: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """`NAME=VALUE` of a mapping, `NAME.KEY=VALUE` of mappings inside it."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _pairs(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)


def _split(option: OptionSpec, texts: list[str]) -> list[str]:
    """Single pairs where an option takes several, so that they can be merged by name."""
    if option.name not in ("assume", "fields"):
        return texts
    return [pair for text in texts for pair in text.split(",") if pair]


def _switch(text: str, place: str) -> str:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise UsageError(f"{place}: expected true or false, found `{text}`")
    return "true" if text.lower() in _TRUE else "false"


class _UniqueLoader(yaml.SafeLoader):
    """Refuses a key that occurs twice, of which YAML would keep the last, and an alias inside what
    it names; numbers stay as written, where YAML would take `010` for eight and `1:30` for ninety.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.deep_construct = True  # a value is built whole, so that one inside itself is an error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"`{twice[0]}` is given twice")
        return super().construct_mapping(node, deep)


def _as_written(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


for _kind in ("int", "float", "timestamp"):
    _UniqueLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _as_written)
