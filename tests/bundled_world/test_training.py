"""Training: parts of a batch side by side, runs that can be repeated bit for bit."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bundled.examples import policy_example

if TYPE_CHECKING:
    from bundled.training import Batch, Learner


def learner(seed: int = 0) -> Learner:
    import torch
    from bundled import training
    from bundled.training import Learner
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    return Learner(LlamaForCausalLM(training.model_config(tied=True)))


def stream(seed: int) -> Iterator[Batch]:
    from bundled import training

    rng = random.Random(seed)
    return training.batches(lambda: policy_example(rng, 2), rng, 256)


def test_parts_side_by_side_give_the_mean_of_their_gradients() -> None:
    import torch
    from bundled import train_policy, training
    from bundled.training import Replicas

    one = learner()
    batches = [next(stream(seed)) for seed in range(training.PARTS)]
    expected = []
    for batch in batches:
        alone = copy.deepcopy(one)
        found = train_policy.losses(alone, batch, 0.0)
        terms = [train_policy.WEIGHTS[name] * loss for name, loss in found.items()]
        torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
        expected.append([parameter.grad for parameter in alone.parameters()])
    tokens, means = Replicas(one).gradients(
        [iter([batch]) for batch in batches], train_policy.losses, 0.0, train_policy.WEIGHTS
    )
    assert tokens == sum(batch.ids.numel() for batch in batches)
    assert set(means) == set(train_policy.WEIGHTS)
    assert min(means.values()) > 0
    for parameter, *parts in zip(one.parameters(), *expected, strict=True):
        assert parameter.grad is not None
        mean = torch.stack([part for part in parts if part is not None]).sum(0) / training.PARTS
        assert torch.allclose(parameter.grad, mean, atol=1e-6)


def test_a_few_steps_lower_the_loss_of_every_copy() -> None:
    from bundled import train_policy, training
    from bundled.muon import Optimizers
    from bundled.training import Replicas

    one = learner()
    optimizers, replicas = Optimizers(one, 30, 4e-3), Replicas(one)
    streams = [stream(seed) for seed in range(training.PARTS)]
    losses = []
    for number in range(30):
        _, means = replicas.gradients(streams, train_policy.losses, 0.0, train_policy.WEIGHTS)
        optimizers.step(number)
        losses.append(means["next"])
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_run_is_the_same_twice(tmp_path: Path) -> None:
    import torch
    from bundled import train_policy, training
    from bundled.training import Run
    from safetensors.torch import load_file

    for name in ("one", "two"):
        run = Run(tmp_path / name, steps=4, tokens=200, rate=4e-3, seed=7)
        training.fit(run, learner(), train_policy.make, train_policy.losses, train_policy.WEIGHTS)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
