"""tts-lang on a policy: a vLLM server or vLLM in this process, with the bundled PRM."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from benchmarks.peers.lines import Task, serve
from tts_runtime import Problem, Progress, Session
from tts_runtime.executor import Outcome
from tts_runtime.runs.results import Result


class Texts(Progress):
    """Keeps the answers' texts."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def outcome_ready(self, outcome: Outcome) -> None:
        """A problem has ended."""
        assert outcome.error is None, outcome.error
        self.found[outcome.problem_id] = outcome.text


async def main(policy: str) -> None:
    """Opens the engines, then answers."""
    async with Session({"policy": policy}, {"prm": "bundled"}) as session:
        await session.answer("best_of_n", "1 + 1", n=1)  # opens them
        loop = asyncio.get_running_loop()

        async def answer(task: Task) -> dict[str, Any]:
            problems = [Problem(each["id"], each["text"]) for each in task["problems"]]
            texts = Texts()
            sizes = {"n": task["n"]}
            if task["method"] in ("beam_search", "dvts"):
                sizes["width"] = task["width"]
            result: Result
            [result] = await session.run(task["method"], problems, parameters=sizes, progress=texts)
            work = result.summary.engines
            return {
                "texts": [texts.found[problem.id] for problem in problems],
                "drawn": work.policy_tokens,
                "scored": work.scorer_tokens,
            }

        def waiting(task: Task) -> dict[str, Any]:
            return asyncio.run_coroutine_threadsafe(answer(task), loop).result()

        await asyncio.to_thread(serve, waiting)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
