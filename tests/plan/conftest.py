"""`pytest tests/plan --mutations 100000` tries that many mutated plans instead of a few hundred."""

from __future__ import annotations

import pytest

USUAL_MUTATIONS = 240


def pytest_addoption(parser: pytest.Parser) -> None:
    """Registers `--mutations`."""
    parser.addoption(
        "--mutations",
        type=int,
        default=USUAL_MUTATIONS,
        help="mutated plans to read, explain and run",
    )


@pytest.fixture(scope="session")
def mutation_count(request: pytest.FixtureRequest) -> int:
    """How many plans to mutate."""
    # Registered late (and so not parsed) when pytest is not started on this folder.
    count: int = request.config.getoption("--mutations", USUAL_MUTATIONS)
    return count
