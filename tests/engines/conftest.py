"""Small models, written once per test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_models import tiny_model


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random policy of the bundled policy's width."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "policy")


@pytest.fixture(scope="session")
def prm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random PRM of the bundled PRM's width."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "prm", kind="prm", seed=1)
