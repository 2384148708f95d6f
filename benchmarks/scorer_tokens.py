"""What reward models read against what is new: tokens of whole solutions and of searches.

    python benchmarks/scorer_tokens.py          # the bundled PRM
    python benchmarks/scorer_tokens.py --vllm   # a generative PRM through vLLM, in .venv-vllm

New is what a reader with a perfect memory would read. Through vLLM the model is a tiny random one
of family er-prm, and the texts are random words, since only how much is read counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from asyncio import Future
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import tts_lang
from tts_runtime.engines.base import ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.batching.prefix_cache import common_length
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.engines.paths import Outline
from tts_runtime.executor import Outcome, bind, execute_all
from tts_runtime.paths import bundled
from tts_runtime.problems import problems_named

WORDS = tuple("we add then so it is 3 = 4 + - 12 7 answer therefore hence".split())  # noqa: SIM905


class Counted(ScorerEngine):
    """A scorer, and what it was asked and read."""

    def __init__(self, inner: ScorerEngine, outline: Outline) -> None:
        self.inner, self._outline = inner, outline
        self.steps, self.low, self.high, self.exact = True, inner.low, inner.high, inner.exact
        self._asked: list[ScoreRequest] = []
        self._read = 0

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """One path."""
        self._asked.append(request)
        future = self.inner.score(request)
        future.add_done_callback(self._add)
        return future

    def _add(self, done: Future[ScoreReply]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._read += done.result().tokens

    def told(self) -> str:
        """Tokens read and new ones; starts again."""
        paths = [self._outline.path(request) for request in self._asked]
        texts = sorted(path.ids for path in paths if path is not None)
        new = sum(map(len, texts)) - sum(common_length(*pair) for pair in pairwise(texts))
        read, self._asked, self._read = self._read, [], 0
        return f"{read} read, {new} new: {read / new:.3f} times"


async def with_bundled_models(limit: int, n: int) -> None:
    """Strategies on the bundled models."""
    policy = BundledPolicy(bundled("policy"))
    problems = list(problems_named("arith"))[:limit]
    for name in ("best_of_n", "beam_search", "dvts"):
        inner = BundledPrm(bundled("prm"))
        prm = Counted(inner, inner.outline)
        bound = bind(tts_lang.compile(name, n=n), {"policy": policy}, {"prm": prm})
        outcomes: list[Outcome] = []
        await execute_all(bound, problems, 0, outcomes.append)
        print(f"{name}(n = {n}), {len(outcomes)} problems: {prm.told()}", flush=True)
        await inner.close()
    await policy.close()


def step(random: Random) -> str:
    """A step of some words."""
    return " ".join(random.choices(WORDS, k=random.randint(8, 25)))


async def with_vllm(folder: Path, limit: int, n: int) -> None:
    """Whole solutions, solutions that begin alike, and steps of a search."""
    from tts_runtime.engines.prm.recognise import open_family
    from tts_runtime.engines.vllm.options import VllmScorerOptions
    from tts_runtime.engines.vllm.scorer import VllmScorer

    options = VllmScorerOptions(kv_cache=0.25, slots=64, context=1024)
    outline = open_family("er-prm", str(folder), 1024).outline
    prm = Counted(VllmScorer("er-prm", str(folder), options), outline)
    random = Random(0)
    question = " ".join(random.choices(WORDS, k=60))

    async def scored(problem: str, paths: Sequence[tuple[str, ...]], known: int = 0) -> list[float]:
        requests = [ScoreRequest(problem, {}, "\n\n".join(path), path, known) for path in paths]
        replies = await asyncio.gather(*map(prm.score, requests))
        return [float(reply.scores[-1] or 0) for reply in replies]

    for shared in (0, 3):
        for number in range(limit):
            stem = tuple(step(random) for _ in range(shared))
            await scored(
                f"{shared} {number} {question}",
                [(*stem, *(step(random) for _ in range(random.randint(3, 8)))) for _ in range(n)],
            )
        print(f"{n} solutions with {shared} first steps in common: {prm.told()}", flush=True)
    for number in range(limit):
        beams: list[tuple[str, ...]] = [()] * n
        for depth in range(6):
            beams = [(*beam, step(random)) for beam in beams]
            scores = await scored(f"search {number} {question}", beams, depth)
            best = sorted(range(n), key=lambda place: -scores[place])[: n // 4]
            beams = [beams[place] for place in best for _ in range(4)]
    print(f"beam search, n = {n}, width 4, 6 steps: {prm.told()}", flush=True)
    await prm.inner.close()


def main() -> None:
    """Prints tokens read against new ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vllm", action="store_true", help="a generative PRM through vLLM")
    parser.add_argument("--limit", type=int, default=8, help="problems")
    parser.add_argument("-n", type=int, default=16, help="candidates")
    arguments = parser.parse_args()
    if not arguments.vllm:
        asyncio.run(with_bundled_models(arguments.limit, arguments.n))
        return
    os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"
    from tests.support.tiny_prms import make_er_prm

    with TemporaryDirectory() as place:
        # vLLM's attention on a CPU wants heads of 32 numbers at least.
        folder = make_er_prm(Path(place), num_attention_heads=1, num_key_value_heads=1)
        asyncio.run(with_vllm(folder, arguments.limit, arguments.n))


if __name__ == "__main__":
    main()
