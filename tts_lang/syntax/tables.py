"""The parse table of the language, as built by build_tables.py, ready to be walked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Rule(NamedTuple):
    """One production: what it makes, with which builder, out of how many symbols."""

    origin: str
    builder: str
    size: int
    kept: tuple[int, ...]


class _Rows(dict[int, dict[str, int]]):
    """Rows by state, unpacked when first used: most strategies visit few of them."""

    def __init__(self, symbols: list[str], states: list[int], packed: list[list[int]]) -> None:
        super().__init__()
        self._symbols, self._states, self._packed = symbols, states, packed

    def __missing__(self, state: int) -> dict[str, int]:
        packed = self._packed[self._states[state]]
        names = map(self._symbols.__getitem__, packed[::2])
        row = self[state] = dict(zip(names, packed[1::2], strict=True))
        return row


@dataclass(slots=True)
class Tables:
    """LALR(1) tables. An action is `2 * state` for a shift or goto, `2 * rule + 1` to reduce."""

    rules: list[Rule]
    rows: dict[int, dict[str, int]]
    terminals: frozenset[str]

    def advance(self, states: list[int], terminal: str) -> bool:
        """Move a stack of states over a terminal; false if the parser would refuse it.

        After a refusal the stack may have been reduced, so that it accepts less than before.
        """
        while True:
            action = self.rows[states[-1]].get(terminal)
            if action is None:
                return False
            if action & 1 == 0:
                states.append(action >> 1)
                return True
            rule = self.rules[action >> 1]
            if rule.size:
                del states[-rule.size :]
            states.append(self.rows[states[-1]][rule.origin] >> 1)

    def shifts(self, states: list[int], terminal: str) -> bool:
        """Whether a parser with this stack of states would accept the terminal next."""
        return self.advance(states.copy(), terminal)

    def accepts(self, states: list[int]) -> frozenset[str]:
        """Every terminal that really continues the input."""
        row = self.rows[states[-1]]
        return frozenset(t for t in row if t in self.terminals and self.shifts(states, t))


@cache
def load_tables() -> Tables:
    """The tables of the shipped grammar."""
    data = json.loads(Path(__file__).with_name("tables.json").read_text("utf-8"))
    rules = [
        Rule(origin, builder, size, tuple(kept)) for origin, builder, size, kept in data["rules"]
    ]
    symbols = data["symbols"]
    terminals = frozenset(s for s in symbols if s == "$END" or s.isupper())
    return Tables(rules, _Rows(symbols, data["states"], data["rows"]), terminals)
