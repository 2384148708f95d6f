"""A Llama's forward pass in NumPy, for models so small that a framework's overhead dominates.

Weights come from a Hugging Face folder; the logits are tested equal to transformers'. A row's
numbers do not depend on its neighbours, bit by bit (semantics.md C63): see `blocks`. Activations of
one block lie as [features, rows], so that a block's rows are neighbours in memory.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import deserialize as read_safetensors

from tts_lang.explain.models import Model
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.bundled.blas import hold_one_thread
from tts_runtime.engines.bundled.blocks import (
    attend,
    block_width,
    key_multiple,
    padded_length,
    query_block,
)
from tts_runtime.engines.bundled.kv_cache import ArrayCache
from tts_runtime.engines.hf.files import checked_window

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


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
    """The weights, arranged for speed: normalisation and the scale of scores folded into them.

    Args:
        folder: `config.json` and `*.safetensors`.
        context: Tokens that it will be used for; 0: as many as it can.

    Raises:
        EngineError: Not a Llama of the plain kind, or made for fewer tokens.
    """

    def __init__(self, folder: Path, context: int = 0) -> None:
        self.shape = shape = _shape(folder)
        checked_window(str(folder), shape.context, context or None)
        weights = _weights(folder)
        self.card = Model(sum(map(np.size, weights.values())), shape.layers, shape.hidden)
        self._embedding = weights["model.embed_tokens.weight"]
        head = weights.get("lm_head.weight", self._embedding)
        self._head = head * weights["model.norm.weight"]
        self._layers = [_layer(weights, f"model.layers.{i}.", shape) for i in range(shape.layers)]
        # Padding of a batch may point past the context window, up to twice its length.
        frequency = shape.theta ** -(np.arange(0, shape.head, 2) / shape.head)
        angle = np.outer(np.arange(2 * shape.context), frequency)
        self._cosine = np.cos(angle).astype(np.float32)
        self._sine = np.sin(angle).astype(np.float32)
        self._threads = hold_one_thread(self)
        products = [self._head, *(weight for layer in self._layers for weight in layer.products)]
        self._width = block_width(frozenset(weight.shape for weight in products))
        self._key_multiple = key_multiple(shape.head)
        self._query_block = query_block(shape.head)

    @property
    def vocabulary(self) -> int:
        """See `Forward`."""
        return self.shape.vocabulary

    def cache(self, rows: int) -> ArrayCache:
        """See `Forward`."""
        shape = self.shape
        return ArrayCache(shape.layers, rows, shape.key_heads, shape.head)

    def turn(self) -> AbstractContextManager[object]:
        """See `Forward`."""
        return np.errstate(over="ignore")  # of `exp` in SiLU, where the result is then 0

    def close(self) -> None:
        """Gives NumPy its threads back."""
        self._threads()

    def extend(
        self, ids: Integers, starts: Integers, cache: ArrayCache, *, block: bool = False
    ) -> Floats:
        """See `Forward`."""
        shape = self.shape
        rows, tokens = ids.shape
        positions = starts[:, None] + np.arange(tokens)
        length = padded_length(int(starts.max()) + tokens, self._key_multiple)
        cache.ensure(length)
        together = self._query_block if block else 1
        mask = _mask(positions, length, together)
        hidden = self._blocks(self._embedding[ids.ravel()])
        turns = positions.ravel()
        rotation = self._blocks(self._cosine[turns]), self._blocks(self._sine[turns])
        turned = shape.heads + shape.key_heads
        for layer, weights in enumerate(self._layers):
            mixed = weights.attention @ self._normalised(hidden)
            _rotate(mixed[:, : turned * shape.head], turned, *rotation)
            parts = self._rows(mixed, rows * tokens).reshape(rows, tokens, -1, shape.head)
            cache.put(layer, positions, parts[:, :, shape.heads : turned], parts[:, :, turned:])
            seen = attend(
                _grouped(parts[:, :, : shape.heads], shape.key_heads, together),
                cache.keys[layer, :rows, :, None, None, :, :length],
                cache.values[layer, :rows, :, None, None, :length],
                mask,
            )
            hidden += weights.output @ self._blocks(_ungrouped(seen, tokens))
            gate_up = weights.gate_up @ self._normalised(hidden)
            hidden += weights.down @ _gated(gate_up)
        return self._rows(self._normalised(hidden), rows * tokens).reshape(rows, tokens, -1)

    def logits(self, hidden: Floats) -> NDArray[np.float64]:
        """See `Forward`."""
        logits: Floats = np.matmul(self._head, self._blocks(hidden))
        return self._rows(logits, len(hidden)).astype(np.float64)

    def _blocks(self, rows: Floats) -> Floats:
        """Rows [n, features] as blocks [blocks, features, width], the last one filled up."""
        count, features = rows.shape
        missing = -count % self._width
        if missing:
            rows = np.concatenate([rows, np.zeros((missing, features), np.float32)])
        return np.ascontiguousarray(rows.reshape(-1, self._width, features).swapaxes(1, 2))

    def _rows(self, blocks: Floats, count: int) -> Floats:
        """The reverse of `_blocks`."""
        return blocks.swapaxes(1, 2).reshape(-1, blocks.shape[1])[:count]

    def _normalised(self, hidden: Floats) -> Floats:
        squares = np.einsum("bfr,bfr->br", hidden, hidden)
        scale = 1 / np.sqrt(
            squares / np.float32(self.shape.hidden) + np.float32(self.shape.epsilon)
        )
        normalised: Floats = hidden * scale[:, None]
        return normalised


@dataclass(frozen=True, slots=True)
class _Layer:
    attention: Floats  # queries, keys and values in one product
    output: Floats
    gate_up: Floats
    down: Floats

    @property
    def products(self) -> tuple[Floats, ...]:
        return self.attention, self.output, self.gate_up, self.down


def _mask(positions: Integers, length: int, together: int) -> Floats:
    """0 where a token may look and -inf elsewhere: [rows, 1, 1, blocks, queries, length]."""
    rows, tokens = positions.shape
    blocks = -(-tokens // together)
    mask = np.zeros((rows, blocks * together, length), np.float32)
    mask[:, :tokens][np.arange(length) > positions[:, :, None]] = -np.inf
    return mask.reshape(rows, 1, 1, blocks, together, length)


def _grouped(queries: Floats, key_heads: int, together: int) -> Floats:
    """Queries [rows, tokens, heads, head] by what they read and in blocks of tokens.

    [rows, key heads, heads per key head, blocks, together, head]
    """
    rows, tokens, heads, head = queries.shape
    missing = -tokens % together
    if missing:
        filling = np.zeros((rows, missing, heads, head), np.float32)
        queries = np.concatenate([queries, filling], axis=1)
    grouped = queries.reshape(rows, -1, together, key_heads, heads // key_heads, head)
    return np.ascontiguousarray(grouped.transpose(0, 3, 4, 1, 2, 5))


def _ungrouped(seen: Floats, tokens: int) -> Floats:
    """The reverse of `_grouped`, rows and tokens together: [rows * tokens, heads * head]."""
    rows, key_heads, group, _, _, head = seen.shape
    by_token = seen.transpose(0, 3, 4, 1, 2, 5).reshape(rows, -1, key_heads * group * head)
    return by_token[:, :tokens].reshape(rows * tokens, -1)


def _rotate(features: Floats, heads: int, cosine: Floats, sine: Floats) -> None:
    """Turns queries and keys by their positions, in place.

    Features [blocks, heads * head, width]; cosine and sine [blocks, head / 2, width].
    """
    blocks, _, width = features.shape
    first, second = features.reshape(blocks, heads, 2, -1, width).swapaxes(0, 2).swapaxes(1, 2)
    cosine, sine = cosine[:, None], sine[:, None]
    turned = first * cosine - second * sine
    second *= cosine
    second += first * sine
    first[:] = turned


def _gated(gate_up: Floats) -> Floats:
    """SiLU of the first half of the features, times the second half."""
    gate, up = np.split(gate_up, 2, axis=1)
    gated: Floats = np.negative(gate)
    np.exp(gated, out=gated)
    gated += 1
    np.divide(gate, gated, out=gated)
    gated *= up
    return gated


def _layer(weights: dict[str, Floats], prefix: str, shape: Shape) -> _Layer:
    attention, before, after = (
        prefix + "self_attn.",
        weights[prefix + "input_layernorm.weight"],
        weights[prefix + "post_attention_layernorm.weight"],
    )
    query = weights[attention + "q_proj.weight"] * np.float32(shape.head**-0.5)
    key, value = weights[attention + "k_proj.weight"], weights[attention + "v_proj.weight"]
    gate, up = weights[prefix + "mlp.gate_proj.weight"], weights[prefix + "mlp.up_proj.weight"]
    return _Layer(
        attention=np.concatenate([query, key, value]) * before,
        output=weights[attention + "o_proj.weight"],
        gate_up=np.concatenate([gate, up]) * after,
        down=weights[prefix + "mlp.down_proj.weight"],
    )


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


def _weights(folder: Path) -> dict[str, Floats]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise EngineError(f"{folder}: no weights (`*.safetensors`) found")
    weights: dict[str, Floats] = {}
    for file in files:
        try:
            tensors = read_safetensors(file.read_bytes())  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            raise EngineError(f"{file}: cannot be read as safetensors: {error}") from error
        for name, tensor in tensors:
            if tensor["dtype"] not in ("BF16", "F16", "F32", "F64"):
                raise EngineError(f"{file}: `{name}` of type {tensor['dtype']} is not supported")
            weights[name] = _floats(tensor["data"], tensor["dtype"]).reshape(tensor["shape"])
    return weights


def _floats(data: bytes, dtype: str) -> Floats:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, f"<f{int(dtype[1:]) // 8}").astype(np.float32)
