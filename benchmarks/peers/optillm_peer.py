"""OptiLLM's (`pip install optillm`) majority vote on a vLLM server.

Its other methods let the policy judge itself, which the bundled policy cannot. The plugin is called
as its server calls it, without the server.
"""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from typing import Any

import openai

from benchmarks.peers.lines import Task, serve

SERVER = sys.argv[1]


def plugin() -> Any:
    """The module; the package as a whole imports all that any of its methods needs."""
    place = distribution("optillm").locate_file("optillm/plugins/majority_voting_plugin.py")
    spec = importlib.util.spec_from_file_location("majority_voting_plugin", str(place))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(task: Task) -> dict[str, Any]:
    """Answers all problems of a task, side by side."""
    assert task["method"] == "majority"
    client = openai.OpenAI(base_url=SERVER, api_key="any")
    settings = {"k": task["n"], "temperature": 1.0, "max_tokens": 900}
    run = plugin().run

    def one(problem: dict[str, str]) -> str:
        return str(run("", problem["text"], client, "bundled", settings)[0])

    with ThreadPoolExecutor(64) as threads:
        return {"texts": list(threads.map(one, task["problems"])), "scored": 0}


if __name__ == "__main__":
    serve(answer)
