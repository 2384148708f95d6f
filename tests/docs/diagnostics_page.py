"""docs/diagnostics.md, made of the registry of codes and of their fixtures."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from tests.support.golden import DIAGNOSTICS
from tts_lang.codes import Code, registry

_TOP = """# Diagnostics

What `tts-compile` and `tts-run` say about a strategy file. A message names the place, underlines
the source, and says what could stand there and what to write instead; `--json` prints the same as
a JSON list with file, line, column and their ends. Errors give exit code 2. Warnings give 0, and 2
with `--strict`.

This page is made by `pytest --update-golden` from the registry of codes (`tts_lang/codes.py`) and
the fixtures in `tests/fixtures/diagnostics`: below each code stands a file that has the mistake,
and what the compiler prints. A first line `# compile: s n=8` means `tts-compile FILE:s --set n=8`.
"""

_CHAPTERS = {
    "1": "Reading the text",
    "2": "Names, kinds, columns",
    "3": "Numbers and bounds",
    "4": "Control and calls",
    "5": "Files, imports and parameters",
    "9": "Warnings",
}
#: Longer files are no help to a reader: the message shows the line.
_LONGEST = 25


def page() -> str:
    """The page as it should be."""
    parts = [_TOP]
    chapter = ""
    for entry in registry().values():
        title = _CHAPTERS[entry.code[3]]
        if title != chapter:
            chapter = title
            parts.append(f"## {title}\n")
        parts.append(_section(entry))
    return "\n".join(parts)


def _section(entry: Code) -> str:
    explanation = fill(entry.explanation, 100, break_on_hyphens=False)
    # Editors link to the code alone, which stays when a title changes.
    anchor = f'<a id="{entry.code.lower()}"></a>'
    parts = [f"### {anchor}{entry.code}: {entry.title}\n\n{explanation}\n"]
    fixtures = sorted(DIAGNOSTICS.glob(f"{entry.code}_*.tts"), key=_size)
    if fixtures:
        message = fixtures[0].with_suffix(".txt").read_text("utf-8")
        shown = _source(fixtures[0], message)
        parts += [shown] if shown else []
        parts.append(_block("text", message if len(message) < 2000 else _shortened(message)))
    return "\n".join(parts)


def _size(path: Path) -> tuple[int, str]:
    return path.stat().st_size, path.name


def _source(path: Path, message: str) -> str | None:
    """The fixture's text; nothing where a page cannot hold it."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    printable = all(line.replace("\t", "").isprintable() for line in lines)
    if not printable or len(lines) > _LONGEST or max(map(len, lines)) > 200:
        return None
    if lines[0].startswith("# compile:"):
        return _block("text", text)  # it is wrong only with these settings
    return _block("tts broken" if "error[" in message else "tts", text)


def _shortened(message: str) -> str:
    lines = message.split("\n")
    return "\n".join([*lines[:4], "...", *lines[-6:]])


def _block(info: str, text: str) -> str:
    return f"```{info}\n{text.rstrip()}\n```\n"
