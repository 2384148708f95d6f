"""Values of `tts-run`'s options: read, checked, and refused with the option's name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.assume import Assumed, AssumeError, assumed
from tts_lang.explain.budget import budget as read_budget
from tts_lang.explain.budget import check as check_budgets
from tts_lang.explain.budget import check_sane
from tts_lang.optimise import ALL, NAMES, UnknownPass
from tts_lang.plan.graph import Plan
from tts_runtime.problems import FieldNames, field_names


class OptionError(Exception):
    """An option's value that cannot be used; the message names the option."""


def limit_of(flag: str, text: str | None, least: int | None = 1) -> int | None:
    """A whole number, at least `least`; `None` if the option is not given.

    Raises:
        OptionError: Anything else.
    """
    if text is None:
        return None
    digits = text.strip().replace("_", "")
    whole = digits.removeprefix("-")
    if not (whole.isascii() and whole.isdigit() and len(whole) < 19):
        raise OptionError(f"{flag}: expected a whole number, found `{text}`")
    if least is not None and int(digits) < least:
        raise OptionError(f"{flag}: must be {least} or more, not {text}")
    return int(digits)


def share_of(flag: str, text: str | None) -> float:
    """A number from 0 to 1; 0 if the option is not given.

    Raises:
        OptionError: Anything else.
    """
    if text is None:
        return 0.0
    try:
        share = float(text)
    except ValueError:
        raise OptionError(f"{flag}: expected a number from 0 to 1, found `{text}`") from None
    if not 0 <= share <= 1:
        raise OptionError(f"{flag}: must be from 0 to 1, not {text}")
    return share


def names_of(texts: Sequence[str]) -> FieldNames:
    """The fields of `--fields problem=Question,answer=Key`.

    Raises:
        OptionError: Not of this form.
    """
    try:
        return field_names(texts)
    except ValueError as error:
        raise OptionError(f"--fields: {error}") from error


@dataclass(frozen=True, slots=True)
class EngineNames:
    """Engines by the names that strategies give them, as an option says."""

    flag: str
    given: dict[str, str]

    def check_used(self, used: Collection[str]) -> None:
        """Refuses names that no strategy uses.

        Raises:
            OptionError: With what was probably meant.
        """
        for name in self.given:
            if name not in used:
                kind = self.flag.lstrip("-")
                known = f"they use: {', '.join(sorted(used))}" if used else "they use none"
                hint = did_you_mean(name, used) or known
                raise OptionError(f"{self.flag}: no strategy here uses a {kind} `{name}`; {hint}")


def engine_names(flag: str, options: Sequence[str], default: str | None = None) -> EngineNames:
    """`NAME=ENGINE` options; an `=` inside the engine's own options does not count.

    Args:
        flag: The option.
        options: Its values.
        default: The name of an engine that is given without one.

    Raises:
        OptionError: Not of this form, or a name given twice.
    """
    engines: dict[str, str] = {}
    for option in options:
        name, equals, engine = option.partition("=")
        if not equals or not name.isidentifier():
            if default is None:
                raise OptionError(f"{flag}: `{option}`: expected NAME=ENGINE; write prm={option}")
            name, engine = default, option
        if name in engines:
            raise OptionError(f"{flag}: `{name}` is given twice")
        if not engine:
            raise OptionError(f"{flag}: `{option}`: which engine?")
        engines[name] = engine
    return EngineNames(flag, engines)


@dataclass(frozen=True, slots=True)
class Limits:
    """What plans may cost at most, and what their bounds take for granted."""

    budgets: tuple[tuple[str, float], ...]
    assumed: Assumed

    def check(self, plan: Plan) -> None:
        """Refuses a plan whose bounds are beyond a budget, or beyond all reason (`OverBudget`)."""
        check_budgets(plan, self.budgets, self.assumed)
        check_sane(plan, self.budgets, self.assumed)


def limits_of(budgets: Sequence[str], assumptions: Sequence[str]) -> Limits:
    """The limits of options such as `--budget tokens=2e6 --assume context=4096`.

    Raises:
        OptionError: Not of this form.
    """
    try:
        known = assumed(assumptions)
    except AssumeError as error:
        raise OptionError(f"--assume: {error}") from error
    try:
        return Limits(tuple(read_budget(text) for text in budgets), known)
    except ValueError as error:
        raise OptionError(f"--budget: {error}") from error


def left_out(names: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """`--no-pass` names: those of the optimiser, and those of passes that happen while it runs.

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
            known = (*NAMES, *PASSES)
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise UnknownPass(f"there is no pass `{name}`; {hint}")
    return [name for name in names if name not in PASSES], running
