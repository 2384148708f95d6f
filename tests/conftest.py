"""Options shared by all tests."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

# Tests measure no time: a busy machine fails none of them. Every run draws other examples, so 40 of
# them a run see as much as 100 do; what needs more says so.
settings.register_profile("untimed", deadline=None, max_examples=40)
settings.load_profile("untimed")

# Small products on a busy machine wait for threads longer than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The shell of `make test &` ignores Ctrl-C, and `nohup make test` hangups; processes inherit that.
# Tests send both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        default=False,
        help="write what the code gives now as the expected text of golden tests",
    )


#: What loads torch, which takes seconds.
_TORCH = (
    *("tests/bundled_world", "tests/engines", "tests/streams"),
    *("tests/record/test_trl.py", "tests/servers/test_http_scorers.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests come first, so that one of several processes runs them."""
    items.sort(key=lambda item: not item.nodeid.startswith(_TORCH))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: garbage collection need not look at it, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_teardown() -> None:
    """A command that a test ran has said for the whole process which messages are shown."""
    logger = logging.getLogger("tts_runtime")
    logger.handlers = []
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def standing() -> None:
    """For tests that collect garbage: what earlier tests left stays out of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written instead of compared."""
    update: bool = request.config.getoption("--update-golden")
    return update
