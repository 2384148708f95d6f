"""From Lark's parse tree to the syntax tree, with a builder for each rule (`builders` has them).

A builder gets the values of the rule's symbols (words, signs and layout have none) and its span,
and gives a node or an intermediate value. What is wrong with a phrase that the grammar accepts,
such as a clause that is given twice, is reported here: `Broken` then spreads to the statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from lark import Token, Tree

from tts_lang.diagnostics import error
from tts_lang.source import Span
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import (
    ClauseKind,
    Operator,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tts_lang.diagnostics import Diagnostic
    from tts_lang.source import Source

#: Rules of one token, which is what their builders look at.
LEAVES = frozenset(
    {"name", "count_name", "fresh_name", "integer", "float", "percent", "string", "text", "unit"}
    | {"broken"}
)
#: Rules that are lists: `statements: statement | statements statement`.
LISTS = frozenset({"items", "statements", "else_ifs", "arms"})
# A statement or item that did not parse does not break what is around it.
_HOLDS_BROKEN = frozenset({"start", "items", "body", "suite", "statements", "statement"})
#: Later stages walk the syntax tree by recursion. Counted in rules, about two for each node.
MAX_DEPTH = 200


class Part(NamedTuple):
    """Something that a phrase may have once, such as `per KEY`: fields of the phrase's node."""

    written: str
    fields: dict[str, Any]
    span: Span


#: The value of a rule, its nesting depth, its start and its end.
_Built: TypeAlias = tuple[Any, int, int, int]


class TreeBuilder:
    """Builds the syntax tree of one file.

    Args:
        table: The builder of each rule.
        source: The file.
        broken: By offset, the statements that did not parse.

    Attributes:
        reports: The errors found so far.
    """

    def __init__(
        self,
        table: Mapping[str, Builder],
        source: Source,
        broken: Mapping[int, nodes.Broken],
    ) -> None:
        self.table = table
        self.source = source
        self.broken = broken
        self.reports: list[Diagnostic] = []
        self._too_deep = False

    def build(self, tree: Tree[Token]) -> nodes.File:
        """The syntax tree of a parsed file; no recursion, since parse trees may be very deep."""
        waiting, order = [tree], []
        while waiting:
            node = waiting.pop()
            rules = [child for child in node.children if isinstance(child, Tree)]
            order.append((node, len(rules)))
            waiting += rules
        stack: list[_Built] = []
        for node, size in reversed(order):
            first = len(stack) - size
            inside = stack[first:]
            del stack[first:]
            stack.append(self._build(node, inside))
        file: nodes.File = stack[0][0]
        return file

    def _build(self, tree: Tree[Token], inside: list[_Built]) -> _Built:
        """Build one rule from the values of the rules inside it."""
        rule = str(tree.data)  # a token of the grammar, which compares slowly
        children: list[Any] = tree.children
        start = end = 0
        if children:
            first, last = children[0], children[-1]
            start = inside[0][2] if isinstance(first, Tree) else first.start_pos
            end = inside[-1][3] if isinstance(last, Tree) else last.end_pos
        span = Span(start, end)
        if rule in LEAVES:
            return self.table[rule](self, children, span), 1, start, end
        values = [value for value, _, _, _ in inside]
        depth = max([below for _, below, _, _ in inside], default=0)
        if rule not in _HOLDS_BROKEN:
            if nodes.Broken in map(type, values):
                return self.broken_phrase(values, span), 0, start, end
            if depth > MAX_DEPTH:
                return self._nested_too_deeply(span), 0, start, end
        if rule in LISTS:
            # The list of all but the last value, and that one.
            if len(values) > 1:
                values[0].append(values[1])
                values = values[0]
            return values, depth, start, end
        value = self.table[rule](self, values, span)
        return value, depth + (len(values) if rule == "if_" else 1), start, end

    def refuse(
        self,
        code: str,
        message: str,
        span: Span,
        suggestion: str | None = None,
        expected: tuple[str, ...] = (),
    ) -> nodes.Broken:
        """Report an error, and give the node that stands for the broken part."""
        self.reports.append(
            error(code, message, span, self.source, suggestion=suggestion, expected=expected)
        )
        return nodes.Broken(span=span)

    def _nested_too_deeply(self, span: Span) -> nodes.Broken:
        """Refuse a deep expression; one message a file is enough."""
        if self._too_deep:
            return nodes.Broken(span=span)
        self._too_deep = True
        message = "this expression is nested too deeply"
        return self.refuse("TTS109", message, span, "name its parts with `=`")

    def broken_phrase(self, values: list[Any], span: Span) -> nodes.Broken:
        """The node for a phrase with an error in it; it keeps the name that the phrase defines."""
        named = (values[0],) if type(values[0]) is nodes.Name else ()
        return nodes.Broken(named, span=span)

    def fields(self, values: Iterable[Any], names: str) -> dict[str, Any] | nodes.Broken:
        """The fields of a node: values in the order of `names`, parts by name, and all clauses.

        A part or clause that is given twice is refused, and so are two that exclude each other.
        """
        positions = iter(names.split())
        fields: dict[str, Any] = {}
        clauses: list[nodes.Clause] = []
        written_for: dict[str, str] = {}
        broken = None
        for value in values:
            if type(value) is nodes.Clause:
                written = value.kind.value
                keys: Iterable[str] = (written,)
                clauses.append(value)
            elif type(value) is Part:
                written, keys = value.written, value.fields
                fields |= value.fields
            else:
                fields[next(positions)] = value
                continue
            earlier = next((written_for[key] for key in keys if key in written_for), None)
            if earlier is not None:
                message = f"`{written}` is given twice"
                if earlier != written:
                    message = f"either `{earlier}` or `{written}`, not both"
                broken = self.refuse("TTS139", message, value.span, "keep one of them")
            written_for |= dict.fromkeys(keys, written)
        if clauses:
            fields["clauses"] = tuple(clauses)
        return broken or fields


Builder: TypeAlias = Callable[[TreeBuilder, list[Any], Span], Any]

# ------------------------------------------------------------------------------ kinds of builders


def node(
    make: type[nodes.SyntaxNode],
    names: str = "",
    check: Callable[[TreeBuilder, dict[str, Any], Span], nodes.Broken | None] | None = None,
    **fixed: Any,
) -> Builder:
    """A node whose fields are the rule's values in order, its parts and clauses, and fixed ones."""

    def build(builder: TreeBuilder, values: list[Any], span: Span) -> nodes.SyntaxNode:
        fields = builder.fields(values, names)
        if isinstance(fields, nodes.Broken):
            return builder.broken_phrase(values, span)
        if check is not None and (broken := check(builder, fields, span)) is not None:
            return broken
        return make(**fixed | fields, span=span)

    return build


def part(field: str, written: str | None = None, value: Any = True, **more: Any) -> Builder:
    """A part of a phrase: its field holds the rule's only value, or else `value`."""

    def build(_: TreeBuilder, values: list[Any], span: Span) -> Part:
        fields = {field: values[0] if values else value, **more}
        return Part(field if written is None else written, fields, span)

    return build


def sequence(field: str) -> Builder:
    """A part whose field holds all values of the rule."""

    def build(_: TreeBuilder, values: list[Any], span: Span) -> Part:
        return Part(field, {field: tuple(values)}, span)

    return build


def binary(operator: Operator) -> Builder:
    """An operator with two operands."""
    return node(nodes.BinaryExpression, "left right", operator=operator)


def clause(kind: ClauseKind) -> Builder:
    """A decoding clause: of a value, of texts, or of texts and then a value."""
    if kind not in (ClauseKind.ONE_OF, ClauseKind.AVOIDING):
        return node(nodes.Clause, "value", kind=kind)

    def build(_: TreeBuilder, values: list[Any], span: Span) -> nodes.Clause:
        words = tuple(values)
        if kind is ClauseKind.ONE_OF:
            return nodes.Clause(kind, None, words, span=span)
        return nodes.Clause(kind, words[-1], words[:-1], span=span)

    return build
