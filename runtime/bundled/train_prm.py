"""Train the bundled PRM on steps that the policy itself samples.

`python runtime/bundled/train_prm.py --out DIR`: starts from the policy's weights, first on
synthetic errors, then half on samples of the policy (direct, thinking and revised solutions).
"""

import argparse
import random
import sys
import time
from pathlib import Path
from threading import Lock

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled import noise, rollouts, tokenizer, training
from bundled.examples import IGNORE, Example, scored_example
from bundled.sampler import Model
from bundled.training import Batch, Learner, Run, head_loss
from bundled.world import WAIT, Problem, answer_text, generate_problem

LAYERS = 6
WEIGHTS = {"verdict": 1.0, "exact": 0.5, "token_right": 1.0}
# Few batches on purpose. 2,600 make a PRM that hardly errs on these steps (area under the ROC curve
# 0.9996): beam search then solves nearly everything, and nothing is left to see of what PRMs do.
DEFAULTS = Run(Path(__file__).parent / "prm", steps=500, tokens=4096, rate=3e-3, seed=1)


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
    weights = source.state_dict()
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    model.load_state_dict(weights, strict=False)
    for layer in model.model.layers[source.config.num_hidden_layers :]:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


class Samples:
    """Solutions of the policy, with their steps: they make half of the second half of a run."""

    def __init__(self, policy: Path, problems: int, seed: int) -> None:
        self._policy, self._problems, self._seed = policy, problems, seed
        self._solutions: list[tuple[Problem, list[str]]] = []
        self._lock = Lock()

    def make(self, rng: random.Random, over: float) -> Example:
        """A sequence to learn from."""
        if over < 0.5 or rng.random() < 0.5:
            return synthetic_example(rng)
        with self._lock:
            if not self._solutions:
                self._sample()
        return scored_example(*rng.choice(self._solutions))

    def _sample(self) -> None:
        begin, rng = time.time(), random.Random(self._seed)
        problems = [random_problem(rng) for _ in range(self._problems)]
        policy = Model(self._policy)
        self._solutions += rollouts.sample_solutions(policy, problems, rng, self._seed)
        print(f"{len(self._solutions)} solutions in {time.time() - begin:.0f} s", flush=True)


def losses(learner: Learner, batch: Batch, _: float) -> dict[str, torch.Tensor]:
    """The verdicts at the delimiters, and what the auxiliary heads say."""
    hidden, targets = learner.hidden(batch), batch.targets
    return {
        "verdict": verdict_loss(learner.model, hidden, targets["steps_right"]),
        "exact": head_loss(learner.model.lm_head, hidden, targets["exact"]),
        "token_right": head_loss(
            learner.token_right, hidden, targets["token_right"], training.WRONG_WEIGHT
        ),
    }


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    training.add_options(parser, DEFAULTS)
    parser.add_argument("--policy", type=Path, default=Path(__file__).parent / "policy")
    parser.add_argument("--problems", type=int, default=1500, help="problems to sample on")
    options = parser.parse_args()
    run = training.run_of(options)
    torch.manual_seed(run.seed)
    learner = Learner(start_from(options.policy))
    samples = Samples(options.policy, options.problems, run.seed)
    training.fit(run, learner, samples.make, losses, WEIGHTS)


if __name__ == "__main__":
    main()
