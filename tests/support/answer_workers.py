"""Processes that read answers, with replies that a test names."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tts_runtime.answers import boundary


def answered(monkeypatch: pytest.MonkeyPatch, *replies: Future[Any]) -> None:
    """Nothing is known yet; these are the processes' replies, of which the last is repeated."""
    left = list(replies)

    class Replies:
        def submit(self, *_: str) -> Future[Any]:
            assert left, "a process for a plain answer"
            return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(boundary, "pool", Replies)
    monkeypatch.setattr(boundary, "_kept", boundary._Kept())
