"""The text form of a plan: stable and readable, for golden tests and diffs.

Values are numbered `%0`, `%1` ... in the order in which the text defines them, so that two plans
that differ only in their value numbers read the same. Regions are indented below their operation.
"""

from __future__ import annotations

from collections.abc import Iterator

from tts_lang.plan.graph import Exit, Operation, Plan, Region, Repeat, Scorer
from tts_lang.plan.operator import entry
from tts_lang.plan.pretty import constant, expression, operation

__all__ = ["expression", "numbering", "operation", "to_text"]


def to_text(plan: Plan) -> str:
    """The whole plan, one operation a line; ends with a line end."""
    numbers = numbering(plan)
    parameters = ", ".join(f"{name} = {constant(value)}" for name, value in plan.parameters.items())
    lines = [f"plan {plan.strategy}({parameters}){' thinking' if plan.thinks else ''}"]
    if plan.policies:
        lines.append(f"policies: {', '.join(plan.policies)}")
    lines.extend(f"scorer {_scorer(scorer)}" for scorer in plan.scorers)
    lines.extend(f"prompt {prompt.name}" for prompt in plan.prompts)
    lines.append("")
    lines.extend(_region(plan.body, plan, numbers, "", "given"))
    return "\n".join(lines) + "\n"


def numbering(plan: Plan) -> dict[int, str]:
    """`%k` for every value, in the order in which the text defines them."""
    names: dict[int, str] = {}
    waiting: list[Region | Operation] = [plan.body]
    while waiting:
        current = waiting.pop()
        if isinstance(current, Region):
            defined, inside = current.parameters, list[Region | Operation](current.operations)
        else:
            defined, inside = current.outputs, list[Region | Operation](current.regions)
        for value in defined:
            names.setdefault(value, f"%{len(names)}")
        waiting.extend(reversed(inside))
    return names


def _scorer(scorer: Scorer) -> str:
    grain = "per step" if scorer.steps else "per solution"
    low = "-inf" if scorer.low is None else f"{scorer.low:g}"
    high = "inf" if scorer.high is None else f"{scorer.high:g}"
    together = " together" if scorer.together else ""
    text = f"{scorer.name}: {grain}{together} from {low} to {high}"
    if scorer.field is not None:
        text += f", field {constant(scorer.field)}"
    if (judge := scorer.judge) is not None:
        after = f" after {constant(judge.after)}" if judge.after is not None else ""
        text += f", judged by {judge.policy}, read {judge.read}{after}, retry {judge.retries}"
        text += "".join(f", {constant(word)} = {number:g}" for word, number in judge.options)
        text += ", pairwise" if judge.pairwise else ""
    return text


def _region(
    region: Region, plan: Plan, numbers: dict[int, str], indent: str, label: str
) -> Iterator[str]:
    def listed(values: tuple[int, ...]) -> str:
        return ", ".join(numbers.get(value, f"%?{value}") for value in values)

    parameters = ", ".join(
        f"{numbers[value]}{_called(plan, value)}" if value in numbers else f"%?{value}"
        for value in region.parameters
    )
    yield f"{indent}{label} ({parameters}):"
    deeper = indent + "  "
    for step in region.operations:
        names = [numbers.get(value, f"%?{value}") for value in step.inputs]
        text = operation(step, names)
        if isinstance(step.spec, Repeat) and names:
            text += f" from {', '.join(names)}"
        variables = [_called(plan, value).strip() for value in step.outputs]
        note = f"  # {', '.join(variables)}" if any(variables) else ""
        outputs = f"{listed(step.outputs)} = " if step.outputs else ""
        yield f"{deeper}{outputs}{text}{note}"
        headings = dict(enumerate(entry(step.spec).regions))
        for place, inner in enumerate(step.regions):
            heading = headings.get(place, "region")
            yield from _region(inner, plan, numbers, deeper + "  ", heading)
    if region.exit is not Exit.NEVER:
        yield f"{deeper}{region.exit.value} {listed(region.results)}".rstrip()


def _called(plan: Plan, value: int) -> str:
    """The name that a value had in the file, after a space."""
    name = plan.values[value].name if 0 <= value < len(plan.values) else ""
    return f" {name}" if name else ""
