"""Sandboxes at every level that this machine has."""

from __future__ import annotations

from functools import cache

import pytest

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sandbox.box import Sandbox, SandboxOptions

LEVELS = ("bubblewrap", "namespaces", "landlock")


@cache
def _opened(level: str, timeout: int) -> Sandbox | str:
    limits = {"memory": 128, "processes": 8, "disk": 1, "output": 4, "timeout": timeout}
    try:
        return Sandbox(SandboxOptions.model_validate({"sandbox": level, **limits}))
    except EngineError as error:
        return str(error)


def opened(level: str, timeout: int = 60) -> Sandbox:
    """A sandbox with small limits; skips where the machine has none of this level."""
    sandbox = _opened(level, timeout)
    if isinstance(sandbox, str):
        pytest.skip(sandbox)
    return sandbox


@pytest.fixture(params=LEVELS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """A sandbox of each level."""
    return opened(request.param)


@pytest.fixture(params=LEVELS)
def hurried(request: pytest.FixtureRequest) -> Sandbox:
    """A sandbox of each level that gives programs a second."""
    return opened(request.param, 1)


@pytest.fixture
def best() -> Sandbox:
    """A sandbox of the best level."""
    return opened("auto")
