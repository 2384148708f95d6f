"""`pytest tests/optimise --optimised 20000` runs that many programs instead of 300."""

from __future__ import annotations

import pytest

USUAL_PROGRAMS = 240


def pytest_addoption(parser: pytest.Parser) -> None:
    """Registers `--optimised`."""
    parser.addoption(
        "--optimised",
        type=int,
        default=USUAL_PROGRAMS,
        help="programs to generate for the comparison of raw and optimised plans",
    )


@pytest.fixture(scope="session")
def optimised_count(request: pytest.FixtureRequest) -> int:
    """How many programs to generate."""
    # Registered late (and so not parsed) when pytest is not started on this folder.
    count: int = request.config.getoption("--optimised", USUAL_PROGRAMS)
    return count
