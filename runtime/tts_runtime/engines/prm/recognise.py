"""Which family a model belongs to, and its model opened as one of that family."""

from __future__ import annotations

from dataclasses import dataclass

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.files import (
    VALUE_HEAD,
    ModelFiles,
    checked_window,
    model_files,
    tensors,
)
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.paths import Outline
from tts_runtime.engines.prm.families import FamilyFiles, PrmSpec, reading

#: Parts of published names of generative PRMs, which are plain language models to their files.
_NAMES = (
    ("math-shepherd", "math-shepherd"),
    ("rlhflow", "rlhflow"),
    ("prm-deepseek-data", "rlhflow"),
    ("prm-mistral-data", "rlhflow"),
    ("llama3.1-math-prm", "er-prm"),
    ("er-prm", "er-prm"),
)


def recognise(files: ModelFiles, tokenizer: HuggingFaceTokenizer) -> tuple[str, str]:
    """A model's family, and why.

    Raises:
        EngineError: Its files do not say.
    """
    for name in files.architectures:
        if name == "Qwen2ForProcessRewardModel":
            return "qwen-math-prm", f"architecture {name}"
        if name.endswith("ForSequenceClassification"):
            return "orm", f"architecture {name}"
    if tensors(files, [VALUE_HEAD]):
        if tokenizer.token("[PRM]") is not None:
            return "pqm", "it has a value head and the token `[PRM]`"
        return "skywork", "it has a value head"
    for part, family in _NAMES:
        if part in files.name.lower():
            return family, f"`{part}` in its name"
    raise EngineError(
        f"`auto:{files.name}`: its files do not say which family it belongs to (architecture "
        f"{', '.join(files.architectures) or 'unknown'}); write the family, for example "
        f"`math-shepherd:{files.name}`"
    )


@dataclass(frozen=True, slots=True)
class OpenedFamily:
    """A reward model before any weight is loaded.

    Args:
        files: The model.
        tokenizer: Its tokenizer.
        reading: How it is read.
        outline: How paths are laid out for it.
        chosen: A sentence that says which family and why.
    """

    files: ModelFiles
    tokenizer: HuggingFaceTokenizer
    reading: PrmSpec
    outline: Outline
    chosen: str


def open_family(
    family: str,
    name: str,
    context: int | None = None,
    revision: str | None = None,
    *,
    layout: str | None = None,
    positions: int | None = None,
    weights: bool = True,
) -> OpenedFamily:
    """A reward model of the hub or in a folder, as one of a family, or of the one it is for `auto`.

    Args:
        family: A name of `TABLE`, or `auto`.
        name: A model of the hub, or a folder.
        context: Tokens of the window, instead of the model's own.
        revision: Of a model of the hub.
        layout: One of the family's layouts; the first if absent.
        positions: Of the model, where somebody who runs it knows better than its files.
        weights: They are downloaded too: somebody will load them here.

    Raises:
        EngineError: No such model or layout, a window above its positions, or it is not of this
            family.
    """
    files = model_files(name, revision, weights=weights)
    tokenizer = HuggingFaceTokenizer(files.folder)
    why = "asked for"
    if family == "auto":
        family, why = recognise(files, tokenizer)
    window = checked_window(name, positions or files.positions, context)
    read, chosen = reading(FamilyFiles(family, files, tokenizer), layout)
    outline = Outline(family, read.lay_out, window, read.steps)
    chosen = f"family {family} ({why}), layout {chosen}"
    return OpenedFamily(files, tokenizer, read, outline, chosen)
