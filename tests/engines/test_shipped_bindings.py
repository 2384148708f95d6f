"""Bindings that ship, and which of them a model gets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import chat_layouts
from tests.support.chat_models import BOXED, ENDS, LLAMA, PUBLISHED, QWEN, QWEN3, R1, Model, write
from tests.support.tiny_hf import CHATML, metaspace, save_model
from tts_runtime.binding import BindingError, Defaults, Thinking, load_binding, shipped_bindings
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.bindings import choose_binding
from tts_runtime.engines.hf.files import model_files
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import end_ids


@pytest.mark.parametrize("name", shipped_bindings())
def test_each_one_loads(name: str) -> None:
    binding = load_binding(shipped_bindings()[name], context=4096)
    assert (binding.name, binding.context) == (name, 4096)
    assert binding.stop
    with pytest.raises(BindingError, match="context: Field required"):
        load_binding(shipped_bindings()[name])


@pytest.mark.parametrize(("name", "model", "prompt", "thought"), PUBLISHED)
def test_models_are_recognised_by_their_own_prompt(
    tmp_path: Path, name: str, model: Model, prompt: str, thought: str | None
) -> None:
    files = write(tmp_path / "any", model)
    binding, why = choose_binding(files)
    assert why == f"binding `{name}` (recognised: its prompt is that of the model's chat template)"
    assert binding.context == files.positions
    assert binding.open("Hi", thinking=False) == prompt
    assert binding.open("Hi", thinking=True) == prompt + (thought or "")
    assert (binding.thinking is None) is (thought is None)
    # What ends a solution is what the binding says and what the model's files say.
    assert set(binding.stop) == {*model.ends, *filter(model.special.__contains__, binding.stop)}
    tokenizer = HuggingFaceTokenizer(files.folder)
    assert len(end_ids(tokenizer, binding)) == len(binding.stop) >= len(model.ends) > 0


@pytest.mark.parametrize(("name", "model"), [each[:2] for each in PUBLISHED])
def test_conversations_go_on_as_the_model_s_template_writes_them(
    tmp_path: Path, name: str, model: Model
) -> None:
    """C73: what stands behind an earlier reply."""
    from transformers import AutoTokenizer

    files = write(tmp_path / "any", model)
    binding, _ = choose_binding(files)
    user = binding.user.replace("{message}", "And then?")
    turns = [("user", "Hi"), ("assistant", "REPLY"), ("user", user)]
    if binding.system is not None:
        turns.insert(0, ("system", binding.system))
    own = AutoTokenizer.from_pretrained(files.folder).apply_chat_template(
        [{"role": role, "content": text} for role, text in turns],
        tokenize=False,
        add_generation_prompt=True,
        date_string="26 Jul 2024",
        **binding.template_options,
    )
    turn = f"REPLY{binding.follow('And then?', thinking=False)}"
    thinking = binding.thinking
    if thinking is not None and thinking.always and not own.endswith(thinking.begin):
        own += thinking.begin  # earlier templates of R1 leave it to the model
    assert own.endswith(turn), name


def test_no_thinking_is_a_binding_of_its_own(tmp_path: Path) -> None:
    files = write(tmp_path / "any", QWEN3)
    binding, why = choose_binding(files, "qwen3-no-thinking")
    assert why == "binding `qwen3-no-thinking` (asked for)"
    begin, reply = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    empty = f"{begin}Hi\n{BOXED}{reply}<think>\n\n</think>\n\n"
    assert binding.open("Hi", thinking=True) == binding.open("Hi", thinking=False) == empty


@pytest.mark.parametrize(
    ("model", "alike"),
    [
        # Fine-tunes with a template or a system message of their own.
        (
            replace(QWEN, template=QWEN.template.replace("You are Qwen", "You reason")),
            "qwen2.5-instruct",
        ),
        (replace(QWEN, template=QWEN.template + "<|im_start|>plan\n"), "qwen2.5-instruct"),
        (replace(QWEN3, template=QWEN3.template.replace("assistant", "qwen")), "qwen3"),
        (
            replace(R1, template=R1.template.replace("<think>", "<think>Okay")),
            "deepseek-r1-distill",
        ),
        (
            replace(LLAMA, template=LLAMA.template.replace("= ''", "= 'detailed thinking on'")),
            "llama-3-instruct",
        ),
        (
            replace(LLAMA, template=LLAMA.template.replace("<|eot_id|>", "<|eom_id|>")),
            "llama-3-instruct",
        ),
    ],
)
def test_another_template_is_used_itself_and_said(tmp_path: Path, model: Model, alike: str) -> None:
    from transformers import AutoTokenizer

    sampling = {"do_sample": True, "temperature": 0.3, "top_k": 7}
    files = write(tmp_path / "s1", replace(model, generation=sampling))
    binding, why = choose_binding(files)
    assert why.startswith("binding `chat` (made from the model's chat template")
    assert why.endswith(f", which is not that of `{alike}`)")
    tokenizer = AutoTokenizer.from_pretrained(files.folder)
    own = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}],
        tokenize=False,
        add_generation_prompt=True,
        date_string="26 Jul 2024",
    )
    assert binding.open("Hi", thinking=False) == own
    assert binding.stop == model.ends
    assert (binding.defaults.temperature, binding.defaults.top_k) == (0.3, 7)


@pytest.mark.parametrize(("name", "model"), [each[:2] for each in PUBLISHED])
@pytest.mark.parametrize("system", [None, "Be brief."])
def test_c79_messages_before_the_problem_are_written_as_the_model_s_template_does(
    tmp_path: Path, name: str, model: Model, system: str | None
) -> None:
    from transformers import AutoTokenizer

    files = write(tmp_path / "any", model)
    binding, _ = choose_binding(files)
    examples = (("user", "1 + 1"), ("assistant", "2"), ("user", "2 + 2"), ("assistant", "4"))
    before = examples if system is None else (("system", system), *examples)
    said = [("system", binding.system)] if system is None and binding.system else []
    turns = [*said, *before, ("user", "3 + 3")]
    shown = [
        {
            "role": role,
            "content": binding.user.replace("{message}", text) if role == "user" else text,
        }
        for role, text in turns
    ]
    if binding.misfit(before) is not None:
        assert binding.turn is None or not binding.examples or system, name
        return
    own = AutoTokenizer.from_pretrained(files.folder).apply_chat_template(
        shown, tokenize=False, add_generation_prompt=True, **binding.template_options
    )
    opened = binding.open("3 + 3", thinking=False, before=before)
    day = re.compile(r"\d{4}-\d\d-\d\d|Today.*\n")
    texts = [day.sub("", each).removesuffix("<think>\n") for each in (opened, own)]
    assert texts[0] == texts[1]


def test_asked_for_although_the_template_differs(tmp_path: Path) -> None:
    files = write(tmp_path / "any", replace(QWEN, template=QWEN.template + "<|im_start|>plan\n"))
    _, why = choose_binding(files, "qwen2.5-instruct")
    assert "asked for, although its prompt is not that of the model's chat template" in why


def test_a_template_that_opens_a_thought_is_seen(tmp_path: Path) -> None:
    template = chat_layouts.QWEN_THINKING.replace("im_end", "end")
    special = (*chat_layouts.QWEN_TOKENS, "<|end|>")
    files = write(
        tmp_path / "any", Model("other", template, special, chat_layouts.THINK, ends=ENDS)
    )
    binding, why = choose_binding(files)
    assert why.endswith("(made from the model's chat template, with thoughts from `<think>`)")
    assert binding.thinking == Thinking(begin="<think>\n", end="</think>", always=True)
    for thinking in (False, True):
        assert binding.open("Hi", thinking=thinking).endswith("<|im_start|>assistant\n<think>\n")


def test_white_space_around_a_turn_is_left_out_as_the_template_does(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    gemma = next(model for name, model, _, _ in PUBLISHED if name == "gemma-3")
    files = write(tmp_path / "any", gemma)
    binding, _ = choose_binding(files)
    tokenizer = AutoTokenizer.from_pretrained(files.folder)
    for message in ("Hi", "  Hi \n", "\n\n a\n\nb "):
        own = tokenizer.apply_chat_template(
            [{"role": "user", "content": f"{message}\n{BOXED}"}],
            tokenize=False,
            add_generation_prompt=True,
        )
        assert binding.open(message, thinking=False) == own


def qwen(folder: Path, context: int = 2048) -> Path:
    return write(folder, replace(QWEN, positions=context)).folder


def test_thoughts_of_s1_end_with_visible_tokens(tmp_path: Path) -> None:
    """`<|im_start|>answer` must be found in texts although its first token is a special one."""
    folder = qwen(tmp_path / "s1-32B")
    binding, _ = choose_binding(model_files(str(folder)))
    assert binding.thinking is not None
    tokenizer = HuggingFaceTokenizer(folder, (binding.thinking.begin, binding.thinking.end))
    start, end = tokenizer.encode("<|im_start|>")[0], tokenizer.encode("<|im_end|>")[0]
    assert tokenizer.encode(binding.thinking.end)[0] == start
    assert (tokenizer.pieces[start], tokenizer.pieces[end]) == (b"<|im_start|>", b"")


def test_unknown_models_get_a_binding_of_their_own(tmp_path: Path) -> None:
    chat = save_model(
        tmp_path / "chat", metaspace(), architecture="mistral", end="</s>", chat=CHATML
    )
    binding, why = choose_binding(model_files(str(chat)))
    assert why == "binding `chat` (made from the model's chat template)"
    assert binding.open("Hi", thinking=False).startswith("<|im_start|>user\nHi<|im_end|>")
    assert binding.stop == ("</s>",)
    plain = save_model(tmp_path / "plain", metaspace(), begin="<s>", end="</s>")
    binding, why = choose_binding(model_files(str(plain)), context=300)
    assert why.startswith("binding `plain` (no chat template")
    assert (binding.prompt, binding.context) == ("<s>{message}\n", 300)


@pytest.mark.parametrize(
    ("values", "expected", "words"),
    [
        ({"temperature": 0.6, "top_k": -1}, Defaults(temperature=0.6), ""),
        ({"temperature": 0.6, "top_p": 1.5}, Defaults(temperature=0.6), "`top_p` 1.5"),
        ({"eos_token_id": [None, -1]}, Defaults(), ""),
        ({"eos_token_id": ["</s>"]}, None, r"`eos_token_id` .* is \['</s>'\], which is neither"),
        ({"eos_token_id": 2.0}, None, r"`eos_token_id` .* is 2\.0, which is neither"),
    ],
)
def test_odd_values_of_a_generation_configuration(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    values: dict[str, object],
    expected: Defaults | None,
    words: str,
) -> None:
    folder = save_model(tmp_path / "plain", metaspace(), begin="<s>", end="</s>")
    (folder / "generation_config.json").write_text(json.dumps(values))
    files = model_files(str(folder))
    if expected is None:
        with pytest.raises(EngineError, match=words):
            choose_binding(files)
        return
    binding, _ = choose_binding(files)
    assert (binding.defaults, binding.stop) == (expected, ("</s>",))
    assert (words in caplog.text) if words else not caplog.text


def test_asked_for_by_name_or_file(tmp_path: Path) -> None:
    files = model_files(str(qwen(tmp_path / "any")))
    assert choose_binding(files, "s1")[0].name == "s1"
    own = tmp_path / "own.yaml"
    own.write_text("name: own\ncontext: 99\n")
    assert choose_binding(files, str(own))[0].context == 99
    assert choose_binding(files, str(own), 120)[0].context == 120
    own.write_text("name: own\nthinking: {begin: a, ends: b}\n")
    with pytest.raises(BindingError, match=r"thinking\.ends: .*\(did you mean `end`\?\)"):
        choose_binding(files, str(own))
    with pytest.raises(EngineError, match=r"neither a file nor one of deepseek-r1-distill, .*s1"):
        choose_binding(files, "gemma")


def test_a_folder_without_a_binding_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=r"a model's folder needs a binding\.yaml"):
        load_binding(tmp_path / "binding.yaml")


def test_an_end_marker_has_a_text(tmp_path: Path) -> None:
    """An empty one would be found at the beginning of every text."""
    file = tmp_path / "binding.yaml"
    file.write_text("name: x\nprompt: '{message}'\ncontext: 64\nstop: ['<end>', '']\n")
    with pytest.raises(BindingError, match=r"stop\.1"):
        load_binding(file)
