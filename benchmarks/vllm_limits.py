"""How far searches through vLLM stay from vLLM's own speed, on one machine, in ratios.

    python benchmarks/vllm_limits.py [MODEL_FOLDER] [--problems N] [--plot FILE] [--growth]

1. Streams: vLLM sampling from candidates' streams, against vLLM's own sampler, same tokens.
2. Limit: beam search (n = 16, width 4) over all problems, against the raw engine drawing as many
   tokens in one call plus the PRM reading as many new tokens in one batch.
3. Loop: the same search in the usual style (one problem at a time, one call a depth, whole prefixes
   scored again in batches of 8), at n = 4, 16 and 64.
4. Prefix cache: the part of prompt and prefix tokens that did not have to be read.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from asyncio import Future
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tts_lang
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
    Sampling,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.prm import BundledPrm
from tts_runtime.engines.vllm.options import VllmPolicyOptions
from tts_runtime.engines.vllm.policy import VllmPolicy
from tts_runtime.executor import Outcome, bind, execute_all
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, problems_named
from tts_runtime.segment import NOTHING, Segments
from tts_runtime.streams import child_key, derive, root_key

WIDTH = 4
DEPTH = 40
TOKENS = 60


class CountingPolicy(PolicyEngine):
    """A policy whose replies are counted, and whose requests in flight are sampled."""

    def __init__(self, inner: VllmPolicy) -> None:
        self.inner = inner
        self.binding, self.tokenizer, self.exact = inner.binding, inner.tokenizer, inner.exact
        self.asked = self.prefilled = self.drawn = 0
        self.flying: list[tuple[float, int]] = []

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """One continuation."""

        def count(done: Future[Generation]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.asked += len(request.prompt) + len(request.prefix)
                self.prefilled += done.result().prefilled
                self.drawn += done.result().drawn

        future = self.inner.generate(request)
        future.add_done_callback(count)
        return future

    async def sample(self) -> None:
        """Follows the engine until cancelled."""
        begin = time.perf_counter()
        while True:
            self.flying.append((time.perf_counter() - begin, self.inner.unfinished))
            await asyncio.sleep(0.02)


class CountingPrm(BundledPrm):
    """The bundled PRM; counts the tokens it reads."""

    read = 0

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """One path."""
        future = super().score(request)
        future.add_done_callback(self._add)
        return future

    def _add(self, done: Future[ScoreReply]) -> None:
        if not done.cancelled() and done.exception() is None:
            self.read += done.result().tokens


async def timed(work: Awaitable[Any]) -> float:
    """Seconds that something takes."""
    begin = time.perf_counter()
    await work
    return time.perf_counter() - begin


def opening(policy: VllmPolicy, problem: Problem, number: int, limits: Limits) -> GenerateRequest:
    """The `number`-th child of a problem."""
    prompt = policy.tokenizer.encode(policy.binding.open(problem.text, thinking=False))
    key = child_key(root_key(0, problem.id), b"", 0, 0, number, b"benchmark")
    return GenerateRequest(prompt, (), key, Sampling(), limits, NOTHING)


async def search(
    policy: CountingPolicy, problems: Sequence[Problem], n: int, depth: int = DEPTH
) -> tuple[float, int]:
    """Seconds of beam search over all problems by the executor, and tokens that the PRM read."""
    plan = tts_lang.compile("beam_search", n=n, width=WIDTH, depth=depth)
    prm = CountingPrm(bundled("prm"))
    bound = bind(plan, {"policy": policy}, {"prm": prm})
    outcomes: list[Outcome] = []
    sampler = asyncio.create_task(policy.sample())
    seconds = await timed(execute_all(bound, problems, 0, outcomes.append))
    sampler.cancel()
    await prm.close()
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed:
        raise SystemExit(f"a problem failed: {failed[0]}")
    return seconds, prm.read


async def loop(policy: VllmPolicy, problems: Sequence[Problem], n: int) -> float:
    """Seconds of the same search in the usual style."""
    prm = BundledPrm(bundled("prm"), rows=8, known_tokens=0)
    begin = time.perf_counter()
    for problem in problems:
        await one_search(policy, prm, problem, n)
    seconds = time.perf_counter() - begin
    await prm.close()
    return seconds


async def one_search(policy: VllmPolicy, prm: BundledPrm, problem: Problem, n: int) -> None:
    """One problem: a call a depth, then whole prefixes to the PRM, eight at a time."""
    most = policy.binding.context
    beams = [opening(policy, problem, number, Limits(most, steps=1)) for number in range(n)]
    ended: list[tuple[GenerateRequest, Generation]] = []
    for _ in range(DEPTH):
        replies = await asyncio.gather(*map(policy.generate, beams))
        pairs = list(zip(beams, replies, strict=True))
        scores: list[float] = []
        for first in range(0, len(pairs), 8):
            batch = [whole(problem, reply.segments) for _, reply in pairs[first : first + 8]]
            scores += [last(reply) for reply in await asyncio.gather(*map(prm.score, batch))]
        ended += [pair for pair in pairs if pair[1].finish is not Finish.STOP]
        ranked = sorted(zip(scores, range(len(pairs)), strict=True), reverse=True)
        live = [pairs[place] for _, place in ranked if pairs[place][1].finish is Finish.STOP]
        if not live or len(ended) >= n:
            return
        beams = [
            replace(
                request,
                prefix=request.prefix + reply.ids,
                segments=reply.segments,
                key=derive(request.key, "beam", child),
            )
            for request, reply in live[: n // WIDTH]
            for child in range(WIDTH)
        ]


def whole(problem: Problem, segments: Segments) -> ScoreRequest:
    """A path to score from its beginning."""
    return ScoreRequest(problem.text, {}, "\n\n".join(segments.texts), segments.texts)


def last(reply: ScoreReply) -> float:
    """The score of a path's last step."""
    return reply.scores[-1] or 0.0 if reply.scores else 0.0


async def raw_sampling(policy: VllmPolicy, prompts: Sequence[Sequence[int]], tokens: int) -> float:
    """Seconds of vLLM's own sampler for so many tokens, all requests at once."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input
    from vllm.sampling_params import RequestOutputKind

    parameters = SamplingParams(
        temperature=1.0,
        max_tokens=max(1, round(tokens / len(prompts))),
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    client = policy.service.client

    async def one(number: int, ids: Sequence[int]) -> None:
        async for _ in client.generate(tokens_input(list(ids)), parameters, f"raw{number}"):
            pass

    async def all_of_them() -> float:
        return await timed(asyncio.gather(*(one(*each) for each in enumerate(prompts))))

    return await policy.service.submit(all_of_them)


async def one_batch_scoring(problems: Sequence[Problem], tokens: int) -> float:
    """Seconds of the PRM for so many tokens of new text, all at once."""
    prm = CountingPrm(bundled("prm"), known_tokens=0)
    steps = ("Then 35 + 4 = 39.",) * 6
    requests = [
        ScoreRequest(f"{problem.text} {number}", {}, "", steps)
        for number in range(16)
        for problem in problems
    ]
    seconds = await timed(asyncio.gather(*map(prm.score, requests)))
    await prm.close()
    return seconds * tokens / prm.read


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


async def stream_cost(folder: Path, problems: Sequence[Problem]) -> None:
    """Streams against vLLM's own sampler: 16 samples of each problem, none of which ends."""
    with TemporaryDirectory() as place:
        binding = Path(place) / "endless.yaml"
        binding.write_text("name: endless\ncontext: 1024\n")
        policy = VllmPolicy(str(folder), VllmPolicyOptions(binding=str(binding)))
    requests = [
        opening(policy, problem, number, Limits(TOKENS))
        for problem in problems
        for number in range(16)
    ]
    prompts, tokens = [request.prompt for request in requests], TOKENS * len(requests)
    exact, plain = [], []
    for _ in range(4):  # in turn, so that other work on the machine hits both alike
        plain.append(await raw_sampling(policy, prompts, tokens))
        exact.append(await timed(asyncio.gather(*map(policy.generate, requests))))
    await policy.close()
    print(
        f"streams: {tokens / min(exact):.0f} tokens/s, vLLM's own sampler "
        f"{tokens / min(plain):.0f}: {min(exact) / min(plain):.3f} times the time",
        flush=True,
    )


async def distance(
    policy: VllmPolicy, problems: Sequence[Problem], n: int, plot: Path | None
) -> None:
    """A search against the engine's limit and against a loop in the usual style."""
    searched: list[tuple[float, int]] = []
    for _ in range(2):
        counting = CountingPolicy(policy)
        await policy.forget()
        searched.append(await search(counting, problems, n))
    seconds, read = min(searched)
    if plot is not None:
        plotted(plot, counting.flying)
    prompts = [opening(policy, each, 0, Limits(1)).prompt for each in problems] * n
    await policy.forget()
    sampling = min([await raw_sampling(policy, prompts, counting.drawn) for _ in range(2)])
    scoring = await one_batch_scoring(problems, read)
    await policy.forget()
    usual = await loop(policy, problems, n)
    hits = 1 - counting.prefilled / counting.asked
    print(
        f"n = {n}: search {seconds:.2f} s ({counting.drawn} tokens drawn, {read} scored); limit "
        f"{sampling:.2f} + {scoring:.2f} s: {seconds / (sampling + scoring):.2f} times; usual loop "
        f"{usual:.2f} s: {usual / seconds:.1f} times; prefix cache {hits:.0%}",
        flush=True,
    )


async def growth(policy: VllmPolicy, problems: Sequence[Problem]) -> None:
    """How the time of a search grows with problems and depth at n = 16."""
    for few in (2, 4, 8, 16):
        await policy.forget()
        seconds, _ = await search(CountingPolicy(policy), problems[:few], 16)
        print(f"problems {few}: {seconds:.2f} s", flush=True)
    for depth in (1, 2, 4, 8):
        await policy.forget()
        seconds, _ = await search(CountingPolicy(policy), problems, 16, depth)
        print(f"depth {depth}: {seconds:.2f} s", flush=True)


async def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=None)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--n", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--plot", type=Path, help="picture of requests in flight, at n = 16")
    parser.add_argument("--growth", action="store_true", help="with problems and depth, too")
    parser.add_argument("--no-streams", action="store_true", help="leave part 1 out")
    options = parser.parse_args()
    folder = options.folder or bundled("policy")
    problems = problems_named("arith", options.problems)
    if not options.no_streams:
        await stream_cost(folder, problems)
    policy = VllmPolicy(str(folder))
    for n in options.n:
        await distance(policy, problems, n, options.plot if n == 16 else None)
    if options.growth:
        await growth(policy, problems)
    await policy.close()


if __name__ == "__main__":
    asyncio.run(main())
