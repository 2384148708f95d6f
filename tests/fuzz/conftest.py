"""`pytest tests/fuzz --sources 100000` makes that many files instead of a few hundred."""

from __future__ import annotations

import pytest

USUAL_SOURCES = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    """Registers `--sources` and `--first-source`."""
    parser.addoption(
        "--sources", type=int, default=USUAL_SOURCES, help="strategy files to make up and compile"
    )
    parser.addoption(
        "--first-source", type=int, default=0, help="number of the first of them: its seed"
    )


@pytest.fixture(scope="session")
def sources(request: pytest.FixtureRequest) -> range:
    """The seeds of the files."""
    # Registered late (and so not parsed) when pytest is not started on this folder.
    first: int = request.config.getoption("--first-source", 0)
    count: int = request.config.getoption("--sources", USUAL_SOURCES)
    return range(first, first + count)
