"""docs/methods.md maps every method of the literature list to files that exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.shipped import FILES

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((\.\./strategies/[^)]+\.tts)\)")
METHODS = 75
OUTSIDE = {35}


def test_every_method_has_a_file_or_a_reason() -> None:
    rows = {int(number): (files, note) for number, _, files, note in ROW.findall(PAGE.read_text())}
    assert list(rows) == list(range(1, METHODS + 1))
    assert {number for number, (files, _) in rows.items() if not LINK.search(files)} == OUTSIDE
    assert all(rows[number][1].startswith("outside: ") for number in OUTSIDE)


def test_every_link_is_a_shipped_file_and_every_shipped_file_is_linked() -> None:
    linked = {(PAGE.parent / link).resolve() for link in LINK.findall(PAGE.read_text())}
    assert linked == {path.resolve() for path in FILES}
