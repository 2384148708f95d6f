"""What selections by row and `--speculate` gain over waiting for stragglers, on a GPU's clock.

    python benchmarks/stragglers.py [--sizes 16 64 256] [--slots 64] [--problems 6] [--together 1]

Beam search (width 4) on a simulated engine whose step takes 5 ms with one row and 6.3 ms with 64
(an 8B model in bfloat16 on an H100: its weights are read once per step, keys and values once per
row), and whose reward model answers in 20 ms. Steps have a log-normal number of tokens, 60 on
average; scores are independent of lengths. Columns: seconds where a selection waits for all rows,
where it decides row by row, and where likely survivors run ahead, too; how many times faster the
last two are; tokens drawn for nothing, as a share of the useful ones. Answers are compared.
"""

from __future__ import annotations

import argparse
import asyncio
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from random import Random

from tts_lang.compiler import compile_strategy
from tts_lang.plan.graph import Plan
from tts_runtime.binding import Binding
from tts_runtime.engines.base import GenerateRequest, Generation, Load, PolicyEngine
from tts_runtime.engines.sim.engines import SimScorer
from tts_runtime.engines.sim.sim_server import FaultPlan, Latency, SimReply, SimServer
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.engines.stopping import StopCriteria, end_ids, fitted
from tts_runtime.executor import PASSES, Outcome, bind, execute_all
from tts_runtime.problems import Problem

DEPTH = 12
STEP, ROW, SCORE = 0.005, 0.00002, 0.020
END = 256


class Bytes:
    """A tokenizer whose ids are bytes, and one that ends a text."""

    pieces = (*(bytes([value]) for value in range(256)), b"")
    fingerprint = "bytes"

    def encode(self, text: str) -> tuple[int, ...]:
        """The text's bytes."""
        return (END,) if text == "<end>" else tuple(text.encode())


@lru_cache(1 << 16)
def step(key: bytes, position: int, spread: float) -> tuple[int, ...]:
    """A step of a stream: letters, then the delimiter, or the end."""
    random = Random(key + position.to_bytes(8, "little"))
    length = max(4, round(random.lognormvariate(log(60) - spread**2 / 2, spread)))
    letters = tuple(97 + random.randrange(26) for _ in range(length - 2))
    return (*letters, 10, 10)


class Searchers(PolicyEngine):
    """Writes steps of random lengths; a solution has `DEPTH` of them at most."""

    def __init__(self, slots: int, spread: float) -> None:
        self.binding = Binding(name="searchers", context=1_000_000, stop=("<end>",))
        self.tokenizer = Bytes()
        self.server = SimServer(Latency(token=STEP, row=ROW, slots=slots), FaultPlan())
        self._ends = end_ids(self.tokenizer, self.binding)
        self._spread = spread

    @property
    def load(self) -> Load:
        """Requests that have a slot, and those that wait."""
        counts = self.server.counts
        return Load(counts.running, self.server.slots, counts.waiting)

    @property
    def cancelled_tokens(self) -> int:
        """Tokens of requests that were given up."""
        return self.server.counts.cancelled_tokens

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """The next step, after its time."""

        def serve() -> SimReply[Generation]:
            generation = self._generation(request)
            return SimReply(generation, generation.drawn)

        return self.server.submit(serve, request.priority)

    def _generation(self, request: GenerateRequest) -> Generation:
        request = fitted(request, self.binding)
        criteria = StopCriteria(request, self.tokenizer, self._ends, b"\n\n")
        position = len(request.prefix)
        while criteria.finish is None:
            if len(criteria.segments.closed) >= DEPTH:
                criteria.push(END, 0.0, ())
                break
            for token in step(request.key, position, self._spread):
                criteria.push(token, -1.0, ())
                position += 1
                if criteria.finish is not None:
                    break
        return criteria.result(prefilled=0)


@dataclass(frozen=True, slots=True)
class Spent:
    """Virtual seconds, useful tokens, tokens that the engine drew, answers."""

    seconds: float
    useful: int
    drawn: int
    answers: tuple[tuple[str, str | None, int], ...]


async def spent(
    plan: Plan,
    problems: Sequence[Problem],
    engine: Searchers,
    together: int,
    ahead: float,
    passes: Sequence[str],
) -> Spent:
    """One run."""
    prm = SimScorer(latency=Latency(overhead=SCORE, token=0.0))
    bound = bind(plan, {"policy": engine}, {"prm": prm}, passes, speculate=ahead > 0)
    outcomes: list[Outcome] = []
    start = asyncio.get_running_loop().time()
    work = await execute_all(
        bound, problems, 0, outcomes.append, concurrency=together, speculate=ahead
    )
    seconds = asyncio.get_running_loop().time() - start
    outcomes.sort(key=lambda outcome: outcome.problem_id)
    return Spent(
        seconds,
        sum(outcome.counts.policy_tokens for outcome in outcomes),
        work.policy_tokens + engine.cancelled_tokens,
        tuple((each.problem_id, each.text, each.counts.policy_tokens) for each in outcomes),
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--problems", type=int, default=6)
    parser.add_argument("--together", type=int, default=1, help="problems in flight")
    parser.add_argument("--spread", type=float, default=0.75, help="of the logarithm of lengths")
    parser.add_argument("--ahead", type=float, default=1.0, help="as `--speculate`")
    given = parser.parse_args()
    problems = [Problem(str(number), str(number)) for number in range(given.problems)]
    print("   n  waits  by row  ahead    by row   ahead  waste  tokens/s")
    for n in given.sizes:
        plan = compile_strategy("beam_search", settings={"n": n, "depth": DEPTH + 1})
        runs = [
            run_virtual(
                spent(
                    plan,
                    problems,
                    Searchers(given.slots, given.spread),
                    given.together,
                    ahead,
                    passes,
                )
            )
            for passes, ahead in (((), 0.0), (tuple(PASSES), 0.0), (tuple(PASSES), given.ahead))
        ]
        waits, by_row, ahead = runs
        if len({each.answers for each in runs}) != 1:
            raise SystemExit("the answers differ: a selection is broken")
        waste = ahead.drawn / ahead.useful - 1
        print(
            f"{n:>4} {waits.seconds:>6.1f} {by_row.seconds:>7.1f} {ahead.seconds:>6.1f}"
            f" {waits.seconds / by_row.seconds:>8.2f}x {waits.seconds / ahead.seconds:>6.2f}x"
            f" {waste:>6.0%} {ahead.useful / ahead.seconds:>9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
