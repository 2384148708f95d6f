"""The optimiser of both training scripts: Muon for matrices, AdamW for the rest."""

import math

import torch
from torch import nn


class Optimizers:
    """Muon for the matrices of the layers, AdamW for the rest, one warm-up and cosine schedule.

    Muon (Jordan 2024) orthogonalises the momentum of each matrix. torch.optim.Muon does so one
    matrix at a time in bfloat16, which these CPUs emulate: a step took longer than the gradients.
    """

    def __init__(self, module: nn.Module, steps: int, rate: float) -> None:
        others: list[nn.Parameter] = []
        shapes: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            if parameter.ndim == 2 and "layers" in name:
                shapes.setdefault(tuple(parameter.shape), []).append(parameter)
            else:
                others.append(parameter)
        self._steps, self._rate = steps, rate
        self._adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
        self._groups = list(shapes.values())
        self._momenta = [torch.zeros(len(group), *group[0].shape) for group in self._groups]
        self._parameters = [*others, *(p for group in self._groups for p in group)]

    def step(self, number: int) -> None:
        """Apply the gradients of step `number` and clear them."""
        warm = min(1.0, (number + 1) / 50)
        scale = warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * number / self._steps)))
        rate = self._rate * scale
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._adam.param_groups[0]["lr"] = rate
        self._adam.step()
        with torch.no_grad():
            for group, momentum in zip(self._groups, self._momenta, strict=True):
                self._muon_step(group, momentum, rate)
        for parameter in self._parameters:
            parameter.grad = None

    @staticmethod
    def _muon_step(group: list[nn.Parameter], momentum: torch.Tensor, rate: float) -> None:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in group]
        gradient = torch.stack(gradients)
        momentum.mul_(0.95).add_(gradient)
        update = orthogonalise(gradient + 0.95 * momentum)
        # Scaled so that an update has the root mean square of an AdamW update.
        factor = 0.2 * math.sqrt(max(group[0].shape)) * rate
        for parameter, matrix in zip(group, update, strict=True):
            parameter.mul_(1 - 0.01 * rate).sub_(factor * matrix)


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Roughly the nearest orthogonal matrix of each of [count, rows, columns], by Newton-Schulz."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    result: torch.Tensor = x.transpose(1, 2) if tall else x
    return result
