"""The registry of diagnostic codes."""

from __future__ import annotations

import re

import pytest

from tts_lang import codes
from tts_lang.codes import registry


def test_codes_are_well_formed_and_explained() -> None:
    entries = registry()
    assert list(entries) == sorted(entries)
    for code, entry in entries.items():
        assert re.fullmatch(r"TTS[1-59]\d\d", code)
        assert entry.title
        assert not entry.title.endswith(".")
        assert entry.explanation.endswith((".", ".)"))


def test_two_stages_cannot_claim_one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = ("tts_lang.syntax.codes", "tts_lang.syntax.codes")
    monkeypatch.setattr(codes, "_STAGES", twice)
    with pytest.raises(ValueError, match="defined twice"):
        registry.__wrapped__()
