"""Writes a choice of strategies as a `.tts` file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from textwrap import wrap

import tts_lang.library as library
from tts_lang.check.builtins import UNSET
from tts_lang.compiler import call_of, compile_strategy, parameters_of
from tts_lang.diagnostics import DiagnosticError
from tts_lang.optimise import NAMES, optimise
from tts_lang.plan.graph import Plan
from tts_lang.readers import is_there
from tts_lang.source import Source
from tts_lang.syntax.format import format_source


class ChangedError(Exception):
    """A file of a strategy would not call what ran; the message says which."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Difficulty by the mean score of a few samples."""

    scorer: str
    probes: int
    per_step: bool


@dataclass(frozen=True, slots=True)
class FromField:
    """Difficulty by a field of the problem, such as its pass rate."""

    field: str


def tuned_source(
    choice: Sequence[Plan],
    borders: Sequence[float],
    difficulty: Predicted | FromField,
    *,
    about: str,
    folder: Path,
    name: str = "tuned",
) -> str:
    """The text of a file whose strategy makes a choice.

    Args:
        choice: What to run in each bin, the easiest first.
        borders: Between bins, rising: one fewer than bins.
        difficulty: How the bin is found.
        about: Where the choice comes from: lines of the strategy's documentation.
        folder: Where the file will stand; imports are relative to it.
        name: Of the strategy.

    Raises:
        DiagnosticError: It does not compile: a strategy is not where it was.
        ChangedError: A strategy is not what it was.
    """
    written = [_call(plan) for plan in choice]
    calls = [each.text for each in written]
    files = {file for each in written for file in each.files}
    lines = [f'import "{each}"' for each in sorted({_import(file, folder) for file in files})]
    body: list[str] = []
    if len(set(calls)) == 1:
        body = [f"return {calls[0]}"]
    else:
        # Neighbours that are the same need no border between them.
        used = [at for at in range(len(borders)) if calls[at] != calls[at + 1]]
        if isinstance(difficulty, FromField):
            lines += ["", f'scorer difficulty field "{difficulty.field}"']
            body = ["asked = problem", "score asked by difficulty"]
            body.append("choose by first(difficulty of asked):")
        else:
            scorer = difficulty.scorer
            score = f"last({scorer})" if difficulty.per_step else scorer
            if scorer != "prm":
                lines += ["", f"scorer {scorer}" + ("" if difficulty.per_step else " per solution")]
            body = [f"probe = sample {difficulty.probes}", f"score probe by {scorer}"]
            body.append(f"choose by mean({score} of probe):")
        falling = list(borders)[::-1]
        body += [f"    above {_plain(falling[at])}: return {calls[at]}" for at in used]
        body.append(f"    otherwise: return {calls[-1]}")
    words = [
        f"    {line}".rstrip()
        for paragraph in about.splitlines()
        for line in wrap(paragraph, 96, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    text = "\n".join(
        [
            *lines,
            "",
            f"strategy {name}():",
            f'    """{words[0].strip()}',
            *words[1:],
            '    """',
            *(f"    {line}" for line in body),
            "",
        ]
    )
    formatted = format_source(Source.of(text, f"{name}.tts"))
    compile_strategy(Source.of(formatted, str(folder / f"{name}.tts")), name)
    return formatted


def base_of(plan: Plan) -> str:
    """A strategy's name without the values of a sweep."""
    return plan.strategy.partition("[")[0]


@dataclass(frozen=True, slots=True)
class _Call:
    """The call of a strategy that ran, and the files that it needs."""

    text: str
    files: frozenset[Path]


def _call(plan: Plan) -> _Call:
    name, file = base_of(plan), _file_of(plan)
    call = call_of(file, name, _values(plan, file))
    arguments = ", ".join(f"{each} = {value}" for each, value in call.arguments.items())
    return _Call(f"{name}({arguments})", frozenset({file, *map(Path, call.files)}))


def _file_of(plan: Plan) -> Path:
    """The file that the plan is of: it says the same today as when it ran.

    Raises:
        DiagnosticError: It cannot be compiled any more.
        ChangedError: It says something else.
    """
    own, shipped = Path(plan.file), library.names().get(base_of(plan))
    for file in (own,) if shipped is None or shipped == own else (shipped, own):
        try:
            compiled = compile_strategy(file, base_of(plan), _values(plan, file))
        except DiagnosticError:
            if shipped is None or is_there(own):
                raise
            continue
        # What it is called, where it lies and what is said of it make no other strategy.
        now = replace(compiled, strategy=plan.strategy, file=plan.file, document=plan.document)
        if _runs_as(now, plan):
            return file
    raise ChangedError(f"{own} does not say any more what ran as {plan.strategy}")


def _runs_as(now: Plan, plan: Plan) -> bool:
    """Whether a strategy is what ran, whichever passes did: their order may leave more or less."""
    sizes = range(len(NAMES) + 1)
    without = (each for size in sizes for each in combinations(NAMES, size))
    ran = any(optimise(now, without=each).plan == plan for each in without)
    return ran or optimise(now).plan == optimise(plan).plan  # the passes of another version


def _values(plan: Plan, file: Path) -> dict[str, str | int | float]:
    """The values that it ran with: what a plan does not name is as the binding has it."""
    named = plan.parameters
    unset = [each for each in parameters_of(file, base_of(plan)) if each not in named]
    values = {name: value for name, value in named.items() if value is not None}
    return {**dict.fromkeys(unset, UNSET), **values}


def _plain(value: float) -> str:
    """A number so that the same one is read from it: problems that lie on a border stay there."""
    return repr(value).removesuffix(".0")


def _import(file: Path, folder: Path) -> str:
    """How a file in `folder` names this one.

    Raises:
        ChangedError: A shipped one that a file of the same name hides there.
    """
    if not file.is_relative_to(library.folder()):
        return Path(os.path.relpath(file, folder)).as_posix()
    if (folder / file.name).exists():
        raise ChangedError(f"{folder / file.name} hides the shipped {file.name}")
    return file.name
