"""A Llama's forward pass in NumPy, for models so small that a framework's overhead dominates.

Weights come from a Hugging Face folder; the logits are tested equal to transformers'. A row's
numbers do not depend on its neighbours, bit by bit (semantics.md C63): see `blocks`.
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
from tts_runtime.engines.bundled.blocks import attend, block_width
from tts_runtime.engines.bundled.kv_cache import ArrayCache
from tts_runtime.engines.bundled.packed import Packed
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
        self._floor = np.float32(shape.hidden * shape.epsilon)
        head = weights.get("lm_head.weight", self._embedding)
        self._head = _transposed(head, weights["model.norm.weight"] * np.float32(shape.hidden**0.5))
        self._layers = [_layer(weights, f"model.layers.{i}.", shape) for i in range(shape.layers)]
        # Padding of a batch may point past the context window, up to twice its length.
        frequency = shape.theta ** -(np.arange(0, shape.head, 2) / shape.head)
        angle = np.outer(np.arange(2 * shape.context), frequency)
        self._turns = np.exp(1j * angle).astype(np.complex64)
        self.packs = True  # see `Forward`
        self._threads = hold_one_thread(self)
        products = [self._head, *(weight for layer in self._layers for weight in layer.products)]
        self._width = block_width(frozenset(weight.shape for weight in products))

    @property
    def vocabulary(self) -> int:
        """See `Forward`."""
        return self.shape.vocabulary

    def cache(self, rows: int, length: int = 128) -> ArrayCache:
        """See `Forward`."""
        shape = self.shape
        return ArrayCache(shape.layers, rows, shape.key_heads, shape.head, length)

    def turn(self) -> AbstractContextManager[object]:
        """See `Forward`."""
        return np.errstate(over="ignore")  # of `exp` in SiLU, where the result is then 0

    def close(self) -> None:
        """Gives NumPy its threads back."""
        self._threads()

    def extend(
        self,
        ids: Integers,
        starts: Integers,
        cache: ArrayCache,
        *,
        lengths: Integers | None = None,
        block: bool = False,
    ) -> Floats:
        """See `Forward`."""
        shape = self.shape
        packed = Packed.of(ids, starts, lengths, self._width, shape.head, block)
        count = len(packed.rows)
        positions = packed.positions[:count]
        cache.ensure(max(group.length for group in packed.groups))
        hidden = self._embedding[packed.ids]
        rotation = self._turns[packed.positions][:, None]
        turned, of_queries = shape.heads + shape.key_heads, shape.heads * shape.head
        seen = np.zeros((len(hidden), of_queries), np.float32)
        for layer, weights in enumerate(self._layers):
            mixed = self._product(self._normalised(hidden), weights.attention)
            # Features that turn together are neighbours: a complex number, turned by a product.
            pairs = mixed[:, : turned * shape.head].view(np.complex64)
            pairs = pairs.reshape(len(mixed), turned, -1)
            np.multiply(pairs, rotation, out=pairs)
            parts = mixed[:count].reshape(count, -1, shape.head)
            keys, values = parts[:, shape.heads : turned], parts[:, turned:]
            cache.put(layer, packed.rows, positions, keys, values)
            for group in packed.groups:
                queries = mixed[group.tokens, :of_queries]
                found = np.empty((len(queries), of_queries), np.float32)
                attend(
                    self._by_head(queries, group.shape),
                    cache.keys[layer, group.rows, None, :, None, :, : group.length],
                    cache.values[layer, group.rows, None, :, None, : group.length],
                    group.mask,
                    out=self._by_head(found, group.shape),
                )
                seen[group.tokens] = found
            hidden += self._product(seen, weights.output)
            gated = _gated(self._product(self._normalised(hidden), weights.gate_up))
            hidden += self._product(gated, weights.down)
        result = self._normalised(hidden)[:count]
        if lengths is None:
            return result.reshape(*ids.shape, -1)
        spread = np.zeros((*ids.shape, shape.hidden), np.float32)
        spread[packed.rows, packed.columns] = result
        return spread

    def logits(self, hidden: Floats) -> NDArray[np.float64]:
        """See `Forward`."""
        rows = np.zeros((-(-len(hidden) // self._width) * self._width, hidden.shape[1]), np.float32)
        rows[: len(hidden)] = hidden
        return self._product(rows, self._head)[: len(hidden)].astype(np.float64)

    def _product(self, rows: Floats, weights: Floats) -> Floats:
        """Whole blocks of rows times weights [inputs, outputs]."""
        blocks: Floats = rows.reshape(-1, self._width, rows.shape[1]) @ weights
        return blocks.reshape(len(rows), -1)

    def _by_head(self, features: Floats, shape: tuple[int, int, int]) -> Floats:
        """A view of features of query heads, in rows, blocks and queries.

        [rows, blocks, key heads, heads per key head, queries, head]
        """
        key_heads = self.shape.key_heads
        split = features.reshape(*shape, key_heads, -1, self.shape.head)
        return split.transpose(0, 1, 3, 4, 2, 5)

    def _normalised(self, hidden: Floats) -> Floats:
        """Divided by the root of the sum of squares; the root of their number is in the weights."""
        size = np.vecdot(hidden, hidden)
        size += self._floor
        np.sqrt(size, out=size)
        normalised: Floats = hidden / size[:, None]
        return normalised


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights [inputs, outputs]."""

    attention: Floats  # queries, keys and values in one product
    output: Floats
    gate_up: Floats
    down: Floats

    @property
    def products(self) -> tuple[Floats, ...]:
        return self.attention, self.output, self.gate_up, self.down


def _gated(gate_up: Floats) -> Floats:
    """SiLU of what `gate` gives, times what `up` gives; both come with the opposite sign."""
    gate, up = gate_up[:, : (half := gate_up.shape[1] // 2)], gate_up[:, half:]
    gated: Floats = np.exp(gate)
    gated += 1
    gate *= up
    np.divide(gate, gated, out=gated)
    return gated


def _transposed(weights: Floats, scale: Floats | float = 1.0) -> Floats:
    """Weights [outputs, inputs] as [inputs, outputs], for inputs that lack this scale."""
    return np.ascontiguousarray((weights * scale).T)


def _paired(weights: Floats, head: int) -> Floats:
    """Queries or keys [features, inputs] with each feature beside the one that it turns with."""
    return weights.reshape(-1, 2, head // 2, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)


def _layer(weights: dict[str, Floats], prefix: str, shape: Shape) -> _Layer:
    root = np.float32(shape.hidden**0.5)
    attention, before, after = (
        prefix + "self_attn.",
        weights[prefix + "input_layernorm.weight"] * root,
        weights[prefix + "post_attention_layernorm.weight"] * root,
    )
    query, key, value = (weights[f"{attention}{part}_proj.weight"] for part in "qkv")
    query = _paired(query * np.float32(shape.head**-0.5), shape.head)
    gate, up = (weights[f"{prefix}mlp.{part}_proj.weight"] for part in ("gate", "up"))
    return _Layer(
        attention=_transposed(np.concatenate([query, _paired(key, shape.head), value]), before),
        output=_transposed(weights[attention + "o_proj.weight"]),
        gate_up=_transposed(np.concatenate([-gate, -up]), after),
        down=_transposed(weights[prefix + "mlp.down_proj.weight"]),
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
