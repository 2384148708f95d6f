"""The shipped strategy files, and small values of their parameters to run them with."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tts_lang import library
from tts_lang.compiler import compile_strategy, parameters_of
from tts_lang.plan.graph import Plan
from tts_lang.syntax.nodes import StrategyDeclaration
from tts_lang.syntax.parser import load

FILES = tuple(sorted(library.folder().rglob("*.tts")))

#: Values of the parameters that make work; each strategy takes those that it has.
SMALL: dict[str, int | str] = {
    "agents": 4,
    "budget": 6,
    "choices": "1|2|33",
    "checks": 3,
    "chunk": 6,
    "depth": 3,
    "fixes": 1,
    "most": 6,
    "m": 2,
    "n": 8,
    "narrow": 2,
    "population": 3,
    "probes": 3,
    "readings": 2,
    "rollouts": 3,
    "rounds": 2,
    "sweeps": 2,
    "trees": 2,
    "tries": 4,
    "warm": 3,
    "wide": 3,
    "width": 2,
    "window": 4,
}


def declared(path: Path) -> list[StrategyDeclaration]:
    """The strategies of a file, as they stand there."""
    return [item for item in load(path).file.items if isinstance(item, StrategyDeclaration)]


def names_in(path: Path) -> list[str]:
    """The names of a file's strategies, without the time that parsing takes."""
    return re.findall(r"^strategy (\w+)", path.read_text("utf-8"), re.MULTILINE)


#: Every shipped strategy, with its file.
NAMED = tuple((path, name) for path in FILES for name in names_in(path))

every_file = pytest.mark.parametrize(
    "path", FILES, ids=[str(path.relative_to(library.folder())) for path in FILES]
)
every_strategy = pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])


@cache
def as_shipped(path: Path, name: str) -> Plan:
    """A strategy's plan, at the defaults of its parameters."""
    return compile_strategy(path, name)


@cache
def small(path: Path, name: str) -> Plan:
    """A strategy's plan, at small values of the parameters that make work."""
    known = parameters_of(path, name)
    return compile_strategy(path, name, {key: SMALL[key] for key in known if key in SMALL})
