"""Checks before a run that policies can do what a plan's expressions and clauses need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.expr import Column, Const, Statistic, fields_in, walk
from tts_lang.plan.graph import Ask, Decoding, Expand, Operation, Plan, operations
from tts_runtime.engines.base import Ability, ScorerEngine
from tts_runtime.engines.matching import unusable
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.problem import at

#: Columns that are made of log-probabilities.
_TOLD: Final = frozenset(name for name, column in COLUMNS.items() if column.engine)


def reads_logprobs(plan: Plan) -> bool:
    """Whether an expression or a condition reads log-probabilities.

    Statistics, ranks and probabilities of judges are requested by themselves.
    """
    return any(Ability.LOGPROBS in _read_in(operation) for operation in operations(plan.body))


def wants_logprobs(plans: Iterable[Plan], keep: Collection[str]) -> bool:
    """Whether plans that share their requests, or the record, read log-probabilities.

    `keep`: what else the record has of every candidate.
    """
    return "logprobs" in keep or any(map(reads_logprobs, plans))


def abilities(
    plan: Plan, policies: Mapping[str, Policy], _scorers: Mapping[str, ScorerEngine]
) -> Iterator[str]:
    """What expressions and clauses read must be there: engines on servers may lack it."""
    for operation in operations(plan.body):
        spec = operation.spec
        read = _read_in(operation)
        for name in plan.policies:
            yield from _lacking(at(operation), policies[name], read)
        if isinstance(spec, Expand | Ask):
            where, policy = at(operation), policies[spec.decoding.policy]
            yield from _lacking(where, policy, _asked_by(spec.decoding))
            yield from _forms(where, policy, spec.decoding)
    for scorer in plan.scorers:
        judge = scorer.judge
        if judge is not None:
            asked = _asked_by(judge.decoding)
            if judge.read == "probability":
                asked[Ability.FIRST_TOKENS] = "reading a probability"
            where, policy = f"judge `{scorer.name}`: ", policies[judge.policy]
            yield from _lacking(where, policy, asked)
            yield from _forms(where, policy, judge.decoding)


def _lacking(where: str, policy: Policy, wanted: Mapping[Ability, str]) -> Iterator[str]:
    lacks = policy.engine.lacks
    for ability, words in wanted.items():
        if ability in lacks:
            yield (
                f"{where}{words} needs {ability.value}, but policy `{policy.name}` "
                f"(`{policy.binding.name}`) {lacks[ability]}"
            )


def _forms(where: str, policy: Policy, decoding: Decoding) -> Iterator[str]:
    """What an engine that could draw in a form (C77) cannot do with this one."""
    if not decoding.pattern or Ability.MATCHING in policy.engine.lacks:
        return
    clause = "`matching`" if decoding.matching else "`one of`"
    if not policy.engine.masks:
        if decoding.likeliest:
            yield (
                f"{where}`likeliest` with {clause} needs the policy in this process: the server of "
                f"policy `{policy.name}` (`{policy.binding.name}`) lists first tokens of any text"
            )
        return
    wrong = unusable(decoding.pattern)
    if wrong is not None:
        yield f"{where}{clause}: {wrong}"


def _read_in(operation: Operation) -> dict[Ability, str]:
    """What an operation's expressions read of every policy's tokens, and how it is written."""
    found = {}
    for expression in fields_in(operation.spec):
        for part in walk(expression):
            if isinstance(part, Statistic):
                found[Ability[part.how.upper()]] = f"`{part.how}`"
            elif isinstance(part, Column) and part.name in _TOLD:
                found[Ability.LOGPROBS] = f"`{part.name}`"
    return found


def _asked_by(decoding: Decoding) -> dict[Ability, str]:
    """The abilities that a call's clauses need of its policy."""
    found = {}
    if decoding.likeliest:
        found[Ability.LIKELIEST] = "`likeliest`"
    if decoding.at_least not in (None, Const(0)):
        found[Ability.AT_LEAST] = "`at least`"
    if decoding.pattern:
        found[Ability.MATCHING] = "`matching`" if decoding.matching else "`one of`"
    if decoding.avoiding and decoding.avoided_by != Const(0):
        found[Ability.AVOIDING] = "`avoiding`"
    if decoding.stop_when is not None:
        found[Ability.STREAMING] = "`stop when`"
    if decoding.end_when is not None:
        found[Ability.STREAMING] = "`end when`"
    return found
