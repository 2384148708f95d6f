"""Selection of problems: `--where`, `--ids`, `--shuffle`, `--offset`, `--limit`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tts_lang.diagnostics import did_you_mean
from tts_runtime.problems.model import Problem

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


class SelectionError(ValueError):
    """A selection that cannot be made; the message names the option."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The filters of a problem set, in this order.

    Args:
        where: Conditions on fields, all of which hold: `level=5`, `pass_rate<0.1`, `subject!=X`.
        ids: Only these problems, in this order.
        shuffle: Seed of a random order.
        offset: Problems that are left out at the beginning.
        limit: At most this many.
    """

    where: Sequence[str] = ()
    ids: Sequence[str] = ()
    shuffle: int | None = None
    offset: int = 0
    limit: int | None = None

    def of(self, problems: Sequence[Problem]) -> list[Problem]:
        """The problems that are kept.

        Raises:
            SelectionError: A field or id that no problem has, or nothing is left.
        """
        selected = list(problems)
        for text in self.where:
            selected = _where(selected, text)
        if self.ids:
            by_id = {problem.id: problem for problem in selected}
            for problem_id in self.ids:
                if problem_id not in by_id and any(each.id == problem_id for each in problems):
                    raise SelectionError(
                        f"--ids: --where leaves out the problem `{problem_id}`; give one of them"
                    )
                if problem_id not in by_id:
                    hint = (
                        did_you_mean(problem_id, by_id) or f"the first is `{next(iter(by_id), '')}`"
                    )
                    raise SelectionError(f"--ids: no problem has the id `{problem_id}`; {hint}")
            selected = [by_id[problem_id] for problem_id in dict.fromkeys(self.ids)]
        if self.shuffle is not None:
            Random(self.shuffle).shuffle(selected)
        if self.offset >= len(selected):
            raise SelectionError(f"--offset: {self.offset} leaves none of {len(selected)} problems")
        end = None if self.limit is None else self.offset + self.limit
        return selected[self.offset : end]


def _where(problems: Sequence[Problem], text: str) -> list[Problem]:
    match = re.fullmatch(r"\s*([^!<>=]+?)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*", text)
    if match is None or not match[3]:
        raise SelectionError(f"--where: `{text}`: expected FIELD=VALUE (also != < <= > >=)")
    name, relation, operand = match.groups()
    fields = dict.fromkeys(field for problem in problems for field in problem.fields)
    if name not in fields:
        hint = did_you_mean(name, fields) or f"fields are {', '.join(list(fields)[:20]) or 'none'}"
        raise SelectionError(f"--where: no problem has a field `{name}`; {hint}")
    selected = [problem for problem in problems if _holds(problem.fields, name, relation, operand)]
    if not selected:
        values = list(dict.fromkeys(str(problem.fields.get(name)) for problem in problems))
        some = ", ".join(values[:10]) + (", ..." if len(values) > 10 else "")
        raise SelectionError(f"--where: `{text}` leaves no problem; values of `{name}` are {some}")
    return selected


def _holds(fields: Mapping[str, Any], name: str, relation: str, operand: str) -> bool:
    if name not in fields or fields[name] is None:
        return False
    # `Level 5` in a field `level` is level 5.
    label = re.compile(rf"\A{re.escape(name)}\s+(?=\S)", re.IGNORECASE)
    value, operand = (label.sub("", text.strip()) for text in (str(fields[name]), operand))
    left, right = _number(value), _number(operand)
    if left is not None and right is not None:
        return _COMPARE[relation](left, right)
    if relation in ("=", "!="):
        return _COMPARE[relation](value.casefold(), operand.casefold())
    raise SelectionError(f"--where: `{name}` is `{value}`: only numbers can be less or greater")


def _number(text: str) -> int | float | None:
    for kind in (int, float):  # whole numbers of any length are compared exactly
        try:
            return kind(text)
        except ValueError:
            pass
    return None
