"""Training sequences: ids are those of their text, and dense targets say what is right."""

import random

import pytest
from bundled import examples, noise, tokenizer, world

IDS = tokenizer.vocabulary()


def any_example(seed: int) -> examples.Example:
    return examples.policy_example(random.Random(seed), 10)


@pytest.mark.parametrize("seed", range(80))
def test_ids_are_the_encoding_of_the_text(seed: int) -> None:
    example = any_example(seed)
    text = tokenizer.decode(example.ids).removesuffix(tokenizer.EOS)
    assert tokenizer.encode(text) == [i for i in example.ids if i != IDS[tokenizer.EOS]]
    lengths = {
        len(row)
        for row in (
            example.ids,
            example.next,
            example.exact,
            example.token_right,
            example.steps_right,
        )
    }
    assert lengths == {len(example.ids)}
    assert len(example.ids) <= tokenizer.CONTEXT


@pytest.mark.parametrize("seed", range(40))
def test_next_targets_are_the_next_tokens(seed: int) -> None:
    example = any_example(seed)
    pairs = zip(example.next, example.ids[1:], strict=False)
    assert all(target in (examples.IGNORE, token) for target, token in pairs)
    assert example.next[-2] == IDS[tokenizer.EOS]


def test_exact_targets_correct_what_is_written() -> None:
    problem = world.parse_problem("Start with 17; a: *3; b: +45 (mod 100)")
    wrong = [world.Statement("a", 17, "*", 3, 31), world.Statement("b", 31, "+", 54, 85)]
    example = examples.direct_example(problem, wrong)
    texts = tokenizer.token_texts()
    at = len(tokenizer.encode(examples.prompt(problem.text())))
    written = [texts[index] for index in example.ids[at:]]
    exact = [texts[i] if i != examples.IGNORE else "" for i in example.exact[at - 1 : -1]]
    verdict = example.token_right[at:]
    assert written[:9] == ["a: ", "1", "7", "*", "3", "=", "3", "1", "\n\n"]
    assert exact[:9] == ["", "1", "7", "*", "3", "=", "5", "1", "\n\n"]
    assert verdict[1:9] == [1, 1, 1, 1, 1, 0, 1, 0]
    assert written[9:20] == [
        "b: ",
        "3",
        "1",
        "+",
        "5",
        "4",
        "=",
        "8",
        "5",
        "\n\n",
        "The answer is ",
    ]
    # The operand is miscopied, the arithmetic on what is written is right.
    assert exact[9:19] == ["", "3", "1", "+", "4", "5", "=", "8", "5", "\n\n"]
    assert verdict[10:19] == [1, 1, 1, 0, 0, 1, 1, 1, 0]
    steps = [value for value in example.steps_right if value != examples.IGNORE]
    assert steps == [0, 0]


@pytest.mark.parametrize("seed", range(30))
def test_error_free_text_has_no_bad_verdict(seed: int) -> None:
    rng = random.Random(seed)
    problem = world.generate_problem(rng, rng.randint(1, 10), rng.randint(0, 2))
    example = examples.direct_example(problem, noise.noisy_chain(rng, problem, scale=0))
    assert 0 not in example.token_right
    assert 0 not in example.steps_right
    for target, token in zip(example.exact, example.ids[1:], strict=False):
        assert target in (examples.IGNORE, token)


@pytest.mark.parametrize("seed", range(30))
def test_scored_examples_carry_the_labels_of_the_world(seed: int) -> None:
    rng = random.Random(seed)
    problem = world.generate_problem(rng, rng.randint(1, 10), 2)
    chain = noise.noisy_chain(rng, problem, scale=1.5)
    again = noise.recheck(rng, problem, 1)
    steps = [s.text() for s in chain] + ["Wait"] + [s.text() for s in again] + ["nonsense"]
    example = examples.scored_example(problem, steps)
    marks = [i for i, token in enumerate(example.ids) if token == IDS[world.DELIMITER]]
    labels = world.label_steps(problem, steps)
    assert [example.steps_right[mark] for mark in marks] == [int(x.cumulative) for x in labels]
    assert [example.token_right[mark] for mark in marks] == [int(x.local) for x in labels]


def test_the_revision_message_is_what_the_revise_prompt_renders() -> None:
    problem = world.parse_problem("Start with 1; a: +2 (mod 100)")
    message = examples.revise_message(problem, ["one", "two"])
    assert message == (
        "Start with 1; a: +2 (mod 100)\n\nEarlier attempts, the latest last:\n"
        "Attempt 1:\none\n\nAttempt 2:\ntwo\n\nCorrect the latest attempt."
    )
    example = examples.revision_example(random.Random(0), problem)
    text = tokenizer.decode(example.ids)
    assert text.startswith("Q: Start with 1; a: +2 (mod 100)\n\nEarlier attempts")
    assert "Correct the latest attempt.\nA: a: " in text


def test_forced_waits_are_not_learned_and_natural_ones_are() -> None:
    learned = forced = 0
    for seed in range(300):
        rng = random.Random(seed)
        example = examples.thinking_example(rng, world.generate_problem(rng, 3, 2))
        for index, token in enumerate(example.ids):
            if token == IDS[world.WAIT]:
                learned += example.next[index - 1] == token
                forced += example.next[index - 1] == examples.IGNORE
    assert 0 < learned < forced
