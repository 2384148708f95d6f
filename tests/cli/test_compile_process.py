"""The `tts-compile` command as a process: what it imports, and pipes that close early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "torch",
    "transformers",
    "networkx",
    "numpy",
    "pydantic",
    "rich",
    "lark",
    "sympy",
    "yaml",
}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


EXPLAIN = """
from tts_lang.cli import main
try: main(['beam_search', '--explain'])
except SystemExit: pass
"""


@pytest.mark.parametrize(
    ("code", "needed"),
    [("import tts_lang, tts_lang.cli", set()), (EXPLAIN, {"lark"})],
    ids=["import", "explain"],
)
def test_starts_without_heavy_modules(code: str, needed: set[str]) -> None:
    done = python("-c", f"{code}\nimport sys; print('modules:', *sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.rpartition("modules:")[2].split()
    assert HEAVY & {name.split(".")[0] for name in loaded} == needed


def test_runs_as_a_module() -> None:
    done = python("-m", "tts_lang", "greedy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok: greedy ()\n", "")


def test_output_survives_a_terminal_without_unicode() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "tts_lang", "greedy", "--explain"],
        capture_output=True,
        cwd=ROOT,
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PATH": ""},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"greedy()" in done.stdout
