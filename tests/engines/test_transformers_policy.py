"""The transformers engine: the same texts as the bundled one, on several architectures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.tiny_hf import (
    LLAMA_CHAT,
    LLAMA_TOKENS,
    QWEN_TOKENS,
    byte_level,
    metaspace,
    save_model,
)
from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
    Sampling,
)
from tts_runtime.engines.batching.decoder import Decoder
from tts_runtime.engines.batching.forward import Array, Forward, Integers
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.options import PolicyOptions
from tts_runtime.engines.registry import policy_engine
from tts_runtime.paths import bundled
from tts_runtime.steps import NOTHING
from tts_runtime.streams import child_key, root_key

if TYPE_CHECKING:
    from tts_runtime.engines.torch.policy import TransformersPolicy

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "qwen2": {},
    "mistral": {"sliding_window": 12},
    "qwen2 in part sliding": {
        "use_sliding_window": True,
        "sliding_window": 12,
        "max_window_layers": 1,
    },
}


def tiny(folder: Path, kind: str) -> Path:
    """A random model of an architecture, with a tokenizer of its layout."""
    architecture = kind.partition(" ")[0]
    settings: dict[str, Any] = {**ARCHITECTURES[kind], "max_position_embeddings": 256}
    if architecture == "mistral":
        tokenizer, begin, end = metaspace(), "<s>", "</s>"
    elif architecture == "llama":
        tokenizer = byte_level(LLAMA_TOKENS, begin="<|begin_of_text|>")
        begin, end = "<|begin_of_text|>", "<|end_of_text|>"
    else:
        tokenizer, begin, end = byte_level(QWEN_TOKENS), "<|endoftext|>", "<|im_end|>"
    return save_model(
        folder, tokenizer, architecture=architecture, begin=begin, end=end, **settings
    )


def requests(engine: PolicyEngine, count: int, limits: Limits) -> list[GenerateRequest]:
    """Children of one problem's prompt, and of one longer."""
    found = []
    for number in range(count):
        text = engine.binding.open("What is 1 + 2?" + " So?" * (number % 3), thinking=False)
        key = child_key(root_key(0, str(number % 3)), b"", 0, 0, number, b"tag")
        sampling = Sampling(temperature=(1.0, 0.7, 0.0)[number % 3], top_p=0.95)
        ids = engine.tokenizer.encode(text)
        found.append(GenerateRequest(ids, (), key, sampling, limits, NOTHING))
    return found


def answers(engine: PolicyEngine | Decoder, asked: Sequence[GenerateRequest]) -> list[Generation]:
    """Answers to requests that are all in flight at once; closes the engine."""
    submit = engine.submit if isinstance(engine, Decoder) else engine.generate

    async def main() -> list[Generation]:
        try:
            return await asyncio.gather(*map(submit, asked))
        finally:
            await engine.close()

    return asyncio.run(main())


def test_the_bundled_policy_writes_the_same_texts() -> None:
    from tts_runtime.engines.torch.policy import TransformersPolicy

    folder = bundled("policy")
    one, other = BundledPolicy(folder), TransformersPolicy(str(folder))
    asked = requests(one, 15, Limits(80))
    assert other.exact
    assert "from the model's folder" in other.chosen
    expected = answers(one, asked)
    for found, wanted in zip(answers(other, asked), expected, strict=True):
        assert (found.ids, found.finish) == (wanted.ids, wanted.finish)
        assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-3)
    assert len({answer.ids for answer in expected}) > 3  # not one text fifteen times


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_log_probabilities_are_those_of_a_plain_forward_pass(tmp_path: Path, kind: str) -> None:
    """Rows of different lengths, joining and leaving: every number as if alone and uncached."""
    import torch
    from transformers import AutoModelForCausalLM

    from tts_runtime.engines.torch.policy import TransformersPolicy

    folder = tiny(tmp_path / "model", kind)
    engine = TransformersPolicy(str(folder), PolicyOptions(slots=3, known_tokens=64))
    asked = requests(engine, 7, Limits(40))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for request, answer in zip(asked, answers(engine, asked), strict=True):
        ids = torch.tensor([[*request.prompt, *answer.ids]])
        with torch.inference_mode():
            logits = model(ids).logits[0, len(request.prompt) - 1 :].double()
        expected = torch.log_softmax(logits[: len(answer.ids)], dim=-1)
        chosen = expected.gather(1, ids[0, len(request.prompt) :, None])[:, 0]
        assert answer.logprobs == pytest.approx(chosen.tolist(), abs=1e-4)
        if request.sampling.temperature == 0:
            assert answer.ids == tuple(expected.argmax(dim=-1).tolist())


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("positions", "rope", "most"),
    [
        (256, LONGROPE, 64),
        (128, {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}, 128),
    ],
)
def test_ropes_that_change_with_the_longest_text_are_refused(
    tmp_path: Path, positions: int, rope: dict[str, Any], most: int
) -> None:
    """Transformers rotates by the longest row of a call, our cached keys by what was before."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    from tts_runtime.engines.torch.policy import TransformersPolicy

    folder = save_model(
        tmp_path / "model",
        byte_level(QWEN_TOKENS),
        max_position_embeddings=positions,
        rope_parameters=rope,
    )
    for context in (None, most + 1):
        with pytest.raises(EngineError, match=f"set `context` to at most {most}, or run it"):
            TransformersPolicy(str(folder), PolicyOptions(context=context))
    model = TransformersPolicy(str(folder), PolicyOptions(context=most)).model
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = np.arange(most)[None]
    with model.turn():
        cache = model.cache(1)
        model.extend(ids[:, :-2], np.array([0]), cache)
        # What fills a row up may lie beyond the window: it changes nothing.
        hidden = model.extend(np.pad(ids[:, -2:], [(0, 0), (0, 9)]), np.array([most - 2]), cache)
        logits = model.logits(hidden[:, 1])[0]
        expected = plain(torch.from_numpy(ids)).logits[0, -1]
    assert logits.tolist() == pytest.approx(expected.tolist(), abs=1e-3)


class Cramped:
    """A model on a machine that holds at most `rows` rows at once."""

    def __init__(self, inner: object, rows: int) -> None:
        self._inner = inner
        self._rows = rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def extend(self, ids: Integers, starts: Integers, cache: Any, **how: Any) -> Array:
        import torch

        if int((starts > 0).sum()) > self._rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._inner.extend(ids, starts, cache, **how)  # type: ignore[attr-defined]


def cramped(engine: TransformersPolicy, rows: int, slots: int = 16) -> Decoder:
    """The engine's decoder with these slots, on a machine that holds fewer rows."""
    model = cast(Forward, Cramped(engine.model, rows))
    return Decoder(model, engine.tokenizer, engine.binding, slots, 1000)


@pytest.mark.parametrize(("rows", "start", "slots"), [(5, 16, 4), (1, 16, 1), (2, 7, 1)])
def test_out_of_memory_halves_the_batch_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: int, start: int, slots: int
) -> None:
    from tts_runtime.engines.torch.policy import TransformersPolicy

    engine = TransformersPolicy(str(tiny(tmp_path / "model", "llama")))
    asked = requests(engine, 10, Limits(15))
    decoder = cramped(engine, rows, start)
    found = answers(decoder, asked)
    assert [answer.ids for answer in found] == [answer.ids for answer in answers(engine, asked)]
    assert decoder.slots == slots
    assert f"continuing with {slots} paths at once" in caplog.text


def test_a_path_that_does_not_fit_alone_fails(tmp_path: Path) -> None:
    from tts_runtime.engines.torch.policy import TransformersPolicy

    engine = TransformersPolicy(str(tiny(tmp_path / "model", "llama")))
    with pytest.raises(EngineError, match=r"out of memory with one path of \d+ tokens"):
        answers(cramped(engine, 0), requests(engine, 2, Limits(5)))


class Overflowing:
    """A model whose numbers are none in one row of its third step."""

    def __init__(self, inner: object, value: float) -> None:
        self._inner = inner
        self._value = value
        self._steps = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def logits(self, hidden: Array) -> Array:
        logits = self._inner.logits(hidden)  # type: ignore[attr-defined]
        self._steps += 1
        if self._steps == 3:
            logits[0] = self._value
        return logits


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_path_without_numbers_fails_and_the_others_go_on(tmp_path: Path, value: float) -> None:
    from tts_runtime.engines.torch.policy import TransformersPolicy

    engine = TransformersPolicy(str(tiny(tmp_path / "model", "llama")))
    asked = requests(engine, 4, Limits(9))
    model = cast(Forward, Overflowing(engine.model, value))
    decoder = Decoder(model, engine.tokenizer, engine.binding, 16, 1000)

    async def main() -> list[Generation | BaseException]:
        return await asyncio.gather(*map(decoder.submit, asked), return_exceptions=True)

    first, *others = asyncio.run(main())
    assert isinstance(first, EngineError)
    assert "numbers are none here (NaN)" in str(first)
    for found, wanted in zip(others, answers(engine, asked)[1:], strict=True):
        assert isinstance(found, Generation)
        assert (found.ids, found.finish) == (wanted.ids, wanted.finish)
        assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-5)  # other batches
    asyncio.run(decoder.close())


@pytest.mark.parametrize("name", ["model.norm.weight", "lm_head.weight"])
def test_a_model_without_numbers_is_refused(tmp_path: Path, name: str) -> None:
    import torch

    from tests.support.tiny_hf import add_weights
    from tts_runtime.engines.torch.policy import TransformersPolicy

    folder = tiny(tmp_path / "model", "llama")
    shape = [32] if "norm" in name else [TransformersPolicy(str(folder)).model.vocabulary, 32]
    tied = name != "lm_head.weight"
    add_weights(folder, {name: torch.full(shape, torch.nan)}, tie_word_embeddings=tied)
    with pytest.raises(EngineError, match=r"in float32: the model's numbers are none here \(NaN\)"):
        TransformersPolicy(str(folder))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("?slot=3", "unknown option `slot`; did you mean 'slots'?"),
        ("?dtype=int8", "option `dtype`: Input should be 'auto', 'float32'"),
        ("?slots=0", "option `slots`: Input should be greater than 0"),
        ("?slots", "expected key=value after `?`, found `slots`"),
        ("?slots=1&slots=2", "option `slots` is given twice"),
        ("?binding=qwen2.5-instrct", "did you mean 'qwen2.5-instruct'?"),
        ("?context=9999", "context 9999 is more than the 256 positions"),
        ("?device=cuda", "has no GPU"),
        ("?device=foo", "device `foo`: expected auto, cpu, cuda, or cuda:1"),
        ("?device=mps", "device `mps`: expected auto, cpu, cuda, or cuda:1"),
        ("?device=cuda:", "device `cuda:`: expected auto, cpu, cuda, or cuda:1"),
        ("?device=cpu:x", "device `cpu:x`: expected auto, cpu, cuda, or cuda:1"),
    ],
)
def test_wrong_options_get_help(tmp_path: Path, tail: str, message: str) -> None:
    import torch

    if tail == "?device=cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    folder = tiny(tmp_path / "model", "llama")
    with pytest.raises(EngineError) as caught:
        policy_engine(f"transformers:{folder}{tail}")
    assert message in str(caught.value)


def test_devices_with_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from tts_runtime.engines.torch.model import Placement

    assert Placement("cpu:0").resolved() == Placement("cpu").resolved() == ("cpu", torch.float32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Placement("cuda:1").resolved() == ("cuda:1", torch.bfloat16)
    with pytest.raises(EngineError, match="the last GPU of this machine is `cuda:1`"):
        Placement("cuda:2").resolved()


def test_models_that_are_none_get_help(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="expected transformers:MODEL"):
        policy_engine("transformers:")
    with pytest.raises(EngineError, match="no folder"):
        policy_engine(f"transformers:{tmp_path}/none")
    with pytest.raises(EngineError, match=r"config\.json: cannot be read"):
        policy_engine(f"transformers:{tmp_path}")
    (tmp_path / "adapter_config.json").write_text('{"r": 4}')
    with pytest.raises(EngineError, match=rf"is a LoRA adapter .*`vllm:MODEL\?lora={tmp_path}`"):
        policy_engine(f"transformers:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "max_position_embeddings": 9}')
    metaspace().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(EngineError, match="cannot be loaded as a causal model"):
        policy_engine(f"transformers:{tmp_path}")


@pytest.mark.parametrize("chat", [LLAMA_CHAT, None])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_attention_heads": 5}, "not a multiple of the number of attention heads"),
        ({"hidden_size": "32"}, "Field 'hidden_size' expected int"),
    ],
)
def test_wrong_configurations_are_not_the_chat_template_s_fault(
    tmp_path: Path, chat: str | None, values: dict[str, Any], message: str
) -> None:
    from tests.support.tiny_hf import add_weights

    folder = save_model(tmp_path / "m", byte_level(LLAMA_TOKENS), end="<|eot_id|>", chat=chat)
    add_weights(folder, {}, **values)
    with pytest.raises(EngineError, match="cannot be loaded") as caught:
        policy_engine(f"transformers:{folder}")
    assert message in str(caught.value)
    assert "refuses" not in str(caught.value)


def test_a_folder_without_a_fast_tokenizer_says_how_to_make_one(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "model", "llama")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EngineError, match=r"a fast tokenizer is needed.*AutoTok"):
        policy_engine(f"transformers:{folder}")


def test_reward_models_are_no_policies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.support.tiny_prms import make_outcome, make_qwen_math, make_skywork

    for folder in (make_qwen_math(tmp_path / "prm"), make_outcome(tmp_path / "orm", 1)):
        with pytest.raises(EngineError, match=rf"--scorer NAME=auto:{folder}"):
            policy_engine(f"transformers:{folder}")
    folder = make_skywork(tmp_path / "value")  # a policy of PPO may have the same head
    policy_engine(f"transformers:{folder}")
    assert f"make it a scorer, `--scorer NAME=auto:{folder}`" in caplog.text


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n"


@pytest.mark.parametrize("content", [b"", POINTER, None])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_are_not_whole_are_named(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    """Empty, not fetched, or without the end."""
    import torch

    from tts_runtime.engines.hf.files import card, model_files, tensors

    folder = tiny(tmp_path / "model", "llama")
    file = folder / name
    if file.suffix == ".bin":
        (folder / "model.safetensors").unlink()
        torch.save({"a": torch.ones(1000)}, file)
    file.write_bytes(file.read_bytes()[:-2000] if content is None else content)
    files = model_files(str(folder))
    for reading in (
        lambda: policy_engine(f"transformers:{folder}"),
        lambda: tensors(files, ["score.weight"]),
        lambda: card(files) or tensors(files, ["score.weight"]),
    ):
        with pytest.raises(EngineError, match=rf"{name}: is not a complete \w+ file"):
            reading()


def test_weights_of_old_pickles_are_read(tmp_path: Path) -> None:
    """Files of before torch 1.6 are no archives, and cannot be mapped."""
    import torch

    from tts_runtime.engines.hf.files import ModelFiles, tensors

    weights = {"score.weight": torch.ones(2, 3)}
    torch.save(weights, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    read = tensors(ModelFiles("m", tmp_path, {}), weights)
    assert read["score.weight"].tolist() == [[1.0] * 3] * 2


def test_the_size_of_a_model_is_read_from_its_headers(tmp_path: Path) -> None:
    from tts_runtime.engines.hf.files import card, model_files
    from tts_runtime.engines.torch.policy import TransformersPolicy

    folder = tiny(tmp_path / "model", "qwen2")
    assert card(model_files(str(folder))) == TransformersPolicy(str(folder)).card


def test_copies_of_weights_that_are_not_loaded_do_not_count(tmp_path: Path) -> None:
    """Also where they were not fetched: Mistral's own format, PyTorch's beside safetensors."""
    from tts_runtime.engines.hf.files import card, model_files

    folder = tiny(tmp_path / "model", "llama")
    size = card(model_files(str(folder)))
    copy = (folder / "model.safetensors").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(POINTER)
    for content in (copy, POINTER):
        (folder / "consolidated.safetensors").write_bytes(content)
        assert card(model_files(str(folder))) == size
        assert policy_engine(f"transformers:{folder}").card == size


def test_weights_of_other_sizes_than_the_configuration_says_are_named(tmp_path: Path) -> None:
    from tests.support.tiny_hf import add_weights

    folder = tiny(tmp_path / "model", "qwen2")
    wanted = re.escape(
        "config.json says: model.layers.0.mlp.down_proj.weight (32 x 64, not 32 x 96)"
    )
    add_weights(folder, {}, intermediate_size=96)
    with pytest.raises(EngineError, match=rf"{wanted}, .* and 3 more"):
        policy_engine(f"transformers:{folder}")


@pytest.mark.parametrize(
    ("kind", "names"),
    [("mistral", ["</s>", "S", "▁S"]), ("mistral", ["</s>", "<0x0A>"]), ("qwen2", ["Ċ", "Ġ"])],
)
def test_the_ends_of_a_generation_configuration_are_its_ids(
    tmp_path: Path, kind: str, names: list[str]
) -> None:
    """Names of the vocabulary are no texts: encoded, they are other ids, or several."""
    import json

    from tts_runtime.engines.hf.bindings import choose_binding
    from tts_runtime.engines.hf.files import model_files
    from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
    from tts_runtime.engines.stopping import end_ids

    folder = tiny(tmp_path / "model", kind)
    tokenizer = HuggingFaceTokenizer(folder)
    ids = [tokenizer.token(name) for name in names]
    assert None not in ids
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    ends = end_ids(tokenizer, choose_binding(model_files(str(folder)))[0])
    assert ends == {*ids, tokenizer.token("</s>" if kind == "mistral" else "<|im_end|>")}


def test_a_chat_template_opens_conversations(tmp_path: Path) -> None:
    tokenizer = byte_level(LLAMA_TOKENS, begin="<|begin_of_text|>")
    folder = save_model(
        tmp_path / "m", tokenizer, begin="<|begin_of_text|>", end="<|eot_id|>", chat=LLAMA_CHAT
    )
    engine = policy_engine(f"transformers:{folder}")
    assert engine.binding.name == "llama-3-instruct"
    text = engine.binding.open("  What is 1 + 2?\n", thinking=False)
    assert text.startswith("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nSolve")
    assert text.endswith(
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhat is 1 + 2?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert (
        engine.tokenizer.encode(text)[:2]
        == tuple(map(tokenizer.token_to_id, LLAMA_TOKENS[::2]))[:2]
    )
