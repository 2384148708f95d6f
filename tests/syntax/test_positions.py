"""Spans are exact: the text under a node is the node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import get_args

import pytest

from tests.support.samples import sample_sources
from tts_lang.source import Position, Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import parse

SOURCES = sample_sources()
EXPRESSIONS = tuple(set(get_args(nodes.Expression)) - {nodes.TokenSpan})
SIMPLE = (
    nodes.AssignStatement,
    nodes.ScoreStatement,
    nodes.ForceStatement,
    nodes.LetStatement,
    nodes.BackupStatement,
    nodes.ReturnStatement,
)


def walk(node: object) -> Iterator[tuple[nodes.SyntaxNode, nodes.SyntaxNode]]:
    """All pairs of a node and a direct child."""
    stack = [node]
    while stack:
        parent = stack.pop()
        assert isinstance(parent, nodes.SyntaxNode)
        for field in fields(parent):
            value = getattr(parent, field.name)
            for child in value if isinstance(value, tuple) else (value,):
                if isinstance(child, nodes.SyntaxNode):
                    yield parent, child
                    stack.append(child)


def only_statement(text: str) -> nodes.Statement:
    result = parse(Source.of(f"strategy s():\n    {text}\n"))
    assert result.ok, text
    (strategy,) = result.file.items
    assert isinstance(strategy, nodes.StrategyDeclaration)
    return strategy.body[0]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_children_lie_in_their_parents(source: Source) -> None:
    for parent, child in walk(parse(source).file):
        assert parent.span.start <= child.span.start < child.span.end <= parent.span.end
        # A span ends with what it covers, not with the blanks or comments behind it.
        assert not source.slice(child.span)[-1].isspace()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_text_under_a_node_is_the_node(source: Source) -> None:
    seen: set[tuple[type, str]] = set()
    for _, node in walk(parse(source).file):
        text = source.slice(node.span)
        if isinstance(node, nodes.Name):
            assert text == node.text
        elif isinstance(node, nodes.Number):
            assert text == node.literal
        elif (type(node), text) in seen:
            continue
        elif isinstance(node, EXPRESSIONS):
            assert only_statement(f"x = ({text})") == nodes.AssignStatement(nodes.Name("x"), node)
        elif isinstance(node, SIMPLE):
            assert only_statement(text) == node
        seen.add((type(node), text))


def test_items_have_their_own_text() -> None:
    for source in SOURCES:
        for item in parse(source).file.items:
            alone = parse(Source.of(source.slice(item.span) + "\n"))
            assert alone.file.items == (item,)


def test_lines_and_columns() -> None:
    source = Source.of("\ufeffab\r\ncd\re\n", "f")
    assert source.text == "ab\ncd\ne\n"
    assert [source.position(offset) for offset in (0, 2, 3, 6, 8, 99)] == [
        Position(1, 1),
        Position(1, 3),
        Position(2, 1),
        Position(3, 1),
        Position(4, 1),
        Position(4, 1),
    ]
    assert [source.line(number) for number in (0, 1, 2, 3, 4, 5)] == ["", "ab", "cd", "e", "", ""]
    assert source.slice(source_span := Span(3, 5)) == "cd"
    assert source_span.to(Span(0, 1)) == Span(0, 5)
    assert source.line_start(2) == 3


def test_columns_count_characters_not_bytes() -> None:
    result = parse(Source.of('strategy s():\n    force "héé𝄞" inot x\n    return x\n'))
    (diagnostic,) = result.diagnostics
    place = result.source.position(diagnostic.span.start)
    assert (place.line, place.column) == (2, 18)
    assert diagnostic.suggestion == "did you mean 'into'?"
