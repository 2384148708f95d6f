"""docs/diagnostics.md explains every code by the fixture that produces it."""

from __future__ import annotations

from tests.docs.blocks import ROOT
from tests.docs.diagnostics_page import page
from tests.support.golden import check_golden
from tts_lang.codes import registry


def test_the_page_is_up_to_date(update_golden: bool) -> None:
    check_golden(ROOT / "docs" / "diagnostics.md", page(), update_golden)


def test_every_code_has_a_section_and_an_anchor() -> None:
    text = page()
    for code, entry in registry().items():
        assert f'### <a id="{code.lower()}"></a>{code}: {entry.title}\n' in text
