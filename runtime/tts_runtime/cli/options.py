"""Reads and checks the values of `tts-run`'s options; errors name the option."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from tts_lang.cli.parser import UsageError
from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.assumptions import AssumeError, assumed, check_sized
from tts_lang.explain.budget import budget as read_budget
from tts_lang.optimise import ALL, NAMES, UnknownPass
from tts_lang.plan.graph import Plan
from tts_runtime.problems import FieldNames, field_names
from tts_runtime.runs.defaults import BUNDLED
from tts_runtime.runs.limits import CostLimits
from tts_runtime.runs.seeds import seeds_in
from tts_runtime.runs.shards import Shard

#: More digits of a whole number are a typo.
_DIGITS: Final = 18


def limit_of(flag: str, text: str | None, least: int | None = 1) -> int | None:
    """A whole number, at least `least`; `None` if the option is absent.

    Raises:
        UsageError: Anything else.
    """
    if text is None:
        return None
    digits = text.strip().replace("_", "")
    whole = digits.removeprefix("-")
    if whole.isascii() and whole.isdigit() and len(whole) > _DIGITS:
        raise UsageError(f"{flag}: too large: expected at most {_DIGITS} digits, found `{text}`")
    if not (whole.isascii() and whole.isdigit()):
        raise UsageError(f"{flag}: expected a whole number, found `{text}`")
    if least is not None and int(digits) < least:
        raise UsageError(f"{flag}: must be {least} or more, not {text}")
    return int(digits)


def kept_of(texts: Sequence[str], out: str | None) -> list[str]:
    """The parts of a record that `--keep` names.

    Raises:
        UsageError: Something else, or there is no directory to keep it in.
    """
    choices = ("ids", "logprobs")
    parts = [part.strip() for text in texts for part in text.split(",")]
    for part in parts:
        if part not in choices:
            hint = did_you_mean(part, choices) or f"expected {', '.join(choices)}"
            raise UsageError(f"--keep: `{part}`: {hint}")
    if parts and out is None:
        raise UsageError("--keep: name the run directory to keep it in, --out DIR")
    return list(dict.fromkeys(parts))


def seeds_of(flag: str, text: str | None) -> tuple[int, ...]:
    """The seeds of a run; 0 if the option is absent.

    Raises:
        UsageError: Not of this form.
    """
    try:
        return (0,) if text is None else seeds_in(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def shard_of(flag: str, text: str | None) -> Shard | None:
    """A part of a run, `3/16`; the whole if the option is absent.

    Raises:
        UsageError: Not of this form, or no such part.
    """
    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def cluster_of(flag: str, text: str | None) -> str | None:
    """The cluster option, as written.

    Raises:
        UsageError: No such address.
    """
    if text is None:
        return None
    from tts_runtime.cluster.ray_cluster import ClusterAddress

    try:
        ClusterAddress.parse(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None
    return text


def share_of(flag: str, text: str | None) -> float:
    """A number from 0 to 1; 0 if the option is absent.

    Raises:
        UsageError: Anything else.
    """
    if text is None:
        return 0.0
    try:
        share = float(text)
    except ValueError:
        raise UsageError(f"{flag}: expected a number from 0 to 1, found `{text}`") from None
    if not 0 <= share <= 1:
        raise UsageError(f"{flag}: must be from 0 to 1, not {text}")
    return share


def names_of(texts: Sequence[str]) -> FieldNames:
    """The fields of `--fields problem=Question,answer=Key`.

    Raises:
        UsageError: Not of this form.
    """
    try:
        return field_names(texts)
    except ValueError as error:
        raise UsageError(f"--fields: {error}") from error


def ids_of(texts: Sequence[str]) -> list[str]:
    """The ids of `--ids a,b`; quotes as in CSV hold one that has a comma.

    Raises:
        UsageError: Not of this form.
    """
    try:
        rows = [row for text in texts for row in csv.reader([text], skipinitialspace=True)]
    except csv.Error as error:
        raise UsageError(f"--ids: {error}") from error
    ids = [each for row in rows for each in row if each]
    if texts and not ids:
        raise UsageError(f"--ids: `{' '.join(texts)}` names no id")
    return ids


@dataclass(frozen=True, slots=True)
class EngineNames:
    """The engines of `--policy` or `--scorer`, by the names that strategies use."""

    flag: str
    engines: dict[str, str]

    def check_used(self, used: Collection[str]) -> None:
        """Refuses names that no strategy uses.

        Raises:
            UsageError: With what was probably meant.
        """
        for name in self.engines:
            if name not in used:
                kind = self.flag.lstrip("-")
                listed = f"they use: {', '.join(sorted(used))}" if used else "they use none"
                hint = did_you_mean(name, used) or listed
                raise UsageError(f"{self.flag}: no strategy here uses a {kind} `{name}`; {hint}")


def engine_names(flag: str, options: Sequence[str], default: str | None = None) -> EngineNames:
    """Reads `NAME=ENGINE` options; an `=` in the engine's own options does not count.

    Args:
        flag: The option.
        options: Its values.
        default: The name of an engine that is given without one.

    Raises:
        UsageError: Not of this form, or a name given twice.
    """
    engines: dict[str, str] = {}
    for option in options:
        name, equals, engine = option.partition("=")
        if not equals or not name.isidentifier():
            if default is None:
                written = f"{option}=ENGINE" if option in ("prm", "orm") else None
                written = written or f"prm={option.removeprefix('=') or 'ENGINE'}"
                raise UsageError(f"{flag}: `{option}`: expected NAME=ENGINE; write {written}")
            name, engine = default, option
        if name in engines:
            raise UsageError(f"{flag}: `{name}` is given twice")
        if not engine:
            raise UsageError(f"{flag}: `{option}`: expected an engine after `{name}=`")
        engines[name] = engine
    return EngineNames(flag, engines)


def with_engine_args(
    policies: EngineNames, scorers: EngineNames, arguments: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The engines with their `--engine-arg [NAME.]KEY=VALUE` options.

    Raises:
        UsageError: Not of this form, or no engine has this name.
    """
    groups = (dict(policies.engines), dict(scorers.engines))
    if not arguments:
        return groups
    from tts_runtime.engines.options import with_option

    named = [*policies.engines, *scorers.engines]
    for argument in arguments:
        name, equals, value = argument.partition("=")
        engine, dot, key = name.partition(".")
        if not equals or not value or not (key if dot else engine):
            raise UsageError(
                f"--engine-arg: `{argument}`: expected NAME.KEY=VALUE, such as policy.slots=32"
            )
        if not dot:
            if len(named) != 1:
                which = ", ".join(f"{each}.{argument}" for each in named)
                raise UsageError(
                    f"--engine-arg: `{argument}`: of which engine? "
                    + (f"write one of {which}" if named else "name one with --policy or --scorer")
                )
            engine, key = named[0], engine
        homes = [group for group in groups if engine in group]
        if not homes and engine == "policy":
            groups[0][engine] = BUNDLED
            homes = [groups[0]]
        if len(homes) != 1:
            hint = did_you_mean(engine, named) or (
                f"engines are {', '.join(named)}" if named else "no engine is named"
            )
            problem = "is a policy and a scorer" if homes else "is not an engine here"
            raise UsageError(f"--engine-arg: `{argument}`: `{engine}` {problem}; {hint}")
        homes[0][engine] = with_option(homes[0][engine], key, value)
    return groups


def limits_of(
    budgets: Sequence[str], assumptions: Sequence[str], plans: Sequence[Plan]
) -> CostLimits:
    """The limits of options such as `--budget tokens=2e6 --assume context=4096`.

    Raises:
        UsageError: Not of this form, or for a model that no plan uses.
    """
    try:
        parsed = assumed(assumptions)
        check_sized(assumptions, plans)
    except AssumeError as error:
        raise UsageError(f"--assume: {error}") from error
    try:
        return CostLimits(tuple(read_budget(text) for text in budgets), parsed)
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from error


def left_out(names: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Splits the names of `--no-pass` into passes of the optimiser and of the executor.

    Raises:
        UnknownPass: A name of neither.
    """
    if not names:
        return [], frozenset()
    from tts_runtime.executor import PASSES

    running = frozenset(PASSES).intersection(names)
    if ALL in names:
        running = frozenset(PASSES)
    for name in names:
        if name not in (*NAMES, *PASSES, ALL):
            passes = (*NAMES, *PASSES)
            hint = did_you_mean(name, passes) or f"there are {', '.join(passes)}"
            raise UnknownPass(f"there is no pass `{name}`; {hint}")
    return [name for name in names if name not in PASSES], running
