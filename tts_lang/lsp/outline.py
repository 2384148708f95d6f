"""The declarations of a file, as a tree."""

from __future__ import annotations

from typing import NamedTuple

from tts_lang.lsp.symbols import SymbolKind
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import parse
from tts_lang.syntax.printer import print_node


class OutlineEntry(NamedTuple):
    """A declaration: its name, where that stands, how far the declaration goes."""

    name: str
    kind: SymbolKind
    detail: str
    name_span: Span
    span: Span
    inside: tuple[OutlineEntry, ...] = ()


_KINDS: dict[type, SymbolKind] = {
    nodes.PolicyDeclaration: SymbolKind.POLICY,
    nodes.ScorerDeclaration: SymbolKind.SCORER,
    nodes.PromptDeclaration: SymbolKind.PROMPT,
    nodes.JudgeDeclaration: SymbolKind.JUDGE,
    nodes.StrategyDeclaration: SymbolKind.STRATEGY,
}


def outline(source: Source) -> list[OutlineEntry]:
    """The declarations of a file, in order; laws among them, imports not."""
    entries = []
    for item in parse(source).file.items:
        if isinstance(item, nodes.Law):
            text = print_node(item).partition("\n")[0].rstrip(":")
            entries.append(
                OutlineEntry(text, SymbolKind.FREE, "", item.left.function.span, item.span)
            )
        elif not isinstance(item, nodes.Import | nodes.Broken):
            parameters = getattr(item, "parameters", ())
            inside = tuple(
                OutlineEntry(
                    parameter.name.text,
                    SymbolKind.PARAMETER,
                    "",
                    parameter.name.span,
                    parameter.name.span,
                )
                for parameter in parameters
            )
            detail = ""
            if isinstance(item, nodes.StrategyDeclaration):
                detail = f"({', '.join(_parameter(each) for each in parameters)})"
            span = item.span.to(item.name.span)
            entries.append(
                OutlineEntry(
                    item.name.text, _KINDS[type(item)], detail, item.name.span, span, inside
                )
            )
    return entries


def _parameter(node: nodes.Parameter) -> str:
    return (
        node.name.text if node.default is None else f"{node.name.text} = {print_node(node.default)}"
    )
