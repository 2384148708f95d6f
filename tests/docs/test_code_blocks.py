"""Every code block in README.md and docs/ runs, and its output is what the page shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import PASSIVE, ROOT, Block, blocks, commands, matches, run_command
from tts_lang.compiler import check_source
from tts_lang.source import Source
from tts_lang.syntax.format import format_source

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        kind, _, variant = block.info.partition(" ")
        if kind == "tts":
            check_strategy(block, tmp_path, where, broken=variant == "broken")
        elif kind == "console":
            for command, expected in commands(block):
                printed = run_command(command, tmp_path)
                assert matches(expected, printed), f"{where}: $ {command}\n{printed}"
        elif kind == "python":
            exec(compile(block.body, where, "exec"), names)
        elif kind == "sh":
            check_make_targets(block, where)
        else:
            assert kind in PASSIVE, f"{where}: nothing runs a block marked `{block.info}`"


def check_strategy(block: Block, folder: Path, where: str, *, broken: bool) -> None:
    """A `tts` block compiles (or, marked broken, does not); a named one is kept for commands."""
    name = re.match(r"# file: (\S+\.tts)\n", block.body)
    path = folder / (name[1] if name else "block.tts")
    body = block.body[name.end() :] if name else block.body
    path.write_text(body, encoding="utf-8")
    found = check_source(Source.of(body, str(path))).diagnostics
    errors = [diagnostic for diagnostic in found if diagnostic.severity.value == "error"]
    assert bool(errors) == broken, f"{where}: {[error.message for error in errors]}"
    if name and not broken:
        assert format_source(Source.of(body)) == body, f"{where}: run tts-compile --fmt"


def check_make_targets(block: Block, where: str) -> None:
    """The two commands of README: their recipes exist (CI runs one, `test_demo` the other)."""
    for command in block.body.splitlines():
        assert re.fullmatch(r"make \w+( +#.*)?", command), f"{where}: {command}"
        target = command.split()[1]
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True)
        assert done.returncode == 0, f"{where}: {command}"


def test_wildcards_match_anything_and_nothing_else() -> None:
    assert matches("a ... c\n", "a b c")
    assert matches("first\n...\nlast\n", "first\n1\n2\nlast\n")
    assert not matches("a ... c\n", "a b d")
    assert not matches("a.c\n", "abc\n")
