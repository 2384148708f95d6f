"""Train the bundled policy from scratch: `python runtime/bundled/train_policy.py --out DIR`."""

import argparse
import random
import sys
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled import training
from bundled.examples import Example, policy_example
from bundled.training import Batch, Learner, Run, head_loss

# Weights of the losses. The next token is what the policy is for; the others make the trunk learn
# exact arithmetic and checking, which re-checks and revisions need.
WEIGHTS = {"next": 1.0, "exact": 0.5, "token_right": 0.5, "steps_right": 0.25}
# The last part of a run, at low learning rates, trains the next token alone.
AUXILIARY_UNTIL = 0.8
DEFAULTS = Run(Path(__file__).parent / "policy", steps=4000, tokens=4096, rate=4e-3, seed=0)


def make(rng: random.Random, over: float) -> Example:
    """A sequence; short chains first, they are cheap and teach the arithmetic."""
    return policy_example(rng, 3 if over < 0.15 else 6 if over < 0.4 else 10)


def losses(learner: Learner, batch: Batch, over: float) -> dict[str, torch.Tensor]:
    """The next token, and what the auxiliary heads say."""
    hidden, targets = learner.hidden(batch), batch.targets
    terms = {"next": head_loss(learner.model.lm_head, hidden, targets["next"])}
    if over < AUXILIARY_UNTIL:
        terms["exact"] = head_loss(learner.exact, hidden, targets["exact"])
        terms["token_right"] = head_loss(
            learner.token_right, hidden, targets["token_right"], training.WRONG_WEIGHT
        )
        terms["steps_right"] = head_loss(learner.steps_right, hidden, targets["steps_right"])
    return terms


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    training.add_options(parser, DEFAULTS)
    run = training.run_of(parser.parse_args())
    torch.manual_seed(run.seed)
    learner = Learner(LlamaForCausalLM(training.model_config(tied=True)))
    training.fit(run, learner, make, losses, WEIGHTS)


if __name__ == "__main__":
    main()
