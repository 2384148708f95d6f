"""Writes a choice of strategies as a `.tts` file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import tts_lang.library as library
from tts_lang.compiler import compile_strategy
from tts_lang.diagnostics import DiagnosticError
from tts_lang.plan.graph import Plan
from tts_lang.source import Source
from tts_lang.syntax.format import format_source


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
    """
    calls = [_call(plan) for plan in choice]
    imports = dict.fromkeys(_import(plan, folder) for plan in choice)
    lines = [f'import "{each}"' for each in sorted(imports)]
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


def _call(plan: Plan) -> str:
    defaults: Mapping[str, object] = {}
    try:
        own = _own(plan)
        defaults = compile_strategy(own or base_of(plan), base_of(plan)).parameters
    except (DiagnosticError, OSError):
        pass  # every value is written
    arguments = [
        f"{name} = {_literal(value)}"
        for name, value in plan.parameters.items()
        if name == "n" or defaults.get(name, ...) != value
    ]
    return f"{base_of(plan)}({', '.join(arguments)})"


def _literal(value: object) -> str:
    if isinstance(value, str):
        return value if value.isidentifier() else f'"{value}"'
    return _plain(value)


def _plain(value: object) -> str:
    """A number so that the same one is read from it: problems that lie on a border stay there."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _import(plan: Plan, folder: Path) -> str:
    own = _own(plan)
    return f"{base_of(plan)}.tts" if own is None else Path(os.path.relpath(own, folder)).as_posix()


def _own(plan: Plan) -> Path | None:
    """The file of a strategy that is not a shipped one."""
    shipped = library.names().get(base_of(plan))
    if not plan.file or (shipped is not None and Path(plan.file).name == shipped.name):
        return None
    return Path(plan.file)
