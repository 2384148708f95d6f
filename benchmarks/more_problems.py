"""More problems of the bundled world: `python -m benchmarks.more_problems`.

Writes benchmarks/data/larger.jsonl, 400 problems of all difficulties, enough that a difference of
five points between two strategies can be told, and hardest.jsonl, 120 hard ones. Difficulty is what
the model of the policy's training noise expects (runtime/bundled/noise.py; the policy is better),
so nothing is sampled; none of the problems is among the shipped ones. Measured pass rates are added
by `tts-metrics difficulty --write`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "runtime"))

from bundled.make_problems import GROUPS, distinct_problems, likely_problems, write  # noqa: E402
from bundled.noise import expected_pass_rate  # noqa: E402
from bundled.world import Problem  # noqa: E402

FOLDER = ROOT / "benchmarks" / "data"
#: Problems of each difficulty that are shuffled together: any first part of the file is mixed.
EACH = 100
LARGER, HARDEST, SEED = 400, 120, 3


def main() -> None:
    """Draws and writes both files."""
    argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0]).parse_args()
    shipped = sorted((ROOT / "runtime" / "bundled" / "problems").glob("*.jsonl"))
    lines = [line for path in shipped for line in path.read_text(encoding="utf-8").splitlines()]
    seen = {json.loads(line)["problem"] for line in lines}
    rng = random.Random(SEED)
    larger: list[Problem] = []
    while len(larger) < LARGER:
        some = [problem for group in GROUPS for problem in likely_problems(rng, group, EACH, seen)]
        rng.shuffle(some)
        larger += some
    write(FOLDER / "larger.jsonl", larger[:LARGER], None)
    hardest: list[Problem] = []
    while len(hardest) < HARDEST:
        [problem] = distinct_problems(rng, 1, seen)
        if expected_pass_rate(problem) < 0.005:
            hardest.append(problem)
    write(FOLDER / "hardest.jsonl", hardest, None)


if __name__ == "__main__":
    main()
