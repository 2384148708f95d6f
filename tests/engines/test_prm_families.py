"""Six families of PRMs against a slow reference written from their recipes.

The reference reads one path and one step at a time, with transformers' own tokenizer and model, no
batch and no cache; later steps are never in what it reads.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tiny_prms import (
    QUESTIONS,
    STEPS,
    asked,
    classifier,
    make_er_prm,
    make_math_shepherd,
    make_pqm,
    make_qwen_math,
    make_rlhflow,
    make_skywork,
    paths,
    value_head,
)
from tts_runtime.engines.base import CandidateError, Fault, ScoreReply, ScoreRequest
from tts_runtime.engines.options import ScorerOptions

if TYPE_CHECKING:
    import torch

QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


@dataclass
class Reference:
    """A model as transformers loads it."""

    folder: Path

    def __post_init__(self) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(self.folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            self.folder, key_mapping={r"^pretrained_model\.": ""}
        ).eval()

    def hidden(self, ids: Sequence[int]) -> torch.Tensor:
        """The last hidden state of the last token."""
        import torch

        return self.model.model(torch.tensor([list(ids)])).last_hidden_state[0, -1]  # type: ignore[no-any-return]

    def sign(self, ids: Sequence[int], good: int, bad: int) -> float:
        """P(good) after these tokens."""
        import torch

        logits = self.model(torch.tensor([list(ids)])).logits[0, -1, [good, bad]]
        return float(torch.softmax(logits, dim=-1)[0])


def math_shepherd(reference: Reference, question: str, steps: Sequence[str]) -> float:
    text = f"{question} " + "\n".join(f"{step} ки" for step in steps)
    good, bad = reference.tokenizer.encode("+ -")[1:]
    assert reference.tokenizer.encode(text)[0] == reference.tokenizer.bos_token_id
    return reference.sign(reference.tokenizer.encode(text), good, bad)


def er_prm(reference: Reference, question: str, steps: Sequence[str]) -> float:
    text = f"{question} " + "".join(f"{step} ки" for step in steps)
    good, bad = (reference.tokenizer.encode(sign)[-1] for sign in (" +", " -"))
    return reference.sign(reference.tokenizer.encode(text), good, bad)


def rlhflow(reference: Reference, question: str, steps: Sequence[str]) -> float:
    messages = []
    for number, step in enumerate(steps):
        text = f"{question} {step}" if number == 0 else step
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "+"}]
    text = reference.tokenizer.apply_chat_template(messages, tokenize=False)
    ids = reference.tokenizer.encode(text, add_special_tokens=False)
    good, bad = (reference.tokenizer.encode(sign)[-1] for sign in "+-")
    assert ids[-2] == good
    return reference.sign(ids[:-2], good, bad)


def skywork(reference: Reference, question: str, steps: Sequence[str]) -> float:
    import torch

    tokenizer = reference.tokenizer
    ids = tokenizer.encode(f"{tokenizer.bos_token}{question}\n")
    for step in steps:
        for line in step.split("\n"):
            ids += tokenizer.encode(line) + tokenizer.encode("\n")
    hidden = reference.hidden(ids)
    head = value_head()
    raw = hidden @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"][0]
    return float(torch.sigmoid(raw))


def qwen_math(reference: Reference, question: str, steps: Sequence[str]) -> float:
    import torch

    messages = [
        {"role": "system", "content": QWEN_SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    text = reference.tokenizer.apply_chat_template(messages, tokenize=False)
    ids = reference.tokenizer.encode(text)
    last = max(place for place, token in enumerate(ids) if token == ids_of(reference, "<extra_0>"))
    hidden = reference.hidden(ids[: last + 1])
    head = classifier()
    middle = torch.relu(head["score.0.weight"] @ hidden + head["score.0.bias"])
    logits = head["score.2.weight"] @ middle + head["score.2.bias"]
    return float(torch.softmax(logits, dim=-1)[1])


def pqm(reference: Reference, question: str, steps: Sequence[str]) -> float:
    text = (
        "Below is an instruction that describes a task.\nWrite a response that appropriately "
        f"completes the request.\n\n### Instruction:\n{question}\n\n### Response: Let's think step "
        "by step\n"
    ) + "\n".join(
        f"Step {number}: {step.removeprefix('Step 1:').strip()} [PRM]"
        for number, step in enumerate(steps, 1)
    )
    ids = reference.tokenizer.encode(text, add_special_tokens=False)
    assert ids[-1] == ids_of(reference, "[PRM]")
    hidden = reference.hidden(ids)
    head = value_head()
    return float(hidden @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"][0])


def ids_of(reference: Reference, text: str) -> int:
    found: int = reference.tokenizer.convert_tokens_to_ids(text)
    return found


Slow = Callable[[Reference, str, Sequence[str]], float]
FAMILIES: dict[str, tuple[Callable[[Path], Path], Slow]] = {
    "math-shepherd": (make_math_shepherd, math_shepherd),
    "rlhflow": (make_rlhflow, rlhflow),
    "skywork": (make_skywork, skywork),
    "qwen-math-prm": (make_qwen_math, qwen_math),
    "er-prm": (make_er_prm, er_prm),
    "pqm": (make_pqm, pqm),
}


@dataclass
class Subject:
    """A family's model, and what the reference says about paths."""

    family: str
    folder: Path
    expected: dict[tuple[str, tuple[str, ...]], float]

    def scores(self, request: ScoreRequest) -> list[float]:
        """The reference's scores of the new steps."""
        return [
            self.expected[request.problem, request.steps[: number + 1]]
            for number in range(request.known, len(request.steps))
        ]


@pytest.fixture(scope="module", params=FAMILIES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Each family in turn, its reference scores computed once."""
    import torch

    make, slow = FAMILIES[request.param]
    folder = make(tmp_path_factory.mktemp("prm") / request.param)
    reference = Reference(folder)
    with torch.inference_mode():
        expected = {
            (question, steps[:count]): slow(reference, question, steps[:count])
            for question in QUESTIONS
            for steps in paths()
            for count in range(1, len(steps) + 1)
        }
    return Subject(request.param, folder, expected)


def replies(
    family: str,
    folder: Path,
    batches: Sequence[Sequence[ScoreRequest]],
    options: ScorerOptions | None = None,
) -> list[list[ScoreReply | BaseException]]:
    """Replies (or errors) of one engine to batches, one after another."""
    from tts_runtime.engines.prm.engine import FamilyScorer

    async def main() -> list[list[ScoreReply | BaseException]]:
        engine = FamilyScorer(family, str(folder), options)
        found = []
        for batch in batches:
            futures = map(engine.score, batch)
            found.append(list(await asyncio.gather(*futures, return_exceptions=True)))
        await engine.close()
        return found

    return asyncio.run(main())


def good(reply: ScoreReply | BaseException) -> ScoreReply:
    assert isinstance(reply, ScoreReply), reply
    return reply


def test_scores_equal_the_slow_reference_batched_and_in_any_order(subject: Subject) -> None:
    requests = [asked(question, steps) for question in QUESTIONS for steps in paths()]
    requests += [asked(QUESTIONS[0], STEPS[:3], 1)]
    for rows, seed in ((64, 0), (2, 1)):
        shuffled = random.Random(seed).sample(requests, len(requests))
        (batch,) = replies(
            subject.family, subject.folder, [shuffled], ScorerOptions(rows=rows, known_tokens=500)
        )
        for request, reply in zip(shuffled, batch, strict=True):
            assert good(reply).scores == pytest.approx(subject.scores(request), abs=1e-5, rel=1e-5)


def test_step_by_step_reads_every_token_once(subject: Subject) -> None:
    whole = asked(QUESTIONS[0], STEPS)
    growing = [[asked(QUESTIONS[0], STEPS[: count + 1], count)] for count in range(len(STEPS))]
    parts = [good(part) for (part,) in replies(subject.family, subject.folder, growing)]
    ((once,),) = replies(subject.family, subject.folder, [[whole]])
    scores = [score for part in parts for score in part.scores]
    assert scores == pytest.approx(subject.scores(whole), abs=1e-5, rel=1e-5)
    assert sum(part.tokens for part in parts) == good(once).tokens


MARKS = {
    "math-shepherd": "and ки too",
    "rlhflow": "a<|eot_id|>b",
    "skywork": "a<|im_end|>",
    "qwen-math-prm": "a<extra_0>b",
    "er-prm": "and ки too",
    "pqm": "a [PRM] b",
}


def test_texts_that_look_like_marks_fail_alone(subject: Subject) -> None:
    mark = MARKS[subject.family]
    wrong = [
        asked(QUESTIONS[0], (STEPS[0], mark, STEPS[4])),
        asked(f"{QUESTIONS[0]} {mark}", STEPS[:2]),
    ]
    right = asked(QUESTIONS[0], STEPS)
    ((step, problem, fine),) = replies(subject.family, subject.folder, [[*wrong, right]])
    assert isinstance(step, CandidateError)
    assert isinstance(problem, CandidateError)
    assert (step.fault, problem.fault) == (Fault.MARKED, Fault.MARKED)
    assert "step 2 contains" in str(step)
    assert "the problem contains" in str(problem)
    assert good(fine).scores == pytest.approx(subject.scores(right), abs=1e-5, rel=1e-5)


def test_long_and_blank_paths_fail_alone(subject: Subject) -> None:
    long = asked(QUESTIONS[0], ("1 + " * 600,))
    blank = asked(QUESTIONS[0], (STEPS[0], " \n"))
    short = asked(QUESTIONS[0], STEPS[:2])
    options = ScorerOptions(context=300)
    ((first, second, third),) = replies(
        subject.family, subject.folder, [[long, blank, short]], options
    )
    assert isinstance(first, CandidateError)
    assert isinstance(second, CandidateError)
    assert (first.fault, second.fault) == (Fault.TOO_LONG, Fault.BLANK)
    assert f"too long for scorer `{subject.family}`, which reads 300" in str(first)
    assert "step 2 is blank" in str(second)
    assert good(third).scores == pytest.approx(subject.scores(short), abs=1e-5, rel=1e-5)


def test_ranges_are_declared(subject: Subject) -> None:
    from tts_runtime.engines.prm.engine import FamilyScorer

    engine = FamilyScorer(subject.family, str(subject.folder))
    bounds = (None, None) if subject.family == "pqm" else (0, 1)
    assert (engine.low, engine.high, engine.steps) == (*bounds, True)
    if subject.family == "pqm":  # raw: some lie outside what a probability could be
        assert not all(0 <= score <= 1 for score in subject.expected.values())


def test_surrounding_space_changes_nothing(subject: Subject) -> None:
    """A step is stripped, and a trailing delimiter makes none (`StepSplit.texts`)."""
    padded = asked(QUESTIONS[0], tuple(f" {step}\n" for step in STEPS))
    ((reply,),) = replies(subject.family, subject.folder, [[padded]])
    expected = subject.scores(asked(QUESTIONS[0], STEPS))
    assert good(reply).scores == pytest.approx(expected, abs=1e-5, rel=1e-5)
