"""EXPLAIN ANALYZE: actual costs of a run, beside expected costs and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from tts_lang.explain.assumptions import Assumed
from tts_lang.explain.tree import Explained, explain
from tts_lang.explain.units import exact
from tts_lang.plan.graph import Plan

#: Names and fields of the costs that a run counts (`CostBounds`, `Cost`).
COUNTED = (
    ("policy calls", "policy_calls"),
    ("sampled tokens", "sampled_tokens"),
    ("prefilled tokens", "prefilled_tokens"),
    ("scorer calls", "scorer_calls"),
    ("scorer tokens", "scorer_tokens"),
)


@dataclass(slots=True)
class Actual:
    """Rows and sampled tokens of the operations on one line of a file, over all problems."""

    rows: int = 0
    tokens: int = 0


@dataclass(slots=True)
class RunCounts:
    """Counts of a run, over all problems.

    Attributes:
        problems: How many finished.
        counts_of: By operator and `file:line`.
        counts: By the fields of `COUNTED`, where the run counted them.
    """

    problems: int = 0
    counts_of: dict[tuple[str, str], Actual] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Planned:
    """Expected calls and tokens of a line, and the bound of its tokens."""

    text: str
    calls: float = 0.0
    tokens: float = 0.0
    most: int | None = 0


def analysis(plan: Plan, assumed: Assumed, run: RunCounts) -> str:
    """Sampling operations and totals: actual, expected and at most, per problem.

    Args:
        plan: The plan that ran.
        assumed: The lengths that the run had, and what bounds assume.
        run: Its counts.
    """
    lengths = assumed.lengths
    assert lengths is not None
    tree = explain(plan, assumed)
    lines = [
        f"{plan.strategy}: actual beside expected, per problem "
        f"(measured: {lengths.step:.0f} tokens a step, {lengths.steps:.1f} steps)"
    ]
    rows: list[tuple[str, ...]] = [
        ("", "candidates", "", "tokens", "", ""),
        ("", *("actual", "expected") * 2, "at most"),
    ]
    problems = max(1, run.problems)
    for key, planned in _generating(tree).items():
        counted = run.counts_of.get(key, Actual())
        actual, drawn = counted.rows / problems, counted.tokens / problems
        cells = (f"{actual:,.1f}", f"{planned.calls:,.1f}", f"{drawn:,.0f}")
        more = (f"{planned.tokens:,.0f}", exact(planned.most))
        rows.append((f"{key[1]}: {planned.text}", *cells, *more))
    lines += _aligned(rows)
    rows = [("total", "actual", "expected", "at most")]
    total = tree.total
    for name, attribute in COUNTED:
        most = getattr(tree.bounds.total, attribute)
        if most != 0 and attribute in run.counts:
            actual = run.counts[attribute] / problems
            expected = getattr(total, attribute)
            rows.append((f"  {name}", f"{actual:,.1f}", f"{expected:,.1f}", exact(most)))
    return "\n".join([*lines, "", *_aligned(rows)]) + "\n"


def _generating(tree: Explained) -> Mapping[tuple[str, str], _Planned]:
    """The lines that sample, by operator and place: one that is inlined twice is one."""
    merged: dict[tuple[str, str], _Planned] = {}
    for line in tree.all_lines():
        if line.op not in ("expand", "ask") or line.origin is None:
            continue
        place = f"{PurePath(line.origin.file).name}:{line.origin.line}"
        row = merged.setdefault((line.op, place), _Planned(line.text))
        if line.mean is not None:
            row.calls += line.mean.policy_calls
            row.tokens += line.mean.sampled_tokens
        limit = 0 if line.spent is None else line.spent.sampled_tokens
        row.most = None if limit is None or row.most is None else row.most + limit
    return merged


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A table: the first column left, the others right."""
    first, *sizes = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        f"{row[0]:<{first}}"
        + "".join(f"  {cell:>{size}}" for cell, size in zip(row[1:], sizes, strict=True))
        for row in rows
    ]
