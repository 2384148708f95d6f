"""Builders of blocks, control statements and top-level items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tts_lang.diagnostics import did_you_mean
from tts_lang.syntax import nodes
from tts_lang.syntax.build import Context, Part, Parts, Suite, builder, part

if TYPE_CHECKING:
    from tts_lang.source import Span

# A longer chain is never meant, and later stages walk it by recursion.
MAX_ELSE_IFS = 40

for _part in ("per_step", "per_solution", "field", "pairwise", "after", "retry"):
    part(_part)


class _ElseIf(NamedTuple):
    condition: nodes.Expression
    suite: Suite
    span: Span


class _Parameters(NamedTuple):
    items: tuple[nodes.Parameter, ...]


@builder("broken")
def _broken(context: Context, children: list[Any], span: Span) -> nodes.Broken:
    del context, span
    broken: nodes.Broken = children[0]
    return broken


@builder("docstring")
def _docstring(context: Context, children: list[Any], span: Span) -> nodes.Text:
    del context, span
    text: nodes.Text = children[0]
    return text


@builder("suite", "body")
def _suite(context: Context, children: list[Any], span: Span) -> Suite:
    del context, span
    if isinstance(children[0], nodes.Text):
        return Suite(tuple(children[1:]), children[0])
    return Suite(tuple(children))


@builder("else_if")
def _else_if(context: Context, children: list[Any], span: Span) -> _ElseIf:
    del context
    return _ElseIf(children[0], children[1], span)


@builder("else_", "otherwise")
def _else(context: Context, children: list[Any], span: Span) -> Suite:
    del context, span
    suite: Suite = children[0]
    return suite


@builder("if_")
def _if(context: Context, children: list[Any], span: Span) -> nodes.If | nodes.Broken:
    condition, then, *branches = children
    otherwise: tuple[nodes.Statement, ...] = ()
    if branches and isinstance(branches[-1], Suite):
        otherwise = branches.pop().statements
    if len(branches) > MAX_ELSE_IFS:
        return context.refuse(
            "TTS109",
            f"more than {MAX_ELSE_IFS} branches in one `if`",
            branches[MAX_ELSE_IFS].span,
            "use `choose by`",
        )
    for branch in reversed(branches):
        place = branch.span.to(otherwise[-1].span) if otherwise else branch.span
        otherwise = (nodes.If(branch.condition, branch.suite.statements, otherwise, span=place),)
    return nodes.If(condition, then.statements, otherwise, span=span)


@builder("arm")
def _arm(context: Context, children: list[Any], span: Span) -> nodes.Arm:
    del context
    return nodes.Arm(children[0], children[1].statements, span=span)


@builder("choose")
def _choose(context: Context, children: list[Any], span: Span) -> nodes.Choose:
    del context
    subject, *arms = children
    otherwise: tuple[nodes.Statement, ...] = ()
    if isinstance(arms[-1], Suite):
        otherwise = arms.pop().statements
    return nodes.Choose(subject, tuple(arms), otherwise, span=span)


# ------------------------------------------------------------------------------ items


@builder("start")
def _start(context: Context, children: list[Any], span: Span) -> nodes.File:
    del context
    docstring = None
    if children and isinstance(children[0], nodes.Text):
        docstring, *children = children
    return nodes.File(tuple(children), docstring, span=span)


@builder("import_")
def _import(context: Context, children: list[Any], span: Span) -> nodes.Import:
    del context
    return nodes.Import(children[0], span=span)


@builder("policy")
def _policy(context: Context, children: list[Any], span: Span) -> nodes.PolicyDeclaration:
    del context
    return nodes.PolicyDeclaration(children[0], span=span)


@builder("range")
def _range(context: Context, children: list[Any], span: Span) -> Part:
    del context
    return Part("range", nodes.ValueRange(children[0], children[1], span=span), span)


@builder("scorer")
def _scorer(
    context: Context, children: list[Any], span: Span
) -> nodes.ScorerDeclaration | nodes.Broken:
    parts = Parts(context, children[1:])
    scale = None
    if "per_step" in parts:
        scale = nodes.ScorerScale.STEP
    if "per_solution" in parts:
        if scale is not None:
            return context.refuse(
                "TTS139", "a scorer is either per step or per solution", span, "keep one of them"
            )
        scale = nodes.ScorerScale.SOLUTION
    return parts.broken or nodes.ScorerDeclaration(
        children[0],
        scale,
        "together" in parts,
        parts.get("range"),
        parts.get("field"),
        span=span,
    )


@builder("parameters")
def _parameters(context: Context, children: list[Any], span: Span) -> _Parameters:
    del context, span
    return _Parameters(tuple(children))


@builder("parameter")
def _parameter(context: Context, children: list[Any], span: Span) -> nodes.Parameter:
    del context
    return nodes.Parameter(*children, span=span)


def _split_parameters(
    children: list[Any],
) -> tuple[tuple[nodes.Parameter, ...], list[Any]]:
    if isinstance(children[0], _Parameters):
        return children[0].items, children[1:]
    return (), children


@builder("prompt")
def _prompt(context: Context, children: list[Any], span: Span) -> nodes.PromptDeclaration:
    del context
    name, *rest = children
    parameters, rest = _split_parameters(rest)
    return nodes.PromptDeclaration(name, parameters, rest[0], span=span)


@builder("option")
def _option(context: Context, children: list[Any], span: Span) -> nodes.ReadOption:
    del context
    return nodes.ReadOption(*children, span=span)


@builder("read")
def _read(context: Context, children: list[Any], span: Span) -> nodes.Reading | nodes.Broken:
    kinds = [kind.value for kind in nodes.ReadKind]
    kind: nodes.Name = children[0]
    if kind.text not in kinds:
        return context.refuse(
            "TTS141",
            f"a judge cannot read a `{kind.text}`",
            kind.span,
            did_you_mean(kind.text, kinds),
            tuple(f"`{known}`" for known in kinds),
        )
    options = tuple(child for child in children if isinstance(child, nodes.ReadOption))
    parts = Parts(context, children[1 + len(options) :])
    return parts.broken or nodes.Reading(
        nodes.ReadKind(kind.text), options, parts.get("after"), parts.get("range"), span=span
    )


@builder("judge")
def _judge(
    context: Context, children: list[Any], span: Span
) -> nodes.JudgeDeclaration | nodes.Broken:
    name, *rest = children
    parameters, rest = _split_parameters(rest)
    place = next(i for i, child in enumerate(rest) if isinstance(child, nodes.Text))
    parts = Parts(context, rest[:place])
    text, reading, *retry = rest[place:]
    view = nodes.JudgeView.SINGLE
    if "together" in parts:
        view = nodes.JudgeView.TOGETHER
    if "pairwise" in parts:
        view = nodes.JudgeView.PAIRWISE
    return parts.broken or nodes.JudgeDeclaration(
        name,
        parameters,
        view,
        parts.clauses,
        text,
        reading,
        retry[0].value if retry else None,
        span=span,
    )


@builder("strategy")
def _strategy(
    context: Context, children: list[Any], span: Span
) -> nodes.StrategyDeclaration | nodes.Broken:
    name, parameters, *clauses, body = children
    parts = Parts(context, clauses)
    if parts.broken is not None:
        return nodes.Broken(name, span=span)
    return nodes.StrategyDeclaration(
        name, parameters.items, parts.clauses, body.docstring, body.statements, span=span
    )


@builder("law")
def _law(context: Context, children: list[Any], span: Span) -> nodes.Law | nodes.Broken:
    for side in children[:2]:
        if not isinstance(side, nodes.Call):
            return context.refuse(
                "TTS147", "a law compares two strategies", side.span, "write `law s(n) == t(n)`"
            )
    return nodes.Law(*children, span=span)
