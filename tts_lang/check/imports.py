"""Loading a file with its imports, and collecting the names of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tts_lang import library
from tts_lang.check import builtins
from tts_lang.check.scope import BUILT_IN, ROLE_WORDS, Declaration, Declared, FileScope, role_of
from tts_lang.diagnostics import Diagnostic, error, suggest
from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import ParseResult, load, parse


@dataclass(slots=True)
class Loader:
    """Reads files once each; what it finds wrong is in `diagnostics`."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    _loaded: dict[Path, FileScope] = field(default_factory=dict)
    _loading: list[Path] = field(default_factory=list)

    def source(self, source: Source) -> FileScope:
        """The scope of a text that is at hand; its imports are relative to its name."""
        return self._enter(Path(source.name).resolve(), parse(source))

    def path(self, path: Path) -> FileScope:
        """The scope of a file; reading errors are diagnostics."""
        return self._enter(path.resolve(), load(path))

    def _enter(self, key: Path, result: ParseResult) -> FileScope:
        self.diagnostics.extend(result.diagnostics)
        unread = not result.ok and not result.file.items
        scope = FileScope(result.source, result.file, incomplete=unread)
        self._loaded[key] = scope
        self._loading.append(key)
        self._declare(scope)
        for item in scope.file.items:
            if isinstance(item, nodes.Import):
                self._import(scope, item, key.parent)
        self._loading.pop()
        for name, built_in in BUILT_IN.items():
            scope.names.setdefault(name, built_in)
        return scope

    def _declare(self, scope: FileScope) -> None:
        for item in scope.file.items:
            if isinstance(item, nodes.Import | nodes.Law):
                continue
            if isinstance(item, nodes.Broken):
                if item.name is None:
                    scope.incomplete = True
                else:
                    scope.broken.add(item.name.text)
                continue
            name = item.name.text
            if (taken := builtins.meaning(name)) is not None:
                self._report(
                    scope,
                    "TTS202",
                    item.name,
                    f"`{name}` is {taken}, so it cannot name {ROLE_WORDS[role_of(item)]}",
                    "choose another name",
                )
            elif name in scope.own:
                self._twice(scope, item, scope.own[name])
            else:
                scope.own[name] = Declared(role_of(item), name, item, scope)
        scope.names.update(scope.own)

    def _twice(self, scope: FileScope, item: Declaration, first: Declared) -> None:
        line = scope.source.position(first.node.name.span.start).line
        self._report(
            scope,
            "TTS203",
            item.name,
            f"`{first.name}` is declared twice: it is {ROLE_WORDS[first.role]} since line {line}",
            "rename one of them",
        )

    def _import(self, scope: FileScope, item: nodes.Import, folder: Path) -> None:
        path = folder / item.path.value
        # Named as the user wrote it, so that messages show no absolute paths of their own.
        written = Path(scope.source.name).parent / item.path.value
        key = _resolved(path)
        if key is None and (shipped := library.file(item.path.value)) is not None:
            written, key = shipped, shipped.resolve()
        if key is None:
            self._missing(scope, item, path)
            return
        if key in self._loading:
            chain = [*self._loading[self._loading.index(key) :], key]
            names = " -> ".join(each.name for each in chain)
            message = f"files import each other in a circle: {names}"
            self._report(scope, "TTS552", item.path, message, "move what both need into a third")
            scope.incomplete = True
            return
        known = self._loaded.get(key)
        if known is None:
            known = self._enter(key, load(written))
        scope.incomplete = scope.incomplete or known.incomplete
        scope.broken |= known.broken
        for declared in known.own.values():
            self._bring(scope, item, declared)

    def _missing(self, scope: FileScope, item: nodes.Import, path: Path) -> None:
        scope.incomplete = True
        close = suggest(path.name, (each.name for each in library.names().values()))
        if _resolved(path.parent, folder=True) is not None:
            beside = (each.name for each in path.parent.glob("*.tts"))
            close = suggest(path.name, beside) or close
        self._report(
            scope,
            "TTS551",
            item.path,
            f'there is no file "{item.path.value}" beside {Path(scope.source.name).name}',
            f'did you mean "{close}"?' if close else "paths are relative to the importing file",
        )

    def _bring(self, scope: FileScope, item: nodes.Import, declared: Declared) -> None:
        present = scope.names.get(declared.name)
        if present is None:
            scope.names[declared.name] = declared
        elif present is not declared and not _one_meaning(present, declared):
            self._report(
                scope,
                "TTS202",
                item.path,
                f'"{item.path.value}" declares `{declared.name}`, which is already '
                f"{ROLE_WORDS[present.role]} here",
                "rename one of them: there is no shadowing",
            )

    def _report(
        self, scope: FileScope, code: str, node: nodes.Node, message: str, help_: str
    ) -> None:
        self.diagnostics.append(error(code, message, node.span, scope.source, suggestion=help_))


def _one_meaning(first: Declared, second: Declared) -> bool:
    """Policies and scorers are bound by name at run time: equal declarations mean one thing."""
    return (
        isinstance(first.node, nodes.PolicyDeclaration | nodes.ScorerDeclaration)
        and first.node == second.node
    )


def _resolved(path: Path, folder: bool = False) -> Path | None:
    """The path without links and dots if it is an existing file (or folder)."""
    try:
        resolved = path.resolve()
        return resolved if (resolved.is_dir() if folder else resolved.is_file()) else None
    except (OSError, ValueError):  # too long, or with a null character in it
        return None
