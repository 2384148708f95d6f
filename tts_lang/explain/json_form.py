"""EXPLAIN for programs: plain JSON values; `null` for a bound that does not exist."""

from __future__ import annotations

from dataclasses import asdict

from tts_lang.explain.costs import COSTS
from tts_lang.explain.domain import Cost
from tts_lang.explain.models import FORMULA
from tts_lang.explain.tree import Explained, Line


def to_values(explained: Explained) -> dict[str, object]:
    """Everything that the text shows, with exact numbers."""
    plan, bounds, assumed = explained.plan, explained.bounds, explained.assumed
    models = assumed.models
    values: dict[str, object] = {
        "strategy": plan.strategy,
        "parameters": dict(plan.parameters),
        "assumed": {
            "context": assumed.context,
            "prompt": assumed.prompt,
            "lengths": None if assumed.lengths is None else asdict(assumed.lengths),
            "models": {
                name: asdict(model)
                for name, model in (("policy", models.policy), *models.named.items())
                if model is not None
            },
        },
        "flops": FORMULA if models else None,
        "total": _sized(asdict(bounds.total), bool(models)),
        "result_rows": asdict(bounds.result),
        "operations": [_line(line, bool(models)) for line in explained.lines],
    }
    if explained.total is not None:
        values["expected"] = _mean(explained.total, bool(models))
    return values


def _sized(costs: dict[str, float | None], sized: bool) -> dict[str, float | None]:
    """FLOPs are not known where no model's size is."""
    return costs if sized else {**costs, "flops": None}


def _mean(mean: Cost, sized: bool, *, rows: bool = False) -> dict[str, float | None]:
    """Costs; and the rows of one execution, where the output is a pool."""
    costs = _sized({name: getattr(mean, name) for name in COSTS}, sized)
    if not rows or not mean.operations:
        return costs
    return {"executions": mean.operations, "rows": mean.rows / mean.operations, **costs}


def _line(line: Line, sized: bool) -> dict[str, object]:
    return {
        "op": line.op,
        "text": line.text,
        "origin": asdict(line.origin) if line.origin is not None else None,
        "rows": asdict(line.rows) if line.rows is not None else None,
        "spent": _sized(asdict(line.spent), sized) if line.spent is not None else None,
        "expected": _mean(line.mean, sized, rows=line.rows is not None)
        if line.mean is not None
        else None,
        "inside": [_line(inner, sized) for inner in line.inside],
    }
