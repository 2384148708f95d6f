"""Catalogue: how long and how warmly to sample, and rounds that see the ones before."""

from __future__ import annotations

from math import exp

from tests.support.published.asking import ask, ask_together, solution
from tests.support.published.catalogue_votes import Dice
from tests.support.published.choosing import best, resample, softmax, vote
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.thinking import conclude
from tests.support.published.worlds import published
from tts_runtime.engines.base import Partial


@published
def short_m_at_k(lab: Lab, k: int = 8, m: int = 3) -> Path | None:
    """The first m of k thoughts to end vote, ties to the shortest. Hassid et al. (2025), 4."""
    thoughts = lab.sample(lab.thinking, k, thought=True)
    first = sorted(thoughts, key=lambda path: path.tokens)[:m]
    return vote(lab, [lab.sample(path)[0] for path in first])


@published
def soft_best_of_n(lab: Lab, n: int = 16, heat: float = 0.1) -> Path | None:
    """Drawn in proportion to exp(reward / heat). Verdun et al. (2025), section 3."""
    pool = lab.sample(lab.problem, n)
    weights = softmax([lab.outcome(path) for path in pool], heat)
    return next(iter(resample(lab, pool, 1, list(weights))), None)


@published
def minimum_bayes_risk(lab: Lab, n: int = 16) -> Path | None:
    """The most similar to all others. Bertsch et al. (2023), section 2."""
    pool = lab.sample(lab.problem, n)
    gains = lab.together("similarity", pool)
    return best(pool, lambda path: gains[pool.index(path)])


@published
def temperature_ladder(lab: Lab, n: int = 13, low: float = 0, high: float = 1.2) -> Path | None:
    """One sample a temperature. Wu et al. (2025), section 4."""
    rungs = [low + (high - low) * place / max(n - 1, 1) for place in range(n)]
    return vote(lab, [lab.sample(lab.problem, temperature=rung)[0] for rung in rungs])


@published
def think_twice(lab: Lab, rounds: int = 2) -> Path:
    """The last answer in view, again. Tian et al. (2025), section 2."""
    reply = lab.sample(lab.problem)[0]
    for _ in range(rounds - 1):
        reply = ask(lab, "answer_again", reply, shown={"solution": solution(reply)})[0]
    return reply


@published
def rci(lab: Lab, rounds: int = 1) -> Path:
    """A review and a better answer in one conversation. Kim et al. (2023), section 3."""
    reply = lab.sample(lab.problem)[0]
    for _ in range(rounds):
        review = ask(lab, "find_problems", reply, history=True)[0]
        reply = ask(lab, "improve_answer", review, history=True)[0]
    return reply


@published
def step_back(lab: Lab) -> Path:
    """Abstraction, then reasoning from it; greedy. Zheng et al. (2023), section 2."""
    question = ask(lab, "abstract_question", lab.problem, temperature=0)[0]
    principles = ask(lab, "answer_abstract", question, temperature=0)
    shown = {"principles": principles[0].text}
    return ask(lab, "reason_from", lab.problem, shown=shown, given=[principles], temperature=0)[0]


@published
def pacore(lab: Lab, wide: int = 32, narrow: int = 4) -> Path:
    """Parallel rounds joined by compacted messages. Hu et al. (2026), section 2."""

    def coordinated(messages: list[Path], number: int) -> list[Path]:
        lines = [f"Candidate {at}:\n{solution(each)}" for at, each in enumerate(messages, 1)]
        shown = {"candidates.solution": "\n\n".join(lines)}
        return ask_together(lab, "coordinate", messages, number, shown=shown)

    return coordinated(coordinated(lab.sample(lab.problem, wide), narrow), 1)[0]


@published
def group_think(lab: Lab, agents: int = 4, chunk: int = 64, rounds: int = 16) -> Path | None:
    """Each agent sees what all have written so far. Hsu et al. (2025), section 3."""
    views = [lab.problem for _ in range(agents)]
    said = ["" for _ in range(agents)]

    def shown(mine: int) -> dict[str, str]:
        others = [text for agent, text in enumerate(said) if agent != mine]
        lines = [f"Candidate {place}:\n{text}" for place, text in enumerate(others, 1)]
        return {"said": said[mine], "others.said": "\n\n".join(lines)}

    for _ in range(rounds):
        views = [
            ask(lab, "think_along", view, shown=shown(agent), tokens=chunk)[0]
            for agent, view in enumerate(views)
        ]
        said = [before + view.text for before, view in zip(said, views, strict=True)]
    return vote(
        lab,
        [ask(lab, "conclude_group", view, shown=shown(at))[0] for at, view in enumerate(views)],
    )


@published
def leco(lab: Lab, rounds: int = 3) -> Path | None:
    """Keep what comes before the weakest step, rethink, until twice alike. Yao et al. (2024), 3.

    starrYYxuan/LeCo, `majorElement`: all answers vote, the first one one and a half times.
    """
    path = lab.sample(lab.problem)[0]
    tried = [path]
    before: str | None = ""
    for _ in range(rounds):
        answer = lab.answer(path)
        if answer is not None and answer == before:
            break
        scores = lab.prm(path)
        known = [score for score in scores if score is not None]
        weakest = scores.index(min(known)) if known else 0
        before = answer
        path = lab.sample(lab.cut(path, weakest))[0]
        tried.append(path)
    return vote(lab, tried, lambda each: 1.5 if each is tried[0] else 1)


@published
def deer(
    lab: Lab, turn: str = "Wait", sure: float = 0.95, most: int = 10, budget: int = 16_000
) -> Path:
    """A trial answer at every turn of the thought; exit when sure. Yang et al. (2025), 3.

    iie-ycx/DEER, vllm-deer.py: the trial is in a box within the thought, which is thought to its
    end where no trial was sure.
    """

    def think(path: Path, stop_at: str = turn) -> Path:
        return lab.sample(path, thought=True, stop_at=stop_at, within=budget, temperature=0)[0]

    path = think(lab.thinking)
    for _ in range(most):
        if not path.text.endswith(turn):
            break
        shorter = path.tokens - 1
        before = lab.cut_at(path, lambda kept, enough=shorter: len(kept.ids) >= enough)  # type: ignore[misc]
        start = lab.force(before, "\n**Final Answer**\n\\boxed{")
        trial = lab.sample(start, most=20, stop_at="}", temperature=0)[0]
        drawn = trial.tokens - start.tokens
        if drawn and exp((trial.logprob - start.logprob) / drawn) > sure:
            path = before
        else:
            path = think(path)
    if path.text.endswith(turn):
        path = think(path, stop_at="")
    return conclude(lab.again(), path)


@published
def cards(
    lab: Lab,
    doubt: float = 3,
    goal: float = 0.9,
    head: float = 0.5,
    heat: float = 0.1,
    length: int = 128,
    most: int = 64,
) -> Path:
    """Uncertainty-based segments, accepted by reward. Li et al. (2024), sections 4.1 and 4.2."""
    dice = Dice(lab)
    path = lab.problem
    low = (1 - head) * (lab.outcome(path) or 0) + head * goal

    def uncertain(so_far: Partial) -> bool:
        return len(so_far.ids) > 1 and so_far.statistics["entropy"][-1] > doubt

    for _ in range(most):
        if path.done:
            break
        piece = lab.sample(path, within=length, statistics=("entropy",), stop_when=uncertain)[0]
        if piece.finish == "stop":
            shorter = piece.tokens - 1
            piece = lab.cut_at(piece, lambda kept, enough=shorter: len(kept.ids) >= enough)  # type: ignore[misc]
        reward = lab.outcome(piece)
        toss = dice.uniform(lab.problem)
        if reward is None:
            continue
        bar = low + (goal - low) * piece.tokens / length
        if toss < exp((reward - bar) / heat):
            path = piece
    return lab.sample(path, within=length, statistics=("entropy",))[0]
