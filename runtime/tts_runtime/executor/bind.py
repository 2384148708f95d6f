"""Binds a plan to engines: all that does not fit is reported before anything is spent.

Pools hold ids, which are never encoded again: policies that extend each other's candidates must
have one tokenizer (C9), and must be able to continue what is there (`unfit_paths`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import tts_runtime.executor.ops  # noqa: F401  (registers the handlers of operators)
from tts_lang.diagnostics import did_you_mean
from tts_lang.optimise.early_exit import SELECT_BY_ROW, early_exits
from tts_lang.optimise.next_expansion import next_expansions
from tts_lang.plan.expr import Delimiter, fields_in, walk
from tts_lang.plan.graph import (
    Ask,
    Branch,
    Call,
    Expand,
    Operation,
    Plan,
    Region,
    Repeat,
    Score,
    Scorer,
    Unit,
    operations,
)
from tts_lang.plan.operator import Makes, entry
from tts_runtime.engines.base import Ability, Exactness, PolicyEngine, ScorerEngine
from tts_runtime.engines.policy import DEFAULT_POLICY, Policy
from tts_runtime.engines.python import PythonScorer
from tts_runtime.engines.scorers import POOL_SCORERS, FieldScorer
from tts_runtime.executor.abilities import abilities, reads_logprobs
from tts_runtime.executor.early_exit import handlers
from tts_runtime.executor.problem import at
from tts_runtime.executor.program import Program
from tts_runtime.executor.speculation import Guess


class BindError(Exception):
    """A plan and engines that do not fit; raised before anything is spent."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A plan with engines that fit it; made by `bind`, run by `execute`.

    Args:
        plan: The plan.
        program: The plan, ready to run.
        exactness: How far a rerun gives the same texts: the weakest of the engines'.
        early: Operations may end early: runs that do are replayed (C66).
        guesses: What may run ahead of which value, if the plan is bound with `speculate`.
    """

    plan: Plan
    program: Program
    exactness: Exactness
    early: bool
    guesses: Mapping[int, Guess]


def bind(
    plan: Plan,
    policies: Mapping[str, PolicyEngine],
    scorers: Mapping[str, ScorerEngine],
    passes: Collection[str] = (),
    speculate: bool = False,
    strict: bool = False,
    logprobs: bool = True,
) -> Bound:
    """Binds a plan's policies and scorers, by the names that the strategy gives them, to engines.

    Engines that the plan does not name are ignored.

    Args:
        plan: The plan.
        policies, scorers: Engines by name.
        passes: Names of `PASSES`: with them a run generates less, to the same answer; without them
            everything that the program asks for.
        speculate: Find out what may run ahead (see `execute_together`).
        strict: A fault of one candidate fails its problem.
        logprobs: Whoever gets the candidates reads log-probabilities, or another strategy that
            shares their requests; if the plan does (`reads_logprobs`), they are there anyway.

    Raises:
        BindError: Something is missing or does not fit; the message has one line per problem.
    """
    check_names(plan, policies, scorers)
    engines = {
        scorer.name: FieldScorer(scorer.field) if scorer.field is not None else scorers[scorer.name]
        for scorer in plan.scorers
        if scorer.judge is None
    }
    bound = {name: Policy(name, policies[name]) for name in policies_of(plan)}
    problems = misfits(plan, bound, engines)
    if problems:
        raise BindError("\n".join(problems))
    used = [policy.engine for policy in bound.values()], engines.values()
    exactness = Exactness.weakest(each.exactness for each in chain(*used))
    exits = early_exits(plan, passes)
    special = handlers(exits)
    by_row = SELECT_BY_ROW in passes
    logprobs = logprobs or reads_logprobs(plan)
    program = Program(plan, bound, engines, strict, logprobs, special, exits.sources, by_row)
    following = next_expansions(plan) if speculate else {}
    return Bound(
        plan,
        program,
        exactness,
        bool(special),
        {value: Guess(program, expansion) for value, expansion in following.items()},
    )


def check_names(plan: Plan, policies: Collection[str], scorers: Collection[str]) -> None:
    """Refuses a plan that needs a policy or scorer which is not among these names.

    Raises:
        BindError: What is missing; the message has one line for each.
    """
    missing = [*_missing(plan, policies, scorers)]
    if missing:
        raise BindError("\n".join(missing))


def policies_of(plan: Plan) -> list[str]:
    """Every policy that the plan or one of its judges asks."""
    judges = [scorer.judge.policy for scorer in plan.scorers if scorer.judge is not None]
    return list(dict.fromkeys([*plan.policies, *judges]))


def _missing(plan: Plan, policies: Collection[str], scorers: Collection[str]) -> Iterator[str]:
    for name in policies_of(plan):
        if name not in policies:
            line = _unbound("policy", name, plan, policies)
            if name == "python":
                line += "; to run programs: `--policy python=exec:python`"
            yield line
    for scorer in plan.scorers:
        if scorer.judge is None and scorer.field is None and scorer.name not in scorers:
            line = _unbound("scorer", scorer.name, plan, scorers)
            if scorer.together:
                line += f"; {_comparing(scorer)}"
            elif not scorer.steps:
                line += f"; a PRM can stand in: `--scorer {scorer.name}=bundled?reduce=last`"
            yield line


def _comparing(scorer: Scorer) -> str:
    """Which of the shipped pool scorers fit a declaration."""
    name = scorer.name
    if name in POOL_SCORERS:
        return f"the shipped one: `--scorer {name}={name}`"
    fit = [each for each, kind in POOL_SCORERS.items() if _inside(scorer, kind.low, kind.high)]
    return f"these compare a pool's candidates: {', '.join(fit)}"


def _unbound(kind: str, name: str, plan: Plan, names: Collection[str]) -> str:
    hint = did_you_mean(name, names)
    return (
        f"strategy `{plan.strategy}` needs a {kind} `{name}`: bind one with `--{kind} {name}=...`"
        + (f" ({hint})" if hint else "")
    )


_Check = Callable[[Plan, Mapping[str, Policy], Mapping[str, ScorerEngine]], Iterator[str]]


def _thoughts(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """Thoughts need a policy that has delimiters for them (C25)."""
    for operation in operations(plan.body):
        spec = operation.spec
        wanting = {
            part.policy
            for expression in fields_in(spec)
            for part in walk(expression)
            if isinstance(part, Delimiter) and part.name == "end_of_thought"
        }
        if isinstance(spec, Expand | Ask) and spec.amount.unit is Unit.THOUGHTS:
            wanting.add(spec.decoding.policy)
        for name in sorted(wanting):
            if policies[name].binding.thinking is None:
                yield (
                    f"{at(operation)}policy `{name}` (`{policies[name].binding.name}`) has no "
                    "thoughts: bind a policy whose binding has `thinking: {begin: ..., end: ...}`, "
                    "or ask for steps or solutions instead"
                )


def _turns(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """`with history` needs a binding that says how a conversation continues (C73)."""
    asks = [
        (at(operation), operation.spec.decoding.policy)
        for operation in operations(plan.body)
        if isinstance(operation.spec, Ask) and operation.spec.history
    ]
    for scorer in plan.scorers:
        if scorer.judge is not None and scorer.judge.history:
            asks.append((f"judge `{scorer.name}`: ", scorer.judge.policy))
    for where, name in asks:
        binding = policies[name].binding
        if binding.turn is None:
            yield (
                f"{where}`with history` continues a conversation, and the binding of policy "
                f"`{name}` (`{binding.name}`) does not say how: add `turn` to it "
                "(docs/bindings.md), or ask about the candidate without its history"
            )


def _scorers(
    plan: Plan, _policies: Mapping[str, Policy], scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """A scorer's engine must score what the strategy declares."""
    words: Final = {True: "per step", False: "per solution"}
    for scorer in plan.scorers:
        engine = scorers.get(scorer.name)
        if engine is None:
            continue
        if scorer.steps != engine.steps:
            yield (
                f"scorer `{scorer.name}` is declared {words[scorer.steps]}, but its engine scores "
                f"{words[engine.steps]}: {_other_unit(engine)}declare `scorer {scorer.name} "
                f"{words[engine.steps]}`, or bind another scorer"
            )
        if not scorer.together and not engine.alone:
            yield (
                f"scorer `{scorer.name}` is declared for one candidate at a time, but its engine "
                f"compares those of a pool: declare `scorer {scorer.name} together`, or bind "
                "another scorer"
            )
        if scorer.together and not engine.pools:
            yield (
                f"scorer `{scorer.name}` is declared together, but its engine scores one "
                "candidate at a time: bind a scorer that sees a whole pool, or leave `together` out"
            )
        # A field's range is known when it is read.
        if not isinstance(engine, FieldScorer) and not _inside(scorer, engine.low, engine.high):
            declared = f"scorer {scorer.name} {words[scorer.steps]} from"
            if engine.low is None or engine.high is None:
                advice = f"declare a range that they stay in, such as `{declared} -50 to 50`"
            else:
                advice = f"declare `{declared} {_end(engine.low)} to {_end(engine.high)}`"
            yield (
                f"scorer `{scorer.name}` is declared from {_end(scorer.low)} to "
                f"{_end(scorer.high)}, but its engine gives numbers from {_end(engine.low)} to "
                f"{_end(engine.high)}: {advice}"
            )


def _other_unit(engine: ScorerEngine) -> str:
    """How a scorer per step gives a number per solution, or the other way round."""
    if engine.steps:
        return "add `?reduce=last` (or `min`, `mean`...) to the engine, "
    if isinstance(engine, PythonScorer):
        return 'decorate the function with `@tts_runtime.scorer(per="step")`, '
    return ""


def _engines(
    plan: Plan, policies: Mapping[str, Policy], scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """The objections of engines to a plan."""
    for name, policy in policies.items():
        yield from policy.engine.unfit(plan, name)
    for scorer in plan.scorers:
        if scorer.name in scorers:
            yield from scorers[scorer.name].unfit(plan, scorer.name)


def _inside(scorer: Scorer, low: float | None, high: float | None) -> bool:
    """Whether an engine's range lies in the declared one."""
    if (low, high) == (None, None) and (scorer.low, scorer.high) != (0, 1):
        return True  # raw numbers in a range that somebody declared: every score is checked
    return (scorer.low is None or (low is not None and low >= scorer.low)) and (
        scorer.high is None or (high is not None and high <= scorer.high)
    )


def _end(number: float | None) -> str:
    return "no limit" if number is None else f"{number:g}"


# ------------------------------------------------------------------ tokenizers

_Owners = dict[int, frozenset[str]]
_NOBODY: frozenset[str] = frozenset()


def unfit_paths(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """One line for every operation whose policy cannot continue with the paths that it gets."""
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
        spec, known = operation.spec, entry(operation.spec)
        inputs = [owners.get(number, _NOBODY) for number in operation.inputs]
        first = inputs[0] if inputs else _NOBODY
        out = first
        if isinstance(spec, Expand):
            self._extends(operation, first, spec.decoding.policy)
            out = first | {spec.decoding.policy}
        elif isinstance(spec, Ask):
            out = frozenset({spec.decoding.policy})
        elif known.foreign or known.makes is Makes.EDITED:
            out = first or frozenset({self._default})
        elif isinstance(spec, Score) and spec.ahead is not None:
            self._extends(operation, first, self._default)
        elif isinstance(spec, Call):
            self._called(operation, first, owners)
            return
        elif isinstance(spec, Repeat):
            self._repeated(operation, inputs, owners)
            return
        elif isinstance(spec, Branch):
            self._branched(operation, owners)
            return
        elif known.makes is Makes.BOTH:
            out = first | inputs[1]
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

    def _repeated(
        self, operation: Operation, inputs: list[frozenset[str]], owners: _Owners
    ) -> None:
        carried = list(inputs)
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
            self.problems.append(
                at(operation)
                + f"this continues candidates, but policy `{name}` (`{policy.binding.name}`) "
                + lacking
            )
            return
        for owner in sorted(owners):
            other = self._policies[owner]
            if other.tokenizer.fingerprint != policy.tokenizer.fingerprint:
                self.problems.append(
                    at(operation)
                    + f"policy `{name}` (`{policy.binding.name}`) cannot continue candidates of "
                    f"`{owner}` (`{other.binding.name}`): their tokenizers differ, and ids are "
                    f"never encoded again; `ask` policy `{name}` about them instead"
                )


def _made(region: Region, owners: _Owners) -> Iterator[frozenset[str]]:
    for operation in region.operations:
        for number in operation.outputs:
            yield owners.get(number, _NOBODY)
        for inner in operation.regions:
            yield from _made(inner, owners)


#: What is checked once every name is bound.
CHECKS: Final[tuple[_Check, ...]] = (
    _thoughts,
    _turns,
    abilities,
    _scorers,
    _engines,
    unfit_paths,
)


def misfits(
    plan: Plan, policies: Mapping[str, Policy], scorers: Mapping[str, ScorerEngine]
) -> list[str]:
    """One line for everything that does not fit."""
    return [line for check in CHECKS for line in check(plan, policies, scorers)]
