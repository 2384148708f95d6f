"""What short-circuit votes save on the bundled models, by difficulty.

    python benchmarks/short_circuit.py [--n 64] [--limit 40] [--slots 64] [--simulated]

Runs `majority` with and without the pass `short_circuit` over the bundled test problems, easiest
first, in groups by pass rate. Tokens of generations that were cancelled half-way count as drawn.
`fewest` are those of the candidates up to the one that decides: less than that no run in this order
can draw. `--simulated` has, in place of the bundled models, problems whose candidates agree more or
less, with lengths of a log-normal distribution, on a virtual clock of 50 tokens a second per slot.
"""

from __future__ import annotations

import argparse
import asyncio
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tts_lang.compiler import compile_strategy
from tts_lang.plan.graph import Plan
from tts_runtime.binding import Binding
from tts_runtime.engines.base import Finish, GenerateRequest, Generation, PolicyEngine
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.sim.sim_server import FaultPlan, Latency, SimReply, SimServer
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, bind, execute_all
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, bundled_problems, load_problems
from tts_runtime.steps import StepSplit


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that the engine drew and the fewest possible, calls given up, answers by problem.

    `seconds`: on the virtual clock.
    """

    tokens: int
    fewest: int
    cancelled_calls: int
    answers: dict[str, str | None]
    seconds: float = 0.0


async def spent(
    plan: Plan, problems: Sequence[Problem], passes: Sequence[str], engine: PolicyEngine
) -> Spent:
    """One run on an engine of its own."""
    outcomes: list[Outcome] = []
    start = asyncio.get_running_loop().time()
    try:
        bound = bind(plan, {"policy": engine}, {}, passes)
        work = await execute_all(bound, problems, 0, outcomes.append)
        seconds = asyncio.get_running_loop().time() - start
        cancelled = engine.cancelled_tokens
    finally:
        await engine.close()
    return Spent(
        work.policy_tokens + cancelled,
        sum(outcome.counts.policy_tokens for outcome in outcomes),
        work.cancelled_calls,
        {outcome.problem_id: outcome.answer_key for outcome in outcomes},
        seconds,
    )


class Voters(PolicyEngine):
    """Candidates of which a share, the problem's text, says 1, the others something else."""

    def __init__(self, slots: int) -> None:
        self.binding = Binding(name="voters", context=100_000, answer=("\\boxed{}",))
        self.tokenizer = Letters()
        self._server = SimServer(Latency(token=0.02, slots=slots), FaultPlan())

    @property
    def cancelled_tokens(self) -> int:
        """In proportion to the time that cancelled requests were served."""
        return self._server.counts.cancelled_tokens

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """A text that only says its answer, after the time of a long one."""
        random = Random(request.key)
        share = float(bytes(request.prompt))
        says = "1" if random.random() < share else random.choice("2345")
        length = round(random.lognormvariate(6, 0.6))
        ids = tuple(f"\\boxed{{{says}}}".encode())
        segments = StepSplit((), bytes(ids), True)
        logprobs = (-1.0,) * len(ids)
        reply = Generation(ids, logprobs, Finish.END, segments, drawn=length)
        return self._server.submit(lambda: SimReply(reply, length), request.priority)


class Letters:
    """A tokenizer whose ids are bytes."""

    pieces = tuple(bytes([value]) for value in range(256))
    fingerprint = "letters"

    def encode(self, text: str) -> tuple[int, ...]:
        """The text's bytes."""
        return tuple(text.encode())


def simulated(n: int, slots: int, problems: int) -> None:
    """Prints tokens and virtual seconds by agreement, of one problem and of many in flight."""
    plan = compile_strategy("majority", settings={"n": n})
    print(f"majority at {n}, {slots} slots, virtual seconds")
    print("agreement  in flight  all: tokens  seconds  with the pass: tokens  seconds  of fewest")
    for share in (0.9, 0.7, 0.5, 0.3):
        for many in (1, problems):
            asked = [Problem(str(number), str(share)) for number in range(problems)]
            rounds = [asked] if many > 1 else [[each] for each in asked]
            runs = {
                passes: [run_virtual(spent(plan, each, passes, Voters(slots))) for each in rounds]
                for passes in ((), tuple(PASSES))
            }
            all_, less = runs.values()
            if [each.answers for each in all_] != [each.answers for each in less]:
                raise SystemExit("the answers differ: the pass is broken")
            drawn, fewest = sum(each.tokens for each in less), sum(each.fewest for each in less)
            print(
                f"{share:>9} {many:>10} {sum(each.tokens for each in all_):>12,}"
                f" {sum(each.seconds for each in all_):>8,.0f} {drawn:>22,}"
                f" {sum(each.seconds for each in less):>8,.0f} {drawn / fewest:>10.3f}"
            )


def groups(problems: Sequence[Problem], parts: int) -> list[list[Problem]]:
    """Equal parts of the problems, the easiest (largest pass rate) first."""
    ordered = sorted(problems, key=lambda each: -float(str(each.fields.get("pass_rate", 0))))
    size = -(-len(ordered) // parts)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Tokens with and without short-circuit votes.")
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--simulated", action="store_true")
    given = parser.parse_args()
    if given.simulated:
        simulated(given.n, given.slots, given.limit)
        return
    plan = compile_strategy("majority", settings={"n": given.n})
    problems = load_problems(bundled_problems("test"), given.limit)

    def engine() -> BundledPolicy:
        return BundledPolicy(bundled("policy"), slots=given.slots)

    print(f"majority at {given.n}, {given.slots} slots")
    print("pass rate      problems   all tokens   with the pass   saved   given up   of fewest")
    for part in groups(problems, given.parts):
        everything = asyncio.run(spent(plan, part, (), engine()))
        less = asyncio.run(spent(plan, part, tuple(PASSES), engine()))
        if everything.answers != less.answers:
            raise SystemExit("the answers differ: the pass is broken")
        rates = [float(str(each.fields.get("pass_rate", 0))) for each in part]
        saved = 1 - less.tokens / everything.tokens
        calls = less.cancelled_calls / (given.n * len(part))
        print(
            f"{max(rates):.2f} to {min(rates):.2f} {len(part):>9} {everything.tokens:>13,}"
            f" {less.tokens:>13,} {saved:>9.0%} {calls:>9.0%} {less.tokens / less.fewest:>11.3f}"
        )


if __name__ == "__main__":
    main()
