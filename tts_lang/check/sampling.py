"""Parameters that every strategy has: how it samples, in place of its header's clauses (C72)."""

from __future__ import annotations

from tts_lang.check.context import StrategyContext
from tts_lang.check.scope import Declared, Role
from tts_lang.check.uses import assigned, walk
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import ClauseKind

CLAUSES = {
    "temperature": ClauseKind.TEMPERATURE,
    "top_p": ClauseKind.TOP_P,
    "top_k": ClauseKind.TOP_K,
    "min_p": ClauseKind.MIN_P,
    "length": ClauseKind.WITHIN,
}

_GENERATES = (nodes.SamplePhrase, nodes.ExpandPhrase, nodes.AskPhrase)


def sampling_parameters(declared: Declared) -> tuple[str, ...]:
    """A strategy's sampling parameters: clauses that a call in it, or in a strategy that it calls,
    leaves open, unless the name has another meaning in it. Worked out once: calls ask again."""
    known = declared.home.sampling
    found = known.get(declared)
    if found is None:
        used = _names(declared)
        reached = _reached(declared)
        found = known[declared] = tuple(
            name
            for name, kind in CLAUSES.items()
            if name not in used and any(_leaves_open(each, name, kind) for each in reached)
        )
    return found


def _names(declared: Declared) -> set[str]:
    strategy = declared.strategy
    columns = (each.column for each in walk(*strategy.body) if isinstance(each, nodes.LetStatement))
    named = (each.name for each in strategy.parameters)
    return {each.text for each in (*columns, *named)} | {*assigned(strategy.body)}


def _reached(declared: Declared) -> list[Declared]:
    """A strategy and those that it calls, as far as its text and its defaults say."""
    strategies = [declared]
    for caller in strategies:
        scope = caller.home.names
        defaults = (part.default for part in caller.strategy.parameters if part.default is not None)
        for node in walk(*caller.strategy.body, *defaults):
            name = node.function.text if isinstance(node, nodes.CallExpression) else ""
            if isinstance(node, nodes.Name):
                name = node.text
            called = scope.get(name)
            if called is not None and called.role is Role.STRATEGY and called not in strategies:
                strategies.append(called)
    return strategies


def _leaves_open(declared: Declared, name: str, kind: ClauseKind) -> bool:
    if name in _names(declared):
        return False
    return any(
        isinstance(node, _GENERATES) and all(clause.kind is not kind for clause in node.clauses)
        for node in walk(*declared.strategy.body)
    )


def passed_clauses(context: StrategyContext) -> dict[str, ClauseKind]:
    """The sampling parameters that this strategy's caller has set, by name."""
    own = {each.name.text for each in context.strategy.parameters}
    return {
        name: kind
        for name, kind in CLAUSES.items()
        if name in context.parameters and name not in own
    }
