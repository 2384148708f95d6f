"""Answers of many kinds: what is one class of the vote, what is graded right, what is neither."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tts_runtime.answers import canonical, extract_answer, grade

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "answers"
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

# Rows of Math-Verify that are not taken over, each with the reason.
NOT_TAKEN_OVER = {
    r"Answer $ \n 9 \n $": "a formula over several lines is one all the same",
    r"Answer \( \n 9 \n \)": "a formula over several lines is one all the same",
    r"$\begin{pmatrix}0.33\\0.2 \end{pmatrix}$": "two digits of precision are an option there",
    r"$(0.6,2.6667]$": "two digits of precision are an option there",
    r"$F_n = \sum_{k=0}^{n-1} F_{n-k-1} F_k$": "sums are compared as text",
    r"$1 + \frac{1}{\mathrm{e}}$": "a mistake there, reported as its issue 14",
}


def lines(name: str) -> Iterator[str]:
    for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def kinds() -> Iterator[tuple[str, list[str]]]:
    for line in lines("kinds.txt"):
        verb, _, answers = line.partition(": ")
        yield verb, [answer.strip() for answer in answers.split(" ;; ")]


def failures(verb: str, answers: list[str]) -> list[object]:
    """What of a line does not hold."""
    first, others = answers[0], answers[1:]
    keys = {answer: canonical(answer) for answer in answers}
    match verb:
        case "same":
            wrong = [pair for pair in itertools.product(answers, repeat=2) if not grade(*pair)]
            return wrong + ([keys] if len(set(keys.values())) > 1 else [])
        case "apart":
            wrong = [pair for pair in itertools.permutations(answers, 2) if grade(*pair)]
            return wrong + ([keys] if len(set(keys.values())) < len(answers) else [])
        case "accepts":
            return [other for other in others if not grade(other, first)]
        case "right" | "wrong":
            pairs = [pair for other in others for pair in ((first, other), (other, first))]
            return [pair for pair in pairs if grade(*pair) != (verb == "right")]
    raise ValueError(verb)


@pytest.mark.parametrize(("verb", "answers"), list(kinds()), ids=lambda value: str(value)[:50])
def test_every_kind_of_answer(verb: str, answers: list[str]) -> None:
    assert failures(verb, answers) == []
    for answer in answers:
        form = canonical(answer)
        assert canonical(form) == form


@pytest.mark.parametrize("line", list(lines("texts.txt")))
def test_every_kind_of_text(line: str) -> None:
    finish, text, gold = (part.strip() for part in line.split(" | "))
    answer = extract_answer(re.sub(r"\\n(?![a-z])", "\n", text), finish=finish)
    if gold == "-":
        assert answer is None
    else:
        assert grade(answer, gold), answer


def test_rows_of_math_verify() -> None:
    rows = [json.loads(line) for line in lines("math_verify.jsonl")]
    wrong = {}
    for row in rows:
        gold = extract_answer(row["gold"]) or row["gold"]
        if grade(extract_answer(row["text"]), gold) != row["right"]:
            wrong[row["text"].replace("\n", "\\n")] = row
    assert set(wrong) == set(NOT_TAKEN_OVER)


@pytest.mark.skipif(not CASES.is_dir(), reason="the collected cases are not part of this project")
@pytest.mark.parametrize("name", ["answers", "extraction"])
def test_collected_cases(name: str) -> None:
    wrong = []
    for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if name == "extraction":
            answer = extract_answer(
                case["text"], finish=case["finish"], thinking_end=case["thinking_end"]
            )
            right = grade(answer, case["gold"]) == case["right"]
        else:
            right = grade(case["pred"], case["gold"]) == case["grade"]
            one_class = canonical(case["pred"]) == canonical(case["gold"])
            right &= case["same_vote"] in (None, one_class)
        if not right:
            wrong.append(case)
    assert wrong == []
