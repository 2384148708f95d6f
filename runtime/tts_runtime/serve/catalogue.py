"""The served strategies, at the values of parameters that clients choose."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

from tts_lang.arguments import plan_from
from tts_lang.compiler import compile_strategy, locate, parameters_of
from tts_lang.diagnostics import DiagnosticError, did_you_mean
from tts_lang.explain.budget import OverBudget
from tts_lang.explain.costs import PlanBounds
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Plan, Repeat
from tts_lang.plan.serialize import to_json
from tts_lang.plan.verify import PlanError
from tts_lang.source import Source
from tts_runtime.engines.base import EngineError, PolicyEngine
from tts_runtime.executor import BindError
from tts_runtime.runs.defaults import UnnamedError
from tts_runtime.runs.limits import CostLimits
from tts_runtime.serve.errors import ApiError, bad_request, told

_LOGGER = logging.getLogger(__name__)

#: The policy itself, as a model of its own: one sample.
BARE: Final = "policy"
_BARE_SOURCE: Final = (
    'strategy policy():\n    """One sample of the policy."""\n    return sample 1{}\n'
)
#: Plans at other values than the defaults; the oldest go first.
_KEPT: Final = 512
_LONGEST_NAME: Final = 500
#: Seconds between two looks whether files have changed: their folders have many.
_LOOK_EVERY: Final = 0.5
_VALUE: Final = re.compile(r"[\w.+-]{1,40}")

Value = int | float | str


class SetupError(Exception):
    """Strategies that cannot be served together."""


#: Why a file that has changed cannot be served.
_MISTAKES: Final = (
    DiagnosticError,
    PlanError,
    SetupError,
    ApiError,
    UnnamedError,
    BindError,
    EngineError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Served:
    """A strategy that runs.

    Args:
        name: `beam_search`, or `beam_search@n=4` where a client chose values.
        plan: As it runs.
        bounds: Of its cost per request.
        created: Seconds since 1970 when its file was read.
    """

    name: str
    plan: Plan
    bounds: PlanBounds
    created: int

    @property
    def digest(self) -> str:
        """Of the plan: equal if it is."""
        text = to_json(self.plan, folders=False)
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def rows(self) -> int:
        """Candidates in flight at once, at most; 1 if nothing bounds them."""
        return max([1, *(each.high for each in self.bounds.rows.values() if each.high)])

    @property
    def rounds(self) -> int | None:
        """Rounds of its loop, at most, if it has one."""
        specs = [operation.spec for operation in self.plan.body.operations]
        trips = [spec.trips for spec in specs if isinstance(spec, Repeat)]
        return trips[0] if len(trips) == 1 else None

    def described(self) -> dict[str, Any]:
        """Parameters and bounds, for `/v1/models`."""
        total = self.bounds.total
        return {
            "description": self.plan.document.strip(),
            "parameters": dict(self.plan.parameters),
            "bounds": {
                "tokens": total.sampled_tokens,
                "calls": total.policy_calls,
                "rounds": total.rounds,
                "scorer_tokens": total.scorer_tokens,
            },
        }


@dataclass(frozen=True, slots=True)
class _Entry:
    """A strategy of the command line.

    Args:
        text: As it was named there, `None` for the policy.
        wrong: Its file has changed to one that cannot be served; `served` is of the one before.
    """

    text: str | None
    settings: Mapping[str, Value]
    parameters: tuple[str, ...]
    stamp: object
    served: Served
    wrong: bool = False


def split_name(text: str) -> tuple[str, str]:
    """A strategy as a command line names it, and the values after its `@`, if there are any."""
    name, at, values = text.rpartition("@")
    return (name, values) if at and "=" in values and "/" not in values else (text, "")


class Catalogue:
    """The strategies of a server.

    Args:
        strategies: As `tts-run` takes them: shipped names, files, `FILE:STRATEGY`, plans; with
            `@n=16,width=4` after it, one is listed at these values.
        settings: Values of parameters; each goes to every strategy that has it.
        limits: No plan that may cost more is served; also what bounds assume.

    Raises:
        DiagnosticError, PlanError: A strategy has a mistake, or may cost too much.
        SetupError: Two have one name, or values are wrong.
    """

    def __init__(
        self, strategies: Sequence[str], settings: Mapping[str, str], limits: CostLimits
    ) -> None:
        self._limits = limits
        self._policies: Mapping[str, PolicyEngine] = {}
        self._prepare: Callable[[Plan], object] = lambda _: None
        self._looked = 0.0
        self._chosen: OrderedDict[str, Served] = OrderedDict()
        self._entries: dict[str, _Entry] = {}
        #: The listed models: entries, and these at other values.
        self._listed: dict[str, None] = {}
        named = [split_name(text) for text in strategies]
        plans = plan_from([text for text, _ in named], settings)
        for (text, values), plan in zip(named, plans, strict=True):
            file = text.endswith(".json")
            names = () if file else parameters_of(text)
            own = {name: value for name, value in settings.items() if name in names}
            entry = self._entries.get(plan.strategy)
            if entry is None:
                served = self._checked(plan.strategy, plan)
                entry = _Entry(text, own, names, _stamp(text), served)
                self._entries[plan.strategy] = entry
            elif entry.text != text:
                raise SetupError(f"two strategies are called {plan.strategy}: serve one of them")
            try:
                name = self.find(f"{plan.strategy}@{values}" if values else plan.strategy, {}).name
            except ApiError as error:
                raise SetupError(f"{text}@{values}: {error}") from error
            if name in self._listed:
                raise SetupError(f"two strategies are called {name}: serve one of them")
            self._listed[name] = None
        if BARE not in self._entries:
            plan = _bare({})
            served = self._checked(BARE, plan)
            self._entries[BARE] = _Entry(None, {}, ("temperature", "max_tokens"), None, served)
            self._listed[BARE] = None

    def listed(self) -> list[Served]:
        """Every strategy, at the values that it was named with, the policy last."""
        self.reload()
        return [self.find(name, {}) for name in self._listed]

    def parameters(self, model: str) -> tuple[str, ...]:
        """Names of a model's parameters; none if there is no such model."""
        entry = self._entries.get(model.partition("@")[0])
        return () if entry is None else entry.parameters

    def find(self, model: str, parameters: Mapping[str, Value]) -> Served:
        """The strategy that a client names, at the values that it chooses.

        Args:
            model: `beam_search`, `beam_search@n=16,width=4`.
            parameters: More values.

        Raises:
            ApiError: There is none, or a value is not one of its parameter's.
        """
        if len(model) > _LONGEST_NAME:
            raise bad_request(f"`model` is longer than {_LONGEST_NAME} characters", "model")
        name, at, text = model.partition("@")
        entry = self._entries.get(name)
        if entry is None:
            hint = (
                did_you_mean(name[:60], self._entries) or f"models are {', '.join(self._entries)}"
            )
            raise ApiError(
                404, f"there is no model `{name[:60]}`; {hint}", "model_not_found", "model"
            )
        chosen = {**_parsed(text), **parameters} if at else dict(parameters)
        self.reload()
        entry = self._entries[name]
        _check_values(entry, name, chosen)
        if not chosen:
            return entry.served
        called = _called(name, chosen)
        if called not in self._chosen:
            self._chosen[called] = self._at(entry, name, chosen)
            if len(self._chosen) > _KEPT + len(self._listed):
                del self._chosen[next(each for each in self._chosen if each not in self._listed)]
        self._chosen.move_to_end(called)
        return self._chosen[called]

    def _at(self, entry: _Entry, name: str, chosen: Mapping[str, Value]) -> Served:
        """A strategy at values of its parameters, which it has.

        Raises:
            ApiError: A value is none of its parameter's.
        """
        if entry.wrong:  # the file as it was is gone
            message = f"the file of `{name}` has a mistake now: no other values can be chosen"
            raise ApiError(503, message, "model_unavailable", "model")
        try:
            if entry.text is None:
                plan = _bare(chosen)
            else:
                plan = compile_strategy(entry.text, settings={**entry.settings, **chosen})
            return self._checked(_called(name, chosen), plan)
        except DiagnosticError as error:
            raise bad_request(told(error), "model", "invalid_parameter") from error
        except OverBudget as error:
            raise bad_request(
                str(error).partition("; if that is meant")[0], "model", "over_budget"
            ) from error

    def reload(self) -> None:
        """Compiles files that have changed since.

        One that has a mistake, needs an engine that nobody has named or lacks a parameter that a
        listed model sets leaves the old plans.
        """
        if monotonic() - self._looked < _LOOK_EVERY:
            return
        self._looked = monotonic()
        for name, entry in self._entries.items():
            if entry.text is None:
                continue
            stamp = _stamp(entry.text)
            if stamp == entry.stamp:
                continue
            try:
                [plan] = plan_from([entry.text], entry.settings)
                served = self._checked(name, plan)
                names = () if entry.text.endswith(".json") else parameters_of(entry.text)
                if plan.strategy != name:
                    raise SetupError(f"the strategy is called {plan.strategy} now")
                new = _Entry(entry.text, entry.settings, names, stamp, served)
                self._prepare(served.plan)
                listed = self._listed_of(new, name)
            except _MISTAKES as error:
                _LOGGER.error("%s: the old plan of %s stays: %s", entry.text, name, error)
                self._entries[name] = replace(entry, stamp=stamp, wrong=True)
                continue
            _LOGGER.info("%s: read again", entry.text)
            self._entries[name] = new
            for called in [each for each in self._chosen if each.startswith(f"{name}@")]:
                del self._chosen[called]
            self._chosen.update(listed)

    def _listed_of(self, entry: _Entry, name: str) -> dict[str, Served]:
        """The listed models of a strategy at other values."""
        models = {}
        for called in self._listed:
            if called.startswith(f"{name}@"):
                chosen = _parsed(called.removeprefix(f"{name}@"))
                _check_values(entry, name, chosen)
                models[called] = self._at(entry, name, chosen)
                self._prepare(models[called].plan)
        return models

    def open_on(
        self,
        policies: Mapping[str, PolicyEngine],
        prepare: Callable[[Plan], object] = lambda _: None,
    ) -> None:
        """Takes the context windows of open engines into all bounds, which assumed one so far.

        Args:
            policies: The engines.
            prepare: Opens what else a plan needs; fails where that is missing.

        Raises:
            OverBudget: A strategy may cost more than it is allowed.
        """
        self._policies, self._prepare = policies, prepare
        for name, entry in self._entries.items():
            self._entries[name] = replace(entry, served=self._bounded(entry.served))
        for called, served in self._chosen.items():
            self._chosen[called] = self._bounded(served)

    def _checked(self, name: str, plan: Plan) -> Served:
        best = optimise(plan).plan
        self._limits.check(best)
        served = Served(name, best, self._limits.bounds(best, {}), int(time()))
        return self._bounded(served) if self._policies else served

    def _bounded(self, served: Served) -> Served:
        self._limits.check_on(served.plan, self._policies)
        return replace(served, bounds=self._limits.bounds(served.plan, self._policies))


def _bare(chosen: Mapping[str, Value]) -> Plan:
    """The policy's strategy: one sample, as long and as random as a client wants it."""
    clauses = ""
    for name, clause in (("temperature", " at temperature {}"), ("max_tokens", " max {} tokens")):
        if name in chosen:
            try:
                number = float(chosen[name])
            except ValueError:
                raise bad_request(f"`{name}` must be a number", name) from None
            least = 1.0 if name == "max_tokens" else 0.0
            if not least <= number <= 1e9:
                raise bad_request(f"`{name}` must be from {least:g} to 1e9", name)
            if name == "max_tokens" and not number.is_integer():
                raise bad_request("`max_tokens` must be a whole number", name)
            shown = int(number) if number.is_integer() else number
            clauses += clause.format(f"{shown:.6f}" if isinstance(shown, float) else shown)
    return compile_strategy(Source.of(_BARE_SOURCE.format(clauses), "policy.tts"))


def _check_values(entry: _Entry, name: str, chosen: Mapping[str, Value]) -> None:
    """Refuses values of what is no parameter, and texts that are no name."""
    for parameter, value in chosen.items():
        if parameter not in entry.parameters:
            hint = did_you_mean(parameter, entry.parameters) or (
                f"it has {', '.join(entry.parameters)}" if entry.parameters else "it has none"
            )
            message = f"`{name}` has no parameter `{parameter[:60]}`; {hint}"
            raise bad_request(message, "model", "unknown_parameter")
        if isinstance(value, str) and not _VALUE.fullmatch(value):
            raise bad_request(f"`{parameter}` is not a number or a name", "model")


def _called(name: str, chosen: Mapping[str, Value]) -> str:
    return f"{name}@" + ",".join(f"{key}={value}" for key, value in sorted(chosen.items()))


def _parsed(text: str) -> dict[str, Value]:
    """The values of `n=16,width=4`."""
    values: dict[str, Value] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise bad_request("after `@` write NAME=VALUE,...: `beam_search@n=16,width=4`", "model")
        if name in values:
            raise bad_request(f"`{name[:60]}` is set twice", "model")
        values[name] = value
    return values


def _stamp(text: str) -> object:
    """Changes when a strategy's file does, or one beside it that it may import."""
    try:
        path = Path(text) if text.endswith(".json") else locate(text)[0]
        beside = sorted(path.parent.glob("*.tts")) if path.suffix == ".tts" else []
        files = dict.fromkeys([path, *beside])
        return [(file, (about := file.stat()).st_mtime_ns, about.st_size) for file in files]
    except (OSError, DiagnosticError):
        return None
