"""`auto:MODEL`: which family a model belongs to."""

from __future__ import annotations

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf_files import ModelFiles, tensors
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer

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
    if tensors(files, ["v_head.summary.weight"]):
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
