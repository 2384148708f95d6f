"""The kernel for GPUs draws what the reference draws; Triton's interpreter runs it on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

#: Prints what the reference draws otherwise; Triton reads the variable when it is imported.
PROGRAM = """
import numpy as np, torch
from tts_runtime.engines.base import Sampling
from tts_runtime.engines.batching.triton_draws import drawn
from tts_runtime.engines.batching.noise import position_seeds
from tts_runtime.sampling import draw, log_probabilities
from tts_runtime.streams import derive

generator = np.random.default_rng(0)
checked = 0
for dtype in (torch.float32, torch.bfloat16, torch.float64):
    for vocabulary in (5, 1024, 5000, 9001):
        numbers = generator.normal(size=(3, vocabulary)) * 3
        numbers[1, vocabulary // 2 :] = -np.inf
        numbers[2] = np.round(numbers[2])
        wide = torch.from_numpy(np.pad(numbers, ((0, 0), (0, 3)))).to(dtype)
        logits = wide[:, :vocabulary]  # as engines cut off ids without a text
        places = [(derive(b"key", row), vocabulary) for row in range(3)]
        temperatures = [0.3, 1.0, 2.5] if vocabulary > 1024 else [0.7] * 3
        column = torch.tensor(temperatures, dtype=torch.float64)[:, None]
        alike = column if vocabulary > 1024 else column[:1]
        tokens, scores, logprobs = drawn(logits, alike, torch.from_numpy(position_seeds(places)))
        exact = logits.double().tolist()
        for row, (place, temperature) in enumerate(zip(places, temperatures)):
            token = draw(exact[row], Sampling(temperature), *place)
            assert int(tokens[row]) == token, (dtype, vocabulary, row, int(tokens[row]), token)
            chance = log_probabilities(exact[row])[token]
            assert abs(float(logprobs[row]) - chance) < 1e-12, (dtype, vocabulary, row)
            checked += 1
nothing = torch.full((2, 5000), -torch.inf)
nothing[1, 4321] = 0.0
tokens, scores, _ = drawn(nothing, torch.ones(1, 1, dtype=torch.float64), torch.tensor([3, 4]))
assert scores[0] == -torch.inf and tokens[1] == 4321
print(checked, "draws")
"""


def test_the_kernel_draws_what_the_reference_draws() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout == "36 draws\n", done.stderr[-2000:]
