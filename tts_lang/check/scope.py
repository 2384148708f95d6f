"""The names of one file: its declarations, its imports, and names with two meanings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from tts_lang.check import builtins
from tts_lang.check.uses import reads, walk
from tts_lang.diagnostics import Diagnostic, error
from tts_lang.plan.expr import KEY
from tts_lang.plan.template import ROW_SLOTS
from tts_lang.source import Source
from tts_lang.syntax import nodes

Declaration: TypeAlias = (
    nodes.PolicyDeclaration
    | nodes.ScorerDeclaration
    | nodes.PromptDeclaration
    | nodes.JudgeDeclaration
    | nodes.StrategyDeclaration
)


class Role(Enum):
    """The role of a top-level name."""

    POLICY = "policy"
    SCORER = "scorer"
    PROMPT = "prompt"
    STRATEGY = "strategy"
    REDUCTION = "reduction"  # only as an argument: `best_of_n(reduce = min)`


ROLE_WORDS = {role: f"a {role.value}" for role in Role}

_ROLES: dict[type[Declaration], Role] = {
    nodes.PolicyDeclaration: Role.POLICY,
    nodes.ScorerDeclaration: Role.SCORER,
    nodes.PromptDeclaration: Role.PROMPT,
    nodes.JudgeDeclaration: Role.SCORER,
    nodes.StrategyDeclaration: Role.STRATEGY,
}


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """A top-level name with its declaration and the file that it stands in.

    Two are the same only if they are the same object: one declaration in one file.
    """

    role: Role
    name: str
    node: Declaration
    home: FileScope

    @property
    def scorer(self) -> nodes.ScorerDeclaration | nodes.JudgeDeclaration:
        """The declaration of a scorer; only for names with that role."""
        if not isinstance(self.node, nodes.ScorerDeclaration | nodes.JudgeDeclaration):
            raise TypeError(f"{self.name} is {ROLE_WORDS[self.role]}")
        return self.node

    @property
    def strategy(self) -> nodes.StrategyDeclaration:
        """The declaration of a strategy; only for names with that role."""
        if not isinstance(self.node, nodes.StrategyDeclaration):
            raise TypeError(f"{self.name} is {ROLE_WORDS[self.role]}")
        return self.node

    @property
    def prompt(self) -> nodes.PromptDeclaration:
        """The declaration of a prompt; only for names with that role."""
        if not isinstance(self.node, nodes.PromptDeclaration):
            raise TypeError(f"{self.name} is {ROLE_WORDS[self.role]}")
        return self.node


def role_of(item: Declaration) -> Role:
    """The role of a declaration's name."""
    return _ROLES[type(item)]


@dataclass(frozen=True, slots=True)
class OwnSampling:
    """What the text of a strategy says of how it samples.

    Args:
        used: Names of parameters, variables and columns, which are no sampling parameters in it.
        left_open: The sampling parameters that a call in it leaves open.
        calls: The strategies that it names.
    """

    used: frozenset[str]
    left_open: frozenset[str]
    calls: tuple[Declared, ...]


@dataclass(slots=True, eq=False)
class FileScope:
    """A file with its names.

    Args:
        source: Its text.
        file: Its syntax tree.
        own: What it declares itself, in order.
        names: Everything that can be used in it: its own, imported, built in.
        incomplete: Something in the file or its imports could not be read, so an unknown name may
            be one of those: it is not worth a message.
        broken: Names whose declarations could not be read.
        sampling: How its strategies sample, as far as that has been worked out.
    """

    source: Source
    file: nodes.File
    own: dict[str, Declared] = field(default_factory=dict)
    names: dict[str, Declared] = field(default_factory=dict)
    incomplete: bool = False
    broken: set[str] = field(default_factory=set)
    sampling: dict[Declared, OwnSampling] = field(default_factory=dict)
    _let_columns: frozenset[str] | None = None

    @property
    def strategies(self) -> tuple[Declared, ...]:
        """The strategies that the file declares, in order."""
        return tuple(each for each in self.own.values() if each.role is Role.STRATEGY)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that prompts of this file can show: those of its strategies and scorers."""
        if self._let_columns is None:
            everything = walk(*self.file.items)
            lets = (node for node in everything if isinstance(node, nodes.LetStatement))
            self._let_columns = frozenset(node.column.text for node in lets)
        shown = (name for name, type_ in builtins.COLUMNS.items() if type_.value != KEY)
        return frozenset((*shown, *self.of_role([Role.SCORER]), *self._let_columns))

    def uses(self, name: str) -> bool:
        """Whether a strategy of this file names a prompt or judge."""
        return any(
            name == each.text
            for declared in self.strategies
            for each in reads(*declared.strategy.body)
        )

    def of_role(self, roles: Iterable[Role]) -> tuple[str, ...]:
        """The usable names with one of these roles."""
        allowed = set(roles)
        return tuple(name for name, each in self.names.items() if each.role in allowed)


_BUILT_IN = FileScope(Source("<built in>", ""), nodes.File(()))

_PRM = nodes.ScorerDeclaration(
    nodes.Name("prm"),
    nodes.ScorerScale.STEP,
    range=nodes.ValueRange(nodes.Number(0), nodes.Number(1)),
)

#: Names that exist without being declared; a file may declare them itself.
BUILT_IN: Mapping[str, Declared] = {
    "policy": Declared(
        Role.POLICY, "policy", nodes.PolicyDeclaration(nodes.Name("policy")), _BUILT_IN
    ),
    "prm": Declared(Role.SCORER, "prm", _PRM, _BUILT_IN),
}


# ---------------------------------------------------------------------- names that mean two things


def collisions(scope: FileScope, declared: Declared) -> list[Diagnostic]:
    """Parameters, variables and `let` columns of a strategy whose names are taken."""
    diagnostics: list[Diagnostic] = []
    strategy = declared.strategy
    roles: dict[str, str] = {}
    for name in (parameter.name for parameter in strategy.parameters):
        if name.text in roles:
            message = f"`{declared.name}` has two parameters called `{name.text}`"
            diagnostics.append(_report(scope, "TTS203", name, message))
        else:
            _check_name(scope, diagnostics, roles, name, "a parameter")
    definitions = [
        node
        for node in walk(*strategy.body)
        if isinstance(node, nodes.LetStatement | nodes.AssignStatement)
    ]
    for node in sorted(definitions, key=lambda each: each.span):
        if isinstance(node, nodes.LetStatement):
            _check_name(scope, diagnostics, roles, node.column, "a column made by `let`")
        else:
            _check_name(scope, diagnostics, roles, node.target, "a variable")
    return diagnostics


def check_parameters(scope: FileScope, declared: Declared) -> list[Diagnostic]:
    """Parameters of a prompt or judge: each once, and none called like a slot."""
    diagnostics: list[Diagnostic] = []
    node = declared.node
    if not isinstance(node, nodes.PromptDeclaration | nodes.JudgeDeclaration):
        return diagnostics
    seen: set[str] = set()
    for name in (parameter.name for parameter in node.parameters):
        if name.text in seen:
            message = f"`{declared.name}` has two parameters called `{name.text}`"
            diagnostics.append(_report(scope, "TTS203", name, message))
        elif name.text in ROW_SLOTS:
            message = f"`{{{name.text}}}` is a slot that every prompt has"
            help_ = "leave the parameter out"
            diagnostics.append(_report(scope, "TTS202", name, message, help_))
        seen.add(name.text)
    return diagnostics


def _check_name(
    scope: FileScope,
    diagnostics: list[Diagnostic],
    roles: dict[str, str],
    name: nodes.Name,
    role: str,
) -> None:
    """Notes the role of a name; reports it once if it has another role already."""
    earlier = roles.get(name.text)
    if earlier is None:
        earlier = builtins.meaning(name.text)
        declared = scope.names.get(name.text)
        if earlier is None and declared is not None:
            line = declared.home.source.position(declared.node.name.span.start).line
            earlier = ROLE_WORDS[declared.role]
            if declared.home is scope:
                earlier += f" (line {line})"
        roles[name.text] = role
    if earlier is None or earlier == role:
        return
    if earlier in {"a parameter", "a variable", "a column made by `let`"}:
        if f"{name.text}!" in roles:
            return
        roles[f"{name.text}!"] = role
    message = f"`{name.text}` is already {earlier}, so it cannot be {role}"
    diagnostics.append(_report(scope, "TTS202", name, message))


def _report(
    scope: FileScope,
    code: str,
    name: nodes.Name,
    message: str,
    suggestion: str = "choose another name",
) -> Diagnostic:
    return error(code, message, name.span, scope.source, suggestion=suggestion)
