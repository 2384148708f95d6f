"""Loads a file with its imports, and warns about characters in it that cannot be seen."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import tts_lang.library as library
from tts_lang.check import builtins
from tts_lang.check.scope import BUILT_IN, ROLE_WORDS, Declaration, Declared, FileScope, role_of
from tts_lang.diagnostics import Diagnostic, error, suggest, warning
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import ParseResult, load, parse

_MOVE = "imports are in the folder of the main file, below it, or shipped: copy the file there"
#: Kinds of paths that are no regular file.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class _Refused(Exception):
    """An import that is not read: why, and what to do."""

    def __init__(self, message: str, help_: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help_ = help_


def _is_missing(error: OSError | ValueError) -> bool:
    missing = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
    return not isinstance(error, OSError) or error.errno in missing


@dataclass(slots=True)
class Loader:
    """Reads each file once; `diagnostics` has the errors.

    Args:
        texts: By real path, what stands for a file: an editor may not have saved it yet.
    """

    texts: Mapping[Path, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _loaded: dict[Path, FileScope] = field(default_factory=dict)
    _loading: list[Path] = field(default_factory=list)
    _missing: set[Path] = field(default_factory=set)
    _project: Path = field(default_factory=Path)

    def source(self, source: Source) -> FileScope:
        """The scope of a text that is at hand; its imports are relative to its name."""
        return self._main(Path(source.name).resolve(), parse(source))

    def path(self, path: Path) -> FileScope:
        """The scope of a file; reading errors are diagnostics."""
        return self._main(Path(os.path.realpath(path)), load(path))

    @property
    def read(self) -> frozenset[Path]:
        """The real paths of the files so far, and of those that are imported and not there."""
        return frozenset((*self._loaded, *self._missing))

    @property
    def sources(self) -> frozenset[tuple[Path, Source]]:
        """The texts of the files so far, by their real paths."""
        return frozenset((path, scope.source) for path, scope in self._loaded.items())

    def _main(self, key: Path, result: ParseResult) -> FileScope:
        self._project = key.parent
        return self._enter(key, result)

    def _enter(self, key: Path, result: ParseResult) -> FileScope:
        self.diagnostics.extend(result.diagnostics)
        self.diagnostics.extend(hidden_characters(result.source))
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
                scope.incomplete = scope.incomplete or not item.names
                scope.broken.update(name.text for name in item.names)
                continue
            name = item.name.text
            if (meaning := builtins.meaning(name)) is not None:
                self._report(
                    scope,
                    "TTS202",
                    item.name,
                    f"`{name}` is {meaning}, so it cannot name {ROLE_WORDS[role_of(item)]}",
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
        try:
            written, key = self._resolve(scope, item, folder)
        except _Refused as refused:
            self._report(scope, "TTS551", item.path, refused.message, refused.help_)
            scope.incomplete = True
            return
        if key in self._loading:
            chain = [*self._loading[self._loading.index(key) :], key]
            names = " -> ".join(each.name for each in chain)
            message = f"files import each other in a circle: {names}"
            self._report(scope, "TTS552", item.path, message, "move what both need into a third")
            scope.incomplete = True
            return
        imported = self._loaded.get(key)
        if imported is None:
            text = self.texts.get(key)
            named = str(written)
            read = load(key, named) if text is None else parse(Source.of(text, named))
            imported = self._enter(key, read)
        scope.incomplete = scope.incomplete or imported.incomplete
        scope.broken |= imported.broken
        for declared in imported.own.values():
            self._bring(scope, item, declared)

    def _resolve(self, scope: FileScope, item: nodes.Import, folder: Path) -> tuple[Path, Path]:
        """The imported file: its path in messages, and its real path.

        A file is opened only if it is known to be a strategy of the project or a shipped one:
        messages quote what they are about, and sources may be a stranger's.

        Raises:
            _Refused: There is none that may be read.
        """
        text = item.path.value
        try:
            path = Path(os.path.normpath(folder / text))
            if path.suffix != ".tts":
                whole = Path(f"{path}.tts")
                exists = text in library.names() or (self._inside(whole) and whole.is_file())
                help_ = f'write `import "{text}.tts"`' if exists else None
                raise _Refused(f'"{text}" is no strategy file: their names end in `.tts`', help_)
            if not self._inside(path):
                raise _Refused(f'"{text}" is outside the project', _MOVE)
            key = Path(os.path.realpath(path))
            if key in self.texts:  # an editor has it, the disk perhaps not
                kind = stat.S_IFREG
            else:
                self._missing.add(key)
                key = Path(os.path.realpath(path, strict=True))
                kind = key.stat().st_mode
                self._missing.discard(key)
        except (OSError, ValueError) as error:  # ValueError: a null character
            shipped = library.file(text)
            if shipped is None or not _is_missing(error):
                raise self._unread(scope, item, folder, error) from error
            return shipped, shipped.resolve()
        if not self._inside(key):
            raise _Refused(f'"{text}" is a link that leads out of the project', _MOVE)
        if key.suffix != ".tts":
            raise _Refused(f'"{text}" is a link to what is no strategy file')
        if not stat.S_ISREG(kind):
            what = next((word for test, word in _KINDS if test(kind)), "something else")
            raise _Refused(f'"{text}" is {what}, and no file')
        # Named as the user wrote it, so that messages show no absolute paths of their own; links
        # on the way there may make that another file.
        written = Path(scope.source.name).parent / text
        return written if Path(os.path.realpath(written)) == key else key, key

    def _inside(self, path: Path) -> bool:
        """Whether a path is in the folder of the main file or of the shipped files."""
        return any(path.is_relative_to(root) for root in (self._project, library.folder()))

    def _unread(
        self, scope: FileScope, item: nodes.Import, folder: Path, error: OSError | ValueError
    ) -> _Refused:
        """Why a path leads to no file."""
        text = item.path.value
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            return _Refused(f'"{text}" is a link that leads back to itself')
        if not _is_missing(error):
            return _Refused(f'"{text}" cannot be read: {getattr(error, "strerror", error)}')
        name = text.rpartition("/")[2]
        close = suggest(name, (each.name for each in library.names().values()))
        with suppress(OSError, ValueError):
            beside = (folder / text).parent.glob("*.tts")
            close = suggest(name, (each.name for each in beside)) or close
        return _Refused(
            f'there is no file "{text}" beside {Path(scope.source.name).name}',
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
        self, scope: FileScope, code: str, node: nodes.SyntaxNode, message: str, help_: str | None
    ) -> None:
        self.diagnostics.append(error(code, message, node.span, scope.source, suggestion=help_))


def _one_meaning(first: Declared, second: Declared) -> bool:
    """Policies and scorers are bound by name at run time: equal declarations mean one thing."""
    return (
        isinstance(first.node, nodes.PolicyDeclaration | nodes.ScorerDeclaration)
        and first.node == second.node
    )


# ------------------------------------------------------------------------------ hidden characters


#: Controls, bidirectional ones among them, and characters without a glyph. The two joiners belong
#: to scripts and pictures, so they are hidden only where they join nothing.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
#: Lines about which something is said.
_MOST = 20


def hidden_characters(source: Source) -> Iterator[Diagnostic]:
    """A warning for each line that holds some, at the first of them."""
    seen: set[int] = set()
    for match in _HIDDEN.finditer(source.text):
        line = source.position(match.start()).line
        if line in seen:
            continue
        if len(seen) == _MOST:
            return
        seen.add(line)
        yield warning(
            "TTS912",
            f"{_called(match[0])} is not seen, so this line may not be what it looks like",
            Span(match.start(), match.end()),
            source,
            suggestion="remove it",
        )


def _called(character: str) -> str:
    import unicodedata

    name = unicodedata.name(character, "control character").lower()
    return f"U+{ord(character):04X} ({name})"
