"""What the executor costs per candidate step: everything but the engines.

    python benchmarks/executor_overhead.py [--problems 1000] [--steps 10] [--whole]

With `--steps 10 100 500` it shows how time and memory grow with the depth of a search. The engines
read what is new of a path, as those do that keep what they have read; with `--whole` they read all
of it, which the executor then has to put together.

Runs `sample n steps; score; (expand by 1 step; score) ...` on engines that answer at once, so that
what is left is scheduling: numbering, keys, requests, futures, rows, columns. Candidates write
different texts, so each of their steps is scored. What is subtracted is the CPU time of the
engines' own work, measured by calling `generate` and `score` as often with requests that are
there; making requests, waiting for futures and calling back count as the executor's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tracemalloc
from asyncio import Future
from dataclasses import dataclass
from itertools import product
from time import process_time

from tts_lang.plan import graph
from tts_lang.plan.expr import Const, Reduce
from tts_lang.plan.graph import Amount, Decoding, Kind, Operation, Plan, Region, Scorer, Unit, Value
from tts_runtime.binding import Binding
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
    Sampling,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor import PASSES, bind, execute, execute_all
from tts_runtime.executor.problem import Events
from tts_runtime.executor.scope import StrategyReturned
from tts_runtime.problems import Problem
from tts_runtime.steps import StepSplit

WORDS = (b"so ", b"two ", b"and ", b"three ", b"is ", b"five ", b"then ", b"half", b"\n\n")
STEP = (0, 1, 2, 3, 4, 5, 6, 7, 8)

#: Steps of different candidates: the first three words differ.
STEPS = tuple(
    (first, second, third, *STEP[3:]) for first, second, third in product(range(8), repeat=3)
)
PIECES = tuple(b"".join([WORDS[token] for token in step]) for step in STEPS)
DELIMITER = WORDS[-1]


class Words:
    """A tokenizer of a few words."""

    pieces = WORDS
    fingerprint = "words"

    def encode(self, text: str) -> tuple[int, ...]:
        """A prompt as long as the text."""
        return tuple(len(WORDS) - 2 for _ in text)


class InstantPolicy(PolicyEngine):
    """Writes steps of nine tokens, chosen by the stream key, with nothing to wait for."""

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole
        self.binding = Binding(name="instant", context=100_000)
        self.tokenizer = Words()
        self._logprobs = tuple(-0.5 for _ in STEP)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """One more step."""
        future: Future[Generation] = asyncio.get_running_loop().create_future()
        if self.whole:
            request.prefix  # noqa: B018
        key = request.key
        which = (key[0] << 8 | key[1]) % len(STEPS)
        segments = request.segments.add(PIECES[which], DELIMITER)
        future.set_result(Generation(STEPS[which], self._logprobs, Finish.STOP, segments, drawn=9))
        return future


class InstantScorer(ScorerEngine):
    """Half a point for every step."""

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Scores the steps that are new."""
        future: Future[ScoreReply] = asyncio.get_running_loop().create_future()
        new = len(request.new_steps)
        if self.whole:
            request.steps  # noqa: B018
        future.set_result(ScoreReply((0.5,) * new, 9, 0, (9,) * new))
        return future


@dataclass(frozen=True, slots=True)
class Measured:
    """Microseconds per candidate step: in all, and in the engines."""

    total: float
    engines: float

    @property
    def overhead(self) -> float:
        """What the executor itself costs."""
        return self.total - self.engines


def plan(candidates: int, steps: int, select: bool = True) -> Plan:
    """Beam search without width: every round expands, scores and keeps all candidates."""
    prm = {"prm": "steps"}
    values = [Value(Kind.POOL, "problem")]
    operations: list[Operation] = []

    def add(spec: graph.Spec, pool: int, columns: dict[str, str]) -> int:
        values.append(Value(Kind.POOL, "beams", columns))
        operations.append(Operation(spec, (pool,), (len(values) - 1,)))
        return len(values) - 1

    pool = 0
    for step in range(steps):
        amount = Amount(Const(1 if step else candidates), Unit.STEPS)
        pool = add(graph.Expand(amount, Decoding()), pool, {})
        pool = add(graph.Score("prm"), pool, prm)
        if select:
            pool = add(graph.Select(Reduce("last", "prm"), Const(candidates)), pool, prm)
    pool = add(graph.Select(Reduce("last", "prm"), Const(1)), pool, prm)
    body = Region((0,), tuple(operations), (pool,), graph.Exit.RETURN)
    return Plan("overhead", {}, body, tuple(values), scorers=(Scorer("prm", steps=True),))


async def _engines(requests: int, steps: int) -> float:
    """Seconds of CPU that the engines themselves take for that many requests."""
    policy, scorer = InstantPolicy(), InstantScorer()
    prompt = (7,) * 40
    seconds = 0.0
    for step in range(steps):
        segments = StepSplit([PIECES[0].removesuffix(DELIMITER)] * step)
        request = GenerateRequest(prompt, STEP * step, bytes(16), Sampling(), Limits(100), segments)
        score = ScoreRequest("", {}, "", ("",) * (step + 1), step)
        score.new_steps  # noqa: B018  (known, as the executor knows them)
        start = process_time()
        for _ in range(requests // steps):
            policy.generate(request).result()
            scorer.score(score).result()
        seconds += process_time() - start
    return seconds


def measure(
    problems: int, candidates: int, steps: int, select: bool = True, whole: bool = False
) -> Measured:
    """Runs the plan once over all problems."""
    engines = {"policy": InstantPolicy(whole)}, {"prm": InstantScorer(whole)}
    bound = bind(plan(candidates, steps, select), *engines, tuple(PASSES))
    asked = [Problem(str(number), "x" * 40) for number in range(problems)]
    count = problems * candidates * steps
    failed: list[str] = []

    def finished(outcome: object) -> None:
        error = getattr(outcome, "error", None)
        if error is not None:
            failed.append(error)

    gc.collect()
    start = process_time()
    asyncio.run(execute_all(bound, asked, 0, finished))
    total = process_time() - start
    assert not failed, failed[0]
    own = asyncio.run(_engines(count, steps))
    return Measured(1e6 * total / count, 1e6 * own / count)


def memory(candidates: int, steps: int, whole: bool = False) -> float:
    """Bytes per candidate step that are kept until a problem's answer is known."""
    engines = {"policy": InstantPolicy(whole)}, {"prm": InstantScorer(whole)}
    bound = bind(plan(candidates, steps), *engines, tuple(PASSES))
    found: list[int] = []

    def returned(_: StrategyReturned) -> None:
        gc.collect()  # what the interpreter keeps for the next tuples
        found.append(tracemalloc.get_traced_memory()[0])

    def subscribe(_: object, events: Events) -> None:
        events.subscribe(StrategyReturned, returned)

    gc.collect()
    tracemalloc.start()
    try:
        problem = Problem("memory", "x" * 40)
        outcome = asyncio.run(execute(bound, problem, 0, subscribe=subscribe))
    finally:
        tracemalloc.stop()
    assert outcome.error is None, outcome.error
    return found[0] / (candidates * steps)


def calibration() -> float:
    """Seconds for ten million empty rounds: shows how busy the machine is (0.2 to 0.25 if idle)."""
    start = process_time()
    for _ in range(10_000_000):
        pass
    return process_time() - start


def main() -> None:
    """Prints the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=1000, help="of 10 steps; fewer of more")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs="+", default=[10])
    parser.add_argument("--whole", action="store_true", help="engines read whole paths")
    arguments = parser.parse_args()
    memory(2, 2)  # what is kept once
    for steps in arguments.steps:
        problems = max(1, arguments.problems * 10 // steps)
        size = memory(arguments.candidates, steps, arguments.whole)
        print(f"{steps} steps, {size:,.0f} bytes per candidate step")
        for select in (True, False):
            found = measure(problems, arguments.candidates, steps, select, arguments.whole)
            what = "with a selection every round" if select else "row by row"
            print(
                f"  {what}: {found.overhead:.1f} us per candidate step "
                f"({found.total:.1f} in all, {found.engines:.1f} in the engines; "
                f"ten million empty rounds: {calibration():.2f} s)"
            )


if __name__ == "__main__":
    main()
