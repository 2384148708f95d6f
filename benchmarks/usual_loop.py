"""Beam search as it is usually written: on vLLM's `LLM`, one problem at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paired import Cost, timed
from tts_runtime.engines.base import ScoreReply, ScoreRequest
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.engines.hf.bindings import choose_binding
from tts_runtime.engines.hf.files import model_files
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem


@dataclass(frozen=True)
class Beam:
    """A path of the usual loop: prompt and path in tokens, its steps, whether it continues."""

    ids: tuple[int, ...]
    steps: tuple[str, ...]
    open: bool = True


class UsualLoop:
    """Beam search in the usual style, on vLLM's synchronous engine.

    It samples as vLLM does, not from streams: it draws other tokens, and nearly as many.
    """

    def __init__(self, folder: Path, width: int, depth: int) -> None:
        from vllm import LLM, SamplingParams

        self.llm = LLM(
            str(folder),
            dtype="float32",
            enforce_eager=True,
            max_model_len=1024,
            kv_cache_memory_bytes=2**30,
            disable_log_stats=True,
        )
        self.parameters = SamplingParams(
            temperature=1.0, max_tokens=900, stop=["\n\n"], include_stop_str_in_output=True
        )
        files = model_files(str(folder), None)
        self.binding, _ = choose_binding(files, None, None)
        self.tokenizer = HuggingFaceTokenizer(files.folder, ())
        self.width, self.depth = width, depth
        self.drawn = 0

    async def run(self, problems: Sequence[Problem], n: int) -> Cost:
        """What all problems cost, one after the other."""
        prm = BundledPrm(bundled("prm"), rows=8, known_tokens=0)
        self.drawn = 0

        async def all_of_them() -> None:
            for problem in problems:
                await self.search(prm, problem, n)

        cost = await timed(all_of_them())
        await prm.close()
        return cost

    async def search(self, prm: BundledPrm, problem: Problem, n: int) -> None:
        """One problem: a call a depth, then whole prefixes to the PRM, eight at a time."""
        prompt = self.tokenizer.encode(self.binding.open(problem.text, thinking=False))
        beams, ended = [Beam(tuple(prompt), ())] * n, 0
        for _ in range(self.depth):
            grown = self.grown(beams)
            scores: list[float] = []
            for first in range(0, len(grown), 8):
                batch = [whole(problem, beam.steps) for beam in grown[first : first + 8]]
                scores += [last(reply) for reply in await asyncio.gather(*map(prm.score, batch))]
            ended += sum(not beam.open for beam in grown)
            ranked = sorted(zip(scores, range(len(grown)), strict=True), reverse=True)
            live = [grown[place] for _, place in ranked if grown[place].open]
            if not live or ended >= n:
                return
            beams = [beam for beam in live[: n // self.width] for _ in range(self.width)]

    def grown(self, beams: Sequence[Beam]) -> list[Beam]:
        """Every beam one step on."""
        from vllm.inputs import tokens_input

        prompts = [tokens_input(list(beam.ids)) for beam in beams]
        replies = self.llm.generate(prompts, self.parameters, use_tqdm=False)
        outputs = [reply.outputs[0] for reply in replies]
        self.drawn += sum(len(output.token_ids) for output in outputs)
        return [
            Beam(
                beam.ids + tuple(output.token_ids),
                (*beam.steps, output.text.removesuffix("\n\n")),
                output.stop_reason == "\n\n",
            )
            for beam, output in zip(beams, outputs, strict=True)
        ]


def whole(problem: Problem, steps: tuple[str, ...]) -> ScoreRequest:
    """A path to score from its beginning."""
    return ScoreRequest(problem.text, {}, "\n\n".join(steps), steps)


def last(reply: ScoreReply) -> float:
    """The score of a path's last step."""
    return reply.scores[-1] or 0.0 if reply.scores else 0.0
