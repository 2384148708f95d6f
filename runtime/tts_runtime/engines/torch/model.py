"""Transformers' causal models as a `Forward`: rows of different lengths in one padding-free cache.

Each row reads after its own beginning: keys and values go to the row's next places in our cache,
and a mask made here says which places each token sees. So rows come and go without being moved or
padded on the left, and a finished row's keys and values can be kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM
from transformers import Cache as TransformersCache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.utils import logging as transformers_logging

from tts_lang.explain.models import Model
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.batching.forward import Integers
from tts_runtime.engines.hf.files import ModelFiles, check_weights
from tts_runtime.engines.torch.kv_cache import CacheShape, TensorCache
from tts_runtime.sampling import NO_NUMBERS

#: Attention reads places up to the longest row, rounded up to a multiple of this.
_LENGTHS = 32
#: Decoding steps have a multiple of this number of rows: MKL adds in another order below eight.
_ROWS = 8
#: Parameters from which matrix products on a CPU gain by more threads than one.
_LARGE = 100_000_000
#: Tokens that are read when a model is opened, to compare with transformers' own way.
_TRIED = 8
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Placement:
    """The device and number type of a model: `auto` is a GPU if there is one, float32 on a CPU."""

    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0

    def resolved(self) -> tuple[str, torch.dtype]:
        """Device and dtype.

        Raises:
            EngineError: No device that this engine runs on, or none that is here.
        """
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        kind, _, number = device.partition(":")
        if kind not in ("cpu", "cuda") or not (number.isdecimal() or device == kind):
            raise EngineError(f"device `{device}`: expected auto, cpu, cuda, or cuda:1 and so on")
        if kind == "cpu":
            device = kind  # `cpu:0` is the same
        elif not torch.cuda.is_available():
            raise EngineError(f"device `{device}`: this machine has no GPU that torch can use")
        elif int(number or 0) >= torch.cuda.device_count():
            last = torch.cuda.device_count() - 1
            raise EngineError(f"device `{device}`: the last GPU of this machine is `cuda:{last}`")
        if self.dtype == "auto":
            return device, torch.float32 if device == "cpu" else torch.bfloat16
        return device, _DTYPES[self.dtype]

    def threads_for(self, parameters: int) -> int:
        """Threads of one matrix product on the CPU: one for small models, which gain little."""
        if self.threads:
            return self.threads
        return (os.cpu_count() or 1) if parameters >= _LARGE else 1


class TransformersModel:
    """A causal model of transformers.

    Args:
        files: Its folder.
        placement: Device and dtype.
        head: Load the language-model head too; `logits` needs it.
        window: Tokens that a row has at most; all positions if absent.

    Raises:
        EngineError: Not a causal model whose attention can be run row by row.
    """

    def __init__(
        self,
        files: ModelFiles,
        placement: Placement,
        *,
        head: bool = True,
        window: int | None = None,
    ) -> None:
        self.device, dtype = placement.resolved()
        model = _loaded(files, dtype, self.device, head)
        self.parameters = sum(tensor.numel() for tensor in model.parameters())
        self._config = model.config.get_text_config()
        self._config.output_router_logits = False  # of mixtures of experts: only for training
        ids = torch.arange(_TRIED)[None] % model.get_input_embeddings().weight.shape[0]
        plain = _plain_logits(model, ids) if head else None
        self._base: Any = model
        self._head: _Head | None = None
        if head:
            self._base, self._head = _split(model, files)
        window = window or files.positions or 1 << 30
        _check_rotation(files, self._config, window)
        self._last_position = max(window, _TRIED) - 1
        layers = int(self._config.num_hidden_layers)
        self.card = Model(self.parameters, layers, int(self._config.hidden_size))
        self._windows = _windows(files, self._config)
        self.threads = placement.threads_for(self.parameters)
        self._shape = self._cache_shape(files, dtype, ids, plain)

    #: See `Forward`.
    packs = False

    @property
    def vocabulary(self) -> int:
        """See `Forward`."""
        return int(self._base.get_input_embeddings().weight.shape[0])

    @property
    def hidden(self) -> int:
        """Numbers in a hidden state."""
        return int(self._config.hidden_size)

    @property
    def dtype(self) -> str:
        """Name of the numbers' type."""
        return str(self._shape.dtype).removeprefix("torch.")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See `Forward`."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            yield

    def cache(self, rows: int, length: int = 128) -> TensorCache:
        """See `Forward`."""
        return TensorCache(self._shape, -(-rows // _ROWS) * _ROWS, length)

    def extend(
        self,
        ids: Integers,
        starts: Integers,
        cache: TensorCache,
        *,
        lengths: Integers | None = None,  # noqa: ARG002  (filling is read too)
        block: bool = False,  # noqa: ARG002  (transformers has one way of attending)
    ) -> Tensor:
        """See `Forward`."""
        rows, tokens = ids.shape
        if tokens == 1:
            filled = -rows % _ROWS
            ids, starts = np.pad(ids, [(0, filled), (0, 0)]), np.pad(starts, (0, filled))
        hidden = self._extend(torch.from_numpy(ids), torch.from_numpy(starts), cache)
        return hidden[:rows]

    def _extend(self, ids: Tensor, starts: Tensor, cache: TensorCache) -> Tensor:
        tokens = ids.shape[1]
        length = -(-(int(starts.max()) + tokens) // _LENGTHS) * _LENGTHS
        cache.ensure(length)
        positions = (starts[:, None] + torch.arange(tokens)).to(self.device)
        result = self._base(
            input_ids=ids.to(self.device),
            attention_mask=self._masks(positions, length),
            # Padding may point past the last position that a model knows, or that `window` allows.
            position_ids=positions.clamp(max=self._last_position),
            past_key_values=_Places(cache, positions, length),
            use_cache=True,
        )
        hidden: Tensor = result.last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Forward`."""
        if self._head is None:
            raise EngineError("this model was loaded without its language-model head")
        return self._head.logits(hidden)

    def _masks(self, positions: Tensor, length: int) -> Tensor | dict[str, Tensor]:
        places = torch.arange(length, device=positions.device)
        masks = {}
        for kind, window in self._windows.items():
            hidden = places > positions[..., None]
            if window:
                hidden |= places <= positions[..., None] - window
            mask = torch.zeros(hidden.shape, dtype=self._shape.dtype, device=positions.device)
            masks[kind] = mask.masked_fill_(hidden, -torch.inf)[:, None]
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _cache_shape(
        self, files: ModelFiles, dtype: torch.dtype, ids: Tensor, plain: Tensor | None
    ) -> CacheShape:
        """Reads a few tokens in transformers' own way, then in ours: both must agree.

        Two rows read them in different pieces, so that a place that a model takes from another row
        is seen. Logits must agree with `plain`, those of the whole model.
        """
        with torch.inference_mode():
            expected = self._base(input_ids=ids.to(self.device), use_cache=True)
            stored = getattr(getattr(expected, "past_key_values", None), "layers", None) or ()
            shapes = {
                tuple(tensor.shape[1:2] + tensor.shape[3:])
                for layer in stored
                for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None))
                if tensor is not None
            }
            if len(shapes) != 1 or len(next(iter(shapes))) != 2:
                raise _unusual(files, "its layers keep something else than keys and values")
            ((heads, size),) = shapes
            self._shape = CacheShape(len(stored), heads, size, dtype, self.device)
            cache = self.cache(2)
            cuts = torch.tensor([_TRIED - 3, 3])
            rests = (cuts[:, None] + torch.arange(_TRIED - 3)).clamp(max=_TRIED - 1)
            try:
                begun = self._extend(
                    ids[:, : _TRIED - 3].expand(2, -1), torch.zeros_like(cuts), cache
                )
                ended = self._extend(ids[0][rests], cuts, cache)
                hidden = torch.stack(
                    [
                        torch.cat([begun[row, :cut], ended[row, : _TRIED - cut]])
                        for row, cut in enumerate(cuts.tolist())
                    ]
                )
                logits = None if plain is None else self.logits(hidden[0])
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
                raise _unusual(files, str(error)) from error
        wrong = not expected.last_hidden_state.isfinite().all()
        if wrong or (plain is not None and plain.isnan().any()):
            raise EngineError(f"`{files.name}` in {dtype}: {NO_NUMBERS}".replace("torch.", ""))
        if not _close(hidden, expected.last_hidden_state):
            raise _unusual(
                files,
                "reading in pieces, beside other texts, gives other numbers than reading at once",
            )
        if plain is not None and logits is not None and not _close(logits, plain):
            raise _unusual(files, "its head gives other numbers apart from its body")
        return self._shape


class _Places(TransformersCache):  # type: ignore[misc]  # transformers has no types
    """Puts keys and values of new tokens to their rows' next places in our cache."""

    def __init__(self, cache: TensorCache, positions: Tensor, length: int) -> None:
        super().__init__(layers=[])
        self._cache = cache
        self._positions = positions
        self._rows = torch.arange(positions.shape[0], device=positions.device)[:, None]
        self._length = length

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """All places of these rows, the new ones written: [rows, key heads, length, head size]."""
        stored = self._cache.data[layer_idx]
        stored[0][self._rows, :, self._positions] = keys.transpose(1, 2)
        stored[1][self._rows, :, self._positions] = values.transpose(1, 2)
        rows = keys.shape[0]
        return stored[0, :rows, :, : self._length], stored[1, :rows, :, : self._length]

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Some models ask for it, although every token's position is given."""
        return int(self._positions[0, 0])


class _Output(BaseModelOutputWithPast):  # type: ignore[misc]  # transformers has no types
    """The output of a body: hidden states; other attributes that a head may look for are None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _States(torch.nn.Module):
    """Stands where a causal model's body was: whatever it is called with, it gives `hidden`."""

    hidden: Tensor

    def forward(self, *_: Any, **__: Any) -> _Output:
        return _Output(last_hidden_state=self.hidden)

    @property
    def decoder(self) -> _States:
        """OPT's head calls this part of the body."""
        return self


class _Head:
    """A causal model without its body: what it does to hidden states, whatever that is."""

    def __init__(self, model: Any, states: _States) -> None:
        self._model = model
        self._states = states

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of hidden states [rows, hidden]."""
        self._states.hidden = hidden[:, None]
        logits: Tensor = self._model(inputs_embeds=hidden[:, None]).logits[:, 0]
        return logits


def _loaded(files: ModelFiles, dtype: torch.dtype, device: str, head: bool) -> Any:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    loader = AutoModelForCausalLM if head else AutoModel
    try:
        model, report = loader.from_pretrained(
            str(files.folder),
            dtype=dtype,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            # Value-head models of TRL keep their body under this name.
            key_mapping={r"^pretrained_model\.": ""},
        )
    except (StrictDataclassError, OSError, ValueError, KeyError, ImportError, TypeError) as error:
        raise EngineError(f"`{files.name}` cannot be loaded as a causal model: {error}") from error
    except (SafetensorError, UnpicklingError, EOFError, RuntimeError):
        check_weights(files)
        raise
    mismatched = sorted(report["mismatched_keys"])
    if mismatched:
        shown = [
            f"{name} ({' x '.join(map(str, there))}, not {' x '.join(map(str, wanted))})"
            for name, there, wanted in mismatched
        ]
        raise EngineError(
            f"`{files.name}`: the weights are not of the sizes that config.json says: "
            + _first(shown)
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise EngineError(f"`{files.name}`: the weights lack {_first(missing)}")
    return model.to(device).eval()


def _first(names: list[str]) -> str:
    """The first three, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _plain_logits(model: Any, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(input_ids=ids.to(model.device), use_cache=False).logits[0]
    return logits


def _close(numbers: Tensor, wanted: Tensor) -> bool:
    """Whether numbers agree up to rounding."""
    tolerance = 1e-3 if numbers.dtype == torch.float32 else 0.1
    difference = float((numbers.float() - wanted.float()).abs().max())
    return difference <= tolerance * float(1 + wanted.float().abs().max())


def _split(model: Any, files: ModelFiles) -> tuple[Any, _Head]:
    """Body and head: the head then runs alone, with whatever it does to logits."""
    name = model.base_model_prefix
    body = getattr(model, name, None)
    if body is None or body is model:
        raise _unusual(files, "its body and its head cannot be told apart")
    states = _States()
    setattr(model, name, states)
    return body, _Head(model, states)


def _windows(files: ModelFiles, config: Any) -> dict[str, int]:
    """How far back each kind of layer looks; 0: everything."""
    window = int(getattr(config, "sliding_window", None) or 0)
    # GPT-Neo calls them `attention_layers`; its windows are buffers of its own, not masks.
    kinds = set(
        getattr(config, "layer_types", None) or getattr(config, "attention_layers", None) or ()
    )
    known = {"full_attention": 0, "sliding_attention": window}
    if not kinds:
        return {"full_attention": window}
    if kinds - set(known):
        raise _unusual(files, f"layers of kind {', '.join(sorted(kinds - set(known)))}")
    return {kind: known[kind] for kind in sorted(kinds)}


def _check_rotation(files: ModelFiles, config: Any, window: int) -> None:
    """Refuses windows in which rotary frequencies depend on the longest text of a call.

    Cached keys were rotated by other frequencies then, and rows change each other's numbers.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    for each in (rope, *rope.values()):  # one for all layers, or one for each kind of layer
        kind = each.get("rope_type") or "" if isinstance(each, dict) else ""
        if kind != "longrope" and "dynamic" not in kind:
            continue
        most = int(config.max_position_embeddings)
        if kind == "longrope":
            most = int(each["original_max_position_embeddings"])
        if window > most:
            raise EngineError(
                f"`{files.name}`: its rotary embeddings ({kind}) change for all positions of a "
                f"text that grows longer than {most} tokens, which the transformers engine cannot "
                f"follow: set `context` to at most {most}, or run it through vLLM"
            )


def _unusual(files: ModelFiles, why: str) -> EngineError:
    kind = files.config.get("model_type", "unknown")
    return EngineError(
        f"`{files.name}` (model type {kind}) does not run on the transformers engine: {why}"
    )
