"""The shipped models load with transformers, are small, and do what the model card says."""

import json
import random
from pathlib import Path

import pytest
import yaml
from bundled import examples, noise, tokenizer, world

BUNDLED = Path(__file__).resolve().parents[2] / "runtime" / "bundled"


@pytest.mark.parametrize("name", ["policy", "prm"])
def test_models_load_and_are_small(name: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = BUNDLED / name
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.dtype == torch.float32
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(folder))
    assert sum(file.stat().st_size for file in folder.iterdir()) < 5_000_000


@pytest.mark.parametrize("name", ["policy", "prm"])
def test_the_small_sampler_computes_what_transformers_computes(name: str) -> None:
    import torch
    from bundled import sampler
    from transformers import AutoModelForCausalLM

    texts = ["Q: Start with 17; a: *3 (mod 100)\nA: a: 17*3=51\n\n", "Q: "]
    reference = AutoModelForCausalLM.from_pretrained(BUNDLED / name)
    model = sampler.Model(BUNDLED / name)
    sequences = [tokenizer.encode(text) for text in texts]
    hidden, _ = sampler.prefill(model, sequences)
    for row, sequence in enumerate(sequences):
        with torch.inference_mode():
            expected = reference(torch.tensor([sequence])).logits[0]
        logits = (hidden[row] @ model.output.T)[-len(sequence) :]
        assert torch.allclose(logits, expected, atol=2e-3)


def test_bindings_name_single_tokens_and_the_context() -> None:

    ids = tokenizer.vocabulary()
    policy = yaml.safe_load((BUNDLED / "policy" / "binding.yaml").read_text())
    prm = yaml.safe_load((BUNDLED / "prm" / "binding.yaml").read_text())
    marks = [policy["thinking"]["begin"], policy["thinking"]["end"], policy["step_delimiter"]]
    for token in [*marks, *policy["stop"], prm["good"], prm["bad"], prm["delimiter"]]:
        assert token in ids
    for name, binding in (("policy", policy), ("prm", prm)):
        config = json.loads((BUNDLED / name / "config.json").read_text())
        assert binding["context"] == config["max_position_embeddings"] == tokenizer.CONTEXT
    assert policy["prompt"].format(message="x") == examples.prompt("x")
    assert prm["prompt"].format(problem="x") == examples.prompt("x")


def test_the_policy_solves_easy_problems_in_every_mode() -> None:
    import torch
    from bundled import rollouts, sampler

    rng = random.Random(11)
    policy = sampler.Model(BUNDLED / "policy")
    problems = [world.generate_problem(rng, rng.randint(1, 4), 0) for _ in range(32)]
    generator = torch.Generator().manual_seed(0)

    def accuracy(texts: list[str]) -> float:
        pairs = zip(texts, problems, strict=True)
        return sum(rollouts.answer_of(text) == p.answer() for text, p in pairs) / len(problems)

    first = rollouts.direct(policy, problems, generator)
    attempts = [[text] for text in first]
    assert accuracy(first) > 0.6
    assert accuracy(rollouts.thinking(policy, problems, generator, waits=1)) > 0.6
    assert accuracy(rollouts.revised(policy, problems, attempts, generator)) > 0.6


def test_a_thought_cut_in_the_middle_still_answers() -> None:
    import torch
    from bundled import sampler

    policy = sampler.Model(BUNDLED / "policy")
    prompt = examples.prompt("Start with 17; a: +2; b: +30; c: -8 (mod 100)")
    text = prompt + "<think>a: 17+2=19\n\nb: 19+3\n</think>Final Answer:"
    (ids,) = sampler.sample(
        policy, [tokenizer.encode(text)], torch.Generator().manual_seed(0), temperature=0
    )
    assert tokenizer.decode(ids) == " \\boxed{19}<eos>"


def test_the_prm_prefers_right_steps() -> None:
    from bundled import sampler

    rng = random.Random(12)
    prm = sampler.Model(BUNDLED / "prm")
    right: list[float] = []
    wrong: list[float] = []
    for _ in range(60):
        problem = world.generate_problem(rng, rng.randint(1, 8), rng.randint(0, 2))
        steps = [statement.text() for statement in noise.noisy_chain(rng, problem)]
        labels = world.label_steps(problem, steps)
        (scores,) = sampler.score_steps(prm, examples.prompt(problem.text()), [steps])
        for score, label in zip(scores, labels, strict=True):
            (right if label.cumulative else wrong).append(score)
    assert sum(right) / len(right) > 0.8 > 0.3 > sum(wrong) / len(wrong)


def test_a_step_score_does_not_depend_on_later_steps() -> None:
    from bundled import sampler

    prm = sampler.Model(BUNDLED / "prm")
    problem = world.parse_problem("Start with 17; a: *3; b: +45 (mod 100)")
    steps = world.split_steps(world.solution_text(problem))
    prompt = examples.prompt(problem.text())
    rows = sampler.score_steps(prm, prompt, [steps[:1], steps[:2], steps])
    for row in rows:
        assert row == pytest.approx(rows[2][: len(row)], abs=1e-4)
