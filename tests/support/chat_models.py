"""Published chat models without their weights: what their files say of how they are talked to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokenizers import AddedToken

from tests.support import chat_layouts
from tests.support.tiny_hf import LLAMA_CHAT, byte_level
from tts_runtime.binding import load_binding, shipped_bindings
from tts_runtime.engines.hf.files import ModelFiles, model_files

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
SYSTEM = load_binding(shipped_bindings()["llama-3-instruct"], 1).system


@dataclass(frozen=True)
class Model:
    """The files of a published model that say how it is talked to."""

    kind: str
    template: str
    special: tuple[str, ...]
    added: tuple[str, ...] = ()
    begin: str | None = None
    ends: tuple[str, ...] = ()
    positions: int = 2048
    generation: Mapping[str, object] = field(default_factory=dict)


def write(folder: Path, model: Model) -> ModelFiles:
    """A model's folder without weights."""
    folder.mkdir()
    tokenizer = byte_level(model.special)
    tokenizer.add_tokens([AddedToken(text, special=False) for text in model.added])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": model.template,
        "bos_token": model.begin,
        "eos_token": model.ends[0] if model.ends else None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    config = {"model_type": model.kind, "max_position_embeddings": model.positions}
    (folder / "config.json").write_text(json.dumps(config))
    ends = [tokenizer.token_to_id(end) for end in model.ends]
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": ends, **model.generation})
    )
    return model_files(str(folder))


ENDS = ("<|im_end|>", "<|endoftext|>")
QWEN = Model("qwen2", chat_layouts.QWEN25, chat_layouts.QWEN_TOKENS, ends=ENDS)
QWEN3 = Model("qwen3", chat_layouts.QWEN3, chat_layouts.QWEN_TOKENS, chat_layouts.THINK, ends=ENDS)
R1 = Model(
    "qwen2",
    chat_layouts.R1,
    chat_layouts.R1_TOKENS[:2],
    (*chat_layouts.R1_TOKENS[2:], *chat_layouts.THINK),
    begin="<｜begin▁of▁sentence｜>",
    ends=("<｜end▁of▁sentence｜>",),
)
LLAMA = Model(
    "llama",
    chat_layouts.LLAMA31,
    chat_layouts.LLAMA_TOKENS,
    begin="<|begin_of_text|>",
    ends=("<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"),
)
MISTRAL = Model(
    "mistral3", chat_layouts.MISTRAL_SMALL, chat_layouts.MISTRAL_TOKENS, begin="<s>", ends=("</s>",)
)
_USER = "<|im_start|>user\n"
_REPLY = "<|im_end|>\n<|im_start|>assistant\n"
_LLAMA = "<|start_header_id|>{}<|end_header_id|>\n\n"
#: name, model, the whole prompt for "Hi", begin of a thought (`None`: it does not think)
PUBLISHED = [
    (
        "qwen2.5-instruct",
        QWEN,
        f"<|im_start|>system\n{BOXED}<|im_end|>\n{_USER}Hi{_REPLY}",
        None,
    ),
    (
        "qwen2.5-math-instruct",
        replace(QWEN, positions=4096),
        f"<|im_start|>system\n{BOXED}<|im_end|>\n{_USER}Hi{_REPLY}",
        None,
    ),
    ("qwen3", QWEN3, f"{_USER}Hi\n{BOXED}{_REPLY}", "<think>\n"),
    (
        "qwen3-instruct-2507",
        replace(QWEN3, kind="qwen3_moe", template=chat_layouts.QWEN3_INSTRUCT),
        f"{_USER}Hi\n{BOXED}{_REPLY}",
        None,
    ),
    (
        "qwen-thinking",
        replace(QWEN3, template=chat_layouts.QWEN_THINKING),
        f"{_USER}Hi\n{BOXED}{_REPLY}<think>\n",
        "",
    ),
    (
        "qwen-thinking",
        replace(QWEN3, kind="qwen2", template=chat_layouts.QWEN_THINKING),  # QwQ
        f"{_USER}Hi\n{BOXED}{_REPLY}<think>\n",
        "",
    ),
    *(
        (
            "deepseek-r1-distill",
            replace(R1, kind=kind, template=template),
            f"<｜begin▁of▁sentence｜><｜User｜>Hi\n{BOXED}<｜Assistant｜><think>\n",
            "",
        )
        for kind, template in (("qwen2", chat_layouts.R1_FIRST), ("llama", chat_layouts.R1))
    ),
    (
        "llama-3-instruct",
        LLAMA,
        f"<|begin_of_text|>{_LLAMA.format('system')}Cutting Knowledge Date: December 2023\n"
        f"Today Date: 26 Jul 2024\n\n{SYSTEM}<|eot_id|>{_LLAMA.format('user')}Hi<|eot_id|>"
        f"{_LLAMA.format('assistant')}",
        None,
    ),
    (
        "llama-3-instruct",
        replace(LLAMA, template=LLAMA_CHAT),  # 3.0
        f"<|begin_of_text|>{_LLAMA.format('system')}{SYSTEM}<|eot_id|>{_LLAMA.format('user')}Hi"
        f"<|eot_id|>{_LLAMA.format('assistant')}",
        None,
    ),
    (
        "gpt-oss",
        Model(
            "gpt_oss",
            chat_layouts.GPT_OSS,
            chat_layouts.GPT_OSS_TOKENS,
            ends=("<|return|>", "<|endoftext|>", "<|call|>"),
        ),
        "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\nCurrent date: 2024-07-26\n\nReasoning: medium\n\n# Valid "
        "channels: analysis, commentary, final. Channel must be included for every message.<|end|>"
        f"<|start|>user<|message|>Hi\n{BOXED}<|end|><|start|>assistant",
        "<|channel|>analysis<|message|>",
    ),
    (
        "gemma-3",
        Model(
            "gemma3_text",
            chat_layouts.GEMMA3,
            chat_layouts.GEMMA_TOKENS,
            begin="<bos>",
            ends=("<eos>", "<end_of_turn>"),
        ),
        f"<bos><start_of_turn>user\nHi\n{BOXED}<end_of_turn>\n<start_of_turn>model\n",
        None,
    ),
    (
        "phi-4-reasoning",
        Model(
            "phi3",
            chat_layouts.PHI4_REASONING,
            (*chat_layouts.PHI4_TOKENS, *chat_layouts.THINK),
            ends=("<|im_end|>",),
        ),
        "<|im_start|>system<|im_sep|>Think between <think> and </think>.<|im_end|><|im_start|>user"
        "<|im_sep|>Hi<|im_end|><|im_start|>assistant<|im_sep|>",
        "<think>",
    ),
    (
        "magistral",
        replace(
            MISTRAL,
            template=chat_layouts.MAGISTRAL,
            special=(*chat_layouts.MISTRAL_TOKENS, "[THINK]", "[/THINK]"),
        ),
        "<s>[SYSTEM_PROMPT]Think in [THINK]...[/THINK]. Today is 2024-07-26.[/SYSTEM_PROMPT]"
        "[INST]Hi[/INST]",
        "[THINK]",
    ),
    (
        "mistral-small-3",
        MISTRAL,
        f"<s>[SYSTEM_PROMPT]Today is 2024-07-26.[/SYSTEM_PROMPT][INST]Hi\n{BOXED}[/INST]",
        None,
    ),
]
