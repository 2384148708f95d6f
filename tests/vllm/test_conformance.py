"""The vLLM engine keeps every policy engine's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policy_conformance import PolicyConformance, Subject
from tests.support.vllm_engines import Engines


@pytest.fixture
def subject(engines: Engines, policy_folder: Path) -> Subject:
    """Two engines for all cases: one slot, or many."""
    return Subject(
        lambda slots: engines.policy(policy_folder, 1 if slots == 1 else 64), shared=True
    )


class TestVllm(PolicyConformance):
    """All cases; closing would end the shared engine, so `test_ending` has its own."""

    test_close_cancels_what_is_in_flight = None  # type: ignore[assignment]
