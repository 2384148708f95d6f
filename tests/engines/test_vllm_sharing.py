"""Memory of a policy and a reward model that share a device: from the plan's tokens."""

from __future__ import annotations

import pytest

import tts_lang
from tests.support.runs import plan_of
from tts_runtime.engines.options import parse_name
from tts_runtime.engines.vllm import sharing
from tts_runtime.engines.vllm.options import POLICY_SHARE, SCORER_SHARE
from tts_runtime.engines.vllm.sharing import (
    Tenant,
    caches,
    divided,
    reads_again,
    shares,
    tokens_kept,
)
from tts_runtime.paths import bundled

GB = 10**9
#: 1.5B and 7B parameters in 16 bits with the keys and values of Qwen2.5.
SMALL = Tenant(3.1 * GB, 28_672, 4096, 1000)
LARGE = Tenant(15.2 * GB, 57_344, 4096, 1000)


def test_as_many_tokens_as_the_plan_has_each_keep() -> None:
    found = caches([SMALL, LARGE], 30 * GB)
    assert found is not None
    assert sum(found) == pytest.approx(30 * GB)
    assert found[0] / SMALL.token == pytest.approx(found[1] / LARGE.token)


def test_more_tokens_get_more_and_a_window_is_always_there() -> None:
    idle = Tenant(LARGE.weights, LARGE.token, LARGE.window, 0)
    found = caches([SMALL, idle], GB)
    assert found == pytest.approx([GB - 4096 * LARGE.token, 4096 * LARGE.token])
    assert caches([SMALL, LARGE], 4096 * LARGE.token) is None


def test_shares_hold_the_weights_and_add_up() -> None:
    found = shares([SMALL, LARGE], 80 * GB)
    assert found is not None
    assert sum(found) == pytest.approx(POLICY_SHARE + SCORER_SHARE)
    assert found[0] < POLICY_SHARE < found[1]  # the reward model is the larger of the two
    assert shares([SMALL, LARGE], 20 * GB) is None


def test_tokens_are_those_of_the_plan() -> None:
    beam = tts_lang.compile("beam_search", n=16)
    sampled, scored = tokens_kept([beam], 1024, "prm") or (0, 0)
    assert sampled > 0
    assert scored > 0
    assert tokens_kept([beam], 1024, "another") == (sampled, 0)
    twice = tokens_kept([beam, tts_lang.compile("beam_search", n=32)], 1024, "prm")
    assert twice is not None
    assert twice[1] == 2 * scored


SCORED = "score p by orm"
BEST = "best of p by orm"


@pytest.mark.parametrize(
    ("lines", "again"),
    [
        (("p = sample 4", SCORED, f"return {BEST}"), False),
        (("p = sample 4 steps", SCORED, "p = expand p by 2", SCORED, f"return {BEST}"), True),
        (
            (
                "p = sample 4 steps",
                "repeat 3 until all p done:",
                "    p = expand p by 1 step",
                f"    {SCORED}",
                "    p = select top 2 of p by orm",
                "return vote p",
            ),
            True,
        ),
    ],
    ids=["once", "twice", "in a loop"],
)
def test_a_path_that_is_scored_once_is_not_kept(lines: tuple[str, ...], again: bool) -> None:
    plan = plan_of(*lines, before="scorer orm per solution from 0 to 1")
    assert reads_again(plan, "orm") == again
    kept = tokens_kept([plan], 1024, "orm")
    assert kept is not None
    assert (kept[1] > 1024) == again


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "find_spec", lambda _: object())
    monkeypatch.setattr(sharing, "gpu_memory", lambda: 2 * GB)


def names(options: str = "") -> tuple[dict[str, object], dict[str, object]]:
    policy = f"vllm:{bundled('policy')}{options}"
    return {"policy": policy}, {"prm": f"rlhflow:{bundled('prm')}?engine=vllm&reduce=last"}


@pytest.mark.usefixtures("_installed")
def test_names_say_the_memory() -> None:
    policies, scorers = names()
    found = divided(policies, scorers, [tts_lang.compile("best_of_n", n=16)])
    assert set(found) == {policies["policy"], scorers["prm"]}
    given = [float(dict(parse_name(name).options)["gpu_memory"]) for name in found.values()]
    assert sum(given) == pytest.approx(POLICY_SHARE + SCORER_SHARE, abs=1e-3)


@pytest.mark.usefixtures("_installed")
def test_what_the_user_says_stands() -> None:
    plan = tts_lang.compile("best_of_n", n=16)
    assert not divided(*names("?gpu_memory=0.5"), [plan])
    assert not divided(*names("?devices=1"), [plan])
    assert not divided({"policy": "bundled"}, names()[1], [plan])
    assert not divided({"policy": "vllm:/no/such/folder"}, names()[1], [plan])
    assert not divided(*names("?nonsense=1"), [plan])
