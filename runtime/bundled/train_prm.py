"""Train the bundled PRM on steps that the policy itself samples.

`python runtime/bundled/train_prm.py --out DIR`: starts from the policy's weights, first on
synthetic errors, then half on samples of the policy (direct, thinking and revised solutions).
"""

import argparse
import random
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled import noise, rollouts, tokenizer, training
from bundled.examples import IGNORE, Example, scored_example
from bundled.sampler import Model
from bundled.world import WAIT, Problem, answer_text, generate_problem

WEIGHTS = {"verdict": 1.0, "exact": 0.5, "token_right": 0.5}


def random_problem(rng: random.Random) -> Problem:
    """A problem of any difficulty; hard ones twice as often."""
    return generate_problem(rng, rng.randint(1, 10), rng.choice((0, 1, 2, 2)))


def synthetic_example(rng: random.Random) -> Example:
    """A solution of the noise model, sometimes with re-checks or a wrong final answer."""
    problem = random_problem(rng)
    scale = rng.choice((0.3, 1.0, 1.0, 1.5))
    standing = noise.noisy_chain(rng, problem, scale=scale)
    steps = [statement.text() for statement in standing]
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        again = noise.recheck(rng, problem, standing)
        steps += [WAIT, *(statement.text() for statement in again)]
        standing = noise.merge(standing, again)
    value = standing[-1].result
    if rng.random() < 0.05:
        value = rng.choice([statement.result for statement in standing])
    prefix = "</think>" if WAIT in steps else ""
    return scored_example(problem, [*steps, prefix + answer_text(value)])


def verdict_loss(
    model: LlamaForCausalLM, hidden: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Cross entropy between `+` and `-` at the delimiters, as the score is read later."""
    ids = tokenizer.vocabulary()
    weight: torch.Tensor = model.lm_head.weight
    pair = weight[torch.tensor([ids["-"], ids["+"]])]
    chosen = targets != IGNORE
    return functional.cross_entropy(hidden[chosen] @ pair.T, targets[chosen])


def start_from(policy: Path) -> LlamaForCausalLM:
    """The policy's weights with an output matrix of its own."""
    source = LlamaForCausalLM.from_pretrained(policy)
    model = LlamaForCausalLM(training.model_config(tied=False))
    model.load_state_dict(source.state_dict())
    model.lm_head.weight = nn.Parameter(source.get_input_embeddings().weight.detach().clone())
    return model


def train(
    policy: Path, out: Path, steps: int, tokens: int, rate: float, seed: int, problems: int
) -> None:
    """Train for `steps` batches of `tokens` tokens and write the PRM to `out`."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    begin = time.time()
    samples: list[tuple[Problem, list[str]]] = []

    def make() -> Example:
        if samples and rng.random() < 0.6:
            return scored_example(*rng.choice(samples))
        return synthetic_example(rng)

    model = start_from(policy)
    heads = training.Heads(model.config.hidden_size, model.config.vocab_size)
    optimizers = training.Optimizers([model, heads], steps, rate)
    stream = training.batches(make, rng, tokens)
    sums = dict.fromkeys(WEIGHTS, 0.0)
    for number in range(steps):
        if number == steps // 4:
            samples += rollouts.sample_solutions(
                Model(policy), [random_problem(rng) for _ in range(problems)], rng, seed
            )
            print(f"{len(samples)} sampled solutions, {time.time() - begin:.0f} s", flush=True)
        batch = next(stream)
        hidden = model.model(input_ids=batch.ids).last_hidden_state
        parts = {
            "verdict": verdict_loss(model, hidden, batch.targets["steps_right"]),
            "exact": training.head_loss(model.lm_head, hidden, batch.targets["exact"]),
            "token_right": training.head_loss(
                heads.token_right, hidden, batch.targets["token_right"]
            ),
        }
        loss = hidden.new_zeros(())
        for name, part in parts.items():
            sums[name] += float(part.detach())
            loss = loss + WEIGHTS[name] * part
        loss.backward()
        optimizers.step(number)
        if (number + 1) % 50 == 0:
            means = " ".join(f"{name} {total / 50:.4f}" for name, total in sums.items())
            print(f"{number + 1}/{steps} {means} {time.time() - begin:.0f} s", flush=True)
            sums = dict.fromkeys(WEIGHTS, 0.0)
        if (number + 1) % 200 == 0:
            training.export(model, out)
    training.export(model, out)


def main() -> None:
    """Read the options and train."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, default=here / "policy")
    parser.add_argument("--out", type=Path, default=here / "prm")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens per batch")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--problems", type=int, default=6000, help="problems to sample on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(
        options.policy,
        options.out,
        options.steps,
        options.tokens,
        options.rate,
        options.seed,
        options.problems,
    )


if __name__ == "__main__":
    main()
