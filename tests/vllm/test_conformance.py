"""The vLLM engine keeps every policy engine's promises, by either way of using vLLM."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.support.policy_conformance import PolicyConformance, Subject
from tests.support.vllm_engines import Engines


def subject_of(engines: Engines, folder: Path, internals: Literal["auto", "off"]) -> Subject:
    """Two engines for all cases: one slot, or many."""
    return Subject(
        lambda slots: engines.policy(folder, 1 if slots == 1 else 64, internals), shared=True
    )


class TestVllm(PolicyConformance):
    """All cases; closing would end the shared engine, so `test_policy` has its own."""

    test_close_cancels_what_is_in_flight = None  # type: ignore[assignment]

    @pytest.fixture
    def subject(self, engines: Engines, policy_folder: Path) -> Subject:
        """With vLLM's undocumented parts."""
        return subject_of(engines, policy_folder, "auto")


class TestVllmInPublic(PolicyConformance):
    """All cases by vLLM's documented interface alone."""

    test_close_cancels_what_is_in_flight = None  # type: ignore[assignment]

    @pytest.fixture
    def subject(self, engines: Engines, policy_folder: Path) -> Subject:
        """Without vLLM's undocumented parts."""
        found = subject_of(engines, policy_folder, "off")
        assert "by its public interface (internals=off)" in found.make(64).chosen  # type: ignore[attr-defined]
        return found
