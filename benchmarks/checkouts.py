"""Two checkouts side by side: tokens per second of the bundled models in the same runs.

    git worktree add /tmp/before COMMIT
    python benchmarks/checkouts.py /tmp/before . --cores 0 [--rounds 7] [--limit 8] [STRATEGY ...]

Each checkout runs in a process of its own on the same cores, after a first run that is not counted.
Rounds alternate (before after, after before, ...), so that other work on the machine hits both
alike; ratios are formed within rounds. Answers must be equal, or the script stops.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CHILD = """
import json, os, sys, time
from hashlib import blake2b
os.sched_setaffinity(0, json.loads(sys.argv[1]))
from tts_lang.compiler import compile_strategy
from tts_runtime import Settings, load_problems, run
from tts_runtime.problems import bundled_problems
limit, names = json.loads(sys.argv[2])
problems = load_problems(bundled_problems("test"), limit)
plans = [compile_strategy(name, settings={"n": 16} if name != "greedy" else {}) for name in names]
for line in sys.stdin:
    begin, cpu = time.perf_counter(), time.process_time()
    settings = Settings({"policy": "bundled"}, {"prm": "bundled"})
    results = [result for plan in plans for result in run(plan, problems, settings=settings)]
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    tokens = sum(r.summary.engines.policy_tokens for r in results)
    read = sum(r.summary.engines.scorer_tokens for r in results)
    answers = repr([[(a.id, a.answer) for a in r.answers] for r in results])
    digest = blake2b(answers.encode(), digest_size=8).hexdigest()
    print(json.dumps([tokens, read, wall, cpu, digest]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: tokens drawn and scored, wall and CPU seconds, and a hash of the answers."""

    drawn: int
    scored: int
    wall: float
    cpu: float
    answers: str


class Checkout:
    """A process that runs the strategies with the code of one checkout."""

    def __init__(self, root: Path, cores: list[int], limit: int, strategies: list[str]) -> None:
        paths = os.pathsep.join([str(root), str(root / "runtime")])
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(cores), json.dumps([limit, strategies])],
            env=os.environ | {"PYTHONPATH": paths},
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self) -> Measured:
        """Runs all strategies once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Measured(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def main() -> None:
    """Prints seconds of each round, and the ratios of tokens per second."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("strategies", nargs="*", default=["beam_search"])
    parser.add_argument("--cores", default="0", help="core numbers, separated by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=int, default=8, help="problems")
    options = parser.parse_args()
    cores = [int(core) for core in options.cores.split(",")]
    roots = [options.before.resolve(), options.after.resolve()]
    sides = [Checkout(root, cores, options.limit, options.strategies) for root in roots]
    first = [side.run() for side in sides]
    if first[0].answers != first[1].answers:
        raise SystemExit("the answers differ")
    drawn, scored = first[1].drawn, first[1].scored
    print(f"{' '.join(options.strategies)}: {drawn:,} tokens drawn, {scored:,} scored")
    walls, cpus = [], []
    for number in range(options.rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        runs = {side: sides[side].run() for side in order}
        before, after = runs[0], runs[1]
        walls.append(before.wall / after.wall)
        cpus.append(before.cpu / after.cpu)
        print(
            f"before {before.wall:.2f} s ({before.cpu:.2f} s of CPU), "
            f"after {after.wall:.2f} s ({after.cpu:.2f} s of CPU)",
            flush=True,
        )
    for side in sides:
        side.close()
    for name, ratios in (("wall", walls), ("CPU", cpus)):
        low, high = min(ratios), max(ratios)
        print(
            f"tokens per second, {name} time: {median(ratios):.2f} times ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
