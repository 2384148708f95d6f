"""`tts-report --text`: no line too long, the numbers of the run, no color but on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tts_runtime.report.study import Study
from tts_runtime.report.text import print_study


def printed(
    run: Path | Study, width: int, terminal: bool | None = None, encoding: str = "utf-8"
) -> str:
    study = run if isinstance(run, Study) else Study([run])
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=out, width=width, markup=False, highlight=False, force_terminal=terminal)
    print_study(study, None, console)
    out.seek(0)
    return out.read()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_fit_the_terminal(run: Path, width: int) -> None:
    text = printed(run, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    for name in ("majority", "beam_search", "main"):
        assert name in text.replace("\n", "")


def test_an_axis_is_drawn_where_there_is_room(run: Path) -> None:
    assert "●" in printed(run, 80)
    assert "●" not in printed(run, 50)
    assert all("     95 %  tokens" in printed(run, width) for width in (50, 80))


def test_a_terminal_has_styles(run: Path) -> None:
    assert "\x1b[1m" in printed(run, 80, terminal=True)


def test_an_axis_in_ascii(run: Path) -> None:
    text = printed(run, 80, encoding="ascii")
    assert "*" in text
    assert "[" in text


def test_what_failed_is_counted_beside_the_name(run: Path) -> None:
    study = Study([run])
    study.update()
    entry = study.entries[0]
    for key in list(entry.trials)[:2]:
        entry.trials[key] = entry.trials[key]._replace(failed=True)
    assert f"\n{entry.name} (2 failed) " in printed(study, 200)
    assert "failed" not in printed(run, 200)


def test_a_difference_says_what_it_is_to(run: Path) -> None:
    lines = [line.rstrip() for line in printed(run, 80).splitlines()]
    at = max(at for at, line in enumerate(lines) if line.startswith("beam_search[n=8] "))
    assert lines[at + 1] == "against majority[n=8]"


def test_groups_count_the_problems_that_have_a_grade(run: Path) -> None:
    study = Study([run])
    study.update()
    assert "level 1 (1)  level 2 (2)" in printed(study, 80)
    for entry in study.entries:
        for key, trial in entry.trials.items():
            if key.problem == "two/../x":
                entry.trials[key] = trial._replace(correct=None)
    assert "level 1 (1)  level 2 (1)" in printed(study, 80)
