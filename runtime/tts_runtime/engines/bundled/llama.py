"""A lean Llama forward pass on CPU, for models so small that a framework's overhead dominates.

Weights come from a Hugging Face folder; the logits are tested equal to transformers'. Numbers of a
row do not depend on its neighbours as far as the kernels allow (semantics.md C63): matrix products
get at least eight rows (MKL sums in another order below), and a token attends in the same kernel
whether it is read with others or alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import linear, pad, silu

from tts_lang.explain.models import Model
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.files import checked_window
from tts_runtime.engines.torch.kv_cache import Cache, CacheShape

#: Matrix products with a multiple of so many rows give a row the same bits whatever their number.
_ROWS = 8
#: Attention reads keys up to the longest row, rounded up to a multiple of this.
_LENGTHS = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Llama."""

    layers: int
    hidden: int
    heads: int
    key_heads: int
    head: int
    vocabulary: int
    context: int
    theta: float
    epsilon: float


class Llama:
    """The weights, arranged for speed: normalisation, scale and rotation folded into them.

    Args:
        folder: `config.json` and `*.safetensors`.
        context: Tokens that it will be used for; 0: as many as it can.

    Raises:
        EngineError: Not a Llama of the plain kind, or made for fewer tokens.
    """

    def __init__(self, folder: Path, context: int = 0) -> None:
        self.shape = shape = _shape(folder)
        checked_window(str(folder), shape.context, context or None)
        weights = {name: tensor.float() for name, tensor in _weights(folder).items()}
        self._embedding = weights["model.embed_tokens.weight"]
        head = weights.get("lm_head.weight", self._embedding)
        self._head = (head * weights["model.norm.weight"]).contiguous()
        self._layers = [_layer(weights, f"model.layers.{i}.", shape) for i in range(shape.layers)]
        values = sum(tensor.numel() for tensor in weights.values())
        self.card = Model(values, shape.layers, shape.hidden)
        # Padding of a batch may point past the context window, up to twice its length.
        frequency = shape.theta ** -(torch.arange(0, shape.head, 2) / shape.head)
        angle = torch.outer(torch.arange(2 * shape.context).float(), frequency)
        self._rotation = torch.polar(torch.ones_like(angle), angle)

    @property
    def vocabulary(self) -> int:
        """See `Forward`."""
        return self.shape.vocabulary

    @property
    def device(self) -> str:
        """See `Forward`."""
        return "cpu"

    def cache(self, rows: int) -> Cache:
        """See `Forward`."""
        shape = self.shape
        return Cache(CacheShape(shape.layers, shape.key_heads, shape.head), rows)

    def extend(self, ids: Tensor, starts: Tensor, cache: Cache, *, block: bool = False) -> Tensor:
        """See `Forward`."""
        shape = self.shape
        rows, tokens = ids.shape
        positions = starts[:, None] + torch.arange(tokens)
        length = -(-(int(starts.max()) + tokens) // _LENGTHS) * _LENGTHS
        cache.ensure(length)
        hidden = _at_least(self._embedding[ids].view(rows * tokens, shape.hidden))
        rotation = self._rotation[positions][:, :, None]
        future = torch.arange(length) > positions[:, :, None]
        mask = torch.zeros(future.shape).masked_fill_(future, -torch.inf)
        row_numbers = torch.arange(rows)[:, None]
        for weights, stored in zip(self._layers, cache.data, strict=True):
            mixed = linear(_normalised(hidden, shape.epsilon), weights.attention)[: rows * tokens]
            mixed = mixed.view(rows, tokens, shape.heads + 2 * shape.key_heads, shape.head)
            turning = shape.heads + shape.key_heads
            pairs = mixed[:, :, :turning].reshape(rows, tokens, turning, -1, 2)
            turned = torch.view_as_real(torch.view_as_complex(pairs) * rotation).flatten(-2)
            queries, keys = turned[:, :, : shape.heads], turned[:, :, shape.heads :]
            values = mixed[:, :, turning:]
            stored[0][row_numbers, :, positions] = keys
            stored[1][row_numbers, :, positions] = values
            read = stored[:, :rows].flatten(1, 2)[:, :, :length]
            attend = _attend_block if block else _attend_each
            seen = _at_least(attend(queries, read[0], read[1], mask).reshape(rows * tokens, -1))
            hidden = hidden + linear(seen, weights.output)
            gate, up = linear(_normalised(hidden, shape.epsilon), weights.gate_up).chunk(2, dim=-1)
            hidden = hidden + linear(silu(gate) * up, weights.down)
        return _normalised(hidden[: rows * tokens], shape.epsilon).view(rows, tokens, shape.hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of hidden states [rows, hidden]."""
        return linear(_at_least(hidden), self._head)[: hidden.shape[0]]


@dataclass(frozen=True, slots=True)
class _Layer:
    attention: Tensor  # queries, keys and values in one product
    output: Tensor
    gate_up: Tensor
    down: Tensor


def _attend_each(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention one token at a time, with the kernel that decoding uses.

    Queries [rows, tokens, heads, head]; keys and values [rows * key heads, length, head]; mask
    [rows, tokens, length].
    """
    rows, tokens, heads, size = queries.shape
    group = heads * rows // keys.shape[0]
    turned = keys.transpose(1, 2)
    seen = torch.empty_like(queries, memory_format=torch.contiguous_format)
    for token in range(tokens):
        query = queries[:, token].reshape(-1, group, size)
        scores = torch.bmm(query, turned).view(rows, heads, -1) + mask[:, token, None]
        weights = torch.softmax(scores, dim=-1).view(-1, group, scores.shape[-1])
        seen[:, token] = torch.bmm(weights, values).view(rows, heads, size)
    return seen


def _attend_block(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """As `_attend_each`, all tokens in one product."""
    rows, tokens, heads, size = queries.shape
    key_heads = keys.shape[0] // rows
    grouped = queries.transpose(1, 2).reshape(rows * key_heads, -1, size)
    scores = torch.bmm(_at_least(grouped, 1), keys.transpose(1, 2))[:, : grouped.shape[1]]
    scores = scores.reshape(rows, heads, tokens, -1) + mask[:, None]
    weights = torch.softmax(scores, dim=-1).view(rows * key_heads, grouped.shape[1], -1)
    seen = torch.bmm(_at_least(weights, 1), values)[:, : grouped.shape[1]]
    return seen.reshape(rows, heads, tokens, size).transpose(1, 2)


def _at_least(rows: Tensor, dim: int = 0) -> Tensor:
    missing = -rows.shape[dim] % _ROWS
    return pad(rows, (0, 0, 0, missing)) if missing else rows


def _normalised(hidden: Tensor, epsilon: float) -> Tensor:
    return hidden * torch.rsqrt(hidden.square().mean(dim=-1, keepdim=True) + epsilon)


def _layer(weights: dict[str, Tensor], prefix: str, shape: Shape) -> _Layer:
    attention, before, after = (
        prefix + "self_attn.",
        weights[prefix + "input_layernorm.weight"],
        weights[prefix + "post_attention_layernorm.weight"],
    )
    query = _interleaved(weights[attention + "q_proj.weight"], shape) * shape.head**-0.5
    key = _interleaved(weights[attention + "k_proj.weight"], shape)
    value = weights[attention + "v_proj.weight"]
    gate, up = weights[prefix + "mlp.gate_proj.weight"], weights[prefix + "mlp.up_proj.weight"]
    return _Layer(
        attention=torch.cat([query, key, value]) * before,
        output=weights[attention + "o_proj.weight"],
        gate_up=torch.cat([gate, up]) * after,
        down=weights[prefix + "mlp.down_proj.weight"],
    )


def _interleaved(weight: Tensor, shape: Shape) -> Tensor:
    """Rows in the order that puts the two halves of each rotated pair side by side.

    Dot products of queries and keys do not change when both are permuted alike, and adjacent pairs
    rotate as complex numbers in one product.
    """
    halves = weight.view(-1, 2, shape.head // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape)


def _shape(folder: Path) -> Shape:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise EngineError(f"{path}: is not JSON: {error}") from error
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    unsupported = [
        f"{key}={config[key]}"
        for key, usual in (
            ("model_type", "llama"),
            ("attention_bias", False),
            ("mlp_bias", False),
            ("hidden_act", "silu"),
        )
        if config.get(key, usual) != usual
    ]
    if rope.get("rope_type", "default") != "default":
        unsupported.append(f"rope_type={rope['rope_type']}")
    if unsupported:
        raise EngineError(f"{folder}: the bundled engine does not run {', '.join(unsupported)}")
    heads = config["num_attention_heads"]
    return Shape(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=heads,
        key_heads=config.get("num_key_value_heads") or heads,
        head=config.get("head_dim") or config["hidden_size"] // heads,
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
        theta=rope.get("rope_theta") or config.get("rope_theta") or 10_000.0,
        epsilon=config["rms_norm_eps"],
    )


def _weights(folder: Path) -> dict[str, Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise EngineError(f"{folder}: no weights (`*.safetensors`) found")
    weights: dict[str, Tensor] = {}
    for file in files:
        weights |= load_file(file)
    return weights
