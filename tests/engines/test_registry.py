"""Engines by name, and messages for names that are none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import sim_server
from tests.support.tiny_hf import QWEN_TOKENS, byte_level, save_model
from tts_runtime.engines import options
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreRequest
from tts_runtime.engines.options import parse_name, with_option
from tts_runtime.engines.registry import policy_engine, scorer_engine
from tts_runtime.engines.scorers import FieldScorer
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer


def test_simulated_engines_by_seed() -> None:
    policy, scorer = policy_engine("sim:7"), scorer_engine("sim")
    assert isinstance(policy, SimPolicy)
    assert policy.model.seed == 7
    assert isinstance(scorer, SimScorer)
    assert scorer.seed == 0


def test_a_simulated_policy_has_the_window_that_is_asked_for() -> None:
    assert policy_engine("sim").binding.context == 256
    assert policy_engine("sim:7?context=4096").binding.context == 4096


def test_folders_are_engines(policy_folder: Path, prm_folder: Path) -> None:
    assert policy_engine(str(policy_folder)).binding.name == "tiny"
    assert scorer_engine(str(prm_folder)).steps


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bundeld", "did you mean 'bundled'?; supported: bundled, sim, sim:SEED"),
        ("gpt", "unknown policy engine `gpt`; for a hosted model write `openai:"),
        ("sim:x", "the seed must be a whole number"),
    ],
)
def test_unknown_policies_get_help(name: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        policy_engine(name)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["field:", "telepathy", "sim:x"])
def test_unknown_scorers_get_help(name: str) -> None:
    with pytest.raises(EngineError, match=r"supported: .*field:NAME|whole number"):
        scorer_engine(name)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "binding.yaml").write_text("name: x\ncontext: 10\n")
    with pytest.raises(EngineError, match=r"tokenizer\.json: cannot be read"):
        policy_engine(str(tmp_path))


@pytest.mark.parametrize("name", ["torch", "tokenizers"])
def test_what_an_engine_needs_is_imported_only_then(tmp_path: Path, name: str) -> None:
    """Torch for models of transformers, the library of tokenizers for all but word-level ones."""
    save_model(tmp_path, byte_level(QWEN_TOKENS), begin="<|endoftext|>", end="<|im_end|>")
    (tmp_path / "binding.yaml").write_text('name: x\nprompt: "{message}"\ncontext: 10\n')
    script = """if True:
        import sys
        from tts_runtime.engines.registry import policy_engine, scorer_engine
        policy_engine("sim"), scorer_engine("sim:2"), scorer_engine("field:answer")
        heavy = {"torch", "transformers", "tokenizers", "safetensors", "threadpoolctl"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        sys.modules[sys.argv[1]] = None  # as if it were not installed
        try:
            policy_engine(sys.argv[2])
        except Exception as error:
            print(type(error).__name__, error)
    """
    engine = f"transformers:{tmp_path}" if name == "torch" else str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", script, name, engine], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"EngineError this engine needs `{name}`")
    extra = "transformers" if name == "torch" else name
    assert f"pip install 'tts-lang[{extra}]'" in done.stdout


def scored(scorer: ScorerEngine, fields: dict[str, object], answer: str | None) -> object:
    """The score of one candidate."""

    async def main() -> object:
        (score,) = (await scorer.score(ScoreRequest("?", fields, "", (), 0, answer))).scores
        return score

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "gold", "score"), [("0.5", "1/2", 1.0), ("3", "4", 0.0), (None, "4", 0.0)]
)
def test_gold_answers_score_one_or_zero(answer: str | None, gold: str, score: float) -> None:
    assert scored(scorer_engine("field:answer"), {"answer": gold}, answer) == score


def test_number_fields_are_everyones_score() -> None:
    scorer = scorer_engine("field:pass_rate")
    assert (scorer.low, scorer.high, scorer.steps) == (None, None, False)
    assert scored(scorer, {"pass_rate": 0.25}, "3") == 0.25


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"passrate": 1.0}, "did you mean 'passrate'?"),
        ({"level": 3}, "its fields: level"),
        ({"pass_rate": "high"}, "expected a number in the problem file, found 'high'"),
        ({"pass_rate": True}, "expected a number"),
    ],
)
def test_unusable_fields_are_explained(fields: dict[str, object], message: str) -> None:
    with pytest.raises(EngineError) as caught:
        scored(FieldScorer("pass_rate"), fields, None)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "address", "key"),
    [
        ("openai/gpt-4o-mini", "https://api.openai.com/v1#gpt-4o-mini", "OPENAI_API_KEY"),
        ("anthropic/claude-x?key_env=MINE", "https://api.anthropic.com/v1#claude-x", "MINE"),
        (
            "openrouter/meta-llama/llama-3-8b:free?context=8192",
            "https://openrouter.ai/api/v1#meta-llama/llama-3-8b:free",
            "OPENROUTER_API_KEY",
        ),
        ("ollama/qwen2.5:7b", "http://localhost:11434/v1#qwen2.5:7b", None),
        ("sglang/default", "http://localhost:30000/v1#default", None),
    ],
)
def test_servers_have_short_names(name: str, address: str, key: str | None) -> None:
    parsed = parse_name(name)
    assert (parsed.written, parsed.kind, parsed.argument) == (name, "openai", address)
    assert dict(parsed.options).get("key_env") == key


def test_a_short_name_is_opened_as_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(EngineError, match=r"OPENROUTER_API_KEY .* is not set"):
        policy_engine("openrouter/some/model")
    with sim_server(vllm=True, window=64).running() as server:
        monkeypatch.setitem(options.SERVERS, "ollama", (server.url.partition("#")[0], None))
        engine = policy_engine("ollama/sim?concurrency=3")
        assert (engine.exact, engine.load and engine.load.slots) == (False, 3)


def test_a_folder_goes_before_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ollama" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse_name("ollama/mine").kind == "ollama/mine"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("olama/qwen", "did you mean 'ollama/qwen'?"),
        ("openia/gpt-4o", "did you mean 'openai/gpt-4o'?"),
        ("Qwen/Qwen2.5-1.5B", "for this model write `transformers:Qwen/Qwen2.5-1.5B`"),
        ("openai-community/gpt2", "for this model write `transformers:openai-community/gpt2`"),
        ("ollama/", "supported: bundled, "),
        ("hf:Qwen/Qwen3-8B", "for this model write `transformers:Qwen/Qwen3-8B`"),
        ("vlm:Qwen/Qwen3-8B", "did you mean 'vllm:Qwen/Qwen3-8B'?"),
        ("openai:gpt-4o", "of OpenAI's own models it is `openai/gpt-4o`"),
    ],
)
def test_other_names_of_models_get_a_hint(name: str, hint: str) -> None:
    with pytest.raises(EngineError) as caught:
        policy_engine(name)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rewards:brevity", "write `python:rewards:brevity`"),
        ("rewards.py", "write `python:rewards.py:FUNCTION`"),
        ("pythn:rewards:brevity", "did you mean 'python:rewards:brevity'?"),
        ("other:brevity", "supported: bundled, "),
    ],
)
def test_a_function_without_its_prefix_gets_a_hint(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rewards.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError) as caught:
        scorer_engine(name)
    assert hint in str(caught.value)


def test_options_may_hold_what_separates_them() -> None:
    written = "openai:http://x/v1#m?context=9"
    for key, value in {"extra": "a=1&b=?#%26", "api-version": "2"}.items():
        written = with_option(written, key, value)
    parsed = parse_name(written)
    assert parsed.argument == "http://x/v1#m"
    assert dict(parsed.options) == {"context": "9", "extra": "a=1&b=?#%26", "api_version": "2"}
