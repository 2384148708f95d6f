"""The table of families: layout, head and range of each, in the words of their authors.

Each is read as its model card or its authors' code reads it, with the differences that
docs/engines.md names; a score never depends on later steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tts_runtime.engines.base import EngineError, ScoreRequest
from tts_runtime.engines.chat import ChatTemplate, has_chat_template
from tts_runtime.engines.hf_files import ModelFiles
from tts_runtime.engines.hf_model import TransformersModel
from tts_runtime.engines.hf_tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.path_scorer import Path
from tts_runtime.engines.prm_families import heads, layouts


@dataclass(frozen=True, slots=True)
class Reading:
    """A family's way of reading one model; `low` and `high` are `None` where nothing bounds it."""

    lay_out: Callable[[ScoreRequest], Path]
    judge: heads.Head
    low: float | None = 0.0
    high: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A model with what its family may need."""

    family: str
    files: ModelFiles
    tokenizer: HuggingFaceTokenizer
    model: TransformersModel

    @property
    def template(self) -> ChatTemplate:
        """Its chat template."""
        return ChatTemplate(self.files)


@dataclass(frozen=True, slots=True)
class Family:
    """How models of one family are opened and read.

    Args:
        read: Makes the reading.
        generative: The language-model head is needed.
        steps: One score per step, or one per solution.
    """

    read: Callable[[Opened], Reading]
    generative: bool
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
    return Reading(lay_out, heads.verdict(opened.model, *signs))


def _rlhflow(opened: Opened) -> Reading:
    """Dong et al. 2024; RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py."""
    lay_out = layouts.TurnsLayout(opened.tokenizer, opened.family, opened.template)
    good, bad = (opened.tokenizer.encode(sign)[-1] for sign in "+-")
    return Reading(lay_out, heads.verdict(opened.model, good, bad))


def _skywork(opened: Opened) -> Reading:
    """Skywork-o1 Open PRM; SkyworkAI/skywork-o1-prm-inference, `prepare_input`."""
    token = opened.files.tokenizer.get("bos_token")
    begin = token.get("content", "") if isinstance(token, dict) else token or ""
    lay_out = layouts.LineLayout(opened.tokenizer, opened.family, begin)
    return Reading(lay_out, heads.value(opened.files, opened.model, sigmoid=True))


def _qwen_math(opened: Opened) -> Reading:
    """Zhang et al. 2025; model card of Qwen/Qwen2.5-Math-PRM-7B."""
    lay_out = layouts.SeparatedChatLayout(opened.tokenizer, opened.family, opened.template)
    return Reading(lay_out, heads.classifier(opened.files, opened.model))


def _er_prm(opened: Opened) -> Reading:
    """Zhang et al. 2024; hanningzhang/ER-PRM, evaluation/evaluate_math_reward_model.py."""
    tokenizer, family = opened.tokenizer, opened.family
    lay_out = layouts.TaggedLayout(
        tokenizer, family, gap=" ", tag=" ки", between=" ", mark=" ки", special=True
    )
    good, bad = (layouts.single(tokenizer, sign, family) for sign in (" +", " -"))
    return Reading(lay_out, heads.verdict(opened.model, good, bad))


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
    judge = heads.value(opened.files, opened.model, sigmoid=False)
    return Reading(lay_out, judge, low=None, high=None)


def _orm(opened: Opened) -> Reading:
    """A sequence classifier over problem and solution."""
    template = opened.template if has_chat_template(opened.files) else None
    judge, labels = heads.sequence(opened.files, opened.model)
    lay_out = layouts.OutcomeLayout(opened.tokenizer, opened.family, template)
    return Reading(lay_out, judge, *((None, None) if labels == 1 else (0.0, 1.0)))


TABLE: Final[dict[str, Family]] = {
    "math-shepherd": Family(_math_shepherd, generative=True),
    "rlhflow": Family(_rlhflow, generative=True),
    "skywork": Family(_skywork, generative=False),
    "qwen-math-prm": Family(_qwen_math, generative=False),
    "er-prm": Family(_er_prm, generative=True),
    "pqm": Family(_pqm, generative=False),
    "orm": Family(_orm, generative=False, steps=False),
}
