"""The pages of docs/howto are true: the patch that adds a verb works, and the files exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tts_runtime

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs/howto").glob("*.md"))
COPIED = ("tts_lang", "runtime/tts_runtime", "strategies", "tests/support", "docs/language.md")

TRIAL = '''
from tests.support.agreement import PROBLEMS, by_executor, compiled, disagreement, world
from tests.support.programs import random_program
from tts_lang.compiler import check_source
from tts_lang.explain.costs import bounds
from tts_lang.source import Source
from tts_lang.syntax.format import format_source

SOURCE = """strategy main(n = 4):
    pool = sample n steps
    pool = reverse (pool where tokens > 1)
    repeat 2:
        pool = reverse (expand pool by 2 steps)
    return first of (reverse pool)
"""
source = Source.of(SOURCE, "main.tts")
assert format_source(source) == SOURCE
plan = compiled(SOURCE)
assert "reverse" in {each.operation.spec.op for each in bounds(plan, 400, 20).operations}
for seed in range(4):
    for problem in PROBLEMS:
        assert disagreement(plan, world(seed), problem, seed) is None, (seed, problem)


def run(text):
    plan = compiled("strategy main():\\n    return " + text + "\\n")
    return by_executor(plan, world(1), PROBLEMS[0], 1)


first, last = run("first of (sample 3)"), run("first of (reverse (sample 3))")
texts = [each.added for each in first.candidates if each.op == "expand"]
assert (first.text, last.text) == (texts[0], texts[-1]) and texts[0] != texts[-1], texts

assert any("= reverse " in random_program(seed) for seed in range(200))

misspelt = Source.of(SOURCE.replace("(reverse pool)", "reverse pool"), "main.tts")
[wrong] = check_source(misspelt).diagnostics
assert "`(reverse ...)`" in str(wrong.suggestion), wrong
'''


def patch() -> str:
    """The patch of the page."""
    [found] = re.findall(r"```diff\n(.*?)```", (ROOT / "docs/howto/verb.md").read_text(), re.S)
    return str(found)


def test_a_verb_takes_five_files_and_works_everywhere(tmp_path: Path) -> None:
    for name in COPIED:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            # With compiled files, which take half of the time; not those that are being written.
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(ROOT / name, target)
    assert len(re.findall(r"^\+\+\+ ", patch(), re.M)) <= 5
    applied = subprocess.run(
        ["git", "apply", "-"], input=patch(), cwd=tmp_path, capture_output=True, text=True
    )
    assert applied.returncode == 0, applied.stderr
    (tmp_path / "trial.py").write_text(TRIAL, "utf-8")
    environment = {"PYTHONPATH": f"{tmp_path}:{tmp_path / 'runtime'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "trial.py"],
        cwd=tmp_path,
        env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    folders = ("", "tts_lang", "runtime/tts_runtime")
    for name in re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|lark))`", page.read_text()):
        assert any((ROOT / folder / name).exists() for folder in folders), f"{page.name}: {name}"


def test_the_engine_of_the_page_runs_every_kind_of_strategy() -> None:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/howto/engine.md").read_text(), re.S)
    names: dict[str, Any] = {"__name__": "acme_tts"}
    exec(compile(code, "engine.md", "exec"), names)
    settings = tts_runtime.Settings(
        policies={"policy": names["guesser"]("", context="500")}, scorers={"prm": "sim"}
    )
    strategies = ["majority", "beam_search", "self_refine"]
    results = tts_runtime.run(strategies, ["2 + 2"], settings=settings)
    assert [result.answers[0].error for result in results] == [None] * 3
    assert all(result.answers[0].answer in set("0123456789") for result in results)
