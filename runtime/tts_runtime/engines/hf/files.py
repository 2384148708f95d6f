"""Models by hub id or folder: their files and configuration, before any weight is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts_lang.explain.models import Model
from tts_runtime.engines.base import EngineError

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS = "*.safetensors"
_PATTERNS = ["*.json", "*.jinja", "*.yaml", "*.model", "*.txt", _WEIGHTS]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's folder.

    Args:
        name: As the user wrote it.
        folder: Where its files are.
        config: `config.json`.
        generation: `generation_config.json`, if there.
        tokenizer: `tokenizer_config.json`, if there.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    generation: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, Any] = field(default_factory=dict)

    @property
    def positions(self) -> int | None:
        """Positions that the model supports, if its configuration says so.

        Scaled rotary embeddings support more than `max_position_embeddings`, except where that is
        the scaled length already (llama3, longrope, Gemma 3).
        """
        config = self.config.get("text_config", self.config)
        for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len"):
            if isinstance(config.get(key), int) and config[key] > 0:
                return _stretched(config, int(config[key]))
        return None

    @property
    def architectures(self) -> tuple[str, ...]:
        """Class names of the configuration."""
        return tuple(self.config.get("architectures") or ())


def _stretched(config: Mapping[str, Any], positions: int) -> int:
    """Positions times the factor of scaled rotary embeddings."""
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    if not isinstance(rope, dict):
        return positions
    kind = rope.get("rope_type", rope.get("type"))
    if kind not in ("linear", "dynamic", "yarn"):
        return positions
    if str(config.get("model_type", "")).startswith("gemma3"):
        return positions
    factor, begun = rope.get("factor"), rope.get("original_max_position_embeddings")
    if kind == "yarn" and isinstance(begun, int) and begun > 0:
        positions = begun
    return int(positions * factor) if isinstance(factor, int | float) and factor > 1 else positions


def checked_window(name: str, positions: int | None, asked: int | None) -> int:
    """Tokens of a window: the requested number, or all positions.

    Args:
        name: Of the model, for messages.
        positions: That it supports, if known.
        asked: Tokens, instead of all positions.

    Raises:
        EngineError: More than the model's positions, or neither is known.
    """
    if asked is None and positions is None:
        raise EngineError(f"`{name}` does not say its window: add `?context=TOKENS`")
    if asked is not None and positions is not None and asked > positions:
        raise EngineError(
            f"context {asked} is more than the {positions} positions of `{name}`: set `context` to "
            f"at most {positions}"
        )
    return asked or positions or 0


def model_files(name: str, revision: str | None = None, *, weights: bool = True) -> ModelFiles:
    """The files of a folder, or of a model of the hub, downloaded unless they are here already.

    Without `weights`, only what prompts need.

    Raises:
        EngineError: Neither, or no `config.json` in it.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _downloaded(name, revision, weights)
    return ModelFiles(
        name,
        folder,
        _json(folder / "config.json", needed=True),
        _json(folder / "generation_config.json"),
        _json(folder / "tokenizer_config.json"),
    )


def tensors(files: ModelFiles, names: Iterable[str]) -> dict[str, Tensor]:
    """Some weights by name, in float32; names that the model does not have are omitted."""
    wanted = set(names)
    found: dict[str, Tensor] = {}
    for path in sorted(files.folder.glob("*.safetensors")):
        from safetensors import safe_open

        with safe_open(path, framework="pt") as weights:
            for name in wanted & set(weights.keys()):
                found[name] = weights.get_tensor(name).float()
    for path in sorted(files.folder.glob("pytorch_model*.bin")):
        import torch  # slow to import, and not needed for tokenizers

        if wanted - set(found):
            import torch

            weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            found.update({name: weights[name].float() for name in wanted & set(weights)})
    return found


def card(files: ModelFiles) -> Model | None:
    """The size of a model in safetensors files, read from their headers; `None` for others."""
    parameters = 0
    for path in files.folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        parameters += sum(prod(tensor["shape"]) for tensor in header.values())
    config = files.config.get("text_config", files.config)
    if not parameters:
        return None
    return Model(parameters, config.get("num_hidden_layers", 0), config.get("hidden_size", 0))


def _downloaded(name: str, revision: str | None, weights: bool) -> Path:
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise EngineError(f"no folder `{name}`")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        patterns = _PATTERNS if weights else [each for each in _PATTERNS if each != _WEIGHTS]
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
        if weights and not any(folder.glob("*.safetensors")):
            snapshot_download(name, revision=revision, allow_patterns=["pytorch_model*"])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error))
        raise EngineError(
            f"`{name}` is neither a folder here nor a model on the hub: {reason}"
        ) from error
    return folder


def _json(path: Path, *, needed: bool = False) -> dict[str, Any]:
    if not needed and not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise EngineError(f"{path}: is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EngineError(f"{path}: expected keys and values")
    return found
