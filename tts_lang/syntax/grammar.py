"""Lark's parser of grammar.lark, kept in the user's cache directory.

Lark needs 0.4 s to build an LALR parser from the grammar and 0.03 s to load a saved one. A cache
file is used only if it belongs to this user and nobody else can write it, and it is read as plain
data: loading it cannot run code. Whatever is wrong with it, the parser is built from the grammar.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lark
from lark import Lark

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAMMAR_PATH = Path(__file__).with_name("grammar.lark")

_OPTIONS = {"parser": "lalr", "lexer": "basic", "maybe_placeholders": False}
_LARGEST = 4 << 20
_FILES_KEPT = 8


@cache
def lark_parser() -> Lark:
    """The parser of the language."""
    return load(GRAMMAR_PATH.read_text("utf-8"))


def load(grammar: str) -> Lark:
    """The parser of a grammar, from the cache if it is there."""
    # Lark loads what the same version has saved; pickles may change with Python.
    made_with = (lark.__version__, sys.version, _OPTIONS, grammar)
    name = f"grammar-{hashlib.sha256(repr(made_with).encode()).hexdigest()[:32]}.pickle"
    for folder in _cache_folders():
        if (saved := _read(folder / name)) is not None:
            return saved
    parser = build(grammar)
    for folder in _cache_folders():
        if _write(parser, folder, name):
            break
    return parser


def build(grammar: str) -> Lark:
    """Lark's LALR(1) parser of a grammar whose terminals are declared: tokens.py makes them."""
    return Lark(grammar, **_OPTIONS)


def _cache_folders() -> Iterator[Path]:
    """The user's cache directory and, for a read-only home, one in the temporary directory."""
    if sys.platform == "win32":
        variable, usual = "LOCALAPPDATA", "AppData/Local"
    else:
        variable = "XDG_CACHE_HOME"
        usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    # A home that is not known stays `~`.
    folder = Path(os.environ.get(variable) or Path(os.path.expanduser("~"), usual))  # noqa: PTH111
    if folder.is_absolute():
        yield folder / "tts-lang"
    user = os.geteuid() if hasattr(os, "geteuid") else os.environ.get("USERNAME", "")
    yield Path(tempfile.gettempdir(), f"tts-lang-{user}")


# ------------------------------------------------------------------------------ reading


class _PlainData(pickle.Unpickler):
    """Unpickles numbers, texts (Lark's own text among them) and containers, and nothing else."""

    def find_class(self, module_name: str, global_name: str, /) -> type[lark.Token]:
        if global_name != lark.Token.__name__:
            raise pickle.UnpicklingError(f"a saved grammar holds no {module_name}.{global_name}")
        return lark.Token


def _read(path: Path) -> Lark | None:
    """The parser saved in a file; `None` if it is missing, damaged or somebody else's."""
    try:
        # A pipe in place of the file must not block, and a link must not lead elsewhere.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not _is_private(status):
                return None
            content = file.read(_LARGEST)
    except OSError:
        return None
    digest, data = content[:32], content[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    try:
        saved: dict[str, Any] = _PlainData(io.BytesIO(data)).load()
        return Lark.load(saved)
    except Exception:  # noqa: BLE001 - the grammar is at hand, whatever a file may hold
        return None


def _is_private(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user, and nobody else can write it."""
    if not hasattr(os, "geteuid"):  # Windows; a browser
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# ------------------------------------------------------------------------------ writing


def _write(parser: Lark, folder: Path, name: str) -> bool:
    """Write a parser, in one step: no other process sees half a file. False if it cannot."""
    data = io.BytesIO()
    parser.save(data)
    content = data.getvalue()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or not _is_private(status):
            return False
        with tempfile.NamedTemporaryFile(prefix="grammar-", dir=folder, delete=False) as file:
            part = Path(file.name)
            file.write(hashlib.sha256(content).digest() + content)
        part.replace(folder / name)
    except OSError:
        return False
    _prune(folder)
    return True


def _prune(folder: Path) -> None:
    """Remove the oldest files: one for each version of the grammar, Lark and Python adds up."""
    with suppress(OSError):
        files = sorted(folder.glob("grammar-*"), key=lambda path: path.stat().st_mtime)
        for path in files[:-_FILES_KEPT]:
            path.unlink(missing_ok=True)
