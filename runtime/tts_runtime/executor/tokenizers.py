"""Whose ids a pool may hold: ids are never encoded again, so policies that extend each other's
candidates must have one tokenizer (C9), and must be able to go on with what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tts_lang.plan.graph import (
    Ask,
    Branch,
    Call,
    Cut,
    Expand,
    Force,
    Operation,
    Plan,
    Region,
    Repeat,
    Score,
    Split,
)
from tts_runtime.engines.base import Ability, ScorerEngine
from tts_runtime.executor.errors import place
from tts_runtime.executor.policies import Policy
from tts_runtime.executor.program import DEFAULT_POLICY

_Owners = dict[int, frozenset[str]]
_NOBODY: frozenset[str] = frozenset()


def unfit_paths(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """One line for every operation whose policy cannot go on with the paths that it gets."""
    found = _Analysis(plan, policies)
    yield from dict.fromkeys(found.problems)


class _Analysis:
    """Follows, through the regions, which policies' ids the rows of each value may hold."""

    def __init__(self, plan: Plan, policies: Mapping[str, Policy]) -> None:
        self._policies = policies
        self._default = DEFAULT_POLICY if DEFAULT_POLICY in policies else plan.policies[0]
        self.problems: list[str] = []
        owners: _Owners = {plan.body.parameters[0]: _NOBODY}
        self._region(plan.body, owners)

    def _region(self, region: Region, owners: _Owners) -> None:
        for operation in region.operations:
            self._operation(operation, owners)

    def _operation(self, operation: Operation, owners: _Owners) -> None:
        spec = operation.spec
        given = [owners.get(number, _NOBODY) for number in operation.inputs]
        first = given[0] if given else _NOBODY
        out = first
        if isinstance(spec, Expand):
            self._extends(operation, first, spec.decoding.policy)
            out = first | {spec.decoding.policy}
        elif isinstance(spec, Ask):
            out = frozenset({spec.decoding.policy})
        elif isinstance(spec, Force | Cut | Split):
            out = first or frozenset({self._default})
        elif isinstance(spec, Score) and spec.ahead is not None:
            self._extends(operation, first, self._default)
        elif isinstance(spec, Call):
            self._called(operation, first, owners)
            return
        elif isinstance(spec, Repeat):
            self._repeated(operation, given, owners)
            return
        elif isinstance(spec, Branch):
            self._branched(operation, owners)
            return
        elif operation.spec.op == "union":
            out = first | given[1]
        for number in operation.outputs:
            owners[number] = out

    def _called(self, operation: Operation, first: frozenset[str], owners: _Owners) -> None:
        region = operation.regions[0]
        owners[region.parameters[0]] = first
        self._region(region, owners)
        # A call may return from any branch, so whatever its region makes may come back.
        made = frozenset().union(*_made(region, owners))
        for number in operation.outputs:
            owners[number] = first | made

    def _repeated(self, operation: Operation, given: list[frozenset[str]], owners: _Owners) -> None:
        carried = list(given)
        for _ in range(len(self._policies) * len(carried) + 1):
            for region in operation.regions:
                owners.update(zip(region.parameters, carried, strict=True))
                self._region(region, owners)
            results = [owners.get(number, _NOBODY) for number in operation.regions[1].results]
            wider = [
                before | after for before, after in zip(carried, results or carried, strict=True)
            ]
            if wider == carried:
                break
            carried = wider
        owners.update(zip(operation.outputs, carried, strict=True))

    def _branched(self, operation: Operation, owners: _Owners) -> None:
        for region in operation.regions:
            self._region(region, owners)
        for place_, number in enumerate(operation.outputs):
            owners[number] = frozenset().union(
                *(
                    owners.get(region.results[place_], _NOBODY)
                    for region in operation.regions
                    if len(region.results) == len(operation.outputs)
                )
            )

    def _extends(self, operation: Operation, owners: frozenset[str], name: str) -> None:
        policy = self._policies[name]
        lacking = policy.engine.lacks.get(Ability.CONTINUE)
        if owners and lacking is not None:
            where = place(operation.origins)
            self.problems.append(
                (f"{where}: " if where else "")
                + f"this goes on with candidates, but policy `{name}` (`{policy.binding.name}`) "
                + lacking
            )
            return
        for owner in sorted(owners):
            other = self._policies[owner]
            if other.tokenizer.fingerprint != policy.tokenizer.fingerprint:
                where = place(operation.origins)
                self.problems.append(
                    (f"{where}: " if where else "")
                    + f"policy `{name}` (`{policy.binding.name}`) cannot go on with candidates of "
                    f"`{owner}` (`{other.binding.name}`): their tokenizers differ, and ids are "
                    f"never encoded again; `ask` policy `{name}` about them instead"
                )


def _made(region: Region, owners: _Owners) -> Iterator[frozenset[str]]:
    for operation in region.operations:
        for number in operation.outputs:
            yield owners.get(number, _NOBODY)
        for inner in operation.regions:
            yield from _made(inner, owners)
