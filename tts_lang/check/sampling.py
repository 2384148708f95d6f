"""Parameters that every strategy has: how it samples, in place of its header's clauses (C72)."""

from __future__ import annotations

from tts_lang.check.context import StrategyContext
from tts_lang.check.scope import Declared, OwnSampling, Role
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
    leaves open, unless the name has another meaning in it."""
    wanted = CLAUSES.keys() - _sampling(declared).used
    left_open: set[str] = set()
    reached = {declared}
    waiting = [declared]
    while waiting and not wanted <= left_open:
        sampling = _sampling(waiting.pop())
        left_open |= sampling.left_open
        new = set(sampling.calls) - reached
        reached |= new
        waiting += new
    return tuple(name for name in CLAUSES if name in wanted & left_open)


def _sampling(declared: Declared) -> OwnSampling:
    """What a strategy's own text says of its sampling; walked once, since every caller asks."""
    known = declared.home.sampling
    if declared not in known:
        known[declared] = _own_sampling(declared)
    return known[declared]


def _own_sampling(declared: Declared) -> OwnSampling:
    strategy, scope = declared.strategy, declared.home.names
    used = {each.name.text for each in strategy.parameters} | {*assigned(strategy.body)}
    left_open: set[str] = set()
    for node in walk(*strategy.body):
        if isinstance(node, nodes.LetStatement):
            used.add(node.column.text)
        elif isinstance(node, _GENERATES):
            kinds = {clause.kind for clause in node.clauses}
            left_open |= {name for name, kind in CLAUSES.items() if kind not in kinds}
    calls: list[Declared] = []
    defaults = (part.default for part in strategy.parameters if part.default is not None)
    for node in walk(*strategy.body, *defaults):
        name = node.function.text if isinstance(node, nodes.CallExpression) else ""
        if isinstance(node, nodes.Name):
            name = node.text
        called = scope.get(name)
        if called is not None and called.role is Role.STRATEGY:
            calls.append(called)
    return OwnSampling(frozenset(used), frozenset(left_open - used), tuple(calls))


def passed_clauses(context: StrategyContext) -> dict[str, ClauseKind]:
    """The sampling parameters that this strategy's caller has set, by name."""
    own = {each.name.text for each in context.strategy.parameters}
    return {
        name: kind
        for name, kind in CLAUSES.items()
        if name in context.parameters and name not in own
    }
