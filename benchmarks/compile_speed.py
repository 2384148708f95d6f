"""How fast the compiler is: `python benchmarks/compile_speed.py [--json]`.

Whole processes are measured as a user starts them; the least of several runs is shown, because
everything else that a machine does only adds to it. The targets are those of the project: a shipped
strategy is explained in 0.35 s, 200 lines are parsed and checked in 60 ms, and what looks at plans
stays below one second for 5,000 operations.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, order=True)
class Times:
    """Seconds: on the clock, and of the processor (which a busy machine disturbs less)."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure, and what its wall time should stay below."""

    name: str
    times: Times
    target: float | None = None


def timed(work: Callable[[], object]) -> Times:
    """What a call takes, processes that it starts and waits for included."""
    before, start = os.times(), perf_counter()
    work()
    wall, after = perf_counter() - start, os.times()
    return Times(wall, sum(after[:4]) - sum(before[:4]))


def least(work: Callable[[], object], runs: int) -> Times:
    """The least of several runs."""
    return min(timed(work) for _ in range(runs))


def python(*arguments: str) -> Callable[[], object]:
    """A Python process, from start to end."""
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def long_file(lines: int) -> str:
    """Beam search again and again, at most that many lines."""
    text = (ROOT / "strategies" / "beam_search.tts").read_text(encoding="utf-8")
    start, end = text.index("strategy beam_search"), text.index("\nlaw")
    one = text[start:end].replace("beam_search", "search_{number}")
    count = lines // (one.count("\n") + 2)
    return "\n\n".join(one.replace("{number}", str(number)) for number in range(count))


def long_strategy(operations: int) -> str:
    """One strategy with about that many operations: each round has three."""
    body = "    pool = pool + (sample 4)\n    score pool by prm\n" * (operations // 3)
    head = "strategy long(n = 4):\n    pool = sample n\n    score pool by prm\n"
    return f"{head}{body}    return vote pool weighted by last(prm)\n"


def measure(runs: int) -> list[Measured]:
    """Everything, shortest first."""
    sys.path.insert(0, str(ROOT))
    from tts_lang.compiler import check_source, compile_strategy
    from tts_lang.explain.costs import bounds
    from tts_lang.explain.render import to_text
    from tts_lang.explain.tree import explain
    from tts_lang.plan.serialize import from_json, to_json
    from tts_lang.source import Source

    names = (f"long{number}.tts" for number in count())

    def parse_and_check() -> None:
        check_source(Source.of(text, next(names)))  # a file that was seen is not read again

    text = long_file(200)
    plan = compile_strategy(Source.of(long_strategy(5000), "long.tts"))
    stored = to_json(plan)
    cases: list[tuple[str, Callable[[], object], float | None]] = [
        ("python -c pass", python("-c", "pass"), None),
        ("python -c 'import tts_lang.cli'", python("-c", "import tts_lang.cli"), None),
        *(
            (f"tts-compile {name} --explain", python("-m", "tts_lang", name, "--explain"), 0.35)
            for name in ("beam_search", "compute_optimal")
        ),
        ("parse and check 200 lines", parse_and_check, 0.06),
        ("bounds of 5,000 operations", lambda: bounds(plan), 1.0),
        ("explain 5,000 operations", lambda: to_text(explain(plan)), None),
        ("5,000 operations from JSON", lambda: from_json(stored), None),
    ]
    return [Measured(name, least(work, runs), target) for name, work, target in cases]


def main() -> int:
    """Prints the figures; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--runs", type=int, default=5, help="runs of each, the least counts")
    options = parser.parse_args()
    figures = measure(options.runs)
    if options.json:
        print(json.dumps({one.name: asdict(one.times) for one in figures}, indent=2))
    else:
        for one in figures:
            target = f"  (target {one.target:.2f} s)" if one.target is not None else ""
            times = f"{one.times.wall:>8.3f} s, processor {one.times.processor:.3f} s"
            print(f"{one.name:<40}{times}{target}")
    return int(any(one.target is not None and one.times.wall > one.target for one in figures))


if __name__ == "__main__":
    sys.exit(main())
