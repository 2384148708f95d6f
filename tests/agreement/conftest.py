"""`pytest tests/agreement --programs 5000` generates 5,000 programs instead of a few hundred."""

from __future__ import annotations

import pytest

USUAL_PROGRAMS = 90


def pytest_addoption(parser: pytest.Parser) -> None:
    """Registers `--programs`."""
    parser.addoption(
        "--programs",
        type=int,
        default=USUAL_PROGRAMS,
        help="programs to generate for the comparison with the reference interpreter",
    )


@pytest.fixture(scope="session")
def program_count(request: pytest.FixtureRequest) -> int:
    """How many programs to generate."""
    # Registered late (and so not parsed) when pytest is not started on this folder.
    count: int = request.config.getoption("--programs", USUAL_PROGRAMS)
    return count
