"""One name space: no name of a strategy means two things (checked on the text, without values)."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.scope import ROLE_WORDS, Declared, FileScope
from tts_lang.check.uses import walk
from tts_lang.diagnostics import Diagnostic, error
from tts_lang.plan.template import ROW_SLOTS
from tts_lang.syntax import nodes


def collisions(scope: FileScope, declared: Declared) -> list[Diagnostic]:
    """Parameters, variables and `let` columns of a strategy whose names are taken."""
    found: list[Diagnostic] = []
    strategy = declared.strategy
    taken: dict[str, str] = {}
    for name in (parameter.name for parameter in strategy.parameters):
        if name.text in taken:
            message = f"`{declared.name}` has two parameters called `{name.text}`"
            found.append(_report(scope, "TTS203", name, message))
        else:
            _enter(scope, found, taken, name, "a parameter")
    made = [node for node in walk(*strategy.body) if isinstance(node, nodes.Let | nodes.Assign)]
    for node in sorted(made, key=lambda each: each.span):
        if isinstance(node, nodes.Let):
            _enter(scope, found, taken, node.column, "a column made by `let`")
        else:
            _enter(scope, found, taken, node.target, "a variable")
    return found


def parameters(scope: FileScope, declared: Declared) -> list[Diagnostic]:
    """Parameters of a prompt or judge: each once, and none called like a slot."""
    found: list[Diagnostic] = []
    node = declared.node
    if not isinstance(node, nodes.PromptDeclaration | nodes.JudgeDeclaration):
        return found
    seen: set[str] = set()
    for name in (parameter.name for parameter in node.parameters):
        if name.text in seen:
            message = f"`{declared.name}` has two parameters called `{name.text}`"
            found.append(_report(scope, "TTS203", name, message))
        elif name.text in ROW_SLOTS:
            message = f"`{{{name.text}}}` is a slot that every prompt has"
            found.append(_report(scope, "TTS202", name, message))
        seen.add(name.text)
    return found


def _enter(
    scope: FileScope, found: list[Diagnostic], taken: dict[str, str], name: nodes.Name, role: str
) -> None:
    """Notes what a name is; reports it once if it is something else already."""
    known = taken.get(name.text)
    if known is None:
        known = builtins.meaning(name.text)
        declared = scope.names.get(name.text)
        if known is None and declared is not None:
            line = declared.home.source.position(declared.node.name.span.start).line
            known = ROLE_WORDS[declared.role]
            if declared.home is scope:
                known += f" (line {line})"
        taken[name.text] = role
    if known is None or known == role:
        return
    if known in {"a parameter", "a variable", "a column made by `let`"}:
        if f"{name.text}!" in taken:
            return
        taken[f"{name.text}!"] = role
    message = f"`{name.text}` is already {known}, so it cannot be {role}"
    found.append(_report(scope, "TTS202", name, message))


def _report(scope: FileScope, code: str, name: nodes.Name, message: str) -> Diagnostic:
    return error(code, message, name.span, scope.source, suggestion="choose another name")
