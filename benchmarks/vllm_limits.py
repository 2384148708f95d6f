"""How far searches through vLLM stay from vLLM's own speed, on one machine, in paired ratios.

    python benchmarks/vllm_limits.py [MODEL_FOLDER] [--problems N] [--speculate FRACTION]
        [--plot FILE] [--growth]

What is compared runs in turn, so that other work on the machine hits both alike. Each ratio is that
of one turn; printed are the median and the range of all turns, of wall time and of the processor
time of this process with its children.

1. Streams: vLLM sampling from candidates' streams, against vLLM's own sampler: 16 samples of each
   problem, as many tokens for each sample both times, or the script fails.
2. Limit: beam search (n = 16, width 4) over all problems, against the raw engine drawing as many
   tokens in one call, and the PRM reading the new tokens in one batch. The call draws as many
   tokens for each problem as the search did, in n rows. A search can draw while it scores: the
   limit in wall time is the larger of the two, in processor time their sum. A second figure is of
   a call that spreads all tokens evenly over its rows, as if long problems needed no more steps
   than short ones.
3. Prefix cache: the part of prompt and prefix tokens that did not have to be read.
4. Loop: the same search in the usual style, on vLLM's own `LLM` as it comes: one problem at a time,
   one call of `generate` a depth, whole prefixes scored again in batches of 8; n = 4, 16 and 64.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import threading
import time
from asyncio import Future
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

import tts_lang
from benchmarks.paired import Cost, ratios, seconds, timed
from benchmarks.usual_loop import UsualLoop
from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    Limits,
    Load,
    PolicyEngine,
    Sampling,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.batching.prefix_cache import common_length
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.engines.vllm.policy import VllmPolicy
from tts_runtime.executor import PASSES, Outcome, Work, bind, execute_together
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, problems_named
from tts_runtime.steps import NOTHING
from tts_runtime.streams import child_key, root_key

#: Paired runs of each comparison.
TURNS = 4
WIDTH = 4
DEPTH = 40
TOKENS = 60


class CountingPolicy(PolicyEngine):
    """A policy whose replies are counted, and whose requests in flight are sampled."""

    def __init__(self, inner: VllmPolicy) -> None:
        self.inner = inner
        self.binding, self.tokenizer, self.exact = inner.binding, inner.tokenizer, inner.exact
        self.asked = self.prefilled = 0
        self.drawn: Counter[tuple[int, ...]] = Counter()  # by prompt
        self.flying: list[tuple[float, int]] = []

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """One continuation."""

        def count(done: Future[Generation]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.asked += len(request.prompt) + len(request.prefix)
                self.prefilled += done.result().prefilled
                self.drawn[tuple(request.prompt)] += done.result().drawn

        future = self.inner.generate(request)
        future.add_done_callback(count)
        return future

    @property
    def load(self) -> Load:
        """How many more would begin at once."""
        return self.inner.load

    async def sample(self) -> None:
        """Follows the engine until cancelled."""
        begin = time.perf_counter()
        while True:
            self.flying.append((time.perf_counter() - begin, self.inner.unfinished))
            await asyncio.sleep(0.02)


class CountingPrm(BundledPrm):
    """The bundled PRM; counts the tokens it reads."""

    read = 0

    def __init__(self, folder: Path, known_tokens: int = 32_768) -> None:
        super().__init__(folder, known_tokens=known_tokens)
        self.asked: list[ScoreRequest] = []

    def new(self) -> int:
        """Tokens that a reader with a perfect memory would have read."""
        paths = [self.outline.path(request) for request in self.asked]
        texts = sorted(path.ids for path in paths if path is not None)
        return sum(map(len, texts)) - sum(common_length(*pair) for pair in pairwise(texts))

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """One path."""
        self.asked.append(request)
        future = super().score(request)
        future.add_done_callback(self._add)
        return future

    def _add(self, done: Future[ScoreReply]) -> None:
        if not done.cancelled() and done.exception() is None:
            self.read += done.result().tokens


def by_thread() -> Counter[str]:
    """Microseconds of processor time so far: of this process's threads, and of vLLM's process."""
    names = {each.native_id: each.name.split()[0] for each in threading.enumerate()}
    spent: Counter[str] = Counter()
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        for each in process.threads():
            name = names.get(each.id, "others") if process.pid == os.getpid() else "vLLM's core"
            spent[name] += round(1e6 * (each.user_time + each.system_time))
    return spent


def opening(policy: VllmPolicy, problem: Problem, number: int, limits: Limits) -> GenerateRequest:
    """The `number`-th child of a problem."""
    prompt = policy.tokenizer.encode(policy.binding.open(problem.text, thinking=False))
    key = child_key(root_key(0, problem.id), b"", 0, 0, number, b"benchmark")
    return GenerateRequest(prompt, (), key, Sampling(), limits, NOTHING)


@dataclass(frozen=True)
class Searched:
    """What a beam search over all problems took.

    Args:
        cost: Its time.
        scored: Tokens that the PRM read.
        new: Those that a reader with a perfect memory would have read.
        threads: Microseconds of processor time by thread.
        wasted: Tokens that ran ahead for nothing.
    """

    cost: Cost
    scored: int
    new: int
    threads: Counter[str]
    wasted: int


async def search(
    policy: CountingPolicy,
    problems: Sequence[Problem],
    n: int,
    depth: int = DEPTH,
    speculate: float = 0.0,
) -> Searched:
    """Beam search over all problems at once."""
    plan = tts_lang.compile("beam_search", n=n, width=WIDTH, depth=depth)
    prm = CountingPrm(bundled("prm"))
    bound = bind(plan, {"policy": policy}, {"prm": prm}, tuple(PASSES), speculate=speculate > 0)
    outcomes: list[Outcome] = []
    sampler = asyncio.create_task(policy.sample())
    before = by_thread()
    work = Work()
    cost = await timed(
        execute_together(
            [bound],
            ((problem, 0) for problem in problems),
            lambda _, outcome: outcomes.append(outcome),
            speculate=speculate,
            work=work,
        )
    )
    spent = by_thread() - before
    sampler.cancel()
    await prm.close()
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed:
        raise SystemExit(f"a problem failed: {failed[0]}")
    return Searched(cost, prm.read, prm.new(), spent, work.wasted_tokens)


def shares(tokens: int, rows: int) -> list[int]:
    """Tokens for each of some rows, as evenly as whole numbers go; no row is without."""
    return [max(1, (tokens + row) // rows) for row in range(rows)]


async def raw_sampling(policy: VllmPolicy, work: Iterable[tuple[Sequence[int], int]]) -> Cost:
    """vLLM's own sampler for these tokens after each prompt, all requests at once."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input
    from vllm.sampling_params import RequestOutputKind

    client = policy.service.client
    work = list(work)
    drawn = [0] * len(work)

    async def one(number: int, ids: Sequence[int], tokens: int) -> None:
        parameters = SamplingParams(
            temperature=1.0,
            max_tokens=tokens,
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        async for reply in client.generate(tokens_input(list(ids)), parameters, f"raw{number}"):
            drawn[number] += len(reply.outputs[0].token_ids)

    async def all_of_them() -> Cost:
        requests = [one(number, *each) for number, each in enumerate(work)]
        return await timed(asyncio.gather(*requests))

    cost = await policy.service.submit(all_of_them)
    same_counts("vLLM's own sampler", drawn, [tokens for _, tokens in work])
    return cost


def same_counts(who: str, drawn: Sequence[int], asked: Sequence[int]) -> None:
    """Ends the script where what is compared would not be as much work."""
    for number, (found, expected) in enumerate(zip(drawn, asked, strict=True)):
        if found != expected:
            raise SystemExit(f"{who} drew {found} tokens instead of {expected} in row {number}")


async def one_batch_scoring(problems: Sequence[Problem], tokens: int) -> Cost:
    """The PRM for that many tokens of new text, all at once."""
    prm = CountingPrm(bundled("prm"), known_tokens=0)
    steps = ("Then 35 + 4 = 39.",) * 6
    requests = [
        ScoreRequest(f"{problem.text} {number}", {}, "", steps)
        for number in range(16)
        for problem in problems
    ]
    cost = await timed(asyncio.gather(*map(prm.score, requests)))
    await prm.close()
    share = tokens / prm.read
    return Cost(cost.wall * share, cost.processor * share)


def plotted(path: Path, flying: Sequence[tuple[float, int]]) -> None:
    """Requests in flight over time."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 2.4))
    axes.plot(*zip(*flying, strict=True), linewidth=1)
    axes.set(xlabel="seconds", ylabel="requests in vLLM", title="beam search, n = 16, 16 problems")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


async def stream_cost(policy: VllmPolicy, problems: Sequence[Problem]) -> None:
    """Streams against vLLM's own sampler: 16 samples of each problem, which end by themselves."""
    requests = [
        opening(policy, problem, number, Limits(TOKENS))
        for problem in problems
        for number in range(16)
    ]
    drawn = [reply.drawn for reply in await asyncio.gather(*map(policy.generate, requests))]
    work = [(request.prompt, tokens) for request, tokens in zip(requests, drawn, strict=True)]
    exact, plain = [], []
    for _ in range(TURNS):
        await policy.forget()
        plain.append(await raw_sampling(policy, work))
        await policy.forget()
        replies: list[Generation] = []
        exact.append(await timed(gathered(map(policy.generate, requests), replies)))
        same_counts("streams", [reply.drawn for reply in replies], drawn)
    speeds = [sum(drawn) / median(cost.wall for cost in costs) for costs in (exact, plain)]
    print(
        f"streams: {sum(drawn)} tokens, {speeds[0]:.0f} per second, vLLM's own sampler "
        f"{speeds[1]:.0f}: {ratios(exact, plain)}",
        flush=True,
    )


async def gathered(futures: Iterable[Future[Generation]], replies: list[Generation]) -> None:
    """All replies, into a list."""
    replies += await asyncio.gather(*futures)


async def distance(
    policy: VllmPolicy, problems: Sequence[Problem], n: int, speculate: float, plot: Path | None
) -> None:
    """A search against the engine's limit."""
    searches, alike, even, ahead = [], [], [], []
    spent: Counter[str] = Counter()
    for _ in range(TURNS):
        if speculate > 0:
            await policy.forget()
            early = await search(CountingPolicy(policy), problems, n, speculate=speculate)
            ahead.append(early.cost)
        counting = CountingPolicy(policy)
        await policy.forget()
        searched = await search(counting, problems, n)
        searches.append(searched.cost)
        spent += searched.threads
        drawn = counting.drawn
        work = [(ids, part) for ids, tokens in drawn.items() for part in shares(tokens, n)]
        await policy.forget()
        sampling = await raw_sampling(policy, work)
        parts = shares(drawn.total(), len(work))
        await policy.forget()
        evenly = await raw_sampling(
            policy, [(ids, part) for (ids, _), part in zip(work, parts, strict=True)]
        )
        scoring = await one_batch_scoring(problems, searched.new)
        alike.append(together(sampling, scoring))
        even.append(together(evenly, scoring))
    if plot is not None:
        plotted(plot, counting.flying)
    hits = 1 - counting.prefilled / counting.asked
    where = [f"{name} {us / TURNS / drawn.total():.0f}" for name, us in spent.most_common(5)]
    per_token = 1e6 * median(cost.processor for cost in searches) / drawn.total()
    print(
        f"n = {n}: search {seconds(searches)} ({drawn.total()} tokens drawn, "
        f"{searched.scored} scored, {per_token:.0f} us of processor time per token drawn: "
        f"{', '.join(where)}); limit "
        f"{seconds(alike)}: {ratios(searches, alike)}; tokens spread evenly {seconds(even)}: "
        f"{ratios(searches, even)}; prefix cache {hits:.0%}; scorer tokens "
        f"{searched.scored / searched.new:.2f} times the new ones",
        flush=True,
    )
    if ahead:
        print(
            f"n = {n}: survivors run ahead: {seconds(ahead)}, {early.wasted} tokens wasted, "
            f"against the limit {ratios(ahead, alike)}; without / with {ratios(searches, ahead)}",
            flush=True,
        )


def together(sampling: Cost, scoring: Cost) -> Cost:
    """The least that both can cost: they may overlap in time, and share the processors."""
    return Cost(max(sampling.wall, scoring.wall), sampling.processor + scoring.processor)


async def usual(
    policy: VllmPolicy, folder: Path, problems: Sequence[Problem], sizes: Sequence[int]
) -> None:
    """The usual loop against the search."""
    os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"  # of its processes
    loop = UsualLoop(folder, WIDTH, DEPTH)
    for n in sizes:
        loops, searches = [], []
        for _ in range(TURNS):
            loops.append(await loop.run(problems, n))
            await policy.forget()
            searches.append((await search(CountingPolicy(policy), problems, n)).cost)
        print(
            f"n = {n}: usual loop {seconds(loops)} ({loop.drawn} tokens drawn), search "
            f"{seconds(searches)}: loop / search {ratios(loops, searches)}",
            flush=True,
        )


async def growth(policy: VllmPolicy, problems: Sequence[Problem]) -> None:
    """How the time of a search grows with problems and depth at n = 16."""
    sizes = [(2, DEPTH), (4, DEPTH), (8, DEPTH), (16, DEPTH), (16, 1), (16, 2), (16, 4), (16, 8)]
    for few, depth in sizes:
        await policy.forget()
        searched = await search(CountingPolicy(policy), problems[:few], 16, depth)
        print(f"problems {few}, depth {depth}: {searched.cost.wall:.2f} s", flush=True)


async def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=None)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--n", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--speculate", type=float, default=0.0, help="as of tts-run, in part 2")
    parser.add_argument("--plot", type=Path, help="picture of requests in flight, at n = 16")
    parser.add_argument("--growth", action="store_true", help="with problems and depth, too")
    parser.add_argument("--no-streams", action="store_true", help="leave part 1 out")
    parser.add_argument("--no-loop", action="store_true", help="leave part 4 out")
    options = parser.parse_args()
    folder = options.folder or bundled("policy")
    problems = problems_named("arith", options.problems)
    policy = VllmPolicy(str(folder))
    if not options.no_streams:
        await stream_cost(policy, problems)
    for n in options.n:
        plot = options.plot if n == 16 else None
        await distance(policy, problems, n, options.speculate, plot)
    if options.growth:
        await growth(policy, problems)
    if not options.no_loop:
        await usual(policy, folder, problems, options.n)
    await policy.close()


if __name__ == "__main__":
    asyncio.run(main())
