"""Which problems of a set are run: `--where`, `--ids`, `--shuffle`, `--offset`, `--limit`."""

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
    """What is kept of a set, in this order.

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
        kept = list(problems)
        for text in self.where:
            kept = _where(kept, text)
        if self.ids:
            by_id = {problem.id: problem for problem in kept}
            for wanted in self.ids:
                if wanted not in by_id:
                    hint = did_you_mean(wanted, by_id) or f"the first is `{next(iter(by_id), '')}`"
                    raise SelectionError(f"--ids: no problem has the id `{wanted}`; {hint}")
            kept = [by_id[wanted] for wanted in dict.fromkeys(self.ids)]
        if self.shuffle is not None:
            Random(self.shuffle).shuffle(kept)
        if self.offset >= len(kept):
            raise SelectionError(f"--offset: {self.offset} leaves none of {len(kept)} problems")
        end = None if self.limit is None else self.offset + self.limit
        return kept[self.offset : end]


def _where(problems: Sequence[Problem], text: str) -> list[Problem]:
    found = re.fullmatch(r"\s*([^!<>=]+?)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*", text)
    if found is None or not found[3]:
        raise SelectionError(f"--where: `{text}`: expected FIELD=VALUE (also != < <= > >=)")
    name, relation, wanted = found.groups()
    known = dict.fromkeys(field for problem in problems for field in problem.fields)
    if name not in known:
        hint = did_you_mean(name, known) or f"fields are {', '.join(list(known)[:20]) or 'none'}"
        raise SelectionError(f"--where: no problem has a field `{name}`; {hint}")
    kept = [problem for problem in problems if _holds(problem.fields, name, relation, wanted)]
    if not kept:
        values = list(dict.fromkeys(str(problem.fields.get(name)) for problem in problems))
        some = ", ".join(values[:10]) + (", ..." if len(values) > 10 else "")
        raise SelectionError(f"--where: `{text}` leaves no problem; values of `{name}` are {some}")
    return kept


def _holds(fields: Mapping[str, Any], name: str, relation: str, wanted: str) -> bool:
    if name not in fields or fields[name] is None:
        return False
    # `Level 5` in a field `level` is level 5.
    label = re.compile(rf"{re.escape(name)}\s+(?=\S)", re.IGNORECASE)
    value, wanted = (label.sub("", text.strip(), 1) for text in (str(fields[name]), wanted))
    left, right = _number(value), _number(wanted)
    if left is not None and right is not None:
        return _COMPARE[relation](left, right)
    if relation in ("=", "!="):
        return _COMPARE[relation](value.casefold(), wanted.casefold())
    raise SelectionError(f"--where: `{name}` is `{value}`: only numbers can be less or greater")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
