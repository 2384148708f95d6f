"""Models by hub id or folder: their files and configuration, before any weight is loaded."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final
from zipfile import is_zipfile

from tts_lang.explain.models import Model
from tts_runtime.engines.base import EngineError

if TYPE_CHECKING:
    from torch import Tensor

_LOGGER = logging.getLogger(__name__)
#: Of value heads, as TRL calls it.
VALUE_HEAD: Final = "v_head.summary.weight"
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
        names = self.config.get("architectures")
        return tuple(map(str, names)) if isinstance(names, list) else ()


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
        EngineError: Neither, or no `config.json` in it, as in the folder of an adapter.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _downloaded(name, revision, weights)
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise EngineError(
            f"`{name}` is a LoRA adapter and no model: `vllm:MODEL?lora={folder}` runs MODEL, the "
            "one that it was trained on, with it; for other engines, merge them into a folder"
        )
    return ModelFiles(
        name,
        folder,
        _json(folder / "config.json", needed=True),
        _json(folder / "generation_config.json"),
        _json(folder / "tokenizer_config.json"),
    )


def check_policy(files: ModelFiles) -> None:
    """Refuses reward models, which are no policies, and warns of a value head.

    Raises:
        EngineError: Its architecture is one; the message says what it can be instead.
    """
    for name in files.architectures:
        if name.endswith(("RewardModel", "ForSequenceClassification", "ForTokenClassification")):
            raise EngineError(
                f"`{files.name}` is a reward model or a classifier ({name}), which writes nothing: "
                f"use it as a scorer, `--scorer NAME=auto:{files.name}`"
            )
    if tensors(files, [VALUE_HEAD]):  # as a policy trained by PPO may, too
        _LOGGER.warning(
            "policy `%s` has a value head, which a policy does not use: if it is a reward model, "
            "make it a scorer, `--scorer NAME=auto:%s`",
            files.name,
            files.name,
        )


def tensors(files: ModelFiles, names: Iterable[str]) -> dict[str, Tensor]:
    """Some weights by name, in float32; names that the model does not have are omitted.

    Raises:
        EngineError: A file of weights is not complete.
    """
    wanted = set(names)
    found: dict[str, Tensor] = {}
    paths = _safetensors_of(files)
    for path in paths:
        with _safetensors(path) as weights:
            for name in wanted & set(weights.keys()):
                found[name] = weights.get_tensor(name).float()
    for path in () if paths else _pickles_of(files):
        if wanted - set(found):
            weights = _pickled(path)
            found.update({name: weights[name].float() for name in wanted & set(weights)})
    return found


def card(files: ModelFiles) -> Model | None:
    """The size of a model in safetensors files, read from their headers; `None` for others.

    Raises:
        EngineError: A file of weights is not complete.
    """
    parameters = 0
    for path in _safetensors_of(files):
        with _safetensors(path) as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        parameters += sum(map(prod, shapes))
    config = files.config.get("text_config", files.config)
    if not parameters:
        return None
    return Model(parameters, config.get("num_hidden_layers", 0), config.get("hidden_size", 0))


def check_weights(files: ModelFiles) -> None:
    """Opens the files of weights, without reading them.

    Raises:
        EngineError: One is not complete.
    """
    paths = _safetensors_of(files)
    for path in paths:
        with _safetensors(path):
            pass
    for path in () if paths else _pickles_of(files):
        _pickled(path)


def _safetensors_of(files: ModelFiles) -> list[Path]:
    """Files of weights; those in PyTorch's format are read only where there are none of these."""
    paths = sorted(files.folder.glob("*.safetensors"))
    # Mistral's own copy of what the other files have.
    return [path for path in paths if not path.name.startswith("consolidated")] or paths


def _pickles_of(files: ModelFiles) -> list[Path]:
    return sorted(files.folder.glob("pytorch_model*.bin"))


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as weights:
            yield weights
    except SafetensorError as error:
        raise _incomplete(path, "safetensors") from error


def _pickled(path: Path) -> dict[str, Tensor]:
    import torch  # slow to import, and not needed for tokenizers

    try:
        # Files of before torch 1.6 are no archives, and cannot be mapped.
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except (UnpicklingError, EOFError, RuntimeError) as error:
        raise _incomplete(path, "PyTorch") from error
    return dict(weights)


def _incomplete(path: Path, kind: str) -> EngineError:
    return EngineError(
        f"{path}: is not a complete {kind} file (an interrupted download? a git-lfs pointer?)"
    )


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
