"""The table of families: layout, head and range of each, in the words of their authors.

Each is read as its model card or its authors' code reads it, with the differences that
docs/engines.md names; a score never depends on later steps. No engine is needed to lay a path out,
and the head that reads it is the engine's: a layout says only which one its family has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tts_runtime.engines.base import EngineError, ScoreRequest
from tts_runtime.engines.chat import ChatTemplate, has_chat_template
from tts_runtime.engines.hf_files import ModelFiles, tensors
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.paths import Path
from tts_runtime.engines.prm_families import layouts


class HeadKind(Enum):
    """How a score is read at a place."""

    VERDICT = "verdict"  # one token's probability against another's, by the language-model head
    VALUE = "value"  # TRL's value head, raw
    VALUE_SIGMOID = "sigmoid"  # the same, as a probability
    TOKEN_CLASSES = "token classes"  # Qwen's two-layer classifier, the second class
    SEQUENCE = "sequence"  # a sequence classifier: one label raw, of two the second


@dataclass(frozen=True, slots=True)
class Opened:
    """A model's files with what its family may need of them."""

    family: str
    files: ModelFiles
    tokenizer: HuggingFaceTokenizer

    @property
    def template(self) -> ChatTemplate:
        """Its chat template."""
        return ChatTemplate(self.files)


@dataclass(frozen=True, slots=True)
class Reading:
    """A family's way of reading one model; `low` and `high` are `None` where nothing bounds it.

    Args:
        lay_out: A request as ids and places.
        head: What is read at the places.
        signs: The tokens that a verdict compares, the good one first.
        low, high: Range of the scores.
        steps: One score per step, or one per solution.
    """

    lay_out: Callable[[ScoreRequest], Path]
    head: HeadKind
    signs: tuple[int, int] = (0, 0)
    low: float | None = 0.0
    high: float | None = 1.0
    steps: bool = True


def _math_shepherd(opened: Opened) -> Reading:
    """Wang et al. 2024; model card of peiyi9979/math-shepherd-mistral-7b-prm."""
    lay_out = layouts.TaggedLayout(
        opened.tokenizer,
        opened.family,
        gap=" ",
        tag=" ки",
        between="\n",
        mark="ки",  # 12902 in the published model
        special=True,
    )
    signs = opened.tokenizer.encode("+ -")  # 648 and 387
    if len(signs) != 2:
        raise EngineError(f"{opened.family}: its tokenizer must write `+ -` as two tokens")
    return Reading(lay_out, HeadKind.VERDICT, (signs[0], signs[1]))


def _rlhflow(opened: Opened) -> Reading:
    """Dong et al. 2024; RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py."""
    lay_out = layouts.TurnsLayout(opened.tokenizer, opened.family, opened.template)
    good, bad = (opened.tokenizer.encode(sign)[-1] for sign in "+-")
    return Reading(lay_out, HeadKind.VERDICT, (good, bad))


def _skywork(opened: Opened) -> Reading:
    """Skywork-o1 Open PRM; SkyworkAI/skywork-o1-prm-inference, `prepare_input`."""
    token = opened.files.tokenizer.get("bos_token")
    begin = token.get("content", "") if isinstance(token, dict) else token or ""
    lay_out = layouts.LineLayout(opened.tokenizer, opened.family, begin)
    return Reading(lay_out, HeadKind.VALUE_SIGMOID)


def _qwen_math(opened: Opened) -> Reading:
    """Zhang et al. 2025; model card of Qwen/Qwen2.5-Math-PRM-7B."""
    lay_out = layouts.SeparatedChatLayout(opened.tokenizer, opened.family, opened.template)
    return Reading(lay_out, HeadKind.TOKEN_CLASSES)


def _er_prm(opened: Opened) -> Reading:
    """Zhang et al. 2024; hanningzhang/ER-PRM, evaluation/evaluate_math_reward_model.py."""
    tokenizer, family = opened.tokenizer, opened.family
    lay_out = layouts.TaggedLayout(
        tokenizer, family, gap=" ", tag=" ки", between=" ", mark=" ки", special=True
    )
    good, bad = (layouts.single(tokenizer, sign, family) for sign in (" +", " -"))
    return Reading(lay_out, HeadKind.VERDICT, (good, bad))


def _pqm(opened: Opened) -> Reading:
    """Li and Li 2025; WindyLee0822/Process_Q_Model, bon_eval_hf.py."""
    lay_out = layouts.TaggedLayout(
        opened.tokenizer,
        opened.family,
        gap="\n",
        tag=" [PRM]",
        between="\n",
        mark="[PRM]",
        special=False,
    )
    return Reading(lay_out, HeadKind.VALUE, low=None, high=None)


def _orm(opened: Opened) -> Reading:
    """A sequence classifier over problem and solution."""
    template = opened.template if has_chat_template(opened.files) else None
    lay_out = layouts.OutcomeLayout(opened.tokenizer, opened.family, template)
    found = tensors(opened.files, ["score.weight"])
    if not found:
        raise EngineError(
            f"`{opened.files.name}`: the weights of its head are missing: score.weight"
        )
    labels = found["score.weight"].shape[0]
    if labels not in (1, 2):
        raise EngineError(f"`{opened.files.name}`: a reward has 1 or 2 labels, this model {labels}")
    low, high = (None, None) if labels == 1 else (0.0, 1.0)
    return Reading(lay_out, HeadKind.SEQUENCE, low=low, high=high, steps=False)


TABLE: Final[dict[str, Callable[[Opened], Reading]]] = {
    "math-shepherd": _math_shepherd,
    "rlhflow": _rlhflow,
    "skywork": _skywork,
    "qwen-math-prm": _qwen_math,
    "er-prm": _er_prm,
    "pqm": _pqm,
    "orm": _orm,
}
