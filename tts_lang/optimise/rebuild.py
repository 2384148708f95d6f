"""Specs and expressions with parts replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_args

from tts_lang.plan import expr
from tts_lang.plan.expr import Aggregate, Expr, Input
from tts_lang.plan.graph import Ask, Spec
from tts_lang.plan.reads import nodes_of

Part = TypeVar("Part")
_EXPRESSIONS = get_args(Expr)


def mapped(part: Part, change: Callable[[Expr], Expr]) -> Part:
    """A spec (or a part of one) with every outermost expression replaced."""
    changed: Any = part
    if isinstance(part, _EXPRESSIONS):
        changed = change(part)
    elif isinstance(part, tuple):
        inner = tuple(mapped(each, change) for each in part)
        changed = part if all(a is b for a, b in zip(inner, part, strict=True)) else inner
    elif is_dataclass(part) and not isinstance(part, type):
        before = {field.name: getattr(part, field.name) for field in fields(part)}
        after = {name: mapped(value, change) for name, value in before.items()}
        if any(after[name] is not before[name] for name in before):
            changed = replace(part, **after)
    return changed  # type: ignore[no-any-return]


def rebuilt(expression: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """An expression changed bottom-up, without recursion (sums may be thousands of terms long)."""
    results: list[Expr] = []
    for node in reversed(list(expr.walk(expression))):
        inner = [results.pop() for _ in expr.children(node)]
        results.append(change(_with_children(node, inner) if inner else node))
    return results[-1]


def _with_children(node: Expr, inner: list[Expr]) -> Expr:
    children = iter(inner)
    changed: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, tuple):
            changed[field.name] = tuple(next(children) for _ in value)
        elif isinstance(value, _EXPRESSIONS):
            changed[field.name] = next(children)
    if all(
        changed[name] is getattr(node, name)
        for name in changed
        if not isinstance(changed[name], tuple)
    ):
        tuples = [name for name in changed if isinstance(changed[name], tuple)]
        if all(all(map(_is, changed[name], getattr(node, name))) for name in tuples):
            return node
    return replace(node, **changed)


def _is(left: object, right: object) -> bool:
    return left is right


def inputs_read(spec: Spec) -> Iterator[int]:
    """Indices of the inputs that expressions and prompt arguments read."""
    if isinstance(spec, Ask):
        yield from (value for _, value in spec.arguments if isinstance(value, int))
    for node in nodes_of(spec):
        if isinstance(node, Input):
            yield node.index
        elif isinstance(node, Aggregate):
            yield node.pool


def without_unread(
    spec: Spec, inputs: tuple[int, ...], positional: int
) -> tuple[Spec, tuple[int, ...]]:
    """A spec without the inputs that it does not read; the first `positional` ones stay."""
    read = set(inputs_read(spec)) | set(range(positional))
    indices = [index for index in range(len(inputs)) if index in read]
    if len(indices) == len(inputs):
        return spec, inputs
    place = {old: new for new, old in enumerate(indices)}

    def moved(node: Expr) -> Expr:
        if isinstance(node, Input):
            return Input(place[node.index])
        if isinstance(node, Aggregate):
            return replace(node, pool=place[node.pool])
        return node

    changed = mapped(spec, lambda expression: rebuilt(expression, moved))
    if isinstance(changed, Ask):
        arguments = tuple(
            (name, place[value] if isinstance(value, int) else value)
            for name, value in changed.arguments
        )
        changed = replace(changed, arguments=arguments)
    return changed, tuple(inputs[index] for index in indices)
