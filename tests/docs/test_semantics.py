"""docs/semantics.md lists every rule with tests that exist, and no test of a rule is left out."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.blocks import ROOT

PAGE = ROOT / "docs" / "semantics.md"
ROW = re.compile(r"^\| (C\d+) \| (.+) \| (.*?) ?\|$", re.MULTILINE)
TEST = re.compile(r"^\s*(?:async )?def (test_(?:\w+_)?c0*(\d+)_\w+)", re.MULTILINE)

#: Numbers that no rule has.
UNUSED = {"C16", "C50", "C53", "C60"}


def pinned() -> dict[str, set[str]]:
    """Test names by the rule in their name."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, rule in TEST.findall(path.read_text(encoding="utf-8")):
            found.setdefault(f"C{rule}", set()).add(name)
    return found


def fill(page: Path) -> str:
    """The page with the tests of each rule written into its row."""
    tests = pinned()

    def row(match: re.Match[str]) -> str:
        names = ", ".join(f"`{name}`" for name in sorted(tests.get(match[1], ())))
        return f"| {match[1]} | {match[2]} | {names} |"

    return ROW.sub(row, page.read_text(encoding="utf-8"))


def test_every_rule_names_its_tests(update_golden: bool) -> None:
    if update_golden:
        PAGE.write_text(fill(PAGE), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    rules = {number for number, _, _ in ROW.findall(text)}
    assert rules | UNUSED == {f"C{number}" for number in range(1, len(rules | UNUSED) + 1)}
    without = sorted(number for number, _, tests in ROW.findall(text) if not tests.strip())
    assert not without
    assert text == fill(PAGE), "run pytest --update-golden"
