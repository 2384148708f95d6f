"""Correct strategy files to parse, format and mutate in tests."""

from __future__ import annotations

from tests.support.golden import FIXTURES, SYNTAX
from tts_lang.source import Source

STRATEGIES = FIXTURES.parent.parent / "strategies"


def sample_sources() -> list[Source]:
    """The syntax fixtures and every shipped strategy."""
    paths = sorted(SYNTAX.glob("*.tts")) + sorted(STRATEGIES.rglob("*.tts"))
    return [Source.of(path.read_text("utf-8"), path.name) for path in paths]
