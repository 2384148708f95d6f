"""Paths as token ids, against texts made as the published code makes them from a whole response.

Each `..._source` below goes the way of its source: it gets the response as one text in the form
that its own policies write, and gives the ids that the model read and which of them were scored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_prms import (
    asked,
    make_er_prm,
    make_math_shepherd,
    make_pqm,
    make_qwen_math,
    make_rlhflow,
    make_skywork,
)
from tts_runtime.binding import load_binding, shipped_bindings
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.registry import find_scorer

QUESTION = "What is 1 + 2 - 3?\nSay it."
STEPS = (
    "Step 1: we add 1 + 2 = 3.\n   - so 3\n\\[ 3 \\]",
    "Step 2: + or -? naïve 日本",
    "Step 3: The answer is: \\boxed{0}",
)
#: Ids read, and the places that are scored.
Read = tuple[list[int], list[int]]


def marked(ids: list[int], mark: int) -> Read:
    return ids, [place for place, token in enumerate(ids) if token == mark]


def math_shepherd_card(tokenizer: Any) -> Read:
    """Card: `f"{question} {output}"`, an output with `ки` and a line break after every step."""
    output = "\n".join(f"{step} ки" for step in STEPS)
    return marked(tokenizer.encode(f"{QUESTION} {output}"), tokenizer.encode("ки")[-1])


def math_shepherd_sal(tokenizer: Any) -> Read:
    """search-and-learn: system prompt and question before it, ` ки` before each `\\n\\n`."""
    system = load_binding(shipped_bindings()["llama-3-instruct"], context=1).system
    prompt = f"{system}\n{QUESTION}\n"
    output = "\n\n".join(STEPS).replace("\n\n", " ки\n\n") + " ки"
    return marked(tokenizer.encode(f"{prompt} {output}"), tokenizer.encode("ки")[-1])


def er_prm_evaluation(tokenizer: Any) -> Read:
    """evaluate_math_reward_model.py: prompt and answer, ` ки\\n` replaced by ` ки`."""
    answer = "".join(f"{step} ки\n" for step in STEPS)
    text = f"{QUESTION} {answer}".replace(" ки\n", " ки")
    return marked(tokenizer(text)["input_ids"], tokenizer.encode(" ки")[-1])


def rlhflow_evaluation(tokenizer: Any) -> Read:
    """prm_evaluate.py: the conversation grows by a turn; the third token from behind is read."""
    conversation: list[dict[str, str]] = []
    places = []
    ids: list[int] = []
    for number, step in enumerate("\n\n".join(STEPS).split("\n\n")):
        text = f"{QUESTION} {step.strip()}" if number == 0 else step.strip()
        conversation += [{"content": text, "role": "user"}, {"content": "+", "role": "assistant"}]
        ids = tokenizer.apply_chat_template(conversation)["input_ids"]
        places.append(len(ids) - 3)
    return ids, places


def qwen_math_card(tokenizer: Any) -> Read:
    """Card: `"<extra_0>".join(response) + "<extra_0>"` as the reply."""
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "<extra_0>".join(STEPS) + "<extra_0>"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    return marked(tokenizer.encode(text), tokenizer.encode("<extra_0>")[0])


def skywork_authors(tokenizer: Any) -> Read:
    """`prepare_input`, with `\\n` as step token: of a step's lines the last is its score."""
    line = tokenizer.encode("\n")[-1]
    ids = tokenizer.encode(tokenizer.bos_token + QUESTION + "\n")
    places = []
    for text in "\n".join(STEPS).split("\n"):
        ids += (tokenizer.encode(text) if text else []) + [line]
        places.append(len(ids) - 1)
    lines = [step.count("\n") + 1 for step in STEPS]
    return ids, [places[sum(lines[: number + 1]) - 1] for number in range(len(lines))]


def skywork_cot(tokenizer: Any) -> Read:
    """compute-optimal-tts: lines joined by spaces, a stand-in token between steps, put right."""
    mark, line = "<|im_start|>", tokenizer.encode("\n")[-1]
    answer = "\n".join(step.replace("\n", " ").strip() for step in STEPS).replace("\n", mark) + mark
    before = tokenizer.encode(tokenizer.bos_token + QUESTION + "\n")
    ids = tokenizer.encode(answer)
    places = [len(before) + n for n, t in enumerate(ids) if t == tokenizer.encode(mark)[0]]
    ids = before + [line if t == tokenizer.encode(mark)[0] else t for t in ids]
    return ids, places


def _pqm(tokenizer: Any, query: str, special: bool) -> Read:
    response = "\n".join(STEPS)
    steps = [step for step in re.split(r"Step \d+:", response) if step.strip()]
    steps = [f"Step {number + 1}: {step.strip()}" for number, step in enumerate(steps)]
    answer = " [PRM]\n".join(steps) + " [PRM]"
    ids = tokenizer.encode(f"{query}\n{answer}", add_special_tokens=special)
    return marked(ids, tokenizer.encode("[PRM]", add_special_tokens=False)[-1])


def pqm_evaluation(tokenizer: Any) -> Read:
    """bon_eval_hf.py: `instruction_format`, then the steps with their numbers made again."""
    query = (
        "Below is an instruction that describes a task.\nWrite a response that appropriately "
        f"completes the request.\n\n### Instruction:\n{QUESTION}\n\n### Response: Let's think step "
        "by step"
    )
    return _pqm(tokenizer, query, special=False)


def pqm_training(tokenizer: Any) -> Read:
    """train_main.py."""
    return _pqm(tokenizer, f"[INST] {QUESTION} [/INST]", special=False)


def pqm_cot(tokenizer: Any) -> Read:
    """compute-optimal-tts: the question alone, a beginning of sequence, steps as they come."""
    answer = "".join(f"{step} [PRM]\n" for step in STEPS)
    ids = tokenizer.encode(f"{QUESTION}\n{answer}")
    return marked(ids, tokenizer.encode("[PRM]", add_special_tokens=False)[-1])


@dataclass(frozen=True)
class Case:
    family: str
    layout: str
    make: Callable[[Path], Path]
    source: Callable[[Any], Read]


CASES = [
    Case("math-shepherd", "card", make_math_shepherd, math_shepherd_card),
    Case("math-shepherd", "search-and-learn", make_math_shepherd, math_shepherd_sal),
    Case("rlhflow", "evaluation", make_rlhflow, rlhflow_evaluation),
    Case("skywork", "authors", make_skywork, skywork_authors),
    Case("skywork", "compute-optimal-tts", make_skywork, skywork_cot),
    Case("qwen-math-prm", "card", make_qwen_math, qwen_math_card),
    Case("er-prm", "evaluation", make_er_prm, er_prm_evaluation),
    Case("pqm", "evaluation", make_pqm, pqm_evaluation),
    Case("pqm", "training", make_pqm, pqm_training),
    Case("pqm", "compute-optimal-tts", make_pqm, pqm_cot),
]


def laid_out(folder: Path, case: Case, steps: Sequence[str], layout: str | None) -> Read:
    from tts_runtime.engines.prm.recognise import open_family

    outline = open_family(case.family, str(folder), layout=layout).outline
    path = outline.path(asked(QUESTION, tuple(steps)))
    assert path is not None
    return [*path.ids], [*path.places]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case.layout}")
def test_ids_are_those_of_the_published_code(tmp_path: Path, case: Case) -> None:
    from transformers import AutoTokenizer

    folder = case.make(tmp_path / case.family)
    ids, places = case.source(AutoTokenizer.from_pretrained(folder))
    assert laid_out(folder, case, STEPS, case.layout) == (ids[: places[-1] + 1], places)
    first = next(each.layout for each in CASES if each.family == case.family)
    if case.layout == first:
        assert laid_out(folder, case, STEPS, None) == laid_out(folder, case, STEPS, case.layout)
    for count in (1, 2):  # what was read does not depend on later steps
        short, found = laid_out(folder, case, STEPS[:count], case.layout)
        assert (short, found) == (ids[: places[count - 1] + 1], places[:count])


def test_steps_without_numbers_get_them_where_the_family_has_them(tmp_path: Path) -> None:
    case = CASES[7]
    folder = case.make(tmp_path / "pqm")
    bare = [step.partition(": ")[2] for step in STEPS]
    wrong = [f"Step 7: {step}" for step in bare]
    expected = laid_out(folder, case, STEPS, None)
    assert laid_out(folder, case, bare, None) == laid_out(folder, case, wrong, None) == expected


def test_a_layout_of_another_family_is_named(tmp_path: Path) -> None:
    folder = make_er_prm(tmp_path / "er")
    for layout, hint in (("evaluatoin", "did you mean 'evaluation'"), ("x", "it has evaluation")):
        with pytest.raises(EngineError, match=f"no layout `{layout}`; {hint}"):
            find_scorer(f"er-prm:{folder}?layout={layout}")()
