"""What both training scripts share: the model, batches by token count, the optimiser, export."""

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from bundled import tokenizer
from bundled.examples import IGNORE, Example

TARGETS = ("next", "exact", "token_right", "steps_right")


def model_config(tied: bool, layers: int = 4) -> LlamaConfig:
    """The architecture of both models: width 128, about 0.2 M parameters a layer."""
    ids = tokenizer.vocabulary()
    return LlamaConfig(
        vocab_size=len(ids),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=tokenizer.CONTEXT,
        bos_token_id=ids[tokenizer.BOS],
        eos_token_id=ids[tokenizer.EOS],
        pad_token_id=ids[tokenizer.PAD],
        tie_word_embeddings=tied,
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences padded on the right: `ids` and every target are [rows, length]."""

    ids: torch.Tensor
    targets: dict[str, torch.Tensor]


def batches(make: Callable[[], Example], rng: random.Random, tokens: int) -> Iterator[Batch]:
    """Endless batches of about `tokens` positions, of sequences of similar length."""
    while True:
        pool = sorted((make() for _ in range(512)), key=lambda example: len(example.ids))
        groups: list[list[Example]] = []
        rows: list[Example] = []
        for example in pool:
            if rows and (len(rows) + 1) * len(example.ids) > tokens:
                groups.append(rows)
                rows = []
            rows.append(example)
        groups.append(rows)
        rng.shuffle(groups)
        yield from (_collate(group) for group in groups)


def _collate(rows: list[Example]) -> Batch:
    length = max(len(row.ids) for row in rows)
    pad = tokenizer.vocabulary()[tokenizer.PAD]

    def stack(name: str, fill: int) -> torch.Tensor:
        lists = [getattr(row, name) for row in rows]
        return torch.tensor([values + [fill] * (length - len(values)) for values in lists])

    return Batch(stack("ids", pad), {name: stack(name, IGNORE) for name in TARGETS})


class Heads(nn.Module):
    """Auxiliary heads, used in training only: the exact next token and the two verdicts."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.exact = nn.Linear(width, vocabulary, bias=False)
        self.token_right = nn.Linear(width, 2)
        self.steps_right = nn.Linear(width, 2)


# Few tokens are wrong; without this the verdicts start to be learned only very late.
WRONG_WEIGHT = 4.0


def head_loss(
    head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, wrong_weight: float | None = None
) -> torch.Tensor:
    """Mean cross entropy of a head over the positions that have a target (0 if none has).

    `wrong_weight` is the weight of class 0 of a two-class head.
    """
    chosen = targets != IGNORE
    if not bool(chosen.any()):
        return hidden.sum() * 0
    weights = None if wrong_weight is None else torch.tensor([wrong_weight, 1.0])
    return functional.cross_entropy(head(hidden[chosen]), targets[chosen], weights)


class Optimizers:
    """Muon for the matrices of the layers, AdamW for the rest, one warm-up and cosine schedule.

    Muon (Jordan 2024) orthogonalises the momentum of each matrix. torch.optim.Muon does so one
    matrix at a time in bfloat16, which these CPUs emulate: a step took longer than the gradients.
    """

    def __init__(self, modules: list[nn.Module], steps: int, rate: float, first: int = 0) -> None:
        others: list[nn.Parameter] = []
        shapes: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for module in modules:
            for name, parameter in module.named_parameters():
                if parameter.ndim == 2 and "layers" in name:
                    shapes.setdefault(tuple(parameter.shape), []).append(parameter)
                else:
                    others.append(parameter)
        self._steps, self._rate, self._first = steps, rate, first
        self._adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
        self._groups = list(shapes.values())
        self._momenta = [torch.zeros(len(group), *group[0].shape) for group in self._groups]
        self._parameters = [*others, *(p for group in self._groups for p in group)]

    def step(self, number: int) -> None:
        """Apply the gradients of step `number` and clear them."""
        warm = min(1.0, (number - self._first + 1) / 50)
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


def export(model: LlamaForCausalLM, folder: Path) -> None:
    """Write weights, configuration and tokenizer so that transformers and vLLM load the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_tokenizer(folder)
    config = json.loads((folder / "config.json").read_text())
    # The spelling of older transformers, which vLLM may bring along.
    config["rope_theta"] = config["rope_parameters"]["rope_theta"]
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    generation = folder / "generation_config.json"
    ids = tokenizer.vocabulary()
    settings = {"eos_token_id": ids[tokenizer.EOS], "pad_token_id": ids[tokenizer.PAD]}
    generation.write_text(json.dumps(settings, indent=2) + "\n")
