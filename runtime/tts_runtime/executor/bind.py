"""Fits a plan to engines, and says what does not fit before anything is spent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.expr import Column, Const, Delimiter, Statistic, fields_in, walk
from tts_lang.plan.graph import Ask, Decoding, Expand, Operation, Plan, Scorer, Unit, operations
from tts_runtime.engines.base import Ability, PolicyEngine, ScorerEngine
from tts_runtime.engines.scorers import POOL_SCORERS, FieldScorer
from tts_runtime.executor.ahead import next_of
from tts_runtime.executor.early_exit import needless
from tts_runtime.executor.errors import BindError, place
from tts_runtime.executor.policies import Policy
from tts_runtime.executor.program import Program
from tts_runtime.executor.tokenizers import unfit_paths


@dataclass(frozen=True, slots=True)
class Bound:
    """A plan with engines that fit it; made by `bind`, run by `execute`.

    `exact`: every engine follows the streams, so a rerun gives the same texts. `strict`: what is
    wrong with one candidate fails its problem.
    """

    plan: Plan
    program: Program
    exact: bool
    strict: bool = False


def bind(
    plan: Plan,
    policies: Mapping[str, PolicyEngine],
    scorers: Mapping[str, ScorerEngine],
    passes: Collection[str] = (),
    speculate: bool = False,
    strict: bool = False,
) -> Bound:
    """Binds a plan's policies and scorers, by the names that the strategy gives them, to engines.

    Engines that the plan does not name are ignored. `passes` are names of `early_exit.PASSES`: with
    them a run generates less, to the same answer; without them everything that was asked for.
    `speculate`: find out what may run ahead (`execute_all`). `strict`: see `Bound`.

    Raises:
        BindError: Something is missing or does not fit; the message has one line a problem.
    """
    check_names(plan, policies, scorers)
    engines = {
        scorer.name: FieldScorer(scorer.field) if scorer.field is not None else scorers[scorer.name]
        for scorer in plan.scorers
        if scorer.judge is None
    }
    bound = {name: Policy(name, policies[name]) for name in _policies(plan)}
    problems = [line for check in CHECKS for line in check(plan, bound, engines)]
    if problems:
        raise BindError("\n".join(problems))
    exact = all(policy.engine.exact for policy in bound.values()) and all(
        engine.exact for engine in engines.values()
    )
    following = next_of(plan) if speculate else {}
    program = Program(plan, bound, engines, needless(plan, passes), following)
    return Bound(plan, program, exact, strict)


def check_names(plan: Plan, policies: Collection[str], scorers: Collection[str]) -> None:
    """Refuses a plan that needs a policy or scorer which is not among these names.

    Raises:
        BindError: What is missing; the message has one line for each.
    """
    missing = [*_missing(plan, policies, scorers)]
    if missing:
        raise BindError("\n".join(missing))


def _policies(plan: Plan) -> list[str]:
    """Every policy that the plan or one of its judges asks."""
    judges = [scorer.judge.policy for scorer in plan.scorers if scorer.judge is not None]
    return list(dict.fromkeys([*plan.policies, *judges]))


def _missing(plan: Plan, policies: Collection[str], scorers: Collection[str]) -> Iterator[str]:
    for name in _policies(plan):
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


def _unbound(kind: str, name: str, plan: Plan, given: Collection[str]) -> str:
    hint = did_you_mean(name, given)
    return (
        f"strategy `{plan.strategy}` needs a {kind} `{name}`: bind one with `--{kind} {name}=...`"
        + (f" ({hint})" if hint else "")
    )


_Check = Callable[[Plan, Mapping[str, Policy], Mapping[str, ScorerEngine]], Iterator[str]]


def _at(operation: Operation) -> str:
    where = place(operation.origins)
    return f"{where}: " if where else ""


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
                    f"{_at(operation)}policy `{name}` (`{policies[name].binding.name}`) has no "
                    "thoughts: bind a policy whose binding has `thinking: {begin: ..., end: ...}`, "
                    "or ask for steps or solutions instead"
                )


def _streaming(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """`stop when` and `end when` need an engine that looks at every token (C27)."""
    for operation in operations(plan.body):
        spec = operation.spec
        if not isinstance(spec, Expand | Ask):
            continue
        policy = policies[spec.decoding.policy]
        conditions = {"stop when": spec.decoding.stop_when, "end when": spec.decoding.end_when}
        for clause, condition in conditions.items():
            if condition is not None and not policy.engine.streaming:
                yield (
                    f"{_at(operation)}`{clause}` needs an engine that streams, and that of policy "
                    f"`{policy.name}` (`{policy.binding.name}`) does not: bind another engine, or "
                    "leave the clause out"
                )


def _abilities(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """What expressions and clauses read must be there: engines on servers may lack it."""
    for operation in operations(plan.body):
        spec = operation.spec
        read = _read_in(operation)
        for name in plan.policies:
            yield from _lacking(_at(operation), policies[name], read)
        if isinstance(spec, Expand | Ask):
            asked = _asked_by(spec.decoding)
            yield from _lacking(_at(operation), policies[spec.decoding.policy], asked)
    for scorer in plan.scorers:
        judge = scorer.judge
        if judge is not None:
            asked = _asked_by(judge.decoding)
            if judge.read == "probability":
                asked[Ability.FIRST_TOKENS] = "reading a probability"
            yield from _lacking(f"judge `{scorer.name}`: ", policies[judge.policy], asked)


def _lacking(at: str, policy: Policy, wanted: Mapping[Ability, str]) -> Iterator[str]:
    lacks = policy.engine.lacks
    for ability, words in wanted.items():
        if ability in lacks:
            yield (
                f"{at}{words} needs {ability.value}, but policy `{policy.name}` "
                f"(`{policy.binding.name}`) {lacks[ability]}"
            )


def _read_in(operation: Operation) -> dict[Ability, str]:
    """What an operation's expressions read of every policy's tokens, and how it is written."""
    found = {}
    for expression in fields_in(operation.spec):
        for part in walk(expression):
            if isinstance(part, Statistic):
                found[Ability[part.how.upper()]] = f"`{part.how}`"
            elif part == Column("logprob"):
                found[Ability.LOGPROBS] = "`logprob`"
    return found


def _asked_by(decoding: Decoding) -> dict[Ability, str]:
    """What a call's clauses ask of its policy."""
    found = {}
    if decoding.likeliest:
        found[Ability.LIKELIEST] = "`likeliest`"
    if decoding.at_least not in (None, Const(0)):
        found[Ability.AT_LEAST] = "`at least`"
    return found


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
                f"{words[engine.steps]}: declare `scorer {scorer.name} {words[engine.steps]}`, or "
                "bind another scorer"
            )
        if not scorer.together and not engine.alone:
            yield (
                f"scorer `{scorer.name}` is declared for one candidate at a time, but its engine "
                f"compares those of a pool: declare `scorer {scorer.name} together`, or bind "
                "another scorer"
            )
        if scorer.together and type(engine).score_together is ScorerEngine.score_together:
            yield (
                f"scorer `{scorer.name}` is declared together, but its engine scores one "
                "candidate at a time: bind a scorer that sees a whole pool, or leave `together` out"
            )
        # A field's range is known when it is read.
        if not isinstance(engine, FieldScorer) and not _inside(scorer, engine.low, engine.high):
            advice = "declare that range"
            if (engine.low, engine.high) == (None, None):
                advice = (
                    "declare a range that they stay in, such as "
                    f"`scorer {scorer.name} {words[scorer.steps]} from -50 to 50`"
                )
            yield (
                f"scorer `{scorer.name}` is declared from {_end(scorer.low)} to "
                f"{_end(scorer.high)}, but its engine gives numbers from {_end(engine.low)} to "
                f"{_end(engine.high)}: {advice}"
            )


def _inside(scorer: Scorer, low: float | None, high: float | None) -> bool:
    """Whether an engine's range lies in the declared one."""
    if (low, high) == (None, None) and (scorer.low, scorer.high) != (0, 1):
        return True  # raw numbers in a range that somebody declared: every score is checked
    return (scorer.low is None or (low is not None and low >= scorer.low)) and (
        scorer.high is None or (high is not None and high <= scorer.high)
    )


def _end(number: float | None) -> str:
    return "no limit" if number is None else f"{number:g}"


#: What is checked once everything is there.
CHECKS: Final[tuple[_Check, ...]] = (_thoughts, _streaming, _abilities, _scorers, unfit_paths)
