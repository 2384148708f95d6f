"""The files of an editor: open ones as they stand there, the others from the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pygls import uris
from pygls.workspace import PositionCodec

import tts_lang.library as library
from tts_lang.check.imports import Loader
from tts_lang.check.scope import FileScope
from tts_lang.readers import MAX_TEXT_BYTES, read_written
from tts_lang.source import Source

#: Files of a workspace that are searched for importers, and folders that are entered, at most.
MOST_FILES = 2_000
MOST_FOLDERS = 20_000
_NOT_ENTERED = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, slots=True)
class EditorFiles:
    """A snapshot of the files that the editor has open.

    Args:
        texts: By real path.
        roots: The folders of the workspace.
        codec: How places are counted.
        addresses: What the editor calls the open files, by real path: it may know them by a link,
            write them in another way, or not have saved them yet.
    """

    texts: Mapping[Path, str]
    roots: Sequence[Path] = ()
    codec: PositionCodec = field(default_factory=PositionCodec)
    addresses: Mapping[Path, str] = field(default_factory=dict)

    def uri(self, path: Path | str) -> str:
        """The address of a file, as the editor knows it."""
        real = Path(os.path.realpath(path))
        if real in self.addresses:
            return self.addresses[real]
        for root in self.roots:
            folder = os.path.realpath(root)
            if real.is_relative_to(folder) and not Path(path).is_relative_to(root):
                return _uri_of(root / real.relative_to(folder))  # the workspace is a link
        return _uri_of(path)

    def source(self, path: Path) -> Source:
        """The text of a file; empty if it cannot be read."""
        real = Path(os.path.realpath(path))
        text = self.texts.get(real)
        if text is None:
            try:
                text = read_written(real, MAX_TEXT_BYTES).decode("utf-8", "replace")
            except OSError:
                text = ""
        return Source.of(text, str(path))

    def scope(self, source: Source) -> FileScope:
        """The names of a file and of its imports."""
        return Loader(self.texts).source(source)

    def imported(self, source: Source, text: str) -> list[Path]:
        """The file that an import of this text brings, if there is one."""
        for path in (Path(source.name).resolve().parent / text, library.file(text)):
            if path is not None and (Path(os.path.realpath(path)) in self.texts or path.is_file()):
                return [path]
        return []

    def all_paths(self) -> list[Path]:
        """The real paths of the strategy files of the workspace, and of those that are open."""
        paths = dict.fromkeys(self.texts)
        for root in self.roots:
            for path in strategy_files(root):
                if len(paths) >= MOST_FILES:
                    return list(paths)
                paths.setdefault(Path(os.path.realpath(path)))
        return list(paths)


def strategy_files(root: Path) -> Iterator[Path]:
    """The `.tts` files below a folder, hidden and installed ones left out, in order."""
    for folder, inside, names in islice(os.walk(root), MOST_FOLDERS):
        inside[:] = sorted(
            name for name in inside if not name.startswith(".") and name not in _NOT_ENTERED
        )
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".tts"))


def is_shipped(path: str) -> bool:
    """Whether a file is one of those that come with the package."""
    return Path(path).is_relative_to(os.path.realpath(library.folder()))


def path_of(uri: str) -> Path:
    """The file of a document; one that has not been saved stands in the working directory."""
    path = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else Path(uri.rpartition("/")[2].partition(":")[2] or "untitled.tts")


def _uri_of(path: Path | str) -> str:
    return uris.from_fs_path(str(path)) or ""
