"""How fast the optimiser is: `python benchmarks/optimiser_speed.py [--json]`.

Every shipped strategy (the slowest are shown; the target is 30 ms each), and generated programs of
up to 5,000 operations (target: 5 s, and time that grows with the length): three kinds, so that
rules fire in some places, everywhere, or have to look at long chains of unread values.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import process_time

ROOT = Path(__file__).resolve().parent.parent
SIZES = (500, 1_000, 2_000, 5_000)


def searching(operations: int) -> str:
    """Scores that are read and pools that grow: little to rewrite."""
    body = "    pool = pool + (sample 4)\n    score pool by prm\n" * (operations // 3)
    head = "strategy long(n = 4):\n    pool = sample n\n    score pool by prm\n"
    return f"{head}{body}    return vote pool weighted by last(prm)\n"


def unread(operations: int) -> str:
    """Scores and columns that nothing reads, and selections that keep everything."""
    round_ = "    score pool by prm\n    let x of pool = tokens\n    pool = first 4 of pool\n"
    return (
        f"strategy long(n = 4):\n    pool = sample n\n{round_ * (operations // 3)}"
        "    return vote pool\n"
    )


def stepwise(operations: int) -> str:
    """One long chain of single steps, each scored unread."""
    round_ = "    pool = expand pool by 1 step\n    score pool by prm\n"
    return (
        f"strategy long(n = 4):\n    pool = sample n steps\n{round_ * (operations // 2)}"
        "    return vote pool\n"
    )


def milliseconds(plan: object, runs: int = 3) -> float:
    """The least of several runs: everything else that a machine does only adds to it."""
    from tts_lang.optimise import optimise

    times = []
    for _ in range(runs):
        start = process_time()
        optimise(plan)  # type: ignore[arg-type]
        times.append(process_time() - start)
    return 1000 * min(times)


def measure() -> dict[str, dict[str, float]]:
    """Milliseconds by strategy, and by generated program and size."""
    sys.path.insert(0, str(ROOT))
    from tts_lang.compiler import check_path, compile_strategy
    from tts_lang.source import Source

    shipped: dict[str, float] = {}
    for path in sorted(ROOT.glob("strategies/**/*.tts")):
        for strategy in check_path(path).strategies:
            if None not in strategy.parameters.values():
                shipped[strategy.name] = milliseconds(compile_strategy(path, strategy.name))
    slowest = dict(sorted(shipped.items(), key=lambda pair: -pair[1])[:5])
    found = {f"shipped (the slowest of {len(shipped)})": slowest}
    for make in (searching, unread, stepwise):
        found[make.__name__] = {
            str(size): milliseconds(compile_strategy(Source.of(make(size), "long.tts")), 1)
            for size in SIZES
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="milliseconds as JSON")
    options = parser.parse_args()
    found = measure()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for kind, times in found.items():
        print(kind)
        for name, time in times.items():
            print(f"  {name:<28}{time:>10.1f} ms")


if __name__ == "__main__":
    main()
