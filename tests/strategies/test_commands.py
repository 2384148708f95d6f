"""Every shipped strategy runs by a command, which docs/methods.md says where `tts-run NAME` is not
enough."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.shipped import NAMED, SMALL, small
from tests.support.tts_run import Command
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sandbox.box import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"

#: As little work as shows that a command works.
LEAST = {
    **SMALL,
    "trees": 1,
    **dict.fromkeys(("n", "agents", "most", "tries", "window"), 4),
    **dict.fromkeys(("beams", "depth", "k", "m", "proposals", "rollouts", "windows"), 2),
}
PROBLEMS = (
    {"problem": "1 + 1", "answer": 2, "pass_rate": 0.5},
    {"problem": "1 + 2", "answer": 3, "pass_rate": 1.0},
)


def documented() -> Iterator[tuple[list[str], list[str]]]:
    """Strategies and the options that they need, by the page's table."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## Scorers and policies to bind")
    for line in section.splitlines():
        if line.startswith("| `"):
            names, options = line.strip("| ").split(" | ")
            yield re.findall(r"`(\w+)`", names), shlex.split(options.strip("`"))


OPTIONS = {name: options for names, options in documented() for name in names}
FILES = {name: path for path, name in NAMED}


@cache
def plan_of(name: str) -> Plan:
    """A shipped strategy."""
    return small(FILES[name], name)


def needs_more(plan: Plan) -> bool:
    """It names a policy or a scorer that no default is bound to."""
    named = [each.name for each in plan.scorers if each.judge is None and each.field is None]
    return bool({*plan.policies, *named} - {"policy", "prm"})


def test_the_page_names_every_strategy_that_needs_options() -> None:
    assert sorted(OPTIONS) == sorted(name for name in FILES if needs_more(plan_of(name)))


GROUPS = [(names, options) for names, options in documented() if options]
PLAIN = [name for name in FILES if name not in OPTIONS]


@pytest.mark.parametrize(
    ("names", "options"),
    [(PLAIN, []), *GROUPS],
    ids=["plain", *(names[0] for names, _ in GROUPS)],
)
def test_every_strategy_gives_an_answer_for_every_problem(
    names: list[str],
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if any("exec:" in option for option in options):
        try:
            Sandbox()
        except EngineError as error:
            pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    lines = "".join(json.dumps(problem) + "\n" for problem in PROBLEMS)
    Path("problems.jsonl").write_text(lines, encoding="utf-8")
    parameters = {key for name in names for key in dict(plan_of(name).parameters)}
    arguments = [f"{FILES[name]}:{name}" for name in names]
    for key in sorted(parameters & LEAST.keys()):
        arguments += ["--set", f"{key}={LEAST[key]}"]
    arguments += [option.replace("bundled", "sim") for option in options]
    if any(scorer.name == "prm" for name in names for scorer in plan_of(name).scorers):
        arguments += ["--scorer", "prm=sim"]
    tts_run = Command(capsys)
    summaries = tts_run.json(
        *arguments, "--policy", "sim", "--problems", "problems.jsonl", "--out", "run"
    )
    assert [summary["strategy"] for summary in summaries] == names
    for name in names:
        rows = Path("run", name, "answers.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(row).get("error") for row in rows] == [None, None], name
