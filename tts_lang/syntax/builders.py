"""The table from each rule of the grammar to the builder of its node."""

from __future__ import annotations

from typing import Any, NamedTuple

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.operator import OperatorEntry
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.source import Span
from tts_lang.syntax import nodes
from tts_lang.syntax.build import Builder, Part, TreeBuilder, binary, clause, node, part, sequence
from tts_lang.syntax.literals import block_value, number_value, string_value
from tts_lang.syntax.nodes import (
    ClauseKind,
    Dealing,
    JudgeView,
    NumberKind,
    Operator,
    ReadKind,
    ScorerScale,
    TokenRange,
    UnaryOperator,
    Unit,
)
from tts_lang.syntax.words import UNIT_WORDS

#: Each `else if` lies inside the one before.
MAX_ELSE_IFS = 40
#: Functions of a pool that take no value: `count(P)`.
POOL_FUNCTIONS = frozenset({"count", "share", "lead", "entropy"})
#: Statistics over a range of tokens: `margin(answer)`.
TOKEN_STATISTICS = frozenset({"confidence", "certainty", "entropy", "margin"})

_TOKEN_RANGES = {"step": TokenRange.STEP, "answer": TokenRange.ANSWER}


class ElseIf(NamedTuple):
    """One `else if` with its block."""

    condition: nodes.Expression
    body: tuple[nodes.Statement, ...]
    span: Span


class OfPool(NamedTuple):
    """`E of P TAILS` as an argument; without `of`, `pool` is missing."""

    value: nodes.Expression
    pool: nodes.Expression | None
    fields: dict[str, Any]
    span: Span


def _only(_: TreeBuilder, values: list[Any], __: Span) -> Any:
    """The rule's only value: its other symbols are layout, parentheses and words."""
    (value,) = values
    return value


def _all(_: TreeBuilder, values: list[Any], __: Span) -> tuple[Any, ...]:
    return tuple(values[0]) if isinstance(values[0], list) else tuple(values)


# ------------------------------------------------------------------------------ files and blocks


def _file(_: TreeBuilder, values: list[Any], span: Span) -> nodes.File:
    docstring = values.pop(0) if values and isinstance(values[0], nodes.Text) else None
    return nodes.File(tuple(values[0]) if values else (), docstring, span=span)


def _body(builder: TreeBuilder, values: list[Any], span: Span) -> Part:
    """The block of a strategy, which may begin with a docstring."""
    docstring = values.pop(0) if isinstance(values[0], nodes.Text) else None
    return Part("", {"docstring": docstring, "body": _all(builder, values, span)}, span)


def _if(builder: TreeBuilder, values: list[Any], span: Span) -> nodes.IfStatement | nodes.Broken:
    condition, then, *rest = values
    otherwise: tuple[nodes.Statement, ...] = ()
    if rest and isinstance(rest[-1], tuple):
        otherwise = rest.pop()
    branches: list[ElseIf] = rest[0] if rest else []
    if len(branches) > MAX_ELSE_IFS:
        return builder.refuse(
            "TTS109",
            f"more than {MAX_ELSE_IFS} branches in one `if`",
            branches[MAX_ELSE_IFS].span,
            "use `choose by`",
        )
    for branch in reversed(branches):
        place = branch.span.to(otherwise[-1].span) if otherwise else branch.span
        otherwise = (nodes.IfStatement(branch.condition, branch.body, otherwise, span=place),)
    return nodes.IfStatement(condition, then, otherwise, span=span)


def _else_if(_: TreeBuilder, values: list[Any], span: Span) -> ElseIf:
    return ElseIf(values[0], values[1], span)


def _choose(_: TreeBuilder, values: list[Any], span: Span) -> nodes.ChooseStatement:
    subject, arms, *otherwise = values
    return nodes.ChooseStatement(subject, tuple(arms), *otherwise, span=span)


def _reading(builder: TreeBuilder, values: list[Any], span: Span) -> nodes.Reading | nodes.Broken:
    kind: nodes.Name = values[0]
    kinds = [name.value for name in ReadKind]
    if kind.text not in kinds:
        return builder.refuse(
            "TTS141",
            f"a judge cannot read a `{kind.text}`",
            kind.span,
            did_you_mean(kind.text, kinds),
            tuple(f"`{name}`" for name in kinds),
        )
    options = tuple(value for value in values if isinstance(value, nodes.ReadOption))
    fields = builder.fields(values[1 + len(options) :], "")
    if isinstance(fields, nodes.Broken):
        return fields
    return nodes.Reading(ReadKind(kind.text), options, **fields, span=span)


def _check_law(builder: TreeBuilder, fields: dict[str, Any], _: Span) -> nodes.Broken | None:
    for side in (fields["left"], fields["right"]):
        if not isinstance(side, nodes.CallExpression):
            return builder.refuse(
                "TTS147", "a law compares two strategies", side.span, "write `law s(n) == t(n)`"
            )
    return None


# ------------------------------------------------------------------------------ verb phrases


def _check_tokens(builder: TreeBuilder, fields: dict[str, Any], span: Span) -> nodes.Broken | None:
    if fields["unit"] is not Unit.TOKENS:
        return None
    written = builder.source.slice(fields["count"].span)
    return builder.refuse(
        "TTS138",
        "an amount of tokens needs the number of children and the length of each",
        span,
        f"write `1 x {written} tokens` for one child of up to {written} tokens",
    )


def _pool_verb(verb: OperatorEntry) -> Builder:
    """A verb on one pool; its parts are fields of its operator."""
    names = " ".join(("pool", *verb.places))

    def build(
        builder: TreeBuilder, values: list[Any], span: Span
    ) -> nodes.PoolVerbPhrase | nodes.Broken:
        fields = builder.fields(values, names)
        if isinstance(fields, nodes.Broken):
            return builder.broken_phrase(values, span)
        if fields.get("unit") in {Unit.SOLUTIONS, Unit.THOUGHTS}:
            return builder.refuse(
                "TTS138",
                f"`{verb.name}` counts steps or tokens",
                span,
                f"write `{verb.name} P to 3 steps`",
            )
        clauses = tuple(
            nodes.VerbClause(
                name, value, span=value.span if isinstance(value, nodes.SyntaxNode) else span
            )
            for name in verb.places
            if (value := fields.get(name)) is not None
        )
        return nodes.PoolVerbPhrase(verb.name, fields["pool"], clauses, span=span)

    return build


def _check_arguments(builder: TreeBuilder, fields: dict[str, Any], _: Span) -> nodes.Broken | None:
    """`E of P` belongs to functions only, as their first argument."""
    for argument in fields.get("arguments", ()):
        if isinstance(argument, OfPool):
            return builder.refuse(
                "TTS134",
                "`E of P` can only be the first argument of a function",
                argument.span,
                "as in `mean(E of P)` or `quantile(E of P, 0.5)`",
            )
    return None


def _check_ask(builder: TreeBuilder, fields: dict[str, Any], span: Span) -> nodes.Broken | None:
    if "per" in fields and "together" not in fields:
        return builder.refuse(
            "TTS146",
            "`per` groups what `together` shows, and there is no `together`",
            span,
            f"write `together per {fields['per'].text}`",
        )
    if "history" in fields and "together" in fields:
        return builder.refuse(
            "TTS146",
            "`together` asks about several candidates, and `with history` continues one",
            span,
            "leave one of them out",
        )
    return _check_arguments(builder, fields, span)


def _check_judge(builder: TreeBuilder, fields: dict[str, Any], span: Span) -> nodes.Broken | None:
    if "history" in fields and "view" in fields:
        return builder.refuse(
            "TTS146",
            f"a judge that looks `{fields['view'].value}` sees several candidates, and "
            "`with history` continues one",
            span,
            "leave one of them out",
        )
    return None


def _check_on(builder: TreeBuilder, fields: dict[str, Any], span: Span) -> nodes.Broken | None:
    call = fields["call"]
    if isinstance(call, nodes.CallExpression):
        return None
    return builder.refuse(
        "TTS134",
        f"`{call.function.text}` is a function; only strategies run `on` a pool",
        span,
        "put everything a function looks at inside its parentheses",
    )


def _call_of(
    builder: TreeBuilder, values: list[Any], span: Span
) -> nodes.FirstPhrase | nodes.Broken:
    """`first (n + 1) of P` looks like a call of a function `first`; any other call is a mistake."""
    call, pool, *per = values
    if (
        isinstance(call, nodes.CallExpression)
        and call.function.text == "first"
        and len(call.arguments) == 1
        and call.arguments[0].name is None
    ):
        grouped = per[0].fields["per"] if per else None
        return nodes.FirstPhrase(call.arguments[0].value, pool, grouped, span=span)
    written = builder.source.slice(call.span).removesuffix(")")
    return builder.refuse(
        "TTS134",
        "a function over a pool holds the pool inside its parentheses",
        span,
        f"write `{written} of {builder.source.slice(pool.span)})`",
    )


# ------------------------------------------------------------------------------ calls


def _token_span(token_range: TokenRange) -> Builder:
    def build(_: TreeBuilder, values: list[Any], span: Span) -> nodes.Argument:
        return nodes.Argument(None, nodes.TokenSpan(token_range, *values, span=span), span=span)

    return build


def _of_pool(builder: TreeBuilder, values: list[Any], span: Span) -> OfPool | nodes.Broken:
    fields = builder.fields(values, "value pool")
    if isinstance(fields, nodes.Broken):
        return fields
    return OfPool(fields.pop("value"), fields.pop("pool", None), fields, span)


def _check_fresh(builder: TreeBuilder, fields: dict[str, Any], span: Span) -> nodes.Broken | None:
    if any(isinstance(argument, OfPool) for argument in fields["arguments"]):
        return builder.refuse(
            "TTS120", "`fresh` stands before a call of a strategy", span, "leave `fresh` out"
        )
    return None


def _call(
    builder: TreeBuilder, values: list[Any], span: Span
) -> nodes.CallExpression | nodes.AggregateExpression | nodes.Broken:
    """A call, or an aggregate: `count(P)`, `mean(E of P)`, `rank(E per KEY)`."""
    function: nodes.Name = values[0]
    arguments: tuple[Any, ...] = values[1].fields["arguments"]
    first, rest = next(iter(arguments), None), arguments[1:]
    if (broken := _check_arguments(builder, {"arguments": rest}, span)) is not None:
        return broken
    if isinstance(first, OfPool):
        return _aggregate(builder, function, first, rest, span)
    if isinstance(first, nodes.Argument) and first.name is None:
        value = first.value
        if (
            function.text in TOKEN_STATISTICS
            and isinstance(value, nodes.Name)
            and value.text in _TOKEN_RANGES
        ):
            token_span = nodes.TokenSpan(_TOKEN_RANGES[value.text], span=value.span)
            return nodes.CallExpression(
                function, (nodes.Argument(None, token_span, span=first.span), *rest), span=span
            )
        if function.text in POOL_FUNCTIONS and not isinstance(value, nodes.TokenSpan):
            return nodes.AggregateExpression(function, None, value, arguments=rest, span=span)
    return nodes.CallExpression(function, arguments, span=span)


def _aggregate(
    builder: TreeBuilder,
    function: nodes.Name,
    first: OfPool,
    rest: tuple[nodes.Argument, ...],
    span: Span,
) -> nodes.AggregateExpression | nodes.Broken:
    value: nodes.Expression | None = first.value
    pool = first.pool
    if pool is None and function.text in POOL_FUNCTIONS:
        value, pool = None, first.value
    elif pool is None and first.fields.keys() - {"per"}:
        return builder.refuse(
            "TTS134",
            f"`{function.text}` needs a value and a pool here",
            first.span,
            f"write `{function.text}(E of P ...)`",
        )
    return nodes.AggregateExpression(
        function, value, pool, arguments=rest, **first.fields, span=span
    )


# ------------------------------------------------------------------------------ leaves


def _name(_: TreeBuilder, values: list[Any], span: Span) -> nodes.Name:
    return nodes.Name(values[0].value, span=span)


def _number(kind: NumberKind) -> Builder:
    def build(_: TreeBuilder, values: list[Any], span: Span) -> nodes.Number:
        literal: str = values[0].value
        return nodes.Number(number_value(literal), kind, literal=literal, span=span)

    return build


def _string(_: TreeBuilder, values: list[Any], span: Span) -> nodes.Text:
    return nodes.Text(string_value(values[0].value), span=span)


def _block_text(_: TreeBuilder, values: list[Any], span: Span) -> nodes.Text:
    return nodes.Text(block_value(values[0].value), block=True, span=span)


def _unit(_: TreeBuilder, values: list[Any], __: Span) -> Unit:
    return Unit(UNIT_WORDS[values[0].value].lower() + "s")


def _broken(builder: TreeBuilder, _: list[Any], span: Span) -> nodes.Broken:
    return builder.broken[span.start]


# ------------------------------------------------------------------------------ the table

BUILDERS: dict[str, Builder] = {
    # leaves
    "name": _name,
    "count_name": _name,
    "fresh_name": _name,
    "integer": _number(NumberKind.INTEGER),
    "float": _number(NumberKind.FLOAT),
    "percent": _number(NumberKind.PERCENT),
    "string": _string,
    "text": _block_text,
    "unit": _unit,
    "broken": _broken,
    # files and blocks
    "start": _file,
    "docstring": _only,
    "statement": _only,
    "body": _body,
    "suite": _all,
    # items
    "import_": node(nodes.Import, "path"),
    "policy": node(nodes.PolicyDeclaration, "name"),
    "scorer": node(nodes.ScorerDeclaration, "name"),
    "per_step": part("scale", "per step", ScorerScale.STEP),
    "per_solution": part("scale", "per solution", ScorerScale.SOLUTION),
    "together": part("together"),
    "field": part("problem_field", "field"),
    "scale_range": part("range"),
    "range": node(nodes.ValueRange, "low high"),
    "prompt": node(nodes.PromptDeclaration, "name text", parameters=()),
    "parameters": sequence("parameters"),
    "parameter": node(nodes.Parameter, "name default"),
    "judge": node(
        nodes.JudgeDeclaration,
        "name text reading",
        _check_judge,
        parameters=(),
        view=JudgeView.SINGLE,
        clauses=(),
    ),
    "view_together": part("view", "together", JudgeView.TOGETHER),
    "view_pairwise": part("view", "pairwise", JudgeView.PAIRWISE),
    "read": _reading,
    "option": node(nodes.ReadOption, "text value"),
    "after": part("after"),
    "retry": part("retry"),
    "strategy": node(nodes.StrategyDeclaration, "name", clauses=()),
    "law": node(nodes.Law, "left right docstring", _check_law),
    # statements
    "assign": node(nodes.AssignStatement, "target value"),
    "score": node(nodes.ScoreStatement, "pool scorer", _check_arguments),
    "look_ahead": part("look_ahead", "looking ahead"),
    "force": node(nodes.ForceStatement, "text pool"),
    "let": node(nodes.LetStatement, "column pool value"),
    "backup": node(nodes.BackupStatement, "tree pool by"),
    "keeping": part("keeping"),
    "return_": node(nodes.ReturnStatement, "value"),
    "repeat": node(nodes.RepeatStatement, "count body", until=None),
    "repeat_until": node(nodes.RepeatStatement, "count until body"),
    "if_": _if,
    "else_if": _else_if,
    "else_": _only,
    "choose": _choose,
    "arm": node(nodes.Arm, "threshold body"),
    "otherwise": _only,
    # verb phrases
    "sample": node(nodes.SamplePhrase, "amount"),
    "expand_by": node(nodes.ExpandPhrase, "pool amount", dealing=Dealing.BY),
    "expand_to": node(nodes.ExpandPhrase, "pool amount", dealing=Dealing.TO),
    "select": node(nodes.SelectPhrase, "count pool by"),
    "best": node(nodes.BestPhrase, "pool by"),
    "first": node(nodes.FirstPhrase, "pool", count=None),
    "first_count": node(nodes.FirstPhrase, "count pool"),
    "call_of": _call_of,
    "ask": node(nodes.AskPhrase, "prompt pool", _check_ask, arguments=()),
    **{name: _pool_verb(verb) for name, verb in POOL_VERBS.items()},
    "call_on": node(nodes.CallOnPhrase, "call pool", _check_on),
    "key": part("key", "by"),
    "on": part("on"),
    "per": part("per"),
    "weighted": part("weight", "weighted by"),
    "weighted_up": part("weight", "weighted by", rounding_up=True),
    "by_amount": part("amount", "by"),
    "history": part("history", "with history"),
    "times": part("times"),
    "staying": part("staying"),
    "amount": node(nodes.AmountPhrase, "count"),
    "amount_unit": node(nodes.AmountPhrase, "count unit", _check_tokens),
    "amount_long": node(nodes.AmountPhrase, "count length unit"),
    # clauses
    **{kind.name.lower(): clause(kind) for kind in ClauseKind},
    # expressions
    "where": node(nodes.WhereExpression, "pool condition"),
    "conditional": node(nodes.ConditionalExpression, "then condition otherwise"),
    "or_": binary(Operator.OR),
    "and_": binary(Operator.AND),
    "not_": node(nodes.UnaryExpression, "operand", operator=UnaryOperator.NOT),
    "equal": binary(Operator.EQUAL),
    "unequal": binary(Operator.UNEQUAL),
    "less": binary(Operator.LESS),
    "less_equal": binary(Operator.LESS_EQUAL),
    "greater": binary(Operator.GREATER),
    "greater_equal": binary(Operator.GREATER_EQUAL),
    "ends_with": binary(Operator.ENDS_WITH),
    "contains": binary(Operator.CONTAINS),
    "all_done": node(nodes.QuantifiedExpression, "pool", every=True),
    "any_done": node(nodes.QuantifiedExpression, "pool", every=False),
    "add": binary(Operator.ADD),
    "subtract": binary(Operator.SUBTRACT),
    "multiply": binary(Operator.MULTIPLY),
    "divide": binary(Operator.DIVIDE),
    "negate": node(nodes.UnaryExpression, "operand", operator=UnaryOperator.NEGATE),
    "power": binary(Operator.POWER),
    "atom": _only,
    # calls
    "call": _call,
    "fresh": node(nodes.CallExpression, "function", _check_fresh, fresh=True),
    "arguments": sequence("arguments"),
    "in_turn": lambda _, values, span: nodes.InTurn(tuple(values), span=span),
    "positional": node(nodes.Argument, "value", name=None),
    "named": node(nodes.Argument, "name value"),
    "of_pool": _of_pool,
    "tailed": _of_pool,
    "below": part("below"),
    "span_all": _token_span(TokenRange.ALL),
    "span_tail": _token_span(TokenRange.TAIL),
    "span_lowest": _token_span(TokenRange.LOWEST),
}
