"""Hover: a declaration with its cost bound, or a word of the language."""

from __future__ import annotations

from pathlib import Path

from tts_lang.check.scope import Declared, FileScope
from tts_lang.check.uses import walk
from tts_lang.compiler import compile_with_warnings
from tts_lang.diagnostics import DiagnosticError
from tts_lang.explain.costs import CostBounds
from tts_lang.explain.tree import explain
from tts_lang.explain.units import exact
from tts_lang.lsp.project import EditorFiles
from tts_lang.lsp.symbols import NamedThing, SymbolKind, at, home_of, occurrences, reach
from tts_lang.plan.verify import PlanError
from tts_lang.reference import meaning
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.printer import print_node
from tts_lang.syntax.tokens import Token, tokenize

#: Nouns of a cost, singular and plural, and its field.
_COSTS = (
    ("policy call", "policy calls", "policy_calls"),
    ("sampled token", "sampled tokens", "sampled_tokens"),
    ("scorer call", "scorer calls", "scorer_calls"),
    ("token that scorers read", "tokens that scorers read", "scorer_tokens"),
    ("engine call", "engine calls that wait for one another", "rounds"),
)


def hover(files: EditorFiles, source: Source, offset: int) -> tuple[str, Span] | None:
    """Markdown about the word at an offset, and the word's range."""
    token = word_at(source, offset)
    if token is None:
        return None
    scope = files.scope(source)
    occurrence = at(occurrences(scope), offset)
    if occurrence is not None:
        text = _about(files, scope, occurrence.thing, occurrence.span)
        return None if text is None else (text, occurrence.span)
    if token.type == "STRATEGY" and (declared := _declared_at(scope, token.end)) is not None:
        return _strategy(files, scope, declared, None), token.span
    if token.type in ("STRING", "TEXT"):
        return None
    called = source.text[token.end : token.end + 1] == "("
    entry = meaning(token.text, called=called)
    if entry is not None:
        return f"{_code(entry.form)}\n{entry.meaning}", token.span
    built_in = scope.names.get(token.text)
    if built_in is not None and not built_in.home.source.text:
        return f"{_code(_signature(built_in.node))}\nneeds no declaration", token.span
    return None


def word_at(source: Source, offset: int) -> Token | None:
    """The token that an offset is in, or at the end of."""
    match = None
    for token in tokenize(source).tokens:
        if token.text and token.start <= offset <= token.end:
            match = token
            if offset < token.end:
                break
    return match


def _code(text: str) -> str:
    return f"```tts\n{text}\n```"


def _declared_at(scope: FileScope, offset: int) -> Declared | None:
    """The strategy whose name follows a place."""
    return next(
        (
            declared
            for declared in scope.strategies
            if not scope.source.text[offset : declared.node.name.span.start].strip()
            and declared.node.name.span.start >= offset
        ),
        None,
    )


def declared_thing(scope: FileScope, thing: NamedThing) -> Declared | None:
    """The declaration of a global thing, in a file or its imports."""
    for file in reach(scope):
        if home_of(file) == thing.home and thing.name in file.own:
            return file.own[thing.name]
    return None


def _about(files: EditorFiles, scope: FileScope, thing: NamedThing, span: Span) -> str | None:
    match thing.kind:
        case SymbolKind.PARAMETER:
            owner = declared_thing(scope, NamedThing(thing.kind, thing.within, thing.home))
            default = None
            for parameter in getattr(owner.node if owner else None, "parameters", ()):
                if parameter.name.text == thing.name and parameter.default is not None:
                    default = print_node(parameter.default)
            written = thing.name if default is None else f"{thing.name} = {default}"
            return f"{_code(written)}\na parameter of `{thing.within}`"
        case SymbolKind.VARIABLE:
            return f"a variable of `{thing.within}`"
        case SymbolKind.COLUMN:
            return f"{_code(f'let {thing.name} of P = ...')}\na column that `let` makes"
        case SymbolKind.FREE:
            return "a free name of this law: it holds for every small value"
        case _:
            declared = declared_thing(scope, thing)
            if declared is None:
                return None
            if thing.kind is SymbolKind.STRATEGY:
                return _strategy(files, scope, declared, _call_at(scope, span))
            return _code(_signature(declared.node))


def _call_at(scope: FileScope, span: Span) -> nodes.CallExpression | None:
    """The call whose strategy is named at a place."""
    for node in walk(*scope.file.items):
        if isinstance(node, nodes.CallExpression) and node.function.span == span:
            return node
    return None


def _signature(node: nodes.SyntaxNode) -> str:
    """A declaration without its body."""
    if isinstance(node, nodes.StrategyDeclaration):
        return print_node(_without_body(node)).partition(":\n")[0]
    text = print_node(node).rstrip("\n")
    lines = text.split("\n")
    return text if len(lines) <= 12 else "\n".join([*lines[:12], "..."])


def _without_body(node: nodes.StrategyDeclaration) -> nodes.StrategyDeclaration:
    end = nodes.ReturnStatement(nodes.Name("none"))
    return nodes.StrategyDeclaration(node.name, node.parameters, node.clauses, None, (end,))


def _strategy(
    files: EditorFiles, scope: FileScope, declared: Declared, call: nodes.CallExpression | None
) -> str:
    """Signature, docstring and cost bound."""
    parts = [_code(_signature(declared.node))]
    document = declared.strategy.docstring
    if document is not None:
        parts.append(_plain(document.value.strip()))
    parts.append(_bound(files, scope, declared, call))
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """A docstring as Markdown, with HTML markup escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _defaults(scope: FileScope, span: Span) -> dict[str, nodes.Expression]:
    """The defaults of the parameters of the strategy around a place."""
    around = (each.strategy for each in scope.strategies if _holds(each.node.span, span))
    return {
        parameter.name.text: parameter.default
        for strategy in around
        for parameter in strategy.parameters
        if parameter.default is not None
    }


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _settings(
    scope: FileScope, call: nodes.CallExpression, declared: Declared
) -> dict[str, str] | None:
    """The arguments of a call, if all are literals or parameters with a literal as default."""
    defaults = _defaults(scope, call.span)
    names = [parameter.name.text for parameter in declared.strategy.parameters]
    settings: dict[str, str] = {}
    for place, argument in enumerate(call.arguments):
        value = argument.value
        if isinstance(value, nodes.Name):
            value = defaults.get(value.text, value)
        name = names[place] if argument.name is None and place < len(names) else None
        name = argument.name.text if argument.name is not None else name
        if name not in names or not isinstance(value, nodes.Number | nodes.Text):
            return None
        settings[name] = value.value if isinstance(value, nodes.Text) else print_node(value)
    return settings


def _bound(
    files: EditorFiles, scope: FileScope, declared: Declared, call: nodes.CallExpression | None
) -> str:
    """EXPLAIN's bound on a strategy's cost: as it is called, or at its defaults."""
    settings = {} if call is None else _settings(scope, call, declared)
    shown = {} if settings is None else settings
    source = declared.home.source
    if source != scope.source:
        source = files.source(Path(source.name))
    try:
        plan = compile_with_warnings(source, declared.name, shown, files.texts).plan
        explained = explain(plan)
    except (DiagnosticError, PlanError):
        return "*Cost: not known, since it does not compile (or a parameter needs a value).*"
    lines = [f"**Cost at most**, per problem, of `{explained.title}`:\n"]
    lines += _costs(explained.bounds.total)
    if settings is None:
        lines.append("\nAn argument of this call is computed: these are the costs at the defaults.")
    return "\n".join(lines)


def _costs(total: CostBounds) -> list[str]:
    costs = [(one, several, getattr(total, field)) for one, several, field in _COSTS]
    lines = [
        f"- {exact(value)} {one if value == 1 else several}"
        for one, several, value in costs
        if value != 0
    ]
    if total.open_calls:
        calls = "1 call is" if total.open_calls == 1 else f"{exact(total.open_calls)} calls are"
        lines.append(f"\n{calls} limited by the context window alone.")
    return lines or ["- nothing"]
