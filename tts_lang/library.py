"""The strategies that are shipped with the package."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tts_lang.diagnostics import DiagnosticError, file_error, suggest
from tts_lang.readers import is_folder

_DOCUMENTED = re.compile(
    r'^strategy[ \t]+([A-Za-z_]\w*)[^\n:]*:[^\n]*\n(?:[ \t]+"""([^"\n]*))?', re.MULTILINE | re.ASCII
)
#: Of `Source: Wang et al. (2023), Self-Consistency: How..., section 2.`: `Self-Consistency`.
_TITLE = re.compile(r"\(\d{4}\),\s+([^,;:.()]+)")
_DECLARES = re.compile(r"^strategy[ \t]+([A-Za-z_]\w*)", re.MULTILINE | re.ASCII)


def folder() -> Path:
    """The folder of the shipped `.tts` files: in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "strategies"
    return inside if inside.is_dir() else package.parent / "strategies"


@cache
def names() -> dict[str, Path]:
    """Every shipped strategy and the file that defines it; a file's own name comes first."""
    paths: dict[str, Path] = {}
    files = sorted(folder().rglob("*.tts"))
    for path in files:
        paths.setdefault(path.stem, path)
    for path in files:
        for name in _DECLARES.findall(path.read_text(encoding="utf-8")):
            paths.setdefault(name, path)
    return paths


def listed() -> dict[str, str]:
    """Every shipped strategy, and the first line of its documentation."""
    summaries: dict[str, str] = {}
    for path in sorted(folder().rglob("*.tts")):
        for name, summary in _DOCUMENTED.findall(path.read_text(encoding="utf-8")):
            summaries.setdefault(name, summary.strip())
    return dict(sorted(summaries.items()))


def file(name: str) -> Path | None:
    """The shipped file of this name (`majority.tts`), whatever folder it is in."""
    path = names().get(name.removesuffix(".tts"))
    return path if path is not None and path.name == name else None


def find(name: str) -> Path:
    """The file of a shipped strategy.

    Raises:
        DiagnosticError: No shipped strategy has this name; the message has a close one.
    """
    shipped = names()
    if name in shipped:
        return shipped[name]
    if is_folder(Path(name)):
        inside = ", ".join(sorted(each.name for each in Path(name).glob("*.tts"))[:5])
        help_ = f"name a file of it: {inside}" if inside else "it holds no `.tts` file"
        raise DiagnosticError(
            [file_error("TTS553", f"`{name}` is a folder", name, suggestion=help_)]
        )
    close = suggest(name, shipped)
    published = _of_paper(name)
    strategy, _, setting = name.partition("@")
    if strategy in shipped and "=" in setting:
        help_ = f"a parameter is a word of its own: {strategy} {setting.replace(',', ' ')}"
    elif published:
        help_ = f"strategies of the paper of this name: {', '.join(published)}"
    elif close:
        help_ = f"did you mean '{close}'?"
    else:
        help_ = "`tts-compile --list` has the shipped ones"
    message = f"`{name}` is neither a file nor a shipped strategy"
    raise DiagnosticError([file_error("TTS553", message, name, suggestion=help_)])


def _of_paper(title: str) -> list[str]:
    """Shipped strategies whose documentation names a source of this title; main files first."""

    def letters(text: str) -> str:
        return re.sub(r"[\W_]", "", text).lower()

    paths = sorted(folder().rglob("*.tts"), key=lambda path: (len(path.parts), path))
    return [
        path.stem
        for path in paths
        if letters(title) in map(letters, _TITLE.findall(path.read_text(encoding="utf-8")))
    ]
