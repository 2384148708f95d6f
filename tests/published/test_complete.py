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


#: Strategies of the catalogue without a published form here, and why.
NOT_COMPARED = {
    "ab_mcts": "random numbers of a walk that may stay: tests/strategies compares what it does",
    "deep_think": "uncertainty_routed, compared itself, behind four prompts",
    "phi_decoding": "random numbers behind a look ahead whose cost belongs to the language",
    "planned": "any strategy, behind a prompt",
    "self_eval_decoding": "needs the probability of a reply's first token",
}


def test_every_strategy_of_the_catalogue_has_a_reference_or_a_reason() -> None:
    catalogue = {name for path, name in NAMED if path.parent.name == "catalogue"}
    assert catalogue - set(PUBLISHED) == set(NOT_COMPARED)
