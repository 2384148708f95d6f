"""Making the frames in which strategies and declarations are walked."""

from __future__ import annotations

from tts_lang.check.frame import Facts, Frame, Parameter, RegionBuilder, Session
from tts_lang.check.mentions import Mentions, walk
from tts_lang.check.resolve import top_level
from tts_lang.check.scope import Declared, Role
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import ClauseKind, find_clause

_DECLARATIONS = nodes.StrategyDeclaration(nodes.Name("declarations"), (), (), None, ())


def new_frame(
    session: Session,
    declared: Declared,
    parameters: dict[str, Parameter],
    chain: tuple[Declared, ...] = (),
    warn: bool = False,
    notes: tuple[str, ...] = (),
) -> Frame:
    """A frame for a strategy with given parameters; its problem is a value of its own."""
    facts = session.facts.get(id(declared.node))
    if facts is None:
        strategy = declared.strategy
        inside = list(walk(*strategy.body))
        columns = {node.column.text for node in inside if isinstance(node, nodes.Let)}
        broken = any(isinstance(node, nodes.Broken) for node in inside)
        facts = Facts(Mentions.of(strategy), frozenset(columns), broken)
        session.facts[id(declared.node)] = facts
    frame = Frame(
        session, declared.home, declared, parameters, facts, (*chain, declared), warn, notes=notes
    )
    header = find_clause(declared.strategy.clauses, ClauseKind.FROM)
    if header is not None and isinstance(header.value, nodes.Name):
        policy = top_level(frame, header.value, Role.POLICY)
        if policy is not None:
            frame.default_policy = policy.name
            session.policies.setdefault(policy.name)
    return frame


def declaration_frame(session: Session, declared: Declared) -> Frame:
    """A frame for what stands in a declaration: literals and names of the file, no variables."""
    home = Declared(Role.STRATEGY, "declarations", _DECLARATIONS, declared.home)
    frame = new_frame(session, home, {})
    frame.regions.append(RegionBuilder())
    return frame
