"""What a run's record costs: processor time beside the executor's, and memory over many problems.

    python benchmarks/record_cost.py [--problems 500] [--candidates 16] [--steps 10]
    python benchmarks/record_cost.py --bundled [--problems 60] [--candidates 16]
    python benchmarks/record_cost.py --memory [--problems 10000] [--candidates 64]

The first runs the beam search of `executor_overhead.py`, on engines that answer at once, with and
without a run directory, in turns; of processor and of wall time, the medians. The second does so
with `beam_search` on the bundled models, for which the executor waits. The third runs the first
with one step and many candidates into a directory, and prints the resident memory of this process
at every tenth of the problems.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import psutil

import tts_runtime
from benchmarks.executor_overhead import InstantPolicy, InstantScorer, calibration, plan
from tts_lang.optimise import PASSES
from tts_runtime.problems import bundled_problems
from tts_runtime.runs.results import Answer


def bundled_seconds(problems: int, candidates: int, out: Path | None) -> float:
    """Processor time of a beam search on the bundled models."""
    settings = tts_runtime.Settings({"policy": "bundled"}, {"prm": "bundled"}, out=out)
    asked = tts_runtime.load_problems(bundled_problems("test"), problems)
    start = process_time()
    tts_runtime.run("beam_search", asked, settings=settings, parameters={"n": candidates})
    return process_time() - start


def compare_bundled(problems: int, candidates: int, repeat: int, folder: Path) -> None:
    """Prints what a directory adds to that, of pairs in turns."""
    bundled_seconds(problems, candidates, None)
    ratios = [
        bundled_seconds(problems, candidates, folder / str(number)) / plain - 1
        for number in range(repeat)
        for plain in (bundled_seconds(problems, candidates, None),)
    ]
    print(f"processor time: {median(ratios):+.0%} ({min(ratios):+.0%} to {max(ratios):+.0%})")


def seconds(
    problems: int,
    candidates: int,
    steps: int,
    out: Path | None,
    progress: tts_runtime.Progress | None = None,
) -> tuple[float, float]:
    """Processor and wall time of one run."""
    asked = [
        tts_runtime.Problem(str(number), f"What is {number} + 1?") for number in range(problems)
    ]
    settings = tts_runtime.Settings(
        policies={"policy": InstantPolicy()},
        scorers={"prm": InstantScorer()},
        out=out,
        disabled=[each.name for each in PASSES],  # the optimiser's: the plan runs as it is
    )
    start, begun = process_time(), perf_counter()
    [result] = tts_runtime.run(plan(candidates, steps), asked, settings=settings, progress=progress)
    taken = process_time() - start, perf_counter() - begun
    assert not result.summary.failed
    return taken


class Memory(tts_runtime.Progress):
    """Prints the resident memory as problems finish."""

    def __init__(self, problems: int) -> None:
        self._every = max(1, problems // 10)
        self._done = 0

    def problem_done(self, strategy: int, answer: Answer) -> None:  # noqa: ARG002
        """One more."""
        self._done += 1
        if not self._done % self._every:
            resident = psutil.Process().memory_info().rss / 2**20
            print(f"{self._done:,} problems: {resident:.0f} MiB", flush=True)


def main() -> None:
    """Prints the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--problems", type=int)
    parser.add_argument("--candidates", type=int)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--bundled", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            many = options.problems or 10_000
            seconds(many, options.candidates or 64, 1, Path(folder) / "run", Memory(many))
            return
        if options.bundled:
            problems, candidates = options.problems or 60, options.candidates or 16
            compare_bundled(problems, candidates, options.repeat, Path(folder))
            return
        size = options.problems or 500, options.candidates or 16, options.steps
        seconds(*size, None)
        found: list[tuple[tuple[float, float], tuple[float, float]]] = []
        for number in range(options.repeat):
            plain = seconds(*size, None)
            found.append((plain, seconds(*size, Path(folder) / str(number))))
        for place, what in enumerate(("processor", "wall")):
            steps = size[0] * size[1] * size[2]
            without = 1e6 * median(plain[place] for plain, _ in found) / steps
            written = 1e6 * median(kept[place] for _, kept in found) / steps
            print(
                f"{what} time per candidate step: {without:.1f} us without a directory, "
                f"{written:.1f} with: {written / without - 1:+.0%}"
            )
        print(f"ten million empty rounds: {calibration():.2f} s")


if __name__ == "__main__":
    main()
