"""Finds the declarations of names, and makes the contexts in which strategies are walked."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.context import (
    CheckContext,
    Facts,
    NameValue,
    Parameter,
    PoolValue,
    RegionBuilder,
    StrategyContext,
    Unset,
)
from tts_lang.check.scope import ROLE_WORDS, Declared, Role
from tts_lang.check.types import ScalarType
from tts_lang.check.uses import Uses, walk
from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.expr import REDUCTIONS
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import ClauseKind, find_clause

_HOW_TO_DECLARE = {
    Role.POLICY: "declare it at the top of the file: `policy {}`",
    Role.SCORER: "declare it at the top of the file: `scorer {}`",
    Role.PROMPT: 'declare it at the top of the file: `prompt {} = """..."""`',
    Role.STRATEGY: 'import the file that declares it: `import "{}.tts"`',
}


def top_level(context: StrategyContext, name: nodes.Name, role: Role) -> Declared | None:
    """The declaration of the given role that a name (or a parameter holding a name) stands for.

    Reports and gives `None` if there is none.
    """
    parameter = context.parameters.get(name.text)
    if isinstance(parameter, NameValue):
        if parameter.role is role:
            return parameter.declared
        _wrong_role(context, name, role, f"{ROLE_WORDS[parameter.role]} here, `{parameter.name}`")
        return None
    if parameter is not None:
        if parameter.type is not ScalarType.UNKNOWN:
            _wrong_role(context, name, role, "a parameter with a number or text")
        return None
    declared = context.scope.names.get(name.text)
    if declared is not None:
        if declared.role is role:
            return declared
        _wrong_role(context, name, role, ROLE_WORDS[declared.role])
        return None
    if name.text in context.env:
        _wrong_role(context, name, role, "a variable")
    elif (meaning := builtins.meaning(name.text)) is not None:
        _wrong_role(context, name, role, meaning)
    elif not hidden(context, name.text) and name.text not in context.reported:
        context.reported.add(name.text)
        options = [*context.scope.of_role([role])]
        options += [
            key
            for key, value in context.parameters.items()
            if isinstance(value, NameValue) and value.role is role
        ]
        help_ = did_you_mean(name.text, options) or _HOW_TO_DECLARE[role].format(name.text)
        context.error("TTS201", f"there is no {role.value} called `{name.text}`", name, help_)
    return None


def _wrong_role(context: StrategyContext, name: nodes.Name, role: Role, actual: str) -> None:
    context.reported.add(name.text)
    options = ", ".join(f"`{each}`" for each in context.scope.of_role([role])[:6])
    context.error(
        "TTS216",
        f"{ROLE_WORDS[role]} is needed here, and `{name.text}` is {actual}",
        name,
        f"known here: {options}" if options else _HOW_TO_DECLARE[role].format("NAME"),
    )


def hidden(context: StrategyContext, name: str) -> bool:
    """Whether a name may come from something that could not be read."""
    return context.scope.incomplete or name in context.scope.broken


def unknown(
    context: StrategyContext,
    name: nodes.Name,
    row_columns: tuple[str, ...] = (),
    in_row: bool = False,
) -> None:
    """Reports a name that means nothing here, once in a strategy."""
    if hidden(context, name.text) or name.text in context.reported:
        return
    context.reported.add(name.text)
    text = name.text
    if text in builtins.FINISHES:
        context.error(
            "TTS201", f"nothing is called `{text}`", name, f'write it in quotes: "{text}"'
        )
        return
    if text in {"missing", "null", "None"}:
        context.error("TTS201", "there is no literal for a missing value", name, "use `has(E)`")
        return
    if text in {"true", "false", "True", "False"}:
        context.error("TTS201", f"nothing is called `{text}`", name, "write a condition")
        return
    options = [*context.env, *context.parameters, *row_columns, *context.scope.names]
    options += [*builtins.POOLS, *builtins.DELIMITERS]
    if in_row:
        options += [*builtins.COLUMNS, *context.let_columns]
    else:
        options += builtins.FUNCTIONS
    otherwise = "assign it before it is used"
    if in_row:
        columns = ", ".join(f"`{each}`" for each in list(builtins.COLUMNS)[:6])
        otherwise = f"candidates have {columns}..., and what `score` and `let` give them"
    context.error(
        "TTS201",
        f"nothing is called `{text}` here",
        name,
        did_you_mean(text, options) or otherwise,
    )


def bound_arguments(context: StrategyContext, name: str) -> dict[str, Parameter]:
    """The arguments that a parameter's strategy, prompt or judge has already, by name (C71)."""
    parameter = context.parameters.get(name)
    return dict(parameter.arguments) if isinstance(parameter, NameValue) else {}


def report_bound_twice(
    context: StrategyContext, called: nodes.Name, name: str, node: nodes.SyntaxNode, code: str
) -> None:
    """Reports an argument that a parameter's strategy, prompt or judge has already."""
    context.error(
        code,
        f"`{called.text}` has a value for `{name}` already",
        node,
        f"leave it out here, or where `{called.text}` gets its value",
    )


def reduction(context: StrategyContext, name: str) -> str | None:
    """The reduction that a function name (or a parameter holding one) stands for."""
    parameter = context.parameters.get(name)
    if isinstance(parameter, NameValue):
        return parameter.name if parameter.role is Role.REDUCTION else None
    return name if name in REDUCTIONS else None


def is_strategy(context: StrategyContext, name: str) -> bool:
    """Whether a call of this name is a call of a strategy."""
    parameter = context.parameters.get(name)
    if isinstance(parameter, NameValue):
        return parameter.role is Role.STRATEGY
    declared = context.scope.names.get(name)
    return declared is not None and declared.role is Role.STRATEGY


def gives_pool(context: StrategyContext, node: nodes.Expression) -> bool:
    """Whether an expression is a pool, judged by its form and the names in it."""
    while True:
        if isinstance(node, nodes.BinaryExpression) and node.operator in _POOL_OPERATORS:
            if gives_pool(context, node.right):
                return True
            node = node.left
            continue
        if isinstance(node, nodes.Name):
            return _names_pool(context, node.text)
        if isinstance(node, nodes.CallExpression):
            return node.function.text == "leaves" or is_strategy(context, node.function.text)
        if isinstance(node, nodes.ConditionalExpression):
            return gives_pool(context, node.then) or gives_pool(context, node.otherwise)
        return isinstance(node, nodes.WhereExpression | nodes.VerbPhrase)


_POOL_OPERATORS = (nodes.Operator.ADD, nodes.Operator.SUBTRACT)


def _names_pool(context: StrategyContext, name: str) -> bool:
    if name in builtins.POOLS:
        return True
    return isinstance(context.env.get(name), PoolValue)


def unset(context: StrategyContext, name: nodes.Name, binding: Unset) -> None:
    """Reports the use of a variable that has no value on some path."""
    context.error(
        "TTS204",
        f"`{name.text}` may have no value here: {binding.why}",
        name,
        f"assign `{name.text}` before",
    )


# ------------------------------------------------------------------------------ contexts


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
        columns = {node.column.text for node in inside if isinstance(node, nodes.LetStatement)}
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
    """A context for declarations: literals and names of the file, no variables."""
    home = Declared(Role.STRATEGY, "declarations", _DECLARATIONS, declared.home)
    context = new_context(check, home, {})
    context.regions.append(RegionBuilder())
    return context
