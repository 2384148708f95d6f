"""Fixtures of the replay tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.runs import plan_of


@pytest.fixture
def plans() -> Callable[..., Any]:
    """Compiles the lines of a strategy."""
    return plan_of
