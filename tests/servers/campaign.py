"""Server faults at random moments of whole runs: no traceback, no hang, no leak, nothing lost.

    python -m tests.servers.campaign --count 100 --seed 0

Each run is a strategy over a few problems on a server of a random kind, behind a proxy that spoils
some requests (`tests/support/fault_proxy.py`). It must end by itself with a documented exit code
and a message; nothing that it prints or writes may hold the key; threads and connections must be
gone; and where all faults are of kinds that pass, every problem must have finished.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.fault_proxy import FAULTS, PASSING, FaultProxy
from tests.support.server import sim_server
from tts_runtime.cli.command import run_command
from tts_runtime.engines.http.retry import WallClock

KEY: Final = "sk-campaign-0123456789abcdef"
STYLES: Final = (
    {"vllm": True},
    {"vllm": True, "completions": False},
    {"logprobs": 5},
    {"logprobs": -1, "usage": False},
    {"completions": False},
)
#: Strategies that any server can run, and those of servers that continue with partial answers.
WHOLE: Final = ("majority", "best_of_n", "greedy")
STEPS: Final = (*WHOLE, "beam_search", "dvts")
#: Waits between attempts take this part of their time.
_HURRY: Final = 0.01
#: Threads and pipes of workers that are started when they are first needed, and stay.
_WORKERS: Final = 4
#: No run takes longer, in seconds; one does when it hangs.
_HANGS: Final = 120.0


@dataclass
class Report:
    """What a campaign found."""

    runs: int = 0
    met: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    longest: tuple[float, str] = (0.0, "")


def campaign(count: int, seed: int, kinds: Sequence[str] = FAULTS) -> Report:
    """Runs until that many faults have been met."""
    report = Report()
    os.environ["OPENAI_API_KEY"] = KEY
    before = WallClock.sleep

    async def hurried(_clock: WallClock, seconds: float) -> None:
        await asyncio.sleep(seconds * _HURRY)

    WallClock.sleep = hurried  # type: ignore[assignment, method-assign]
    try:
        _one(Report(), random.Random(seed), ())  # what is opened once, as workers are, stays open
        threads, files = threading.active_count() + _WORKERS, _open_files() + _WORKERS
        while report.met.total() < count:
            _one(report, random.Random(f"{seed}/{report.runs}"), kinds)
            report.runs += 1
        gc.collect()
        ends = time.monotonic() + 5
        while time.monotonic() < ends and (
            threading.active_count() > threads or _open_files() > files
        ):
            time.sleep(0.02)
        if threading.active_count() > threads or _open_files() > files:
            grown = threading.active_count() - threads, _open_files() - files
            report.problems.append(f"{grown[0]} threads and {grown[1]} open files are left")
    finally:
        WallClock.sleep = before  # type: ignore[method-assign]
        del os.environ["OPENAI_API_KEY"]
    return report


def _one(report: Report, chance: random.Random, kinds: Sequence[str]) -> None:
    """One run with a few faults."""
    style = chance.choice(STYLES)
    whole = style.get("completions") is False and not style.get("vllm")
    strategy = chance.choice(WHOLE if whole else STEPS)
    many = chance.randint(2, 6) if kinds else 0
    faults = {chance.randrange(40): chance.choice(kinds) for _ in range(many)}
    printed = io.StringIO()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place, sim_server(**style).running() as server:
        port = int(server.root.rpartition(":")[2])
        with FaultProxy(port, faults).running() as proxy:
            options = "timeout=1&deadline=4&attempts=5&patience=5&concurrency=4" + (
                "" if style.get("vllm") else "&context=256"
            )
            if not whole:
                options += "&api=chat" if "completions" in style else "&api=completions"
            arguments = [
                *(strategy, "--problems", "arith", "--limit", "3", "--out", f"{place}/run"),
                *("--policy", f"openai:http://127.0.0.1:{proxy.port}/v1#sim?{options}"),
                *(("--scorer", "prm=sim") if strategy not in ("majority", "greedy") else ()),
            ]
            with redirect_stdout(printed), redirect_stderr(printed):
                code: int | str = _code(arguments)
        said = printed.getvalue()
        kept = [path.read_text() for path in Path(place).rglob("*") if path.is_file()]
    seconds = time.monotonic() - started
    label = f"{strategy} on {style}, {faults}, code {code}"
    report.met.update(proxy.met + proxy.early)
    report.codes[int(code) if isinstance(code, int) else -1] += 1
    report.longest = max(report.longest, (seconds, label))
    wrong = []
    if code not in (0, 2, 3) or "Traceback" in said:
        wrong.append(f"ended badly: {said[-2000:]}")
    if code and "server http://127.0.0.1" not in " ".join(said.split()) and "kept its" not in said:
        wrong.append(f"does not say why: {said[-2000:]}")
    if code == 2 and not proxy.early:
        wrong.append(f"was refused: {said[-2000:]}")
    if code and not proxy.early and PASSING.issuperset(proxy.met):
        wrong.append(f"lost something: {said[-2000:]}")
    if any(KEY in text for text in (said, *kept)):
        wrong.append("shows the key")
    if seconds > _HANGS:
        wrong.append(f"took {seconds:.0f} seconds")
    report.problems += [f"{label}: {each}" for each in wrong]


def _code(arguments: list[str]) -> int | str:
    try:
        return run_command(arguments)
    except BaseException as error:  # noqa: BLE001  (that is what is looked for)
        return f"{type(error).__name__}: {error}"


def _open_files() -> int:
    """Files and connections that this process has open, where the system says."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0


def main() -> None:
    """Runs a campaign and prints what it found."""
    parser = argparse.ArgumentParser(description="server faults at random moments of runs")
    parser.add_argument("--count", type=int, default=100, help="faults, at least")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = campaign(options.count, options.seed)
    print(
        f"{report.met.total()} faults of {len(report.met)} kinds in {report.runs} runs: exit codes "
        + ", ".join(f"{code}: {many}" for code, many in sorted(report.codes.items()))
        + f"; the longest run {report.longest[0]:.1f} s; {len(report.problems)} problems"
    )
    for problem in report.problems:
        print(f"* {problem}")
    raise SystemExit(bool(report.problems))


if __name__ == "__main__":
    main()
