"""Expressions, compiled once per operation into closures over (row, view), and prompts.

Prompts and their arguments are filled from rows: the runtime half of `tts_lang.plan.template`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final

import tts_runtime.executor.views as views
import tts_runtime.randomness as randomness
from tts_lang.plan import expr
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Operation
from tts_lang.plan.template import LISTS, Slot, Template, split_slot
from tts_lang.values import CLASSES, FUNCTIONS, REDUCTIONS, first_steps, mean, number, reduce_steps
from tts_runtime.answers.boundary import form
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.problem import ProblemLike, error_at
from tts_runtime.executor.rows import Candidate, Row, Scores
from tts_runtime.executor.views import Evaluate, View
from tts_runtime.streams import Part
from tts_runtime.thoughts import behind_thoughts
from tts_runtime.tokens import Trusted


def _parent_visits(row: Row, view: View) -> int | None:
    return None if view.above is None else view.above[row.candidate]


def _logprob(row: Row, _view: View) -> float | None:
    return None if row.node.error is not None else number(row.node.logprob)


#: The built-in columns.
COLUMNS: Final[Mapping[str, Evaluate]] = {
    "text": lambda row, _view: row.node.text,
    "answer": lambda row, _view: row.node.answers[1],
    "tokens": lambda row, _view: row.node.tokens,
    "steps": lambda row, _view: row.node.segments.steps,
    "done": lambda row, _view: row.node.done,
    "finish": lambda row, _view: None if row.node.finish is None else row.node.finish.value,
    "logprob": _logprob,
    "parent": lambda row, _view: row.candidate.parent,
    "root": lambda row, _view: row.candidate.root,
    "index": lambda row, view: view.index(row),
    "visits": lambda row, _view: row.backed.visits,
    "value": lambda row, _view: row.backed.value,
    "parent_visits": _parent_visits,
}


class Compiler:
    """Compiles the expressions of one operation.

    Args:
        operation: Named by errors.
        policies: By name, for delimiters.
        scorers: Names of score columns.
    """

    def __init__(
        self, operation: Operation, policies: Mapping[str, Policy], scorers: frozenset[str]
    ) -> None:
        self.operation = operation
        self._policies = policies
        self._scorers = scorers

    def column(self, name: str) -> Evaluate:
        """A column, built in or computed by the strategy."""
        built_in = COLUMNS.get(name)
        if built_in is not None:
            return built_in
        if name in self._scorers:
            return lambda row, _view: row.scores[name]
        return lambda row, _view: row.lets[name]

    def column_or_none(self, name: str | None) -> Evaluate | None:
        """The column, if one is named."""
        return None if name is None else self.column(name)

    def optional(self, expression: expr.Expr | None) -> Evaluate | None:
        """The expression, if there is one."""
        return None if expression is None else self.compile(expression)

    def compile(self, expression: expr.Expr) -> Evaluate:
        """The closure that evaluates an expression."""
        return COMPILERS[type(expression)](self, expression)

    def _constant(self, expression: expr.Const) -> Evaluate:
        value = expression.value
        return lambda _row, _view: value

    def _input(self, expression: expr.Input) -> Evaluate:
        index = expression.index
        return lambda _row, view: view.inputs[index]

    def _delimiter(self, expression: expr.Delimiter) -> Evaluate:
        binding = self._policies[expression.policy].binding
        if expression.name == "end_of_step":
            text = Trusted(binding.step_delimiter)
        else:
            assert binding.thinking is not None  # checked by bind (C25)
            text = Trusted(binding.thinking.end)
        return lambda _row, _view: text

    def _column(self, expression: expr.Column) -> Evaluate:
        return self.column(expression.name)

    def _reduce(self, expression: expr.Reduce) -> Evaluate:
        how, name = expression.how, expression.column
        argument, taken = self.optional(expression.argument), self.optional(expression.taken)
        if argument is None and taken is None and how == "last":  # in most searches, of every row

            def last(row: Row, _view: View) -> Any:
                scores = row.scores
                if type(scores) is Scores and scores.name == name:
                    vector = scores.column
                else:
                    vector = scores[name]
                value = vector[-1] if vector else None
                return value if type(value) is float and isfinite(value) else number(value)

            return last
        if argument is None and taken is None and how in REDUCTIONS:
            reduction = REDUCTIONS[how]
            return lambda row, _view: reduction(row.scores[name])

        def reduced(row: Row, view: View) -> Any:
            vector = row.scores[name]
            if taken is not None:
                vector = first_steps(vector, taken(row, view))
            return reduce_steps(how, vector, None if argument is None else argument(row, view))

        return reduced

    def _words(self, expression: expr.JudgeWords) -> Evaluate:
        name = expression.column
        return lambda row, _view: row.words.get(name)

    def _apply(self, expression: expr.Apply) -> Evaluate:
        arguments = [self.compile(argument) for argument in expression.arguments]
        special = LAZY.get(expression.function)
        if special is not None:
            return special(arguments)
        function = FUNCTIONS[expression.function]
        if expression.function in ("==", "!="):
            arguments = self._canonical(expression.arguments, arguments)
        if len(arguments) == 1:
            only = arguments[0]
            return lambda row, view: function(only(row, view))
        if len(arguments) == 2:
            left, right = arguments
            return lambda row, view: function(left(row, view), right(row, view))
        return lambda row, view: function(*[argument(row, view) for argument in arguments])

    def _canonical(
        self, expressions: Sequence[expr.Expr], arguments: list[Evaluate]
    ) -> list[Evaluate]:
        """`answer == "1/2"` compares canonical forms: the text's is taken once (C42)."""
        if expr.Column("answer") not in expressions:
            return arguments
        constants = {
            place: expr.Const(form(expression.value).key)
            for place, expression in enumerate(expressions)
            if isinstance(expression, expr.Const) and isinstance(expression.value, str)
        }
        return [
            self.compile(constants[place]) if place in constants else argument
            for place, argument in enumerate(arguments)
        ]

    def _statistic(self, expression: expr.Statistic) -> Evaluate:
        how = expression.how
        values = views.SPANS.get(expression.span)
        if values is not None:
            chosen = values
            return lambda row, _view: None if row.node.error else mean(chosen(row.node, how))
        assert expression.window is not None
        window, share = self.compile(expression.window), self.optional(expression.share)
        lowest = expression.span == "lowest"

        def windowed(row: Row, view: View) -> float | None:
            if row.node.error is not None:
                return None
            width = view.whole(window(row, view))
            if not lowest:
                values = views.last_values(row.node, how, width)
                return views.tail(values, width, view.streaming)
            values = views.path_values(row.node, how)
            part = None if share is None else share(row, view)
            return views.lowest(values, width, part, view.streaming)

        return windowed

    def _random(self, expression: expr.Random) -> Evaluate:
        distribution = expression.distribution
        arguments = [self.compile(argument) for argument in expression.arguments]

        def drawn(row: Row, view: View) -> float | None:
            numbers = [argument(row, view) for argument in arguments]
            return randomness.draw(distribution, view.draw_key(row), numbers)

        return drawn

    def _aggregate(self, expression: expr.Aggregate) -> Evaluate:
        number = self._aggregate_of(expression)
        if expression.below:
            return views.below(expression.pool, number)
        if expression.per is not None:
            return views.per_group(expression.pool, self.column(expression.per), number)
        return views.over_all(expression.pool, number)

    def _aggregate_of(self, expression: expr.Aggregate) -> views.Aggregate:
        how, of = expression.how, self.optional(expression.of)
        if how in views.OF_ROWS:
            return views.of_rows(how, of, self.optional(expression.quantile))
        if how in CLASSES:
            key, weight = self.column(expression.on), self.optional(expression.weight)
            return views.of_classes(how, key, weight, self.operation)
        assert of is not None
        return views.of_numbers(how, of)

    def _pool_wide(self, expression: expr.PoolWide) -> Evaluate:
        return views.pool_wide(
            expression.how,
            self.compile(expression.of),
            self.optional(expression.temperature),
            self.column_or_none(expression.per),
            self.operation,
            tuple(map(self.compile, expression.then)),
        )


def _and(arguments: Sequence[Evaluate]) -> Evaluate:
    left, right = arguments
    return lambda row, view: left(row, view) is True and right(row, view) is True


def _or(arguments: Sequence[Evaluate]) -> Evaluate:
    left, right = arguments
    return lambda row, view: left(row, view) is True or right(row, view) is True


def _if(arguments: Sequence[Evaluate]) -> Evaluate:
    condition, then, otherwise = arguments
    return lambda row, view: (then if condition(row, view) is True else otherwise)(row, view)


#: Functions that do not evaluate all their arguments.
LAZY: Final[Mapping[str, Callable[[Sequence[Evaluate]], Evaluate]]] = {
    "and": _and,
    "or": _or,
    "if": _if,
}

#: How each kind of expression is compiled.
COMPILERS: Final[Mapping[type, Callable[[Compiler, Any], Evaluate]]] = {
    expr.Const: Compiler._constant,
    expr.Input: Compiler._input,
    expr.Delimiter: Compiler._delimiter,
    expr.Column: Compiler._column,
    expr.Reduce: Compiler._reduce,
    expr.JudgeWords: Compiler._words,
    expr.Apply: Compiler._apply,
    expr.Aggregate: Compiler._aggregate,
    expr.PoolWide: Compiler._pool_wide,
    expr.Statistic: Compiler._statistic,
    expr.Random: Compiler._random,
}


# ------------------------------------------------------------------ prompts


def shown(row: Row | Candidate) -> str:
    """A row's text; the question for the problem's own row."""
    node = row.node
    return node.text if node.start is None else node.conversation.message


def _solution(row: Row) -> str:
    text = shown(row)
    thinking = row.node.policy.binding.thinking
    return behind_thoughts(text, None if thinking is None else thinking.end)


def _parent_text(row: Row) -> str:
    parent = row.candidate.parent
    return "" if parent is None else shown(parent)


#: Slots that show one row.
_OF_ROW: Final[Mapping[str, Callable[[Row], str]]] = {
    "text": shown,
    "solution": _solution,
    "answer": lambda row: row.node.written or "",
    "parent.text": _parent_text,
}


def _listed(what: str, texts: Sequence[str]) -> str:
    return "\n\n".join(f"{what} {place}:\n{text}" for place, text in enumerate(texts, 1))


def _attempts(row: Row, last: int | None) -> str:
    """The line of asks that led to a row, oldest first."""
    line: list[str] = []
    current: Row | None = row
    while current is not None and not current.candidate.problem:
        line.append(shown(current).strip())
        current = current.candidate.about
    line.reverse()
    return _listed("Attempt", line if last is None else line[-last:])


def _argument(value: Any) -> str:
    if isinstance(value, list):
        return "\n\n".join(shown(row) for row in value if row.node.error is None)
    return readable(value)


def readable(value: object) -> str:
    """A value of a strategy or of a problem's field as prompts show it (C70).

    Whole numbers have no point, others six digits; missing is nothing; a list has a line for each
    of its parts; anything else is JSON.
    """
    match value:
        case None:
            return ""
        case str():
            return str(value)
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else f"{value:.6g}"
        case list() | tuple():
            return "\n".join(map(readable, value))
    return json.dumps(value, ensure_ascii=False)


class CompiledPrompt:
    """A template, with the columns in its slots compiled (`shown`, by slot)."""

    def __init__(
        self,
        template: Template,
        compiler: Compiler,
        columns: Sequence[tuple[str, Expr]],
        operation: Operation,
    ) -> None:
        self.template = template
        self.columns = {slot: compiler.compile(expression) for slot, expression in columns}
        self.operation = operation


def fill(
    prompt: CompiledPrompt,
    problem: ProblemLike,
    arguments: Mapping[str, Any],
    row: Row,
    pool: Sequence[Row],
    view: View,
    originals: Mapping[Candidate, Row] | None = None,
) -> str:
    """A prompt's text about one row of a pool; of a whole pool, `row` is its first.

    An argument is a number, a text, or a pool as its rows. `view` is that of the operation;
    `originals` are the rows whose columns it knows, where others are shown in their stead.
    """

    def of_row(slot: str, name: str, each: Row) -> str:
        if name in _OF_ROW:
            return _OF_ROW[name](each)
        known = each if originals is None else originals.get(each.candidate, each)
        return readable(prompt.columns[slot](known, view))

    parts: list[str] = []
    for part in prompt.template.parts:
        if not isinstance(part, Slot):
            parts.append(part)
            continue
        name = part.name
        head, shown_name = split_slot(name)
        if name in arguments:
            parts.append(_argument(arguments[name]))
        elif name == "problem":
            parts.append(problem.text)
        elif name == "attempts":
            parts.append(_attempts(row, part.last))
        elif head == "field":
            parts.append(_field(prompt.operation, problem, shown_name))
        elif head in LISTS:
            everyone = head == "candidates"
            rows = [
                each
                for each in pool
                if each.node.error is None  # nothing was written (C64)
                and (everyone or each.candidate is not row.candidate)
            ]
            texts = [of_row(name, shown_name or "text", each) for each in rows]
            parts.append(_listed("Candidate", texts))
        else:
            parts.append(of_row(name, name, row))
    return "".join(parts)


def _field(operation: Operation, problem: ProblemLike, name: str) -> str:
    if name not in problem.fields:
        has = ", ".join(problem.fields) or "none"
        raise error_at(operation, f"this problem has no field `{name}`", f"its fields: {has}")
    return readable(problem.fields[name])


def argument_parts(arguments: Mapping[str, Any]) -> list[Part]:
    """The parts of a conversation's key that stand for a prompt's pools (C5)."""
    parts: list[Part] = []
    for value in arguments.values():
        if isinstance(value, list):
            parts += ["pool", len(value)]
            for row in value:
                parts += [row.node.key, row.node.position]
    return parts


def needs_others(template: Template) -> bool:
    """Whether a row's prompt shows other rows of its pool."""
    return any(
        isinstance(part, Slot) and split_slot(part.name)[0] in LISTS for part in template.parts
    )


def compiled_arguments(
    compiler: Compiler, arguments: Sequence[tuple[str, Expr | int]]
) -> dict[str, Any]:
    """A prompt's arguments: expressions compiled, pools as the index of their input."""
    return {
        name: argument if isinstance(argument, int) else compiler.compile(argument)
        for name, argument in arguments
    }


def argument_values(arguments: Mapping[str, Any], problem: Row, view: View) -> dict[str, Any]:
    """The arguments' values for a call's problem row; `view` holds the rows of the pools."""
    return {
        name: view.inputs[argument] if isinstance(argument, int) else argument(problem, view)
        for name, argument in arguments.items()
    }
