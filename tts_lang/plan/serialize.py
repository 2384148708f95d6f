"""Plans as JSON and back, exactly.

The format follows the dataclasses of `graph`, `expr` and `template`: an object a value, fields by
name, fields that have their default left out. A member of a union says which one it is: operators
under "op", expressions under "is". Reading checks every value against the field's type and then
verifies the plan, so a file edited by hand gives a `PlanError` that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan import expr, graph
from tts_lang.plan.verify import PlanError, verify_foreign
from tts_lang.printable import printable
from tts_lang.readers import MAX_PLAN_BYTES, TooLarge

__all__ = ["PlanError", "from_json", "to_json"]

FORMAT, VERSION = "tts-plan", 1
#: Deeper nesting than any plan has; keeps recursion away from Python's limit.
_DEEPEST = 200


def to_json(plan: graph.Plan, *, folders: bool = True) -> str:
    """The plan as JSON text; `from_json` gives an equal plan, origins included.

    Args:
        plan: The plan.
        folders: The plan and its origins name files with the folders that they lie in; without
            them, the text is the same wherever a strategy is installed.

    Raises:
        PlanError: An expression or region is nested too deeply to be written.
    """
    head = {"format": FORMAT, "version": VERSION}
    body = _encode(plan, "plan", 0)
    values = {**head, "plan": body if folders else _without_folders(body)}
    return printable(json.dumps(values, indent=1, ensure_ascii=False))


def from_json(text: str) -> graph.Plan:
    """The plan in a JSON text, verified.

    Raises:
        PlanError: The text is no plan that this version can run; the message names the place.
    """
    if len(text) > MAX_PLAN_BYTES:
        raise PlanError(f"not a plan: {TooLarge(MAX_PLAN_BYTES)}")
    try:
        data = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise PlanError(
            f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except (RecursionError, ValueError) as error:  # too deep; an integer of thousands of digits
        raise PlanError("not a plan: nested too deeply, or a number too long to be read") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise PlanError(f'not a plan: expected an object with "format": "{FORMAT}"')
    if data.get("version") != VERSION or isinstance(data["version"], bool):
        raise PlanError(
            f"plan version {json.dumps(data.get('version'))} cannot be read: this is version "
            f"{VERSION}; compile the strategy again"
        )
    _check_names(data, ("format", "version", "plan"), "the file")
    plan = _decode(data.get("plan"), graph.Plan, "plan", 0)
    if not isinstance(plan, graph.Plan):
        raise PlanError("plan: expected a plan")
    verify_foreign(plan)
    return plan


def _no_number(word: str) -> float:
    raise PlanError(f"not a plan: {word} is no number")


# ------------------------------------------------------------------------------ the types


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


@cache
def _fields(kind: type) -> tuple[Field[Any], ...]:
    return fields(kind)


@cache
def _members(union: Any) -> tuple[Any, ...]:
    """The members of a union, nested ones flattened."""
    members: list[Any] = []
    for member in get_args(union):
        members.extend(_members(member) if get_origin(member) in (Union, UnionType) else (member,))
    return tuple(members)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


#: Tag of every class that stands in a union, under the key it is written with.
_TAGS: dict[type, tuple[str, str]] = {
    **{spec: ("op", spec.op) for spec in graph.SPECS},
    **{kind: ("is", _snake(kind.__name__)) for kind in get_args(expr.Expr)},
}


# ------------------------------------------------------------------------------ writing


def _encode(value: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise PlanError(f"{path[:80]}...: nested more than {_DEEPEST} levels deep")
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        tag = _TAGS.get(kind)
        out: dict[str, Any] = {tag[0]: tag[1]} if tag else {}
        for field in _fields(kind):
            inner = getattr(value, field.name)
            if not _is_default(field, inner):
                out[field.name] = _encode(inner, f"{path}.{field.name}", depth + 1)
        return out
    if isinstance(value, tuple):
        return [_encode(inner, f"{path}[{i}]", depth + 1) for i, inner in enumerate(value)]
    if isinstance(value, Mapping):
        return {key: _encode(inner, f"{path}.{key}", depth + 1) for key, inner in value.items()}
    return value


def _without_folders(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: inner.replace("\\", "/").rpartition("/")[2]
        if key == "file" and isinstance(inner, str)
        else _without_folders(inner)
        for key, inner in value.items()
    }


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _is_default(field: Field[Any], value: Any) -> bool:
    default = _default(field)
    # 1, 1.0 and True are equal but must not be taken for one another.
    return default is not MISSING and type(default) is type(value) and bool(default == value)


# ------------------------------------------------------------------------------ reading


def _decode(data: Any, kind: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise PlanError(f"{path[:80]}...: nested more than {_DEEPEST} levels deep")
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _decode_union(data, _members(kind), path, depth)
    if origin is tuple:
        return _decode_tuple(data, get_args(kind), path, depth)
    if origin is Mapping:
        _expect(isinstance(data, dict), "an object", data, path)
        inside = get_args(kind)[1]
        return {key: _decode(v, inside, f"{path}.{key}", depth + 1) for key, v in data.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _decode_class(data, kind, path, depth)
    if isinstance(kind, type) and issubclass(kind, Enum):
        options = [member.value for member in kind]
        _expect(data in options, f"one of {', '.join(options)}", data, path)
        return kind(data)
    _expect(_is_plain(data, kind), _called(kind), data, path)
    return data


def _decode_union(data: Any, members: tuple[Any, ...], path: str, depth: int) -> Any:
    """The member that the data is: by its tag, or by being a plain value of that type."""
    if isinstance(data, dict):
        classes = [m for m in members if isinstance(m, type) and is_dataclass(m)]
        if len(classes) == 1:
            return _decode(data, classes[0], path, depth)
        if classes:
            key = _TAGS[classes[0]][0]
            by_tag = {_TAGS[member][1]: member for member in classes}
            tag = data.get(key)
            if not isinstance(tag, str) or tag not in by_tag:
                hint = did_you_mean(tag, by_tag) if isinstance(tag, str) else None
                shown = f'"{key}" is {json.dumps(tag)}' if key in data else f'"{key}" is not given'
                raise PlanError(f"{path}: {shown}" + (f"; {hint}" if hint else ""))
            return _decode(data, by_tag[tag], path, depth)
    for member in members:
        if get_origin(member) is Mapping and isinstance(data, dict):
            return _decode(data, member, path, depth)
        if _is_plain(data, member):
            return data
    raise PlanError(f"{path}: expected {_either(members)}, found {_shown(data)}")


def _decode_tuple(data: Any, kinds: tuple[Any, ...], path: str, depth: int) -> tuple[Any, ...]:
    _expect(isinstance(data, list), "a list", data, path)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    _expect(len(data) == len(kinds), f"a list of {len(kinds)}", data, path)
    return tuple(
        _decode(inner, kind, f"{path}[{i}]", depth + 1)
        for i, (inner, kind) in enumerate(zip(data, kinds, strict=True))
    )


def _decode_class(data: Any, kind: type, path: str, depth: int) -> Any:
    _expect(isinstance(data, dict), f"an object ({_snake(kind.__name__)})", data, path)
    tag = _TAGS.get(kind)
    names = [field.name for field in _fields(kind)]
    _check_names(data, [*names, tag[0]] if tag else names, path)
    values: dict[str, Any] = {}
    for field in _fields(kind):
        if field.name in data:
            inner = _hints(kind)[field.name]
            values[field.name] = _decode(data[field.name], inner, f"{path}.{field.name}", depth + 1)
        elif _default(field) is MISSING:
            raise PlanError(f'{path}: "{field.name}" is not given')
    return kind(**values)


def _check_names(data: Mapping[str, Any], names: list[str] | tuple[str, ...], path: str) -> None:
    for name in data:
        if name not in names:
            hint = did_you_mean(name, names)
            raise PlanError(f'{path}: unknown entry "{name}"' + (f"; {hint}" if hint else ""))


_PLAIN = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _is_plain(data: Any, kind: Any) -> bool:
    if kind is NoneType:
        return data is None
    if isinstance(data, bool) or kind is bool:
        return isinstance(data, bool) and kind is bool
    if kind is float:
        return isinstance(data, int | float)
    return kind in _PLAIN and isinstance(data, kind)


def _called(kind: Any) -> str:
    if kind is NoneType:
        return "null"
    return _PLAIN.get(kind) or f"an object ({_snake(getattr(kind, '__name__', str(kind)))})"


def _either(members: tuple[Any, ...]) -> str:
    classes = {_TAGS[m][0] for m in members if m in _TAGS}
    words = [f'an object with "{key}"' for key in sorted(classes)]
    words += [_called(member) for member in members if member not in _TAGS]
    return " or ".join(dict.fromkeys(words))


def _expect(fine: bool, expected: str, data: Any, path: str) -> None:
    if not fine:
        raise PlanError(f"{path}: expected {expected}, found {_shown(data)}")


def _shown(data: Any) -> str:
    if isinstance(data, dict | list):
        return "an object" if isinstance(data, dict) else f"a list of {len(data)}"
    text = json.dumps(data, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
