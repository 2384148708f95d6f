"""EXPLAIN for programs: plain JSON values; `null` for a bound that does not exist."""

from __future__ import annotations

from dataclasses import asdict

from tts_lang.explain.bounds import Spent
from tts_lang.explain.means import Expected
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
        "total": _costs(bounds.total, bool(models)),
        "result_rows": asdict(bounds.result),
        "operations": [_line(line, bool(models)) for line in explained.lines],
    }
    if explained.total is not None:
        values["expected"] = _mean(explained.total, bool(models))
    return values


def _costs(cost: Spent | Expected, sized: bool) -> dict[str, float | None]:
    """FLOPs are not known where no model's size is."""
    costs: dict[str, float | None] = asdict(cost)
    if not sized:
        costs["flops"] = None
    return costs


def _mean(mean: Expected, sized: bool) -> dict[str, float | None]:
    """Costs; and the rows of one execution, where there is one."""
    costs = _costs(mean, sized)
    del costs["times"], costs["rows"]
    if not mean.times:
        return costs
    return {"executions": mean.times, "rows": mean.rows / mean.times, **costs}


def _line(line: Line, sized: bool) -> dict[str, object]:
    return {
        "op": line.op,
        "text": line.text,
        "origin": asdict(line.origin) if line.origin is not None else None,
        "rows": asdict(line.rows) if line.rows is not None else None,
        "spent": _costs(line.spent, sized) if line.spent is not None else None,
        "expected": _mean(line.mean, sized) if line.mean is not None else None,
        "inside": [_line(inner, sized) for inner in line.inside],
    }
