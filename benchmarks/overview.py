"""The figure of the first page: accuracy against tokens for five methods, n = 4, 16, 64.

`python -m benchmarks.overview` runs `tts-run` on the 200 bundled problems (about six minutes on two
cores) and draws docs/images/overview.svg; `--limit N` takes fewer problems, `--out FILE` another
file. The numbers are those of the bundled models, tiny ones on an arithmetic world.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.charts import Band, bands

METHODS = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
WIDTHS = (4, 16, 64)
ROOT = Path(__file__).resolve().parents[1]


def measured(limit: int) -> dict[str, list[Band]]:
    """By method: tokens per problem, accuracy and its 95 % interval in per cent, a point per n."""
    command = [sys.executable, "-m", "tts_runtime", *METHODS, "--json", "--problems", "arith"]
    command += ["--sweep", "n=" + ",".join(map(str, WIDTHS)), "--limit", str(limit)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    lines: dict[str, list[Band]] = {method: [] for method in METHODS}
    for row in map(json.loads, done.stdout.splitlines()):
        share = [100 * row[name] for name in ("accuracy", "accuracy_low", "accuracy_high")]
        lines[row["strategy"].split("[")[0]].append(
            (row["policy_tokens"] / row["problems"], share[0], share[1], share[2])
        )
    return lines


def main() -> None:
    """Measures, then draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "overview.svg")
    options = parser.parse_args()
    lines = measured(options.limit)
    title = f"Bundled models, {options.limit} problems, n = " + ", ".join(map(str, WIDTHS))
    bands(options.out, title, lines)
    for method, points in lines.items():
        print(method, *(f"{tokens:,.0f}: {share:.1f} %" for tokens, share, _, _ in points))


if __name__ == "__main__":
    main()
