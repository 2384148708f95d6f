"""New conversations about paths: prompts, judges, and pieces of a reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import exp
from typing import Any, Unpack

from tests.support.published.lab import Lab
from tests.support.published.path import END, How, Path
from tts_lang.plan.graph import PROBABILITY_RANKS, Decoding, Judge
from tts_lang.plan.template import Template
from tts_runtime.answers.judge_replies import final_text, read
from tts_runtime.engines.base import GenerateRequest, Limits
from tts_runtime.steps import NOTHING
from tts_runtime.streams import (
    UNCLAIMED,
    Part,
    asked_key,
    child_key,
    sampling_tag,
    split_key,
)

Reader = Callable[[str], float | None]


def filled(lab: Lab, name: str, path: Path | None, shown: Mapping[str, str]) -> str:
    """A prompt's text, its slots filled in."""
    slots = {"problem": lab.task.text, **shown}
    if path is not None:
        slots.setdefault("text", path.text)
        slots["parent.text"] = "" if path.parent is None else path.parent.text
    parts = re.split(r"[{}]", lab.templates[name])
    return "".join(slots[part] if place % 2 else part for place, part in enumerate(parts))


def listed(what: str, paths: Sequence[Path]) -> str:
    """Numbered texts."""
    return "\n\n".join(f"{what} {place}:\n{path.text}" for place, path in enumerate(paths, 1))


def solution(path: Path) -> str:
    """The text after the thinking."""
    return path.text.rpartition(END)[2]


def ask(
    lab: Lab,
    prompt: str,
    about: Path,
    number: int = 1,
    *,
    shown: Mapping[str, str] | None = None,
    given: Sequence[Sequence[Path]] = (),
    thinks: bool = False,
    policy: str = "policy",
    history: bool = False,
    **how: Unpack[How],
) -> list[Path]:
    """Replies in a new conversation about a path, or (`history`) in that of the path.

    `shown` fills slots of the prompt; `given` are the pools among its arguments.
    """
    text = filled(lab, prompt, about, shown or {})
    parts = [text, int(thinks), *_named(given), *(["history"] if history else [])]
    key = asked_key(prompt, parts, [(about.key, len(about.ids))])
    opened = lab.opened(text, key, thinks, policy, about if history else None)
    replies = lab.sample(opened, number, policy, **how)
    return [replace(reply, parent=about) for reply in replies]


def ask_together(
    lab: Lab,
    prompt: str,
    about: Sequence[Path],
    number: int = 1,
    *,
    shown: Mapping[str, str] | None = None,
    given: Sequence[Sequence[Path]] = (),
    policy: str = "policy",
    **how: Unpack[How],
) -> list[Path]:
    """Replies in one new conversation that shows all candidates."""
    text = filled(lab, prompt, None, {"candidates": listed("Candidate", about), **(shown or {})})
    parts = [text, 0, *_named(given)]
    key = asked_key(prompt, parts, [(path.key, len(path.ids)) for path in about])
    replies = lab.sample(lab.opened(text, key, policy=policy), number, policy, **how)
    return [replace(reply, parent=None) for reply in replies]


def _named(given: Sequence[Sequence[Path]]) -> list[Part]:
    parts: list[Part] = []
    for pool in given:
        parts += ["pool", len(pool)]
        for path in pool:
            parts += [path.key, len(path.ids)]
    return parts


def judge(lab: Lab, name: str, read: Reader, about: Path, reading: int = 0) -> float | None:
    """What the policy says when asked to judge; asked twice more while it cannot be read."""
    return judge_pool(lab, name, read, [about], filled(lab, name, about, {}), reading)


def judge_in_words(
    lab: Lab, name: str, read: Reader, about: Path, reading: int = 0
) -> tuple[float | None, str]:
    """The same, with what it wrote."""
    return reading_of(lab, name, read, [about], filled(lab, name, about, {}), reading)


def judge_together(
    lab: Lab, name: str, read: Reader, about: Sequence[Path], reading: int = 0
) -> float | None:
    """The same about several candidates shown side by side."""
    texts = [solution(path) for path in about]
    solutions = [f"Candidate {place}:\n{text}" for place, text in enumerate(texts, 1)]
    shown = {
        "candidates": listed("Candidate", about),
        "candidates.solution": "\n\n".join(solutions),
    }
    text = filled(lab, name, None, shown)
    return judge_pool(lab, name, read, about, text, reading)


def judge_pool(
    lab: Lab, name: str, read_as: Reader, about: Sequence[Path], text: str, reading: int
) -> float | None:
    """The reply to a judge's question, once it can be read."""
    return reading_of(lab, name, read_as, about, text, reading)[0]


def reading_of(
    lab: Lab,
    name: str,
    read_as: Reader,
    about: Sequence[Path],
    text: str,
    reading: int = 0,
    retries: int = 2,
    policy: str = "policy",
    temperature: float | None = None,
) -> tuple[float | None, str]:
    """A judge's verdict and its words, the last ones if it cannot be read."""
    names = [(path.key, len(path.ids)) for path in about]
    sampling = lab.sampling(policy, temperature)
    settings = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p)
    tag = sampling_tag(policy, *settings)
    words = ""
    for retry in range(1 + retries):
        key = asked_key(f"judge:{name}", [text, 0, reading, retry], names)
        start = lab.opened(text, key, policy=policy)
        key = child_key(start.key, UNCLAIMED, 0, 0, 0, tag)
        limits = Limits(lab.room(start, policy))
        request = GenerateRequest(start.prompt, (), key, sampling, limits, NOTHING)
        reply = lab.grown(start, request, policy).text
        words = final_text(reply, lab.policies[policy].binding, text)
        value = read_as(words)
        if value is not None:
            return value, words
    return None, words


def first_token(lab: Lab, name: str, word: str, about: Path) -> float:
    """The probability that a reply to a judge begins with a word's token; 0 below the likeliest."""
    text = filled(lab, name, about, {})
    key = asked_key(f"judge:{name}", [text, 0, 0, 0], [(about.key, len(about.ids))])
    start = lab.opened(text, key)
    engine = lab.policies["policy"]
    for rank in range(min(PROBABILITY_RANKS, len(engine.tokenizer.pieces))):
        sampling, limits = lab.sampling("policy"), Limits(1)
        request = GenerateRequest(start.prompt, (), key, sampling, limits, NOTHING, rank)
        reply = lab.grown(start, request, "policy")
        if reply.ids == engine.tokenizer.encode(word)[:1]:
            return exp(reply.logprobs[0])
    return 0.0


def number_after(words: str, low: float, high: float) -> Reader:
    """Reads a number in a range behind some words."""
    return reader("number", words, low=low, high=high)


def chosen_of(words: str, candidates: int) -> Reader:
    """Reads the number of the chosen candidate behind some words."""

    def number(reply: str) -> float | None:
        wins = read(_judge("choice", words), reply, candidates)
        return None if wins is None else wins.index(1.0) + 1

    return number


def option(**worth: float) -> Reader:
    """Reads one of some words."""
    return reader("choice", None, options=tuple(worth.items()))


def reader(kind: str, after: str | None, **how: Any) -> Reader:
    """A way to read, which is a table of its own (tests/executor/test_reading.py)."""

    def number(reply: str) -> float | None:
        found = read(_judge(kind, after, **how), reply, 1)
        return None if found is None else found[0]

    return number


def _judge(
    kind: str,
    after: str | None,
    low: float | None = None,
    high: float | None = None,
    options: tuple[tuple[str, float], ...] = (),
) -> Judge:
    template = Template("judge", ())
    return Judge("policy", template, kind, after, low, high, 2, Decoding("policy"), options)


def pieces(lab: Lab, path: Path, most: int) -> list[Path]:
    """The first lines of a reply that are not blank, each as a path of its own."""
    lines = [line.strip() for line in path.text.split("\n") if line.strip()]
    found = []
    for number, line in enumerate(lines[:most]):
        ids = path.tokenizer.encode(line)
        start = replace(path, ids=(), logprobs=(), segments=NOTHING)
        key = split_key(path.key, len(path.ids), number, ids)
        found.append(replace(lab.write(start, ids), key=key))
    return found
