"""Chat templates with the layouts of published ones, written for these tests.

Each opens conversations exactly as the model's own template does (headers, ends of turns, default
system messages, dates, what thinks); tools, images and old thoughts are left out.
"""

from __future__ import annotations

from typing import Final

_CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
)
QWEN25: Final = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\n"
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n{% endif %}"
    + _CHATML
    + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3: Final = (
    _CHATML + "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
QWEN3_INSTRUCT: Final = _CHATML + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
QWEN_THINKING: Final = (
    _CHATML + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
R1_FIRST: Final = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}"
    "{% elif message.role == 'user' %}<｜User｜>{{ message.content }}"
    "{% else %}<｜Assistant｜>{{ message.content }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)
R1: Final = R1_FIRST.replace("<｜Assistant｜>{% endif %}", "<｜Assistant｜><think>\n{% endif %}")
LLAMA31: Final = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: {{ date_string }}\n\n{{ system | trim }}<|eot_id|>{% for message in messages %}"
    "<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
    "{{ message.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GPT_OSS: Final = (
    "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
    "Knowledge cutoff: 2024-06\nCurrent date: {{ strftime_now('%Y-%m-%d') }}\n\n"
    "Reasoning: {{ reasoning_effort | default('medium') }}\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message."
    "<|end|>{% if messages[0].role == 'system' %}<|start|>developer<|message|># Instructions\n\n"
    "{{ messages[0].content }}\n\n<|end|>{% set messages = messages[1:] %}{% endif %}"
    "{% for message in messages %}<|start|>{{ message.role }}<|message|>"
    "{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
GEMMA3: Final = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{% set before = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set before = '' %}{% endif %}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{{ before if loop.first else '' }}{{ message.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PHI4_REASONING: Final = (
    "<|im_start|>system<|im_sep|>Think between <think> and </think>.<|im_end|>"
    "{% for message in messages %}{% if message.role != 'system' %}"
    "<|im_start|>{{ message.role }}<|im_sep|>{{ message.content }}<|im_end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}"
)
MISTRAL_SMALL: Final = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"
    "{% set messages = messages[1:] %}"
    "{% else %}{% set system = 'Today is ' + strftime_now('%Y-%m-%d') + '.' %}{% endif %}"
    "[SYSTEM_PROMPT]{{ system }}[/SYSTEM_PROMPT]{% for message in messages %}"
    "{% if message.role == 'user' %}[INST]{{ message.content }}[/INST]"
    "{% else %}{{ message.content }}</s>{% endif %}{% endfor %}"
)
MAGISTRAL: Final = MISTRAL_SMALL.replace(
    "Today is ' +", "Think in [THINK]...[/THINK]. Today is ' +"
)

QWEN_TOKENS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
R1_TOKENS: Final = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
)
LLAMA_TOKENS: Final = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
)
GPT_OSS_TOKENS: Final = (
    "<|startoftext|>",
    "<|endoftext|>",
    "<|return|>",
    "<|channel|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|call|>",
)
GEMMA_TOKENS: Final = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
PHI4_TOKENS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>")
MISTRAL_TOKENS: Final = ("<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
THINK: Final = ("<think>", "</think>")
