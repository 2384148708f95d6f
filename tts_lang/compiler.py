"""From a strategy file to a plan: the compiler's Python interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import tts_lang.library as library
from tts_lang.check.calls import literal
from tts_lang.check.context import CheckContext, NameValue, Parameter
from tts_lang.check.file import (
    CheckedLaw,
    LawSide,
    check_declarations,
    check_law,
    check_strategy,
    defaults,
    scalar_of,
    unique,
)
from tts_lang.check.imports import Loader
from tts_lang.check.sampling import sampling_parameters
from tts_lang.check.scope import BUILT_IN, Declared, FileScope
from tts_lang.check.settings import Settings, parameters
from tts_lang.check.types import DEFAULT
from tts_lang.check.uses import walk
from tts_lang.diagnostics import Diagnostic, DiagnosticError, file_error, suggest
from tts_lang.plan.expr import Scalar
from tts_lang.plan.graph import Plan
from tts_lang.readers import is_file
from tts_lang.source import Source
from tts_lang.syntax import nodes

#: Raised for a strategy that cannot be compiled; `diagnostics` has everything that was found.
CompileError = DiagnosticError

# Trees are walked by recursion; the parser bounds their depth, calls inside calls add to it.
_RECURSION_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class CheckedStrategy:
    """A strategy as its file declares it.

    Args:
        parameters: Its parameters with their defaults (names as texts), `None` where a value must
            be given.
    """

    name: str
    parameters: Mapping[str, Scalar]
    document: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The strategies and laws of a file, and its diagnostics."""

    strategies: tuple[CheckedStrategy, ...]
    laws: tuple[CheckedLaw, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors (warnings do not count)."""
        return not any(diagnostic.is_error for diagnostic in self.diagnostics)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan, and the warnings about its file."""

    plan: Plan
    warnings: tuple[Diagnostic, ...]


def check_source(source: Source, texts: Mapping[Path, str] | None = None) -> CheckResult:
    """Checks a whole file: every strategy at its parameters' defaults, and the laws.

    Imports are relative to `source.name`; `texts` has what stands for some of them, by real path.
    Never raises for bad text.
    """
    with _deep():
        loader = Loader(texts or {})
        return _check(loader.source(source), loader)


def helped(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The diagnostics of a file with helps that have been tried on it."""
    if not any(each.is_error for each in diagnostics):
        return tuple(diagnostics)
    from tts_lang.repair import repaired  # only when something is wrong: it costs start-up time

    return repaired(diagnostics, lambda source: check_source(source).diagnostics, plan_of)


def plan_of(source: Source, strategy: str) -> object:
    """A strategy's plan in a form that can be compared; `None` if it does not compile."""
    with _deep():
        loader = Loader()
        scope = loader.source(source)
        if not _check(scope, loader).ok:
            return None
        check = CheckContext(plan_wanted=True)
        chosen = _chosen(scope, strategy, ())
        plan = _plan(check, chosen, defaults(check, chosen))
        return None if any(each.is_error for each in check.diagnostics) else replace(plan, file="")


def check_path(path: Path | str) -> CheckResult:
    """`check_source` for a file; one that cannot be read is a diagnostic too."""
    with _deep():
        loader = Loader()
        return _check(loader.path(Path(path)), loader)


def compile_strategy(
    path_or_source: str | Path | Source,
    strategy: str | None = None,
    settings: Settings | None = None,
) -> Plan:
    """The plan of one strategy.

    Args:
        path_or_source: A file, `FILE:STRATEGY`, the name of a shipped strategy, or a text.
        strategy: Which of the file's strategies. By default the one called like the file, else the
            only one that no other calls.
        settings: Values for parameters, in place of their defaults.

    Raises:
        CompileError: With every diagnostic of the file.
    """
    return compile_with_warnings(path_or_source, strategy, settings).plan


def compile_with_warnings(
    path_or_source: str | Path | Source,
    strategy: str | None = None,
    settings: Settings | None = None,
    texts: Mapping[Path, str] | None = None,
) -> Compiled:
    """`compile_strategy` with warnings; `texts` as for `check_source`."""
    with _deep():
        loader = Loader(texts or {})
        scope, strategy = _entered(loader, path_or_source, strategy)
        result = _check(scope, loader)
        if not result.ok:
            raise CompileError(helped(result.diagnostics))
        chosen = _chosen(scope, strategy, result.diagnostics)
        check = CheckContext(plan_wanted=True)
        values = parameters(check, chosen, settings or {})
        if values is None:
            raise CompileError(unique([*result.diagnostics, *check.diagnostics]))
        plan = _plan(check, chosen, values)
        # Warnings about these values count, not those about this strategy at its defaults.
        body = chosen.strategy.span
        general = [
            diagnostic
            for diagnostic in result.diagnostics
            if not (
                diagnostic.source == scope.source and body.start <= diagnostic.span.start < body.end
            )
        ]
        diagnostics = unique([*general, *check.diagnostics])
        if any(diagnostic.is_error for diagnostic in diagnostics):
            raise CompileError(diagnostics)
    return Compiled(plan, diagnostics)


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """How another file calls a strategy.

    Args:
        arguments: Values as one writes them, of `n` and of parameters that differ from their
            defaults.
        files: Those that declare the names among the values.
    """

    arguments: Mapping[str, str]
    files: frozenset[str]


def call_of(path: Path, strategy: str, settings: Settings) -> WrittenCall:
    """The call that gives the parameters of a strategy these values.

    Raises:
        CompileError: The file cannot be read, or a value is wrong.
    """
    with _deep():
        loader = Loader()
        scope, _ = _entered(loader, path, strategy)
        chosen = _chosen(scope, strategy, tuple(loader.diagnostics))
        check = CheckContext(plan_wanted=False)
        usual = defaults(check, chosen)
        values = parameters(check, chosen, settings)
        if values is None:
            raise CompileError(unique(check.diagnostics))
    changed = {
        name: value
        for name, value in values.items()
        if name == "n" or (value != usual.get(name, DEFAULT))
    }
    files = frozenset(file for value in changed.values() for file in _declared_in(value))
    return WrittenCall({name: literal(value) for name, value in changed.items()}, files)


def _declared_in(value: Parameter) -> Iterator[str]:
    """The files of a name, and of the names among its arguments."""
    if isinstance(value, NameValue):
        if value.declared is not None and value.declared is not BUILT_IN.get(value.name):
            yield value.declared.home.source.name
        for _, argument in value.arguments:
            yield from _declared_in(argument)


def compile_law_side(side: LawSide, numbers: Mapping[str, int]) -> Plan:
    """The plan of one side of a law.

    Args:
        side: A side of a law of a file without errors.
        numbers: A number for each of its free names.

    Raises:
        CompileError: The strategy cannot be compiled with these numbers.
    """
    with _deep():
        check = CheckContext(plan_wanted=True)
        values = defaults(check, side.declared, side.values(check, numbers))
        plan = _plan(check, side.declared, values)
        diagnostics = unique(check.diagnostics)
        if any(diagnostic.is_error for diagnostic in diagnostics):
            raise CompileError(diagnostics)
    return plan


def _plan(check: CheckContext, chosen: Declared, values: dict[str, Parameter]) -> Plan:
    """The plan of a strategy; of no use if the check has found errors."""
    context, region = check_strategy(check, chosen, values)
    document = chosen.strategy.docstring
    return Plan(
        strategy=chosen.name,
        parameters={name: scalar_of(value) for name, value in values.items() if value != DEFAULT},
        body=region,
        values=tuple(check.values),
        policies=tuple(check.policies),
        scorers=tuple(scorer for _, scorer in check.scorers.values()),
        prompts=tuple(prompt for _, prompt in check.prompts.values()),
        thinks=context.thinks,
        document="" if document is None else document.value,
        file=chosen.home.source.name,
    )


def locate(text: str | Path) -> tuple[Path, str | None]:
    """The file and strategy that `FILE`, `FILE:STRATEGY` or a shipped `NAME` stand for.

    Raises:
        CompileError: Neither a file nor a shipped strategy.
    """
    path = Path(text)
    if isinstance(text, Path) or path.suffix == ".tts" or is_file(path):
        return path, None
    before, colon, after = text.rpartition(":")
    if colon and after.isidentifier():
        inside, _ = locate(before)
        return inside, after
    return library.find(text), text


def parameters_of(
    path_or_source: str | Path | Source, strategy: str | None = None
) -> tuple[str, ...]:
    """The names of a strategy's parameters, in order.

    Raises:
        CompileError: The file cannot be read or has no such strategy.
    """
    chosen = _declared(path_or_source, strategy)
    return tuple(parameter.name.text for parameter in chosen.strategy.parameters)


def settings_of(
    path_or_source: str | Path | Source, strategy: str | None = None
) -> tuple[str, ...]:
    """The settings of a strategy: its parameters, then sampling parameters (C72).

    Raises:
        CompileError: As `parameters_of`.
    """
    chosen = _declared(path_or_source, strategy)
    return (*parameters_of(path_or_source, strategy), *sampling_parameters(chosen))


def _declared(path_or_source: str | Path | Source, strategy: str | None) -> Declared:
    with _deep():
        loader = Loader()
        scope, strategy = _entered(loader, path_or_source, strategy)
        return _chosen(scope, strategy, tuple(loader.diagnostics))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A file with all that it imports; equal if all of them have the same texts."""

    sources: frozenset[tuple[Path, Source]]
    main: Source
    scope: FileScope = field(compare=False)


def _check(scope: FileScope, loader: Loader) -> CheckResult:
    """Checks a file, once for all points of a sweep, or all of its strategies."""
    if loader.diagnostics:  # what could not be read may be there the next time
        result = _checked(scope)
    else:
        result = _checked_before(_Loaded(loader.sources, scope.source, scope))
    return replace(result, diagnostics=unique([*loader.diagnostics, *result.diagnostics]))


@lru_cache(maxsize=256)
def _checked_before(loaded: _Loaded) -> CheckResult:
    return _checked(loaded.scope)


def _checked(scope: FileScope) -> CheckResult:
    check = CheckContext(plan_wanted=False)
    check_declarations(check, scope)
    strategies = []
    for declared in scope.strategies:
        values = defaults(check, declared)
        check_strategy(check, declared, values)
        document = declared.strategy.docstring
        strategies.append(
            CheckedStrategy(
                declared.name,
                {name: scalar_of(value) for name, value in values.items()},
                "" if document is None else document.value,
            )
        )
    laws = [
        law
        for item in scope.file.items
        if isinstance(item, nodes.Law) and (law := check_law(check, scope, item)) is not None
    ]
    return CheckResult(tuple(strategies), tuple(laws), tuple(check.diagnostics))


def _entered(
    loader: Loader, path_or_source: str | Path | Source, strategy: str | None
) -> tuple[FileScope, str | None]:
    """The file with its imports, and the strategy asked for: `FILE:STRATEGY` names one too."""
    if isinstance(path_or_source, Source):
        return loader.source(path_or_source), strategy
    path, named = locate(path_or_source)
    return loader.path(path), strategy or named


def _chosen(scope: FileScope, name: str | None, diagnostics: tuple[Diagnostic, ...]) -> Declared:
    """The strategy of that name; without a name, the file's main one."""
    strategies = {declared.name: declared for declared in scope.strategies}
    file = scope.source.name
    if name is not None:
        if name in strategies:
            return strategies[name]
        close = suggest(name, strategies)
        help_ = (
            f"did you mean '{close}'?" if close else f"it has: {', '.join(strategies) or 'none'}"
        )
        _fail(diagnostics, "TTS553", f"there is no strategy `{name}` in this file", file, help_)
    stem = Path(file).stem
    if stem in strategies:
        return strategies[stem]
    called = {
        node.function.text
        for declared in scope.strategies
        for node in walk(*declared.strategy.body)
        if isinstance(node, nodes.CallExpression)
    }
    uncalled = [declared for declared in scope.strategies if declared.name not in called]
    if len(uncalled) == 1:
        return uncalled[0]
    if not strategies:
        _fail(
            diagnostics, "TTS553", "there is no strategy in this file", file, "`strategy NAME():`"
        )
    choices = ", ".join(f"{file}:{each}" for each in strategies)
    return _fail(
        diagnostics, "TTS554", "the file has several strategies", file, f"choose: {choices}"
    )


def _fail(
    diagnostics: tuple[Diagnostic, ...], code: str, message: str, file: str, help_: str
) -> Declared:
    raise CompileError([*diagnostics, file_error(code, message, file, suggestion=help_)])


@contextmanager
def _deep() -> Iterator[None]:
    """Room for the recursion that nested expressions and calls need."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
