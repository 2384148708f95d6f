"""Rows of published sets whose columns are no plain problem and answer, as rows that are.

A set is recognised by its columns, so that a file that was downloaded reads as the hub's does.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from random import Random
from typing import Any, Final


class Layout(ABC):
    """The columns of a published set."""

    #: The grader of its answers, if it is not the usual one.
    grader: str | None = None

    @abstractmethod
    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has them."""

    @abstractmethod
    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with `problem`, `answer`, `choices`; other columns stay."""


class _Gpqa(Layout):
    """GPQA (Rein et al. 2023): one column per choice, the right one first.

    The choices are shuffled, the same way wherever the question is read.
    """

    _RIGHT, _WRONG = "Correct Answer", tuple(f"Incorrect Answer {n}" for n in (1, 2, 3))

    def fits(self, row: Mapping[str, Any]) -> bool:
        return all(
            isinstance(row.get(name), str) for name in ("Question", self._RIGHT, *self._WRONG)
        )

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        right = row[self._RIGHT].strip()
        choices = [right, *(row[name].strip() for name in self._WRONG)]
        order = list(range(len(choices)))
        Random(sha256(row["Question"].encode("utf-8", "replace")).digest()).shuffle(order)
        hidden = {"Question", self._RIGHT, *self._WRONG}
        return {
            **{name: value for name, value in row.items() if name not in hidden},
            "problem": row["Question"].strip(),
            "choices": [choices[place] for place in order],
            "answer": "ABCD"[order.index(0)],
        }


class _HumanEval(Layout):
    """HumanEval (Chen et al. 2021): the head of a function, and a text of tests."""

    grader = "exec:python?field=test"

    def fits(self, row: Mapping[str, Any]) -> bool:
        return all(isinstance(row.get(name), str) for name in ("prompt", "test", "entry_point"))

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        # Longer than those in the docstring, which would end the block.
        fence = max(re.findall(r"`{3,}", row["prompt"]), key=len, default="``") + "`"
        text = (
            "Complete this Python function. Write the whole function in a code block.\n\n"
            f"{fence}python\n{row['prompt'].rstrip()}\n{fence}"
        )
        return {"problem": text, "answer": None, **row, "canonical_solution": None}


class _Mbpp(Layout):
    """MBPP (Austin et al. 2021): a task in words, and asserts; the paper's prompt shows them."""

    grader = "exec:python?field=test_list"

    def fits(self, row: Mapping[str, Any]) -> bool:
        tests = row.get("test_list")
        return isinstance(tests, list) and isinstance(row.get("prompt", row.get("text")), str)

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        tests = "\n".join(map(str, row["test_list"]))
        text = (
            f"{row.get('prompt', row.get('text'))}\n\nWrite Python code in a code block. It should "
            f"pass these tests:\n\n```python\n{tests}\n```"
        )
        return {"problem": text, "answer": None, **row, "code": None}


class _InTwoParts(Layout):
    """A text and a question about it: SVAMP (Patel et al. 2021), ASDiv (Miao et al. 2020), AGIEval,
    OlympiadBench (He et al. 2024), SQuAD, RACE, LogiQA.

    ASDiv's answers have their unit in brackets, `9 (apples)`, which is left out.
    """

    _BEFORE = ("body", "passage", "context", "article")

    def fits(self, row: Mapping[str, Any]) -> bool:
        return len(self._parts(row)) > 1

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        parts = self._parts(row)
        usual: dict[str, Any] = {name: row[name] for name in row if name not in parts}
        answer = row.get("answer")
        if isinstance(answer, str):
            usual["answer"] = re.sub(r"^(\s*-?\d[\d.,/:]*)\s+\([^()\d]+\)\s*$", r"\1", answer)
        usual["problem"] = "\n".join(row[name].strip() for name in parts)
        return usual

    def _parts(self, row: Mapping[str, Any]) -> list[str]:
        """The names of both, in order; none if the row has a whole problem, or no question.

        A text that the question has in it stays a field.
        """
        filled = _filled(row)
        question = next((filled[name] for name in ("question", "query") if name in filled), None)
        if "problem" in filled or question is None:
            return []
        before = [filled[name] for name in self._BEFORE if name in filled]
        return [*(name for name in before if row[name].strip() not in row[question]), question]


class _Arc(Layout):
    """ARC (Clark et al. 2018) as its authors have it: the question holds its text and choices."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        question = row.get("question")
        return isinstance(question, Mapping) and isinstance(question.get("stem"), str)

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        question = row["question"]
        usual = {name: value for name, value in row.items() if name != "question"}
        return {**usual, "problem": question["stem"], "choices": question.get("choices")}


class _Instruction(Layout):
    """Alpaca (Taori et al. 2023): an instruction, and what it is about; both are the problem."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        filled = _filled(row)
        whole = filled.keys() & {"problem", "question", "prompt"}
        return {"instruction", "input"} <= filled.keys() and not whole

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        filled = _filled(row)
        parts = [filled["instruction"], filled["input"]]
        usual = {name: row[name] for name in row if name not in parts}
        return {**usual, "problem": "\n\n".join(row[name].strip() for name in parts)}


def _filled(row: Mapping[str, Any]) -> dict[str, str]:
    """The names of the texts that are not empty, by these names in small letters."""
    return {
        name.lower(): name
        for name, value in row.items()
        if isinstance(value, str) and value.strip()
    }


#: The first that fits a row is used.
LAYOUTS: Final[tuple[Layout, ...]] = (
    _Gpqa(),
    _HumanEval(),
    _Mbpp(),
    _InTwoParts(),
    _Arc(),
    _Instruction(),
)
