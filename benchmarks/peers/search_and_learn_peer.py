"""search-and-learn (its `src` folder on the path) on vLLM in its process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Any

from benchmarks.peers.lines import Task, serve
from benchmarks.peers.reward import Reward

MODEL, TEMPLATE = sys.argv[1:]


class Prm:
    """The reward model of this benchmark, as the search calls its own."""

    def __init__(self) -> None:
        self.reward = Reward()

    def score(self, questions: list[str], outputs: list[list[str]]) -> list[list[list[float]]]:
        """Of each completion the score of its last step."""
        return [
            [[score] for score in self.reward.scores(question, texts)]
            for question, texts in zip(questions, outputs, strict=True)
        ]


def main() -> None:
    """Loads the model, then answers."""
    # vLLM's processes import this file again, and search-and-learn starts one when it is imported.
    from sal.config import Config
    from sal.search.beam_search import beam_search
    from sal.search.best_of_n import best_of_n
    from sal.search.diverse_verifier_tree_search import dvts
    from vllm import LLM

    methods: dict[str, Callable[..., dict[str, Any]]] = {
        "best_of_n": best_of_n,
        "beam_search": beam_search,
        "dvts": dvts,
    }
    # It sets the template on what `LLM` says is its tokenizer, which vLLM has made a copy by now.
    folder = Path(mkdtemp()) / "model"
    copytree(MODEL, folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "chat_template": TEMPLATE}))
    llm = LLM(
        str(folder),
        dtype="float32",
        enforce_eager=True,
        max_model_len=1024,
        kv_cache_memory_bytes=2**30,
        disable_log_stats=True,
    )

    prm = Prm()

    # Its own counts leave out steps.
    drawn = 0
    generate = llm.generate

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal drawn
        replies = generate(*arguments, **options)
        drawn += sum(len(output.token_ids) for reply in replies for output in reply.outputs)
        return replies

    llm.generate = counted

    def answer(task: Task) -> dict[str, Any]:
        method, before = task["method"], drawn
        # Its beam search takes one problem at a time.
        size = 1 if method == "beam_search" else 25
        config = Config(
            approach=method,
            custom_chat_template=None,
            system_prompt="",
            n=task["n"],
            beam_width=task["width"],
            temperature=1.0,
            max_tokens=900,
            search_batch_size=size,
        )
        texts = []
        questions = [each["text"] for each in task["problems"]]
        for start in range(0, len(questions), size):
            found = methods[method]({"problem": questions[start : start + size]}, config, llm, prm)
            texts += found["pred"]
        return {"texts": texts, "drawn": drawn - before, "scored": prm.reward.read}

    serve(answer)


if __name__ == "__main__":
    main()
