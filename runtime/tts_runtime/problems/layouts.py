"""Rows of published sets whose columns are no plain problem and answer, as rows that are.

A set is recognised by its columns, so that a file that was downloaded reads as the hub's does.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from random import Random
from string import ascii_uppercase
from typing import Any, ClassVar, Final


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
        choices = [row[name].strip() for name in (self._RIGHT, *self._WRONG)]
        hidden = {"Question", self._RIGHT, *self._WRONG}
        return {
            **{name: value for name, value in row.items() if name not in hidden},
            "problem": row["Question"].strip(),
            **_shuffled(row["Question"], choices, 0),
        }


class _TruthfulQa(Layout):
    """TruthfulQA (Lin et al. 2022) with one right choice, MC1, which stands first: shuffled."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        return isinstance(row.get("question"), str) and self._targets(row) is not None

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        choices, right = self._targets(row) or ([], 0)
        rest = {name: value for name, value in row.items() if name != "mc1_targets"}
        return {**rest, **_shuffled(row["question"], choices, right)}

    def _targets(self, row: Mapping[str, Any]) -> tuple[list[str], int] | None:
        """The choices and the place of the right one: of two lists, or each with its label."""
        targets = row.get("mc1_targets")
        if not isinstance(targets, Mapping):
            return None
        choices, labels = targets.get("choices"), targets.get("labels")
        if not isinstance(choices, list) or not isinstance(labels, list):
            choices, labels = list(targets), list(targets.values())
        one_is_right = len(choices) == len(labels) and labels.count(1) == 1
        return (list(map(str, choices)), labels.index(1)) if one_is_right else None


class _OfTwo(Layout):
    """PIQA (Bisk et al. 2020) and COPA (Roemmele et al. 2011): the columns of the two choices are
    numbered from 1, but their label counts from 0."""

    _COLUMNS: ClassVar = {"goal": ("sol1", "sol2"), "premise": ("choice1", "choice2")}
    _ASKED: ClassVar = {"cause": "What was the cause?", "effect": "What happened as a result?"}

    def fits(self, row: Mapping[str, Any]) -> bool:
        return self._about(row) is not None

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        about = self._about(row) or ""
        question = self._ASKED.get(str(row.get("question")))
        hidden = {about, "question", *self._COLUMNS[about]}
        return {
            **{name: value for name, value in row.items() if name not in hidden},
            "problem": "\n".join(filter(None, (row[about].strip(), question))),
            "choices": [row[name] for name in self._COLUMNS[about]],
        }

    def _about(self, row: Mapping[str, Any]) -> str | None:
        """The field that the choices are about; None if the row is of neither set."""
        for about, columns in self._COLUMNS.items():
            if all(isinstance(row.get(name), str) for name in (about, *columns)):
                asked = about == "goal" or row.get("question") in self._ASKED
                return about if asked else None
        return None


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


class _SocialIqa(_InTwoParts):
    """Social IQa (Sap et al. 2019): columns with letters, whose label is a number from 1."""

    _CHOICES = ("answerA", "answerB", "answerC")

    def fits(self, row: Mapping[str, Any]) -> bool:
        texts = all(isinstance(row.get(name), str) for name in self._CHOICES)
        return texts and super().fits(row)

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        labels = "ABC" if str(row.get("label", "A")).isalpha() else "123"
        choices = dict(zip(labels, (row[name] for name in self._CHOICES), strict=True))
        usual = super().as_usual(row)
        rest = {name: value for name, value in usual.items() if name not in self._CHOICES}
        return {**rest, "choices": choices}


class _Orz(Layout):
    """Open-Reasoner-Zero (Hu et al. 2025): a chat with the gold answer in place of its reply."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        return self._gold(row) is not None

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        usual = {name: value for name, value in row.items() if name != "messages"}
        return {**usual, "problem": row["messages"][:-1], "answer": self._gold(row)}

    def _gold(self, row: Mapping[str, Any]) -> Any:
        messages = row.get("messages")
        reply = messages[-1] if isinstance(messages, list) and messages else None
        gold = reply.get("ground_truth") if isinstance(reply, Mapping) else None
        return gold.get("value") if isinstance(gold, Mapping) else None


class _UnderItsName(Layout):
    """MathOdyssey (Fang et al. 2024): an object whose only field is named after the problem."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        return len(row) == 1 and all(isinstance(value, Mapping) for value in row.values())

    def as_usual(self, row: Mapping[str, Any]) -> dict[str, Any]:
        [(name, problem)] = row.items()
        return {"id": name, **problem}


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


def _shuffled(question: str, choices: list[str], right: int) -> dict[str, Any]:
    """The choices and the letter of the right one, in an order that only the question decides."""
    order = list(range(len(choices)))
    Random(sha256(question.encode("utf-8", "replace")).digest()).shuffle(order)
    return {
        "choices": [choices[place] for place in order],
        "answer": ascii_uppercase[order.index(right)],
    }


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
    _TruthfulQa(),
    _HumanEval(),
    _Mbpp(),
    _OfTwo(),
    _SocialIqa(),
    _InTwoParts(),
    _Orz(),
    _Arc(),
    _Instruction(),
    _UnderItsName(),
)
