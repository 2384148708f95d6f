"""The tutorial's tables are complete."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT
from tts_lang.cli.process import INTERRUPTED, MISTAKE, UNREAD
from tts_runtime.cli.command import FAILED
from tts_runtime.runs.results import Summary

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_every_field_of_a_summary_is_explained() -> None:
    first_cells = " ".join(re.findall(r"^\| (`.*?) \|", TUTORIAL, re.MULTILINE))
    named = set(re.findall(r"`(\w+)`", first_cells))
    assert set(Summary.model_fields) <= named


@pytest.mark.parametrize("code", [MISTAKE, FAILED, INTERRUPTED, UNREAD])
def test_exit_codes_are_explained(code: int) -> None:
    assert f"\n| {code} | " in TUTORIAL
