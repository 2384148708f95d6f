"""A small batched sampler and scorer, enough to train and to measure with.

It reads the Hugging Face folders of the bundled models, keeps a key-value cache per row, and drops
rows that have finished. The project's engines are elsewhere; this one has no streams.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional

from bundled import tokenizer

# Rows are batched so that the cache holds about that many tokens (4 kB each): larger is slower.
CACHE_SLOTS = 40_000


@dataclass(slots=True)
class Cache:
    """Keys and values per layer, [rows, heads, capacity, head width]; `real` marks used slots."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    real: torch.Tensor
    length: int = 0

    def keep(self, rows: torch.Tensor) -> None:
        """Make these rows (repeated or not) the rows of the cache."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
        self.real = self.real[rows]


class Model:
    """The forward pass of a Llama checkpoint (no grouped queries, no biases)."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")
        self.layers: int = config["num_hidden_layers"]
        self.heads: int = config["num_attention_heads"]
        self.epsilon: float = config["rms_norm_eps"]
        embedding = self.weights["model.embed_tokens.weight"]
        self.output = self.weights.get("lm_head.weight", embedding)
        half = embedding.shape[1] // self.heads // 2
        self._frequencies = 10000.0 ** (-torch.arange(half) / half)

    def new_cache(self, rows: int, capacity: int) -> Cache:
        """An empty cache."""
        width = self.weights["model.embed_tokens.weight"].shape[1] // self.heads
        shape = (rows, self.heads, capacity, width)
        keys, values = ([torch.zeros(shape) for _ in range(self.layers)] for _ in range(2))
        return Cache(keys, values, torch.zeros(rows, capacity, dtype=torch.bool))

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.rms_norm(x, x.shape[-1:], self.weights[name], self.epsilon)

    def _rotate(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        angles = positions[:, None, :, None] * self._frequencies
        cosine, sine = angles.cos(), angles.sin()
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: Cache
    ) -> torch.Tensor:
        """Final hidden states of new tokens [rows, length, width]; the cache grows by them.

        `mask` is true where a new token (row) may look at a slot (column) of the grown cache.
        """
        rows, length = ids.shape
        start, end = cache.length, cache.length + length
        x = self.weights["model.embed_tokens.weight"][ids]
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            normed = self._norm(x, prefix + "input_layernorm.weight")
            query, key, value = (
                (normed @ self.weights[f"{prefix}self_attn.{kind}_proj.weight"].T)
                .view(rows, length, self.heads, -1)
                .transpose(1, 2)
                for kind in "qkv"
            )
            query, key = self._rotate(query, positions), self._rotate(key, positions)
            cache.keys[layer][:, :, start:end] = key
            cache.values[layer][:, :, start:end] = value
            key, value = cache.keys[layer][:, :, :end], cache.values[layer][:, :, :end]
            mixed = functional.scaled_dot_product_attention(query, key, value, mask[:, None])
            mixed = mixed.transpose(1, 2).reshape(rows, length, -1)
            x = x + mixed @ self.weights[prefix + "self_attn.o_proj.weight"].T
            normed = self._norm(x, prefix + "post_attention_layernorm.weight")
            gate = functional.silu(normed @ self.weights[prefix + "mlp.gate_proj.weight"].T)
            up = normed @ self.weights[prefix + "mlp.up_proj.weight"].T
            x = x + (gate * up) @ self.weights[prefix + "mlp.down_proj.weight"].T
        cache.length = end
        return self._norm(x, "model.norm.weight")


def _left_padded(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(ids) for ids in sequences)
    pad = tokenizer.vocabulary()[tokenizer.PAD]
    ids = torch.tensor([[pad] * (length - len(row)) + list(row) for row in sequences])
    lengths = torch.tensor([len(row) for row in sequences])
    real = torch.arange(length) >= (length - lengths)[:, None]
    return ids, real


def prefill(
    model: Model, sequences: Sequence[Sequence[int]], room: int = 0
) -> tuple[torch.Tensor, Cache]:
    """Hidden states of whole sequences, padded on the left, and a cache with room for more."""
    ids, real = _left_padded(sequences)
    rows, length = ids.shape
    positions = (real.cumsum(1) - 1).clamp(min=0)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    # Padding looks at itself, so that no row of the softmax is empty.
    mask = (causal & real[:, None, :]) | torch.eye(length, dtype=torch.bool)
    cache = model.new_cache(rows, length + room)
    cache.real[:, :length] = real
    return model.forward(ids, positions, mask, cache), cache


@torch.inference_mode()
def sample(
    model: Model,
    prompts: Sequence[Sequence[int]],
    generator: torch.Generator,
    stop: Sequence[str] = (tokenizer.EOS,),
    limit: int = 256,
    temperature: float = 1.0,
) -> list[list[int]]:
    """New ids per prompt, up to and including the first stop token, at most `limit`."""
    stops = torch.tensor([tokenizer.vocabulary()[token] for token in stop])
    outputs: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), prompts[index]))
    start = 0
    while start < len(order):
        rows = max(16, CACHE_SLOTS // (len(prompts[order[start]]) + 100))
        live = order[start : start + rows]
        start += rows
        distinct: dict[tuple[int, ...], int] = {}
        shared = [distinct.setdefault(tuple(prompts[index]), len(distinct)) for index in live]
        hidden, cache = prefill(model, list(distinct), limit)
        hidden, position = hidden[shared, -1:], cache.real.sum(1)[shared]
        cache.keep(torch.tensor(shared))
        done = torch.zeros(len(live), dtype=torch.bool)
        for _ in range(limit):
            logits = hidden[:, -1] @ model.output.T
            if temperature == 0:
                chosen = logits.argmax(-1)
            else:
                weights = torch.softmax(logits / temperature, -1)
                chosen = torch.multinomial(weights, 1, generator=generator)[:, 0]
            for index, token, ended in zip(live, chosen.tolist(), done.tolist(), strict=True):
                if not ended:
                    outputs[index].append(token)
            done |= torch.isin(chosen, stops)
            if bool(done.all()):
                break
            # Copying the cache costs about as much as a few steps: only when it saves rows.
            if int(done.sum()) * 4 > len(live):
                running = (~done).nonzero()[:, 0]
                live = [live[index] for index in running.tolist()]
                cache.keep(running)
                chosen, position, done = chosen[running], position[running], done[running]
            cache.real[:, cache.length] = True
            mask = cache.real[:, None, : cache.length + 1]
            hidden = model.forward(chosen[:, None], position[:, None], mask, cache)
            position = position + 1
    return outputs


@torch.inference_mode()
def score_steps(
    model: Model, prompt: str, solutions: Sequence[Sequence[str]], rows: int = 256
) -> list[list[float]]:
    """One score in [0, 1] per step: P(+) at the delimiter after it."""
    return score_many(model, [(prompt, steps) for steps in solutions], rows)


@torch.inference_mode()
def score_many(
    model: Model, requests: Sequence[tuple[str, Sequence[str]]], rows: int = 256
) -> list[list[float]]:
    """`score_steps` over (prompt, steps) pairs of different problems."""
    ids = tokenizer.vocabulary()
    pair = torch.tensor([ids["+"], ids["-"]])
    sequences, marks = [], []
    for prompt, steps in requests:
        sequence = tokenizer.encode(prompt)
        ends = []
        for step in steps:
            sequence += tokenizer.encode(step + "\n\n")
            ends.append(len(sequence))
        sequences.append(sequence)
        marks.append(ends)
    scores: list[list[float]] = [[] for _ in requests]
    order = sorted(range(len(requests)), key=lambda index: len(sequences[index]))
    for start in range(0, len(order), rows):
        chunk = order[start : start + rows]
        hidden, _ = prefill(model, [sequences[index] for index in chunk])
        good = torch.softmax(hidden @ model.output[pair].T, -1)[..., 0]
        for row, index in enumerate(chunk):
            offset = hidden.shape[1] - len(sequences[index])
            scores[index] = [float(good[row, offset + end - 1]) for end in marks[index]]
    return scores
