"""One small run with hostile texts, which all tests of the report read."""

from __future__ import annotations

from pathlib import Path

import pytest

import tts_runtime
from tests.support.runs import plan_of
from tts_runtime.problems import Problem
from tts_runtime.record.files import NODES, seal_of
from tts_runtime.record.reader import open_run
from tts_runtime.report.site import write_site
from tts_runtime.report.study import Study
from tts_runtime.runs.sweeps import swept

#: What a page must show and not obey: markup, ends of scripts, controls, turned text, half a pair.
HOSTILE = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
    "<!-- {{x}} ${y} \u2028 \u202etxet \x1b[31m \x00 \ud800 &lt; '\""
)

PROBLEMS = [
    Problem("one", f"1 + 1 {HOSTILE}", "2", {"level": 1, "=cmd()": "=1+1"}),
    Problem("two/../x", "2 + 2", "4", {"level": 2}),
    Problem("<b>three</b>&?#=%", "3 + 3", "6", {"level": 2}),
    Problem("four", "4 + 4", None, {"number": 12345678901234567, "open": True}),
]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two strategies at two budgets, and of one whose policy wrote hostile text."""
    out = tmp_path_factory.mktemp("report") / "run"
    forcing = plan_of(
        "pool = sample 4 steps",
        "score pool by prm",
        "pool = select top 2 of pool by last(prm)",
        'force "Wait" into pool',
        "pool = expand pool by 1",
        "return vote pool",
    )
    plans, _ = swept(["majority", "beam_search"], {"depth": "3"}, ["n=4,8"])
    settings = tts_runtime.Settings(policies={"policy": "sim"}, scorers={"prm": "sim"}, out=out)
    tts_runtime.run([*plans, forcing], PROBLEMS, settings=settings)
    write_hostile(out)
    return out


def write_hostile(directory: Path) -> None:
    """Puts hostile text in place of what was forced, in lines that their checksums agree with."""
    record = open_run(directory).strategy("main")
    seal = seal_of(record.identity, record.folder.name, NODES)
    lines = []
    for _, line in record.lines(NODES):
        if line["op"] == "force":
            line["text"] = [HOSTILE] * len(line["text"])
        lines.append(seal.line(line))
    (record.folder / NODES).write_bytes(b"".join(lines))


@pytest.fixture(scope="session")
def site(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    out = tmp_path_factory.mktemp("site") / "report"
    write_site(Study([run]), out)
    return out
