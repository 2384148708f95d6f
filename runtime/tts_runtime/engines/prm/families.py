"""The table of families: layout, head and range of each, as published.

Each follows its model card or its authors' code; where published code disagrees, the family has a
layout for each (docs/engines.md names the differences). A score never depends on later steps.
Layouts need no engine; engines implement the heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tts_lang.diagnostics import did_you_mean
from tts_runtime.binding import load_binding, shipped_bindings
from tts_runtime.engines.base import EngineError, ScoreRequest
from tts_runtime.engines.hf.chat import ChatTemplate, has_chat_template
from tts_runtime.engines.hf.files import ModelFiles, tensors
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.paths import Path
from tts_runtime.engines.prm import layouts


class HeadKind(Enum):
    """How a score is read at a place."""

    VERDICT = "verdict"  # one token's probability against another's, by the language-model head
    VALUE = "value"  # TRL's value head, raw
    VALUE_SIGMOID = "sigmoid"  # the same, as a probability
    TOKEN_CLASSES = "token classes"  # Qwen's two-layer classifier, the second class
    SEQUENCE = "sequence"  # a sequence classifier: one label raw, of two the second


@dataclass(frozen=True, slots=True)
class FamilyFiles:
    """A model's files and tokenizer."""

    family: str
    files: ModelFiles
    tokenizer: HuggingFaceTokenizer

    @property
    def template(self) -> ChatTemplate:
        """Its chat template."""
        return ChatTemplate(self.files)


@dataclass(frozen=True, slots=True)
class PrmSpec:
    """How a family reads one model; `low` and `high` are `None` for unbounded scores.

    Args:
        lay_out: Converts a request to ids and places.
        head: Computes scores at the places.
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


def _math_shepherd(opened: FamilyFiles, opening: str, between: str) -> PrmSpec:
    lay_out = layouts.TaggedLayout(
        opened.tokenizer,
        opened.family,
        opening=opening,
        tag=" ки",
        between=between,
        mark=layouts.last(opened.tokenizer, "ки", opened.family),  # 12902 in the published model
        special=True,
    )
    signs = opened.tokenizer.encode("+ -")  # 648 and 387
    if len(signs) != 2:
        raise EngineError(f"{opened.family}: its tokenizer must write `+ -` as two tokens")
    return PrmSpec(lay_out, HeadKind.VERDICT, (signs[0], signs[1]))


def _math_shepherd_card(opened: FamilyFiles) -> PrmSpec:
    """Wang et al. 2024; model card of peiyi9979/math-shepherd-mistral-7b-prm."""
    return _math_shepherd(opened, "{question} ", "\n")


def _math_shepherd_sal(opened: FamilyFiles) -> PrmSpec:
    """huggingface/search-and-learn, models/reward_models.py, `MathShepherd`.

    Its system prompt, before the question, is that of its Llama policies.
    """
    binding = load_binding(shipped_bindings()["llama-3-instruct"], context=1)
    return _math_shepherd(opened, f"{binding.system}\n{{question}}\n ", "\n\n")


def _rlhflow(opened: FamilyFiles) -> PrmSpec:
    """Dong et al. 2024; RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py."""
    lay_out = layouts.TurnsLayout(opened.tokenizer, opened.family, opened.template)
    good, bad = (opened.tokenizer.encode(sign)[-1] for sign in "+-")
    return PrmSpec(lay_out, HeadKind.VERDICT, (good, bad))


def _skywork(opened: FamilyFiles, *, joined: bool) -> PrmSpec:
    token = opened.files.tokenizer.get("bos_token")
    begin = token.get("content", "") if isinstance(token, dict) else token or ""
    lay_out = layouts.LineLayout(opened.tokenizer, opened.family, begin, joined=joined)
    return PrmSpec(lay_out, HeadKind.VALUE_SIGMOID)


def _skywork_authors(opened: FamilyFiles) -> PrmSpec:
    """Skywork-o1 Open PRM; SkyworkAI/skywork-o1-prm-inference, `prepare_input`."""
    return _skywork(opened, joined=False)


def _skywork_cot(opened: FamilyFiles) -> PrmSpec:
    """RyanLiu112/compute-optimal-tts, reason/inference/rm_call.py."""
    return _skywork(opened, joined=True)


def _qwen_math(opened: FamilyFiles) -> PrmSpec:
    """Zhang et al. 2025; model card of Qwen/Qwen2.5-Math-PRM-7B."""
    lay_out = layouts.SeparatedChatLayout(opened.tokenizer, opened.family, opened.template)
    return PrmSpec(lay_out, HeadKind.TOKEN_CLASSES)


def _er_prm(opened: FamilyFiles) -> PrmSpec:
    """Zhang et al. 2024; hanningzhang/ER-PRM, evaluation/evaluate_math_reward_model.py."""
    tokenizer, family = opened.tokenizer, opened.family
    lay_out = layouts.TaggedLayout(
        tokenizer,
        family,
        opening="{question} ",
        tag=" ки",
        between="",
        mark=layouts.last(tokenizer, " ки", family),
        special=True,
    )
    good, bad = (layouts.last(tokenizer, sign, family) for sign in (" +", " -"))
    return PrmSpec(lay_out, HeadKind.VERDICT, (good, bad))


def _pqm(opened: FamilyFiles, opening: str, *, numbered: bool, special: bool) -> PrmSpec:
    lay_out = layouts.TaggedLayout(
        opened.tokenizer,
        opened.family,
        opening=opening,
        tag=" [PRM]",
        between="\n",
        mark=layouts.single(opened.tokenizer, "[PRM]", opened.family),
        special=special,
        numbered=numbered,
    )
    return PrmSpec(lay_out, HeadKind.VALUE, low=None, high=None)


def _pqm_evaluation(opened: FamilyFiles) -> PrmSpec:
    """Li and Li 2025; WindyLee0822/Process_Q_Model, bon_eval_hf.py."""
    opening = (
        "Below is an instruction that describes a task.\nWrite a response that appropriately "
        "completes the request.\n\n### Instruction:\n{question}\n\n### Response: Let's think step "
        "by step\n"
    )
    return _pqm(opened, opening, numbered=True, special=False)


def _pqm_training(opened: FamilyFiles) -> PrmSpec:
    """The same, train_main.py."""
    return _pqm(opened, "[INST] {question} [/INST]\n", numbered=True, special=False)


def _pqm_cot(opened: FamilyFiles) -> PrmSpec:
    """RyanLiu112/compute-optimal-tts, reason/inference/rm_call.py and infer_fns.py."""
    return _pqm(opened, "{question}\n", numbered=False, special=True)


def _orm(opened: FamilyFiles) -> PrmSpec:
    """A sequence classifier over problem and solution."""
    template = opened.template if has_chat_template(opened.files) else None
    config = opened.files.config.get("text_config", opened.files.config)
    padding = config.get("pad_token_id")
    lay_out = layouts.OutcomeLayout(opened.tokenizer, opened.family, template, padding)
    found = tensors(opened.files, ["score.weight"])
    if not found:
        raise EngineError(
            f"`{opened.files.name}`: the weights of its head are missing: score.weight"
        )
    labels = found["score.weight"].shape[0]
    if labels not in (1, 2):
        raise EngineError(f"`{opened.files.name}`: a reward has 1 or 2 labels, this model {labels}")
    low, high = (None, None) if labels == 1 else (0.0, 1.0)
    return PrmSpec(lay_out, HeadKind.SEQUENCE, low=low, high=high, steps=False)


#: Families, and their layouts by publication; the first is the default.
TABLE: Final[dict[str, dict[str, Callable[[FamilyFiles], PrmSpec]]]] = {
    "math-shepherd": {"card": _math_shepherd_card, "search-and-learn": _math_shepherd_sal},
    "rlhflow": {"evaluation": _rlhflow},
    "skywork": {"authors": _skywork_authors, "compute-optimal-tts": _skywork_cot},
    "qwen-math-prm": {"card": _qwen_math},
    "er-prm": {"evaluation": _er_prm},
    "pqm": {
        "evaluation": _pqm_evaluation,
        "training": _pqm_training,
        "compute-optimal-tts": _pqm_cot,
    },
    "orm": {"chat": _orm},
}


def reading(opened: FamilyFiles, layout: str | None = None) -> tuple[PrmSpec, str]:
    """How a model is read, and the name of its layout.

    Args:
        opened: The model.
        layout: A layout of its family; the first if absent.

    Raises:
        EngineError: No such layout, or the model is not of its family.
    """
    known = TABLE[opened.family]
    chosen = layout or next(iter(known))
    if chosen not in known:
        hint = did_you_mean(chosen, known) or f"it has {', '.join(known)}"
        raise EngineError(f"family {opened.family} has no layout `{chosen}`; {hint}")
    return known[chosen](opened), chosen
