"""Every strategy in the main folder has a published form to be compared with."""

from __future__ import annotations

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import PUBLISHED
from tests.support.shipped import NAMED
from tts_lang import library


def test_every_strategy_of_the_main_folder_has_a_reference() -> None:
    main = {name for path, name in NAMED if path.parent == library.folder()}
    assert main - set(PUBLISHED) == set()


def test_every_reference_is_of_a_shipped_strategy() -> None:
    assert set(PUBLISHED) - {name for _, name in NAMED} == set()
