"""its_hub (`pip install its_hub[lm]`) on a vLLM server, with the bundled PRM in its process."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

from its_hub.api import AbstractOutcomeRewardModel, AbstractProcessRewardModel
from its_hub.core.algorithms.beam_search import BeamSearch
from its_hub.core.algorithms.bon import BestOfN
from its_hub.core.algorithms.particle_gibbs import ParticleFiltering
from its_hub.core.algorithms.self_consistency import SelfConsistency
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
from its_hub.core.lms.step_generation import StepGeneration

from benchmarks.peers.lines import Task, serve
from benchmarks.peers.reward import Reward

[SERVER] = sys.argv[1:]
REWARD = Reward()
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


def content(message: Any) -> str:
    """The text of a message."""
    found = message["content"] if isinstance(message, dict) else message.content
    return str(found or "")


class Prm(AbstractProcessRewardModel):  # type: ignore[misc]  # its_hub is not there to check
    """The reward model of this benchmark, for partial solutions."""

    async def ascore(self, prompt_or_messages: Any, steps: Any) -> Any:
        """Scores of texts."""
        return await asyncio.to_thread(self.score, prompt_or_messages, steps)

    def score(self, prompt_or_messages: Any, steps: Any) -> Any:
        """Scores of texts."""
        texts = [steps] if isinstance(steps, str) else steps
        found = REWARD.scores(str(prompt_or_messages), texts)
        return found[0] if isinstance(steps, str) else found


class Orm(AbstractOutcomeRewardModel):  # type: ignore[misc]
    """The same, for whole conversations."""

    async def ascore(self, messages: Any, *_: Any, **__: Any) -> Any:
        """Scores of conversations."""
        return await asyncio.to_thread(self.score, messages)

    def score(self, messages: Any, **_: Any) -> Any:
        """Scores of conversations; they share their question."""
        batch = list(messages)
        single = not isinstance(batch[0], list)
        listed = [batch] if single else batch
        texts = [content(each[-1]) for each in listed]
        found = REWARD.scores(content(listed[0][0]), texts)
        return found[0] if single else found


def answer(task: Task) -> dict[str, Any]:
    """Answers all problems of a task, side by side."""
    n = task["n"]
    model = OpenAICompatibleLanguageModel(
        SERVER, "any", "bundled", temperature=1.0, max_completion_tokens=900
    )
    steps = StepGeneration(40, "\n\n", r"\boxed", temperature=1.0)
    search: Any = {
        "best_of_n": lambda: BestOfN(Orm()),
        "beam_search": lambda: BeamSearch(steps, Prm(), task["width"]),
        "particle_filter": lambda: ParticleFiltering(steps, Prm()),
        "majority": lambda: SelfConsistency(consistency_space_projection_func=boxed),
    }[task["method"]]()

    async def all_of_them() -> list[Any]:
        asked = (search.ainfer(model, each["text"], n) for each in task["problems"])
        return await asyncio.gather(*asked)

    texts = [content(each) for each in asyncio.run(all_of_them())]
    return {"texts": texts, "scored": REWARD.read}


def boxed(text: str) -> str:
    """The answer of a text, as votes count it."""
    found = _BOXED.findall(text)
    return found[-1] if found else ""


if __name__ == "__main__":
    serve(answer)
