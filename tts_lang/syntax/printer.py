"""Syntax trees to canonical text: `parse(print_node(file)) == file`, whatever made the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts_lang.syntax import nodes
from tts_lang.syntax.literals import block_value, string_literal
from tts_lang.syntax.print_expressions import (
    print_clauses,
    print_expression,
    print_optional_arguments,
    print_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_INDENT = "    "


def print_node(node: nodes.SyntaxNode) -> str:
    """The text of a file, an item, a statement or an expression.

    Raises `ValueError` for `Broken` nodes: they have no text.
    """
    if isinstance(node, nodes.File):
        return _file(node)
    if isinstance(node, _ITEMS):
        return "\n".join(_item(node)) + "\n"
    if isinstance(node, _STATEMENTS):
        return "\n".join(_statement(node, 0)) + "\n"
    return print_expression(node)


def _file(file: nodes.File) -> str:
    blocks = [] if file.docstring is None else [[_text(file.docstring, "")]]
    blocks += [list(_item(item)) for item in file.items]
    out: list[str] = []
    for index, lines in enumerate(blocks):
        # One-line items of one kind stand together; everything else gets a blank line.
        previous = blocks[index - 1] if index else lines
        together = len(lines) == len(previous) == 1 and _word(lines) == _word(previous)
        if index and (not together or "\n" in lines[0] + previous[0]):
            out.append("")
        out += lines
    return "".join(f"{line}\n" for line in out)


def _word(lines: list[str]) -> str:
    return lines[0].partition(" ")[0]


def _text(text: nodes.Text, indent: str) -> str:
    """A text literal, in three quotes if it was written so and still means the same."""
    if text.block or "\n" in text.value:
        lines = text.value.split("\n")
        rest = [indent + line if line else "" for line in lines[1:]]
        for opening in ("", "\n" + indent):
            literal = '"""' + opening + "\n".join([lines[0], *rest]) + '"""'
            closed = not text.value.endswith('"') and '"""' not in text.value
            if closed and block_value(literal) == text.value:
                return literal
    return string_literal(text.value)


# ------------------------------------------------------------------------------ items


def _item(item: nodes.Item) -> Iterator[str]:
    match item:
        case nodes.Import(path):
            yield f"import {string_literal(path.value)}"
        case nodes.PolicyDeclaration(name):
            yield f"policy {name.text}"
        case nodes.ScorerDeclaration():
            yield _scorer(item)
        case nodes.PromptDeclaration(name, parameters, text):
            listed = f"({print_parameters(parameters)})" if parameters else ""
            yield f"prompt {name.text}{listed} = {_text(text, '')}"
        case nodes.JudgeDeclaration():
            yield from _judge(item)
        case nodes.StrategyDeclaration(name, parameters, clauses, docstring, body):
            yield f"strategy {name.text}({print_parameters(parameters)}){print_clauses(clauses)}:"
            if docstring is not None:
                yield _INDENT + _text(docstring, _INDENT)
            yield from _suite(body, 1)
        case nodes.Law(left, right, docstring):
            colon = ":" if docstring is not None else ""
            yield f"law {print_expression(left)} == {print_expression(right)}{colon}"
            if docstring is not None:
                yield _INDENT + _text(docstring, _INDENT)
        case nodes.Broken():
            raise ValueError("a broken item has no text")


def _scorer(scorer: nodes.ScorerDeclaration) -> str:
    parts = [f"scorer {scorer.name.text}"]
    if scorer.scale is not None:
        parts.append(f"per {scorer.scale.value}")
    if scorer.together:
        parts.append("together")
    if scorer.range is not None:
        parts.append(_range(scorer.range))
    if scorer.problem_field is not None:
        parts.append(f"field {string_literal(scorer.problem_field.value)}")
    return " ".join(parts)


def _range(value: nodes.ValueRange) -> str:
    return f"from {print_expression(value.low)} to {print_expression(value.high)}"


def _judge(judge: nodes.JudgeDeclaration) -> Iterator[str]:
    listed = f"({print_parameters(judge.parameters)})" if judge.parameters else ""
    view = "" if judge.view is nodes.JudgeView.SINGLE else f" {judge.view.value}"
    view += " with history" if judge.history else ""
    yield f"judge {judge.name.text}{listed}{view}{print_clauses(judge.clauses)}:"
    yield _INDENT + _text(judge.text, _INDENT)
    reading = judge.reading
    parts = [f"read {reading.kind.value}"]
    if reading.options:
        parts.append("of " + ", ".join(map(_option, reading.options)))
    if reading.after is not None:
        parts.append(f"after {string_literal(reading.after.value)}")
    if reading.range is not None:
        parts.append(_range(reading.range))
    yield _INDENT + " ".join(parts)
    if judge.retry is not None:
        yield f"{_INDENT}retry {print_expression(judge.retry)}"


def _option(option: nodes.ReadOption) -> str:
    value = "" if option.value is None else f" = {print_expression(option.value)}"
    return string_literal(option.text.value) + value


# ------------------------------------------------------------------------------ statements


def _suite(statements: tuple[nodes.Statement, ...], level: int) -> Iterator[str]:
    for statement in statements:
        yield from _statement(statement, level)


def _statement(statement: nodes.Statement, level: int) -> Iterator[str]:
    indent = _INDENT * level
    match statement:
        case nodes.RepeatStatement(count, until, body):
            test = "" if until is None else f" until {print_expression(until)}"
            yield f"{indent}repeat {print_expression(count)}{test}:"
            yield from _suite(body, level + 1)
        case nodes.IfStatement():
            yield from _if(statement, level)
        case nodes.ChooseStatement(subject, arms, otherwise):
            yield f"{indent}choose by {print_expression(subject)}:"
            for arm in arms:
                yield f"{indent}{_INDENT}above {print_expression(arm.threshold)}:"
                yield from _suite(arm.body, level + 2)
            if otherwise:
                yield f"{indent}{_INDENT}otherwise:"
                yield from _suite(otherwise, level + 2)
        case _:
            yield indent + _simple(statement)


def _if(statement: nodes.IfStatement, level: int) -> Iterator[str]:
    indent, word = _INDENT * level, "if"
    current = statement
    while True:
        yield f"{indent}{word} {print_expression(current.condition)}:"
        yield from _suite(current.then, level + 1)
        otherwise = current.otherwise
        if len(otherwise) != 1 or not isinstance(otherwise[0], nodes.IfStatement):
            break
        current, word = otherwise[0], "else if"
    if otherwise:
        yield f"{indent}else:"
        yield from _suite(otherwise, level + 1)


def _simple(statement: nodes.Statement) -> str:
    show = print_expression
    match statement:
        case nodes.AssignStatement(target, value):
            return f"{target.text} = {show(value, phrase=True)}"
        case nodes.ReturnStatement(value):
            return f"return {show(value, phrase=True)}"
        case nodes.ForceStatement(text, pool):
            return f"force {show(text)} into {show(pool)}"
        case nodes.LetStatement(column, pool, value):
            return f"let {column.text} of {show(pool)} = {show(value)}"
        case nodes.BackupStatement(tree, pool, by, keeping):
            statistic = "" if keeping is None else f" keeping {keeping.text}"
            return f"backup {show(tree)} from {show(pool)} by {show(by)}{statistic}"
        case nodes.ScoreStatement(pool, scorer, arguments, times, look_ahead, per):
            listed = print_optional_arguments(arguments)
            parts = [f"score {show(pool)} by {scorer.text}{listed}"]
            if times is not None:
                parts.append(f"times {show(times)}")
            if look_ahead is not None:
                parts.append(f"looking ahead {show(look_ahead)} steps")
            if per is not None:
                parts.append(f"per {per.text}")
            return " ".join(parts)
        case _:
            raise ValueError("a broken statement has no text")


_ITEMS = (
    nodes.Import,
    nodes.PolicyDeclaration,
    nodes.ScorerDeclaration,
    nodes.PromptDeclaration,
    nodes.JudgeDeclaration,
    nodes.StrategyDeclaration,
    nodes.Law,
)
_STATEMENTS = (
    nodes.AssignStatement,
    nodes.ScoreStatement,
    nodes.ForceStatement,
    nodes.LetStatement,
    nodes.BackupStatement,
    nodes.ReturnStatement,
    nodes.RepeatStatement,
    nodes.IfStatement,
    nodes.ChooseStatement,
    nodes.Broken,
)
