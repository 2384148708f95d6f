"""What both training scripts share: the model, batches by token count, the loop, export."""

import argparse
import copy
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from bundled import tokenizer
from bundled.examples import IGNORE, Example
from bundled.muon import Optimizers

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


class Learner(nn.Module):
    """A model, and auxiliary heads that are used in training only.

    The heads give the exact next token and the two verdicts.
    """

    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.model = model
        width, vocabulary = model.config.hidden_size, model.config.vocab_size
        self.exact = nn.Linear(width, vocabulary, bias=False)
        self.token_right = nn.Linear(width, 2)
        self.steps_right = nn.Linear(width, 2)

    def hidden(self, batch: Batch) -> torch.Tensor:
        """Final hidden states, [rows, length, width]."""
        states: torch.Tensor = self.model.model(input_ids=batch.ids).last_hidden_state
        return states


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


# Losses of a batch, by name, given what part of the run is over.
Losses = Callable[[Learner, Batch, float], dict[str, torch.Tensor]]

# Matrices of these models are too small to be shared by two threads; halves of a batch are not.
PARTS = 2


class Replicas:
    """Copies of a learner, with the same weights in the same memory and gradients of their own."""

    def __init__(self, learner: Learner) -> None:
        self._all = [learner, *(copy.deepcopy(learner) for _ in range(PARTS - 1))]
        self._parameters = [list(each.parameters()) for each in self._all]
        for others in self._parameters[1:]:
            for mine, first in zip(others, self._parameters[0], strict=True):
                mine.data = first.data
        self._threads = ThreadPoolExecutor(PARTS, initializer=torch.set_num_threads, initargs=(1,))

    def gradients(
        self,
        streams: Sequence[Iterator[Batch]],
        losses: Losses,
        over: float,
        weights: Mapping[str, float],
    ) -> tuple[int, dict[str, float]]:
        """Computes the parts of a batch side by side; leaves their mean gradient in the learner.

        Args:
            streams: Where each part comes from.
            losses: Of one part.
            over: What part of the run is over.
            weights: Of the losses.

        Returns:
            How many tokens were read, and the mean of each loss.
        """

        def part(learner: Learner, stream: Iterator[Batch]) -> tuple[int, dict[str, float]]:
            batch = next(stream)
            by_name = losses(learner, batch, over)
            terms = [weights[name] / PARTS * loss for name, loss in by_name.items()]
            torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
            values = {name: float(loss.detach()) / PARTS for name, loss in by_name.items()}
            return batch.ids.numel(), values

        tokens, means = 0, dict.fromkeys(weights, 0.0)
        for count, part_means in self._threads.map(part, self._all, streams):
            tokens += count
            for name, value in part_means.items():
                means[name] += value
        for first, *others in zip(*self._parameters, strict=True):
            for other in others:
                if other.grad is not None:
                    first.grad = other.grad if first.grad is None else first.grad + other.grad
                    other.grad = None
        return tokens, means


@dataclass(frozen=True, slots=True)
class Run:
    """A training run: `steps` batches of about `tokens` tokens, at a peak learning rate."""

    out: Path
    steps: int
    tokens: int
    rate: float
    seed: int


def run_of(options: argparse.Namespace) -> Run:
    """The run that the command line asks for."""
    return Run(options.out, options.steps, options.tokens, options.rate, options.seed)


def add_options(parser: argparse.ArgumentParser, defaults: Run) -> None:
    """The options of a run."""
    parser.add_argument("--out", type=Path, default=defaults.out)
    parser.add_argument("--steps", type=int, default=defaults.steps, help="batches")
    parser.add_argument("--tokens", type=int, default=defaults.tokens, help="tokens per batch")
    parser.add_argument("--rate", type=float, default=defaults.rate, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=defaults.seed)


def fit(
    run: Run,
    learner: Learner,
    make: Callable[[random.Random, float], Example],
    losses: Losses,
    weights: Mapping[str, float],
) -> None:
    """Train; write the model at the end, and now and then before, to look at.

    Args:
        run: How long, how fast, and where to.
        learner: Model and heads.
        make: A random sequence, given what part of the run is over. Called in several threads.
        losses: Of a batch.
        weights: Of the losses.
    """
    over = 0.0

    def stream(part: int) -> Iterator[Batch]:
        rng = random.Random(f"{run.seed}/{part}")
        return batches(lambda: make(rng, over), rng, run.tokens // PARTS)

    streams = [stream(part) for part in range(PARTS)]
    optimizers, replicas = Optimizers(learner, run.steps, run.rate), Replicas(learner)
    begin, seen, sums = time.time(), 0, dict.fromkeys(weights, 0.0)
    for number in range(run.steps):
        over = number / run.steps
        tokens, means = replicas.gradients(streams, losses, over, weights)
        optimizers.step(number)
        seen += tokens
        sums = {name: sums[name] + value for name, value in means.items()}
        if (number + 1) % 50 == 0:
            said = " ".join(f"{name} {total / 50:.4f}" for name, total in sums.items())
            taken = time.time() - begin
            rate = seen / taken
            print(f"{number + 1}/{run.steps} {said} {taken:.0f} s, {rate:.0f} tokens/s", flush=True)
            sums = dict.fromkeys(weights, 0.0)
        if (number + 1) % 500 == 0:
            export(learner.model, run.out)
    export(learner.model, run.out)


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
