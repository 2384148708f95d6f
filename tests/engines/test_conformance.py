"""Every policy engine that runs in this process keeps the promises (vLLM: tests/vllm)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policy_conformance import PolicyConformance, Subject
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.options import PolicyOptions
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.sim_server import Latency


@pytest.fixture(params=["sim", "bundled", "transformers"])
def subject(request: pytest.FixtureRequest, policy_folder: Path) -> Subject:
    """Each engine in turn."""
    from tts_runtime.engines.torch.policy import TransformersPolicy

    if request.param == "sim":
        return Subject(lambda slots: SimPolicy(latency=Latency(slots=slots, jitter=2.0)), True)
    if request.param == "transformers":
        name = str(policy_folder)
        return Subject(lambda slots: TransformersPolicy(name, PolicyOptions(slots=slots)))
    return Subject(lambda slots: BundledPolicy(policy_folder, slots=slots))


class TestPolicies(PolicyConformance):
    """All cases on each."""
