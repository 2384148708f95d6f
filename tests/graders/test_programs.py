"""Problem sets with unit tests are graded by running the program, in the sandbox."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tts_runtime.engines.base import EngineError
from tts_runtime.graders import Graders
from tts_runtime.problems import load_problems
from tts_runtime.runs.engine_set import EngineSet

HUMANEVAL = {
    "task_id": "t/1",
    "prompt": "def add(a, b):\n",
    "test": "def check(f):\n    assert f(1, 2) == 3\n",
    "entry_point": "add",
}
MBPP = {"task_id": 1, "text": "Write add.", "test_list": ["assert add(1, 2) == 3"]}


@pytest.mark.parametrize("row", [HUMANEVAL, MBPP], ids=["HumanEval", "MBPP"])
def test_a_program_is_right_if_it_passes_the_tests(tmp_path: Path, row: dict[str, object]) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    [problem] = load_problems(tmp_path / "rows.jsonl")
    texts = {
        "```python\ndef add(a, b):\n    return a + b\n```": True,
        "```python\ndef add(a, b):\n    return a - b\n```": False,
        "```python\ndef add(a, b:\n```": False,
        "": False,
    }

    async def graded() -> list[bool | None]:
        async with EngineSet() as engines:
            graders = Graders(None, [problem])
            graders.open(engines.grader)
            return [(await graders.verdict(problem, None, text)).correct for text in texts]

    try:
        assert asyncio.run(graded()) == list(texts.values())
    except EngineError as error:
        pytest.skip(str(error))  # no sandbox holds here
