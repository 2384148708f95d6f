"""What the policy is asked in its three modes, with the small sampler."""

import random
from collections.abc import Sequence

import torch

from bundled import tokenizer
from bundled.examples import prompt, revise_message
from bundled.sampler import Model, sample
from bundled.world import THINK_BEGIN, THINK_END, WAIT, Problem, parse_answer, split_steps


def text_of(ids: Sequence[int]) -> str:
    """The text of sampled ids, without the end token."""
    end = tokenizer.vocabulary()[tokenizer.EOS]
    return tokenizer.decode([index for index in ids if index != end])


def direct(
    policy: Model, problems: Sequence[Problem], generator: torch.Generator, temperature: float = 1.0
) -> list[str]:
    """One solution per problem."""
    prompts = [tokenizer.encode(prompt(problem.text())) for problem in problems]
    return [text_of(ids) for ids in sample(policy, prompts, generator, temperature=temperature)]


def thinking(
    policy: Model,
    problems: Sequence[Problem],
    generator: torch.Generator,
    waits: int = 0,
    temperature: float = 1.0,
) -> list[str]:
    """One trace and answer per problem, `Wait` forced `waits` times where thinking would end."""
    ids = tokenizer.vocabulary()
    stop = (THINK_END, tokenizer.EOS)
    prompts = [tokenizer.encode(prompt(problem.text()) + THINK_BEGIN) for problem in problems]
    traces: list[list[int]] = [[] for _ in problems]
    for round_number in range(waits + 1):
        if round_number:
            for trace in traces:
                trace.append(ids[WAIT])
        starts = [head + trace for head, trace in zip(prompts, traces, strict=True)]
        new = sample(policy, starts, generator, stop, temperature=temperature)
        for trace, tokens in zip(traces, new, strict=True):
            trace += [
                token for token in tokens if token not in (ids[THINK_END], ids[tokenizer.EOS])
            ]
    for trace in traces:
        trace.append(ids[THINK_END])
    starts = [head + trace for head, trace in zip(prompts, traces, strict=True)]
    answers = sample(policy, starts, generator, temperature=temperature, limit=16)
    return [text_of(trace + answer) for trace, answer in zip(traces, answers, strict=True)]


def revised(
    policy: Model,
    problems: Sequence[Problem],
    attempts: Sequence[Sequence[str]],
    generator: torch.Generator,
    temperature: float = 1.0,
) -> list[str]:
    """One correction per problem of the last of its attempts (the last four are shown)."""
    prompts = [
        tokenizer.encode(prompt(revise_message(problem, earlier[-4:])))
        for problem, earlier in zip(problems, attempts, strict=True)
    ]
    new = sample(policy, prompts, generator, temperature=temperature)
    return [text_of(ids) for ids in new]


def answer_of(text: str) -> int | None:
    """The boxed value of the last step, None when the text does not end in one."""
    steps = split_steps(text)
    return parse_answer(steps[-1]) if steps else None


def sample_solutions(
    policy: Model, problems: Sequence[Problem], rng: random.Random, seed: int
) -> list[tuple[Problem, list[str]]]:
    """Steps of the policy's own solutions: two direct per problem, and some of the other modes."""
    generator = torch.Generator().manual_seed(seed)
    pairs: list[tuple[Problem, str]] = []
    twice = [*problems, *problems]
    first = direct(policy, twice, generator)
    pairs += zip(twice, first, strict=True)
    third = len(problems) // 3
    for waits in (0, 1, 2):
        some = rng.sample(list(problems), third // 3)
        pairs += zip(some, thinking(policy, some, generator, waits), strict=True)
    chosen = rng.sample(range(len(twice)), third)
    some = [twice[index] for index in chosen]
    earlier = [[first[index]] for index in chosen]
    pairs += zip(some, revised(policy, some, earlier, generator), strict=True)
    return [(problem, split_steps(text)) for problem, text in pairs]
