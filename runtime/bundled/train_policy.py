"""Train the bundled policy from scratch: `python runtime/bundled/train_policy.py --out DIR`."""

import argparse
import random
import sys
import time
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled import training
from bundled.examples import policy_example

# Weights of the losses. The next token is what the policy is for; the others make the trunk learn
# exact arithmetic and checking, which re-checks and revisions need.
WEIGHTS = {"next": 1.0, "exact": 0.5, "token_right": 0.5, "steps_right": 0.25}
# The last part of a run, at low learning rates, trains the next token alone.
AUXILIARY_UNTIL = 0.8


def longest_chain(progress: float) -> int:
    """Curriculum: short chains first, they are cheap and teach the arithmetic."""
    return 3 if progress < 0.15 else 6 if progress < 0.4 else 10


def train(
    out: Path, steps: int, tokens: int, rate: float, seed: int, save_every: int, resume: int
) -> None:
    """Train up to batch number `steps`, of `tokens` tokens each, and write the policy to `out`.

    With `resume` > 0 the run goes on at that batch from the weights in `out` (optimiser state and
    verdict heads start anew).
    """
    torch.manual_seed(seed + resume)
    rng = random.Random(seed + resume)
    model = LlamaForCausalLM(training.model_config(tied=True))
    if resume:
        model.load_state_dict(LlamaForCausalLM.from_pretrained(out).state_dict())
    heads = training.Heads(model.config.hidden_size, model.config.vocab_size)
    if resume:
        # Close to what that head had learned: most written tokens are right.
        heads.exact.load_state_dict(model.lm_head.state_dict())
    optimizers = training.Optimizers([model, heads], steps, rate, resume)
    progress = resume / steps
    stream = training.batches(lambda: policy_example(rng, longest_chain(progress)), rng, tokens)
    begin, seen, sums = time.time(), 0, dict.fromkeys(WEIGHTS, 0.0)
    for number in range(resume, steps):
        progress = number / steps
        batch = next(stream)
        hidden = model.model(input_ids=batch.ids).last_hidden_state
        loss = hidden.new_zeros(())
        for name, weight in WEIGHTS.items():
            if name != "next" and progress >= AUXILIARY_UNTIL:
                continue
            head = model.lm_head if name == "next" else getattr(heads, name)
            wrong = training.WRONG_WEIGHT if name == "token_right" else None
            part = training.head_loss(head, hidden, batch.targets[name], wrong)
            sums[name] += float(part.detach())
            loss = loss + weight * part
        loss.backward()
        optimizers.step(number)
        seen += batch.ids.numel()
        if (number + 1) % 50 == 0:
            means = " ".join(f"{name} {total / 50:.4f}" for name, total in sums.items())
            rate_now = seen / (time.time() - begin)
            print(f"{number + 1}/{steps} {means} ({rate_now:.0f} tokens/s)", flush=True)
            sums = dict.fromkeys(WEIGHTS, 0.0)
        if (number + 1) % save_every == 0:
            training.export(model, out)
    training.export(model, out)


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "policy")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--tokens", type=int, default=2048, help="tokens per batch")
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", type=int, default=0, help="number of the batch to go on at")
    parser.add_argument("--save-every", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(
        options.out,
        options.steps,
        options.tokens,
        options.rate,
        options.seed,
        options.save_every,
        options.resume,
    )


if __name__ == "__main__":
    main()
