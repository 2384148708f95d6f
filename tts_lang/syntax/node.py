"""The base of all nodes of the syntax tree: a span, and a frozen dataclass's behaviour."""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform

from tts_lang.source import NOWHERE, Span

_Class = TypeVar("_Class", bound=type[Any])


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def node(cls: _Class) -> _Class:
    """Make a class a node: a frozen dataclass with slots, whose methods are those of `Node`.

    `dataclass` would compile six methods for each of sixty classes, which takes longer than to
    parse a strategy. Type checkers, `fields`, `replace` and `match` see an ordinary dataclass.
    """
    node_class: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    node_class._defaults = {f.name: f.default for f in fields(node_class)}
    return node_class  # type: ignore[no-any-return]


@node
class SyntaxNode:
    """Anything that stands somewhere in a file.

    Equality, hashing and printing look at the positional fields only: not at the span, nor at how
    a literal was written.
    """

    __match_args__: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]

    span: Span = field(default=NOWHERE, kw_only=True)

    def __init__(self, *values: Any, **named: Any) -> None:
        set_field = object.__setattr__
        for name, value in zip(self.__match_args__, values, strict=False):
            set_field(self, name, value)
        positional = self.__match_args__[: len(values)]
        for name, default in self._defaults.items():
            if name in positional:
                continue
            value = named.pop(name, default)
            if value is MISSING:
                raise TypeError(f"{type(self).__name__} needs {name}")
            set_field(self, name, value)
        if named or len(values) > len(positional):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self._defaults)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        for name, value in state[1].items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.__match_args__)))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({', '.join(shown)})"
