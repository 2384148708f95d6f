"""Changing immutable plans: operations replaced, values renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tts_lang.plan.graph import Operation, Plan, Region


@dataclass(frozen=True, slots=True)
class Edit:
    """What a rule changes in a plan.

    Args:
        replaced: For operations of the plan, by `id`: what stands in their place (nothing: they are
            removed). A value that is no longer defined must be renamed or unused.
        renamed: Values to read instead of others.
    """

    replaced: Mapping[int, tuple[Operation, ...]] = field(default_factory=dict)
    renamed: Mapping[int, int] = field(default_factory=dict)


def edited(plan: Plan, edit: Edit) -> Plan:
    """The plan after an edit."""
    return replace(plan, body=_region(plan.body, edit))


def _renamed(values: tuple[int, ...], edit: Edit) -> tuple[int, ...]:
    found = []
    for value in values:
        while value in edit.renamed:  # a chain of aliases ends at the value that is kept
            value = edit.renamed[value]
        found.append(value)
    return tuple(found)


def _region(region: Region, edit: Edit) -> Region:
    operations: list[Operation] = []
    for operation in region.operations:
        for kept in edit.replaced.get(id(operation), (operation,)):
            operations.append(
                replace(
                    kept,
                    inputs=_renamed(kept.inputs, edit),
                    regions=tuple(_region(inner, edit) for inner in kept.regions),
                )
            )
    return replace(region, operations=tuple(operations), results=_renamed(region.results, edit))


def alias(operation: Operation, value: int) -> Edit:
    """The operation removed, its one output read from `value`."""
    return Edit({id(operation): ()}, {operation.outputs[0]: value})


def instead(operation: Operation, *others: Operation) -> Edit:
    """Other operations in an operation's place."""
    return Edit({id(operation): others})
