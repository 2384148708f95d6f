"""Clauses of a plan and of a request, compared with those of a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tts_lang.plan.decoding import Amount, Decoding, Unit
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Ask, Exit, Expand, Operation, Plan, Region, operations
from tts_lang.plan.ops import Branch, Repeat
from tts_runtime.engines.base import Finish, GenerateRequest, Limits
from tts_runtime.replay.samples import DRAWING, Place, Recorded


def unfit(recorded: Recorded, plan: Plan, name: str) -> Iterator[str]:
    """Requests of a plan to its policy `name` that the record cannot have.

    A run directory may be of this very strategy, so only what every run draws is held against it.
    """
    for operation in operations(plan.body) if recorded.flat else _certain(plan.body):
        spec = operation.spec
        if not isinstance(spec, Expand | Ask) or spec.decoding.policy != name:
            continue
        where = f"{operation.origins[0].file}:{operation.origins[0].line}: " * bool(
            operation.origins
        )
        for line in _unfit(recorded, spec.amount, spec.decoding, asks=isinstance(spec, Ask)):
            yield f"{where}{line} (record {recorded.name})"


def _certain(region: Region) -> Iterator[Operation]:
    """Operations on the problem that every run reaches.

    What stands in a branch or a loop, behind a possible `return`, or reads a pool that may be empty
    may draw nothing, and a record of such a run has nothing of it.
    """
    for operation in region.operations:
        if isinstance(operation.spec, Branch | Repeat):
            if any(inner.exit is not Exit.YIELD for inner in operation.regions):
                return
        elif operation.inputs[:1] == region.parameters[:1]:
            yield operation
            for inner in operation.regions:
                yield from _certain(inner)


def _unfit(recorded: Recorded, amount: Amount, decoding: Decoding, *, asks: bool) -> Iterator[str]:
    temperature = _constant(decoding.temperature)
    temperatures = recorded.temperatures
    if temperature is not None and temperatures and float(temperature) not in temperatures:
        listed = ", ".join(f"{each:g}" for each in sorted(temperatures))
        yield (
            f"this samples at temperature {temperature:g}, and the record was drawn at {listed}: "
            "recorded samples cannot stand in"
        )
    if not recorded.flat:
        return
    if asks:
        yield "this asks a question of its own, and the record has only solutions of problems"
    elif amount.unit is not Unit.SOLUTIONS:
        yield f"this samples {amount.unit.value}, and the record has whole solutions only"
    if decoding.pattern:
        yield "`matching` and `one of` need the policy itself"
    for clause in ("top_p", "top_k", "min_p", "at_least", "avoided_by"):
        value = _constant(getattr(decoding, clause))
        if value is not None and value != DRAWING[clause]:
            words = clause.replace("_", " ")
            yield f"this samples with `{words} {value:g}`, which the record does not state"
    if decoding.likeliest:
        yield "`likeliest` needs the policy itself"
    many = _constant(amount.count)
    if many is not None and many > recorded.most:
        yield (
            f"this draws {many:g} samples, and the record has at most {recorded.most} of a "
            f"problem: use n={recorded.most} or less"
        )


def clauses_of(request: GenerateRequest, policy: str) -> dict[str, Any]:
    """The clauses of a request to a policy, by its name in the record, as a record has them."""
    sampling = request.sampling
    return {
        "policy": policy,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "likeliest": request.first_rank is not None,
        "at_least": request.limits.at_least,
        "matching": request.limits.matching,
        "avoided_by": next((nats for _, nats in sampling.penalties), 0),
    }


def same_limits(place: Place, limits: Limits) -> bool:
    """Whether a draw was stopped by what this request says, as far as that is known."""
    clauses = place.clauses or {}
    if "policy" not in clauses:  # of a file: only that these are solutions is known
        return False
    unit, length = clauses.get("unit"), clauses.get("length", 1)
    requested = (
        ("steps", limits.steps)
        if limits.steps
        else ("tokens", limits.unit_tokens)
        if limits.unit_tokens
        else ("thoughts", 1)
        if limits.thought
        else ("solutions", 1)
    )
    if (unit, length) != requested or clauses.get("stop_at", "") != limits.stop_at.decode():
        return False
    if place.finish is Finish.LENGTH and (not place.done or "within" in clauses):
        return place.count == limits.max_tokens  # of the call (`max`), or of the whole path
    return True  # or the window was full, which it would be again


def _constant(expression: Expr | None) -> float | None:
    """The value of a literal number."""
    if not isinstance(expression, Const) or isinstance(expression.value, str | bool):
        return None
    return None if expression.value is None else float(expression.value)
