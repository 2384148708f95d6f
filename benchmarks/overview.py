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

from benchmarks.measured import DRAWN
from tts_runtime.report.charts import Axis, Row, curves
from tts_runtime.report.drawing import svg

METHODS = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
WIDTHS = (4, 16, 64)
ROOT = Path(__file__).resolve().parents[1]


def measured(limit: int) -> list[Row]:
    """By method and n: tokens per problem, accuracy and its 95 % interval in per cent."""
    command = [sys.executable, "-m", "tts_runtime", *METHODS, "--json", "--problems", "arith"]
    command += ["--sweep", "n=" + ",".join(map(str, WIDTHS)), "--limit", str(limit)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    names = {"value": "accuracy", "low": "accuracy_low", "high": "accuracy_high"}
    rows: list[Row] = []
    for found in map(json.loads, done.stdout.splitlines()):
        row = {"series": found["strategy"].split("[")[0]}
        row["at"] = found["policy_tokens"] / found["problems"]
        rows.append(row | {name: 100 * found[field] for name, field in names.items()})
    return sorted(rows, key=lambda row: METHODS.index(row["series"]))


def main() -> None:
    """Measures, then draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "overview.svg")
    options = parser.parse_args()
    rows = measured(options.limit)
    title = f"Bundled models, {options.limit} problems, n = " + ", ".join(map(str, WIDTHS))
    figure = curves("overview", title, rows, Axis("at", DRAWN))
    options.out.write_text(svg(figure), encoding="utf-8")
    for row in rows:
        print(f"{row['series']} {row['at']:,.0f} tokens: {row['value']:.1f} %")


if __name__ == "__main__":
    main()
