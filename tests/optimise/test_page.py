"""docs/optimiser.md has every rule with its law, and the table that the benchmark prints."""

from __future__ import annotations

import sys
from pathlib import Path

from tts_lang.optimise import PASSES
from tts_lang.optimise.rules import Keeps

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "optimiser.md"


def test_the_page_has_every_rule_and_its_law() -> None:
    text, laws = (page.read_text("utf-8") for page in (PAGE, PAGE.with_name("laws.md")))
    for passed in PASSES:
        assert f"\n## {passed.name}\n" in text
        for rule in passed.rules:
            page = text if rule.keeps is Keeps.TEXTS else laws
            assert f"| {rule.name} | {rule.law} |" in page


def test_the_page_has_the_savings_of_today() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from optimiser_savings import table  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    assert table() in PAGE.read_text("utf-8")
