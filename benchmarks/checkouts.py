"""Two checkouts side by side: tokens per second of the bundled models, or the executor's cost.

    git worktree add /tmp/before COMMIT
    python benchmarks/checkouts.py /tmp/before . [STRATEGY ...] [--cores 0] [--n 16] [--rounds 7]
    python benchmarks/checkouts.py /tmp/before . --executor [--rounds 7] [--limit 40]

Each checkout runs in a process of its own on the same cores, after a first run that is not counted.
Rounds alternate (before after, after before, ...), so that other work on the machine hits both
alike; ratios are formed within rounds. Answers must be equal, or the script stops.

With `--executor`, each measures as its own `executor_overhead.py` does, `--limit` problems at a
time. Where that knows no `--whole`, whole paths are there in every request.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.paired import spread

#: One run of some strategies: see `Measured`.
MODELS = """
import json, os, sys, time
from hashlib import blake2b
os.sched_setaffinity(0, json.loads(sys.argv[1]))
from tts_lang.compiler import compile_strategy
from tts_runtime import Settings, load_problems, run
from tts_runtime.problems import bundled_problems
limit, names, n = json.loads(sys.argv[2])
problems = load_problems(bundled_problems("test"), limit)
plans = [compile_strategy(name, settings={"n": n} if name != "greedy" else {}) for name in names]
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

#: Microseconds per candidate step, by what is run; the median of some runs, as single ones vary.
EXECUTOR = """
import inspect, json, os, sys
from statistics import median
os.sched_setaffinity(0, json.loads(sys.argv[1]))
from benchmarks.executor_overhead import measure
limit, *_ = json.loads(sys.argv[2])
ways = {"a selection every round": (True,), "row by row": (False,)}
if "whole" in inspect.signature(measure).parameters:
    whole = {f"{name}, whole paths": (*way, True) for name, way in ways.items()}
else:
    whole = {f"{name}, whole paths": way for name, way in ways.items()}
for line in sys.stdin:
    print(json.dumps({
        name: median(measure(limit, 16, 10, *way).overhead for _ in range(7))
        for name, way in {**ways, **whole}.items()
    }), flush=True)
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
    """A process that runs a script with the code of one checkout, once for each line it is sent."""

    def __init__(
        self, script: str, root: Path, cores: list[int], limit: int, strategies: list[str], n: int
    ) -> None:
        paths = os.pathsep.join([str(root), str(root / "runtime")])
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, json.dumps(cores), json.dumps([limit, strategies, n])],
            env=os.environ | {"PYTHONPATH": paths},
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self) -> Any:
        """What the script prints of one run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def in_turns(sides: Sequence[Checkout], rounds: int) -> Iterator[tuple[Any, Any]]:
    """What both give, round by round; each goes first in every other one."""
    for number in range(rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        runs = {side: sides[side].run() for side in order}
        yield runs[0], runs[1]


def models(sides: Sequence[Checkout], rounds: int, strategies: Sequence[str]) -> None:
    """Prints seconds of each round, and the ratios of tokens per second."""
    first = [Measured(*side.run()) for side in sides]
    if first[0].answers != first[1].answers:
        raise SystemExit("the answers differ")
    drawn, scored = first[1].drawn, first[1].scored
    print(f"{' '.join(strategies)}: {drawn:,} tokens drawn, {scored:,} scored")
    walls, cpus = [], []
    for runs in in_turns(sides, rounds):
        before, after = (Measured(*run) for run in runs)
        walls.append(before.wall / after.wall)
        cpus.append(before.cpu / after.cpu)
        print(
            f"before {before.wall:.2f} s ({before.cpu:.2f} s of CPU), "
            f"after {after.wall:.2f} s ({after.cpu:.2f} s of CPU)",
            flush=True,
        )
    for name, ratios in (("wall", walls), ("CPU", cpus)):
        print(f"tokens per second, {name} time: {spread(ratios)}")


def executors(sides: Sequence[Checkout], rounds: int) -> None:
    """Prints microseconds per candidate step, and what the second takes of the first's."""
    for side in sides:
        side.run()
    found = list(in_turns(sides, rounds))
    for name in found[0][0]:
        before, after = (median(runs[side][name] for runs in found) for side in (0, 1))
        ratios = [runs[1][name] / runs[0][name] for runs in found]
        print(f"{name}: before {before:.1f} us, after {after:.1f} us, {spread(ratios)}")


def main() -> None:
    """Compares two checkouts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("strategies", nargs="*", help="beam_search if absent")
    parser.add_argument("--executor", action="store_true", help="its cost, instead of the models'")
    parser.add_argument("--cores", default="0", help="core numbers, separated by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--n", type=int, default=16, help="candidates of the strategies")
    parser.add_argument("--limit", type=int, help="problems (8; of the executor 40)")
    options = parser.parse_args()
    if options.executor and options.strategies:
        parser.error("--executor runs a plan of its own, no strategies")
    strategies = options.strategies or ["beam_search"]
    cores = [int(core) for core in options.cores.split(",")]
    limit = options.limit or (40 if options.executor else 8)
    script = EXECUTOR if options.executor else MODELS
    roots = [options.before.resolve(), options.after.resolve()]
    sides = [Checkout(script, root, cores, limit, strategies, options.n) for root in roots]
    if options.executor:
        executors(sides, options.rounds)
    else:
        models(sides, options.rounds, strategies)
    for side in sides:
        side.close()


if __name__ == "__main__":
    main()
