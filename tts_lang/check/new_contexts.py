"""Making the contexts in which strategies and declarations are walked."""

from __future__ import annotations

from tts_lang.check.context import CheckContext, Facts, Parameter, RegionBuilder, StrategyContext
from tts_lang.check.resolve import top_level
from tts_lang.check.scope import Declared, Role
from tts_lang.check.uses import Uses, walk
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import ClauseKind, find_clause

_DECLARATIONS = nodes.StrategyDeclaration(nodes.Name("declarations"), (), (), None, ())


def new_context(
    check: CheckContext,
    declared: Declared,
    parameters: dict[str, Parameter],
    chain: tuple[Declared, ...] = (),
    warn: bool = False,
    notes: tuple[str, ...] = (),
) -> StrategyContext:
    """A context for a strategy with given parameters; its problem is a value of its own."""
    facts = check.facts.get(id(declared.node))
    if facts is None:
        strategy = declared.strategy
        inside = list(walk(*strategy.body))
        columns = {node.column.text for node in inside if isinstance(node, nodes.Let)}
        broken = any(isinstance(node, nodes.Broken) for node in inside)
        facts = Facts(Uses.of(strategy), frozenset(columns), broken)
        check.facts[id(declared.node)] = facts
    context = StrategyContext(
        check, declared.home, declared, parameters, facts, (*chain, declared), warn, notes=notes
    )
    header = find_clause(declared.strategy.clauses, ClauseKind.FROM)
    if header is not None and isinstance(header.value, nodes.Name):
        policy = top_level(context, header.value, Role.POLICY)
        if policy is not None:
            context.default_policy = policy.name
            check.policies.setdefault(policy.name)
    return context


def declaration_context(check: CheckContext, declared: Declared) -> StrategyContext:
    """A context for what stands in a declaration: literals and names of the file, no variables."""
    home = Declared(Role.STRATEGY, "declarations", _DECLARATIONS, declared.home)
    context = new_context(check, home, {})
    context.regions.append(RegionBuilder())
    return context
