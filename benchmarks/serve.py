"""`tts-serve` under load and abuse, over real sockets on the loopback interface.

    python -m benchmarks.serve                    # all parts, about two minutes
    python -m benchmarks.serve --only fairness    # one of them

The server is a process of its own on the simulated engine, so that what is measured is the server.
Each part prints a line of figures; the exit code says whether all that must hold did.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.serving import hostility, load

PARTS: dict[str, Callable[[], Coroutine[Any, Any, bool]]] = {
    "overhead": load.overhead,
    "kills": load.kills,
    "overload": load.overload,
    "fairness": load.fairness,
    "equality": load.equality,
    "budget": load.budget,
    "hostile": hostility.hostile,
}


def main() -> int:
    """Runs the parts."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", choices=PARTS)
    chosen = options.parse_args().only
    good = True
    for name, part in PARTS.items():
        if chosen in (None, name):
            held = asyncio.run(part())
            good = good and held
            if not held:
                print(f"{name}: DOES NOT HOLD", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
