"""Train the bundled PRM on steps that the policy itself samples.

`python runtime/bundled/train_prm.py --out DIR`: starts from the policy's weights, first on
synthetic errors, then mostly on samples of the policy (direct, thinking and revised solutions).
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass
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

LAYERS = 6
WEIGHTS = {"verdict": 1.0, "exact": 0.5, "token_right": 1.0}


def random_problem(rng: random.Random) -> Problem:
    """A problem of any difficulty; hard ones twice as often."""
    return generate_problem(rng, rng.randint(1, 10), rng.choice((0, 1, 2, 2)))


def synthetic_example(rng: random.Random) -> Example:
    """A solution of the noise model, sometimes with re-checks or a wrong final answer."""
    problem = random_problem(rng)
    scale = rng.choice((0.5, 1.0, 2.0, 3.0))
    standing = (
        noise.one_error_chain(rng, problem)
        if rng.random() < 0.4
        else noise.noisy_chain(rng, problem, scale)
    )
    steps = [statement.text() for statement in standing]
    for number in range(1, rng.choice((1, 1, 1, 1, 2, 3))):
        standing = noise.recheck(rng, problem, number)
        steps += [WAIT, *(statement.text() for statement in standing)]
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
    """The policy's weights, two more layers that do nothing yet, and an output matrix of its own.

    The policy knows the right digit only after its last layer; what is written can be compared
    with it in the layer after, and steps combined in the next.
    """
    source = LlamaForCausalLM.from_pretrained(policy)
    model = LlamaForCausalLM(training.model_config(tied=False, layers=LAYERS))
    known = source.state_dict()
    known["lm_head.weight"] = known["model.embed_tokens.weight"].clone()
    model.load_state_dict(known, strict=False)
    for layer in model.model.layers[source.config.num_hidden_layers :]:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


@dataclass(frozen=True, slots=True)
class Settings:
    """A training run; `start` holds the weights it starts from, `policy` the one it samples."""

    policy: Path
    start: Path
    out: Path
    steps: int
    tokens: int
    rate: float
    problems: int
    seed: int
    resume: int


def load(run: Settings) -> LlamaForCausalLM:
    """The model to train: from the start weights, or from `out` when the run is resumed."""
    if run.resume:
        model = LlamaForCausalLM(training.model_config(tied=False, layers=LAYERS))
        model.load_state_dict(LlamaForCausalLM.from_pretrained(run.out).state_dict())
        return model
    return start_from(run.start)


def train(run: Settings) -> None:
    """Train up to batch number `steps`, of `tokens` tokens each, and write the PRM to `out`.

    The first half of the run sees synthetic errors only. A resumed run starts anew in its
    optimiser state and its auxiliary heads.
    """
    torch.manual_seed(run.seed + run.resume)
    rng = random.Random(run.seed + run.resume)
    begin = time.time()
    samples: list[tuple[Problem, list[str]]] = []

    def make() -> Example:
        if samples and rng.random() < 0.5:
            return scored_example(*rng.choice(samples))
        return synthetic_example(rng)

    model = load(run)
    heads = training.Heads(model.config.hidden_size, model.config.vocab_size)
    optimizers = training.Optimizers([model, heads], run.steps, run.rate, run.resume)
    stream = training.batches(make, rng, run.tokens)
    sums = dict.fromkeys(WEIGHTS, 0.0)
    for number in range(run.resume, run.steps):
        if number >= run.steps // 2 and not samples:
            problems = [random_problem(rng) for _ in range(run.problems)]
            samples += rollouts.sample_solutions(Model(run.policy), problems, rng, run.seed)
            print(f"{len(samples)} sampled solutions, {time.time() - begin:.0f} s", flush=True)
        batch = next(stream)
        hidden = model.model(input_ids=batch.ids).last_hidden_state
        parts = {
            "verdict": verdict_loss(model, hidden, batch.targets["steps_right"]),
            "exact": training.head_loss(model.lm_head, hidden, batch.targets["exact"]),
            "token_right": training.head_loss(
                heads.token_right, hidden, batch.targets["token_right"], training.WRONG_WEIGHT
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
            print(f"{number + 1}/{run.steps} {means} {time.time() - begin:.0f} s", flush=True)
            sums = dict.fromkeys(WEIGHTS, 0.0)
        if (number + 1) % 100 == 0:
            training.export(model, run.out)
    training.export(model, run.out)


def main() -> None:
    """Read the options and train."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, default=here / "policy")
    parser.add_argument("--start", type=Path, default=None, help="default: the policy's weights")
    parser.add_argument("--out", type=Path, default=here / "prm")
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens per batch")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--problems", type=int, default=1500, help="problems to sample on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", type=int, default=0, help="number of the batch to go on at")
    parser.add_argument("--threads", type=int, default=2)
    options = vars(parser.parse_args())
    torch.set_num_threads(options.pop("threads"))
    options["start"] = options["start"] or options["policy"]
    train(Settings(**options))


if __name__ == "__main__":
    main()
