"""The vLLM engine keeps every policy engine's promises, by either way of using vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policy_conformance import PolicyConformance, Subject
from tests.support.vllm_engines import Engines
from tts_runtime.engines.base import Exactness
from tts_runtime.engines.vllm.device import cannot_be_invariant


def subject_of(engines: Engines, folder: Path) -> Subject:
    """Two engines for all cases: one slot, or many."""
    return Subject(lambda slots: engines.policy(folder, 1 if slots == 1 else 64), shared=True)


class TestVllm(PolicyConformance):
    """All cases; closing would end the shared engine, so `test_policy` has its own."""

    test_close_cancels_what_is_in_flight = None  # type: ignore[assignment]

    @pytest.fixture
    def subject(self, engines: Engines, policy_folder: Path) -> Subject:
        """With vLLM's undocumented parts."""
        return subject_of(engines, policy_folder)


class TestVllmInBfloat16(PolicyConformance):
    """All cases in bfloat16, where the device gives a row the same bits in every batch."""

    test_close_cancels_what_is_in_flight = None  # type: ignore[assignment]

    @pytest.fixture
    def subject(self, engines: Engines, policy_folder: Path) -> Subject:
        """Batch-invariant, so exact."""
        lacks = cannot_be_invariant()
        if lacks:
            pytest.skip(lacks)
        assert engines.policy(policy_folder, 64, "bfloat16").exactness is Exactness.BITS
        return Subject(
            lambda slots: engines.policy(policy_folder, 1 if slots == 1 else 64, "bfloat16"),
            shared=True,
        )


class TestVllmInPublic(PolicyConformance):
    """All cases by vLLM's documented interface alone."""

    test_close_cancels_what_is_in_flight = None  # type: ignore[assignment]

    @pytest.fixture
    def subject(self, public_engines: Engines, policy_folder: Path) -> Subject:
        """Without vLLM's undocumented parts."""
        chosen = public_engines.policy(policy_folder).chosen
        assert "by its public interface (internals=off)" in chosen
        return subject_of(public_engines, policy_folder)
