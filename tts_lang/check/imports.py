"""Loading a file with its imports, and collecting the names of each."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tts_lang import library
from tts_lang.check import builtins
from tts_lang.check.scope import BUILT_IN, ROLE_WORDS, Declaration, Declared, FileScope, role_of
from tts_lang.diagnostics import Diagnostic, error, suggest
from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import ParseResult, load, parse

_MOVE = "imports are in the folder of the main file, below it, or shipped: copy the file there"
#: What a path may be that is no regular file.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(slots=True)
class Loader:
    """Reads files once each; what it finds wrong is in `diagnostics`."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    _loaded: dict[Path, FileScope] = field(default_factory=dict)
    _loading: list[Path] = field(default_factory=list)
    _project: Path = field(default_factory=Path)

    def source(self, source: Source) -> FileScope:
        """The scope of a text that is at hand; its imports are relative to its name."""
        return self._main(Path(source.name).resolve(), parse(source))

    def path(self, path: Path) -> FileScope:
        """The scope of a file; reading errors are diagnostics."""
        return self._main(Path(os.path.realpath(path)), load(path))

    def _main(self, key: Path, result: ParseResult) -> FileScope:
        self._project = key.parent
        return self._enter(key, result)

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
        found = self._found(scope, item, folder)
        if found is None:
            scope.incomplete = True
            return
        written, key = found
        if key in self._loading:
            chain = [*self._loading[self._loading.index(key) :], key]
            names = " -> ".join(each.name for each in chain)
            message = f"files import each other in a circle: {names}"
            self._report(scope, "TTS552", item.path, message, "move what both need into a third")
            scope.incomplete = True
            return
        known = self._loaded.get(key)
        if known is None:
            known = self._enter(key, load(key, str(written)))
        scope.incomplete = scope.incomplete or known.incomplete
        scope.broken |= known.broken
        for declared in known.own.values():
            self._bring(scope, item, declared)

    def _found(
        self, scope: FileScope, item: nodes.Import, folder: Path
    ) -> tuple[Path, Path] | None:
        """The imported file as messages call it, and where it really is; `None` after a message.

        A file is opened only if it is known to be a strategy of the project or a shipped one:
        messages quote what they are about, and sources may be a stranger's.
        """
        text = item.path.value
        shipped = library.file(text)
        try:
            path = Path(os.path.normpath(folder / text))
            if path.suffix != ".tts":
                help_ = f'write `import "{text}.tts"`' if text in library.names() else None
                return self._refused(
                    scope, item, "is no strategy file: their names end in `.tts`", help_
                )
            if not self._inside(path):
                return self._refused(scope, item, "is outside the project", _MOVE)
            key = Path(os.path.realpath(path, strict=True))
            kind = key.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            if shipped is not None:
                return shipped, shipped.resolve()
            return self._missing(scope, item, Path(folder, text.replace("\0", "")))
        except OSError as error:
            if error.errno == errno.ELOOP:
                return self._refused(scope, item, "is a link that leads back to itself")
            if error.errno == errno.ENAMETOOLONG:
                return self._missing(scope, item, folder / "...")
            return self._refused(scope, item, f"cannot be read: {(error.strerror or '').lower()}")
        if not self._inside(key):
            return self._refused(scope, item, "is a link that leads out of the project", _MOVE)
        if key.suffix != ".tts":
            return self._refused(scope, item, "is a link to what is no strategy file")
        if not stat.S_ISREG(kind):
            what = next((word for test, word in _KINDS if test(kind)), "no file")
            return self._refused(scope, item, f"is {what}, and no file")
        # Named as the user wrote it, so that messages show no absolute paths of their own; links
        # on the way there may make that another file.
        written = Path(scope.source.name).parent / text
        return written if Path(os.path.realpath(written)) == key else key, key

    def _inside(self, path: Path) -> bool:
        """Whether a path is in the folder of the main file, or where the shipped files are."""
        return any(path.is_relative_to(root) for root in (self._project, library.folder()))

    def _refused(
        self, scope: FileScope, item: nodes.Import, why: str, help_: str | None = None
    ) -> None:
        self._report(scope, "TTS551", item.path, f'"{item.path.value}" {why}', help_)

    def _missing(self, scope: FileScope, item: nodes.Import, path: Path) -> None:
        close = suggest(path.name, (each.name for each in library.names().values()))
        with suppress(OSError):
            close = suggest(path.name, (each.name for each in path.parent.glob("*.tts"))) or close
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
        self, scope: FileScope, code: str, node: nodes.Node, message: str, help_: str | None
    ) -> None:
        self.diagnostics.append(error(code, message, node.span, scope.source, suggestion=help_))


def _one_meaning(first: Declared, second: Declared) -> bool:
    """Policies and scorers are bound by name at run time: equal declarations mean one thing."""
    return (
        isinstance(first.node, nodes.PolicyDeclaration | nodes.ScorerDeclaration)
        and first.node == second.node
    )
