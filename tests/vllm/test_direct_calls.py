"""Modules that are called directly compute what they did."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tts_runtime.engines.vllm.direct_calls import call_directly

ROW = torch.linspace(-1, 1, 4)


class Counted(nn.Linear):
    """Counts what torch does beside `forward`: it looks submodules and parameters up."""

    lookups = 0

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        Counted.lookups += 1
        return super().__getattr__(name)


def model() -> nn.Sequential:
    """Two layers, the same every time."""
    torch.manual_seed(0)
    return nn.Sequential(Counted(4, 8), nn.SiLU(), nn.Linear(8, 4))


@torch.inference_mode()
def test_it_computes_the_same_without_looking_parts_up() -> None:
    changed, expected = model(), model()(ROW)
    call_directly(changed)
    Counted.lookups = 0
    assert torch.equal(changed(ROW), expected)
    assert Counted.lookups == 0
    assert isinstance(changed[0], Counted)


@torch.inference_mode()
def test_other_models_of_the_same_classes_stay_as_they_are() -> None:
    other = model()
    call_directly(model())
    calls: list[object] = []
    other[2].register_forward_hook(lambda *_: calls.append(1))
    other(ROW)
    assert calls == [1]


@torch.inference_mode()
def test_hooks_that_are_there_are_called() -> None:
    changed = model()
    calls: list[object] = []
    changed[2].register_forward_hook(lambda *_: calls.append(1))
    call_directly(changed)
    changed(ROW)
    assert calls == [1]


@torch.inference_mode()
def test_parameters_that_are_replaced_later_are_used() -> None:
    changed = model()
    call_directly(changed)
    changed[2].weight = nn.Parameter(torch.zeros(4, 8), requires_grad=False)
    changed[2].bias = nn.Parameter(torch.ones(4), requires_grad=False)
    assert torch.equal(changed(ROW), torch.ones(4))
