"""Keys are distinct where they must be, and noise is the same bits everywhere."""

from __future__ import annotations

from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime import streams
from tts_runtime.engines.batching import noise

ROOT = streams.root_key(0, "p1")
PINNED_ROOT = "7892c78959be986f1b30827d7edd3de2"
PINNED_SEED = 8310289880574105229
PINNED_NOISE = (-0.8599802571390248, -1.129400712845203, 1.0687669038804553)
TAG = streams.sampling_tag("main", 1.0, 1.0, 0, 0.0)

int64 = st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(int64, min_size=1, max_size=5), st.integers(1, 300))
def test_numpy_and_torch_draw_the_same_bits(seeds: list[int], vocabulary: int) -> None:
    import torch

    rows = np.array(seeds, np.int64)[:, None]
    tokens = np.arange(1, vocabulary + 1, dtype=np.int64)
    expected = noise.random_bits(rows, tokens)
    bits = noise.random_bits(torch.from_numpy(rows), torch.from_numpy(tokens))
    assert np.array_equal(expected, np.asarray(bits))
    assert expected.min() >= 0
    assert expected.max() < 2**53


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(int64, min_size=1, max_size=5))
def test_gumbel_noise_agrees_and_is_finite(seeds: list[int]) -> None:
    import torch

    expected = [streams.gumbel(seed, 120) for seed in seeds]
    assert np.isfinite(expected).all()
    for rows in (np.array(seeds, np.int64), torch.tensor(seeds)):
        np.testing.assert_allclose(np.asarray(noise.gumbel(rows, 120)), expected, rtol=1e-13)


def test_the_mixer_is_the_published_one() -> None:
    """Against SplitMix64 in plain unsigned arithmetic."""

    def published(state: int) -> int:
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        return state ^ (state >> 31)

    for seed in (0, 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15):
        states = [(seed + token * 0x9E3779B97F4A7C15) % 2**64 for token in (1, 2)]
        uniforms = [((published(state) >> 11) + 0.5) / 2**53 for state in states]
        assert streams.gumbel(seed, 2) == [-log(-log(each)) for each in uniforms]


def test_pinned_numbers_do_not_change() -> None:
    """Old runs must stay reproducible: change these only with the run format's version."""
    assert ROOT.hex() == PINNED_ROOT
    assert streams.position_seed(ROOT, 3) == PINNED_SEED
    numbers = streams.gumbel(streams.position_seed(ROOT, 3), 3)
    assert numbers == pytest.approx(PINNED_NOISE, rel=1e-12)


def test_child_zero_inherits_only_what_it_samples_alike() -> None:
    """C2, invariant U: a key belongs to one way of sampling."""
    other = streams.sampling_tag("main", 0.5, 1.0, 0, 0.0)
    assert streams.child_key(ROOT, TAG, 4, 0, 0, TAG) == ROOT
    assert streams.child_key(ROOT, other, 4, 0, 0, TAG) != ROOT
    assert streams.child_key(ROOT, streams.UNCLAIMED, 4, 0, 0, TAG) != ROOT


def test_derived_keys_are_all_different() -> None:
    """C4, C5, C6, C10, C12, C13: position, level, number, forced ids, order of rows all count."""
    row, other = (ROOT, 3), (ROOT, 4)
    keys = [
        ROOT,
        *(
            streams.child_key(ROOT, TAG, p, v, n, TAG)
            for p in (0, 1)
            for v in (0, 1)
            for n in (1, 2)
        ),
        streams.forced_key(ROOT, 3, (1, 2)),
        streams.forced_key(ROOT, 3, (12,)),
        streams.forced_key(ROOT, 4, (1, 2)),
        streams.cut_key(ROOT, 4, 3),
        streams.thinking_key(ROOT),
        streams.asked_key("revise", (), (row,)),
        streams.asked_key("revise", ("1",), (row,)),
        streams.asked_key("critique", (), (row,)),
        streams.asked_key("revise", (), (row, other)),
        streams.asked_key("revise", (), (other, row)),
        streams.lane_key(ROOT, 1),
        streams.lane_key(ROOT, 2),
        *(streams.resample_key(ROOT, rows, n) for rows in ((row,), (row, row)) for n in (0, 1)),
        streams.root_key(1, "p1"),
        streams.root_key(0, "p2"),
    ]
    assert all(one != other for one, other in combinations(keys, 2))
    assert all(len(key) == 16 for key in keys)


def test_parts_do_not_collide_by_concatenation() -> None:
    parts = [("ab", "c"), ("a", "bc"), ("abc",), (1, 23), (12, 3), ("1",), (1,), (b"1",), ((1,),)]
    assert len({streams.derive(b"k", *part) for part in parts}) == len(parts)


def test_uniform_numbers_are_uniform() -> None:
    numbers = [streams.uniform(ROOT, n) for n in range(4000)]
    assert min(numbers) > 0
    assert max(numbers) < 1
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-square, 9 degrees, p = 0.001
