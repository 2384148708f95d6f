"""lm-evaluation-harness runs a strategy: three problems of the bundled set by its own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.conftest import PROBLEMS, answered

pytestmark = pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs tts-lang[lm-eval]")

TASK = """
task: arith3
dataset_path: json
dataset_kwargs:
  data_files: {{test: {file}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{problem}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: ["\\n\\n\\n"]
filter_list:
  - name: boxed
    filter:
      - function: regex
        regex_pattern: "boxed\\\\{{([^}}]*)\\\\}}"
      - function: take_first
metric_list:
  - metric: exact_match
"""


def test_its_command_evaluates_a_strategy(tmp_path: Path) -> None:
    lines = [json.dumps({"problem": each.text, "answer": each.answer}) for each in PROBLEMS]
    (tmp_path / "arith.jsonl").write_text("\n".join(lines))
    (tmp_path / "arith3.yaml").write_text(TASK.format(file=tmp_path / "arith.jsonl"))
    command = [sys.executable, "-m", "tts_runtime.adapters.lm_eval", "run", "--model", "tts"]
    command += ["--model_args", "strategy=majority,n=3,policy=bundled", "--tasks", "arith3"]
    command += ["--include_path", str(tmp_path), "--output_path", str(tmp_path / "out")]
    roots = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": roots, "HF_HOME": str(tmp_path / "hf")}
    environment["HF_HUB_OFFLINE"] = environment["HF_DATASETS_OFFLINE"] = "1"
    done = subprocess.run(
        [*command, "--log_samples"], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    [samples] = (tmp_path / "out").rglob("samples_arith3_*.jsonl")
    found: list[Any] = [json.loads(line) for line in samples.read_text().splitlines()]
    said = {each["doc"]["problem"]: each["resps"][0][0] for each in found}
    expected = answered([f"arith3-{number}" for number in range(3)])
    assert said == {each.problem.text: each.text for each in expected}
    right = [
        each.answer == problem.answer for each, problem in zip(expected, PROBLEMS, strict=True)
    ]
    scores = {each["doc"]["problem"]: each["exact_match"] == 1 for each in found}
    assert [scores[problem.text] for problem in PROBLEMS] == right


def test_likelihoods_are_refused_with_what_to_choose() -> None:
    pytest.importorskip("lm_eval")
    from tts_runtime.adapters.lm_eval import StrategyLM, _cut

    model = StrategyLM("majority", policy="sim", batch_size=1, device="cpu")
    try:
        with pytest.raises(NotImplementedError, match="choose tasks that generate"):
            model.loglikelihood([])
        with pytest.raises(NotImplementedError, match="choose tasks that generate"):
            model.loglikelihood_rolling([])
    finally:
        model.close()
    assert _cut("a\nQ: b", ["Q:", "\n\n"]) == "a\n"
    assert _cut("a", "b") == "a"


def test_a_failure_is_the_strategys_own_error(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance

    from tts_runtime.adapters.lm_eval import StrategyLM
    from tts_runtime.runs.response import AnswerError

    (tmp_path / "fails.py").write_text("def f(problem, solutions): raise ValueError\n")
    model = StrategyLM(
        "best_of_n_outcome",
        policy="sim",
        scorer=f"orm=python:{tmp_path}/fails.py:f",
        strict="true",
    )
    requests = [
        Instance("generate_until", {}, (text, {"until": []}), 0, metadata=("task", number, 1))
        for number, text in enumerate(("1 + 1", "2 + 2"))
    ]
    try:
        with pytest.raises(AnswerError, match=r"fails.py:1: ValueError"):
            model.generate_until(requests)
    finally:
        model.close()
