"""Catalogue: solutions that are checked, compared and corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import log, sqrt
from statistics import NormalDist

from tests.support.published.asking import (
    ask,
    chosen_of,
    filled,
    judge,
    judge_in_words,
    judge_together,
    number_after,
    option,
    reader,
    reading_of,
)
from tests.support.published.choosing import (
    Score,
    average,
    best,
    by_prm,
    least,
    ranked,
    softmax,
    vote,
)
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.revising import graded
from tests.support.published.worlds import published
from tts_lang.values import std

SOUND = option(yes=1, no=0)


def attempts(path: Path) -> str:
    """The attempts that led to one, and itself."""
    line: list[Path] = []
    current: Path | None = path
    while current is not None and current.question is None:
        line.insert(0, current)
        current = current.parent
    texts = [f"Attempt {place}:\n{each.text.strip()}" for place, each in enumerate(line, 1)]
    return "\n\n".join(texts)


@published
def sets(lab: Lab, m: int = 20, n: int = 3) -> Path | None:
    """Self-verify, self-correct, vote. Chen et al. (2025), algorithm 1."""
    live = lab.sample(lab.problem, m)
    passed: list[Path] = []
    for _ in range(n):
        if not live:
            break
        checks = [judge_in_words(lab, "sound", SOUND, path) for path in live]
        passed += [path for path, (verdict, _) in zip(live, checks, strict=True) if verdict == 1]
        live = [
            ask(lab, "self_correct", path, shown={"attempts": attempts(path), "sound.words": said})[
                0
            ]
            for path, (verdict, said) in zip(live, checks, strict=True)
            if verdict != 1
        ]
    return vote(lab, passed + live)


@published
def reflexion(lab: Lab, trials: int = 4, memory: int = 3, enough: float = 9) -> Path:
    """Actor, evaluator, self-reflection into a bounded memory. Shinn et al. (2023), algorithm 1."""
    attempt = lab.sample(lab.problem)[0]
    lessons: list[Path] = []
    for _ in range(trials - 1):
        grade = graded(lab, attempt)
        if grade is not None and grade >= enough:
            return attempt
        lessons = [*lessons, *ask(lab, "reflect_on_failure", attempt)][-memory:]
        shown = {"lessons": "\n\n".join(lesson.text for lesson in lessons)}
        attempt = ask(lab, "try_with", lab.problem, shown=shown, given=[lessons])[0]
    graded(lab, attempt)  # the last one is judged too, though nothing depends on it
    return attempt


def duels(lab: Lab, pool: Sequence[Path], turn: int = 0) -> list[Score]:
    """How often each of a pool is chosen, over ordered pairs with a verdict."""
    wins: list[Score] = [0.0 if len(pool) == 1 else None for _ in pool]
    for pair in permutations(range(len(pool)), 2):
        read = chosen_of("Best:", 2)
        picked = judge_together(lab, "duel", read, [pool[place] for place in pair], turn)
        if picked is not None:
            for place, won in zip(pair, (picked == 1, picked == 2), strict=True):
                wins[place] = (wins[place] or 0.0) + won
    return wins


@published
def knockout(lab: Lab, n: int = 8, k: int = 2) -> Path:
    """Pairs meet k times in each order, the winners continue. Chen et al. (2024), algorithm 1.

    In the authors' code the last of an odd number comes first in the next round.
    """
    pool = lab.sample(lab.problem, n)
    while len(pool) > 1:
        winners = []
        for start in range(0, len(pool), 2):
            pair = pool[start : start + 2]
            turns = [duels(lab, pair, turn) for turn in range(k)]
            wins = [average(won) for won in zip(*turns, strict=True)]
            winners.append(pair[ranked(wins)[0]])
        pool = winners[::-1]
    return pool[0]


@published
def swiss_tournament(lab: Lab, n: int = 8, rounds: int = 3) -> Path | None:
    """Neighbours in the standings meet; a bye wins. Liu et al. (2025), section 3."""
    pool = lab.sample(lab.problem, n)
    points = dict.fromkeys(pool, 0.0)
    for _ in range(rounds):
        pool = sorted(pool, key=lambda path: -points[path])
        for start in range(0, n, 2):
            pair = pool[start : start + 2]
            if len(pair) == 1:
                points[pair[0]] += 2
                continue
            for path, won in zip(pair, duels(lab, pair), strict=True):
                points[path] += 1 if won is None else won
    return best(pool, points.__getitem__)


@published
def beacon(lab: Lab, most: int = 32, least: int = 3, cost: float = 0.01) -> Path | None:
    """Stop where one more sample is not worth its cost. Wan et al. (2025), section 3.

    The expected improvement of a normal reward over the best one so far.
    """
    pool = lab.sample(lab.problem, least)
    while len(pool) < most:
        rewards = [reward for path in pool if (reward := lab.outcome(path)) is not None]
        mean, deviation = average(rewards), std(rewards)
        if mean is None or not deviation:
            break
        spread = deviation * sqrt((len(pool) + 1) / (len(pool) - 1))
        ahead = max(rewards) - mean
        normal = NormalDist()
        gain = spread * normal.pdf(ahead / spread) - ahead * (1 - normal.cdf(ahead / spread))
        if gain < cost:
            break
        pool += lab.sample(lab.problem)
    return best(pool, lab.outcome)


@published
def cisc(lab: Lab, n: int = 10, heat: float = 1) -> Path | None:
    """Votes weighted by softmax of confidence. Taubenfeld et al. (2025), section 3.

    Its code asks once, at temperature 0.
    """
    pool = lab.sample(lab.problem, n)
    read = number_after("Confidence:", 0, 100)

    def sureness(path: Path) -> Score:
        text = filled(lab, "sureness", path, {})
        return reading_of(lab, "sureness", read, [path], text, retries=0, temperature=0)[0]

    sure = [sureness(path) for path in pool]
    weights = softmax([None if each is None else each / 100 for each in sure], heat)
    return vote(lab, pool, lambda path: weights[pool.index(path)])


def verified(lab: Lab, path: Path, checks: int) -> Score:
    """The share of a verifier's chains that find a solution right."""
    read = reader("choice", "Correct:", options=(("yes", 1), ("no", 0)))
    return average([judge(lab, "verified", read, path, turn) for turn in range(checks)])


@published
def thinkprm_vote(lab: Lab, n: int = 8, chains: int = 4) -> Path | None:
    """Votes weighted by generated verifications. Khalifa et al. (2025), section 4.3."""
    pool = lab.sample(lab.problem, n)
    scores = [verified(lab, path, chains) for path in pool]
    return vote(lab, pool, lambda path: scores[pool.index(path)])


@published
def sample_scrutinize(
    lab: Lab, n: int = 16, checks: int = 8, near: float = 0.05, ties: int = 2
) -> Path | None:
    """Verify, then compare those near the top in pairs. Zhao et al. (2025), algorithm 1.

    The paper's checks always give a score; here, who has none is compared, too.
    """
    pool = lab.sample(lab.problem, n)
    scores = [verified(lab, path, checks) for path in pool]
    known = [score for score in scores if score is not None]
    finalists = [
        path
        for path, score in zip(pool, scores, strict=True)
        if score is None or score >= max(known) - near
    ]
    turns = [duels(lab, finalists, turn) for turn in range(ties)]
    wins = [average(won) for won in zip(*turns, strict=True)]
    return finalists[ranked(wins)[0]] if finalists else None


@published
def spec_reason(lab: Lab, accept: float = 7, depth: int = 40) -> Path:
    """Small drafts, big judges and mends. Pan et al. (2025), section 4."""
    read = number_after("Utility:", 0, 9)
    path = lab.problem
    for _ in range(depth):
        if path.done:
            break
        draft = lab.sample(path, policy="small", steps=1)[0]
        text = filled(lab, "utility", draft, {})
        grade, _ = reading_of(
            lab, "utility", read, [draft], text, retries=0, policy="big", temperature=0
        )
        accepted = grade is not None and grade >= accept
        path = draft if accepted else lab.sample(path, policy="big", steps=1)[0]
    return lab.sample(path, policy="big")[0]


@published
def forest_of_thought(
    lab: Lab,
    trees: int = 4,
    width: int = 3,
    depth: int = 8,
    least: float = 0.5,
    agreed: float = 0.5,
) -> Path | None:
    """Trees, correction of weak ends, consensus or an expert. Bi et al. (2024), section 3.

    iamhankai/Forest-of-Thought, run_with_mcf.py: consensus is a majority of all trees.
    """
    forest = [lab.problem for _ in range(trees)]
    for _ in range(depth):
        if all(path.done for path in forest):
            break
        grown = [lab.sample(path, width, steps=1) for path in forest]
        forest = [path for steps in grown if (path := best(steps, by_prm(lab))) is not None]
    ends = [lab.sample(path)[0] for path in forest]
    scores = [by_prm(lab)(path) for path in ends]
    strong = [
        path
        for path, score in zip(ends, scores, strict=True)
        if score is not None and score >= least
    ]
    notes = [ask(lab, "feedback", path)[0] for path in ends if path not in strong]
    ends = strong + [ask(lab, "improve", note)[0] for note in notes]
    answers = [answer for path in ends if (answer := lab.answer(path)) is not None]
    if answers and max(map(answers.count, answers)) / trees > agreed:
        return vote(lab, ends)
    picked = judge_together(lab, "pick_best", chosen_of("Best:", len(ends)), ends)
    return ends[0 if picked is None else int(picked) - 1]


@dataclass(eq=False)
class Node:
    """A solution in the tree of refinements."""

    path: Path
    parent: Node | None
    q: Score
    visits: int = 0
    children: list[Node] = field(default_factory=list)


@published
def mctsr(lab: Lab, rollouts: int = 8, readings: int = 3, c: float = 1.4) -> Path | None:
    """Select by UCT, criticise, refine, evaluate, back up. Zhang et al. (2024), section 3.

    trotsky1997/MathBlackBox: the criticism is a reply of its own, not the grade's words.
    Of equals the one that was valued last goes first.
    """

    def node(path: Path, parent: Node | None) -> Node:
        read = number_after("Grade:", 0, 10)
        grades = [judge(lab, "grade", read, path, turn) for turn in range(readings)]
        lowest, mean = least(grades), average(grades)
        q = None if lowest is None or mean is None else (lowest + mean) / 2
        return Node(path, parent, q)

    def visit(current: Node | None) -> None:
        while current is not None:
            current.visits += 1
            current = current.parent

    def worth(candidate: Node) -> Score:
        father = candidate.parent
        around = 1 + candidate.visits if father is None else father.visits
        wide = sqrt((log(around) + 1) / candidate.visits)
        return None if candidate.q is None else candidate.q + c * wide

    root = node(lab.sample(lab.problem)[0], None)
    visit(root)
    tree = [root]
    for _ in range(rollouts):
        chosen = tree[ranked([worth(each) for each in tree])[0]]
        shown = {"hint": ask(lab, "feedback", chosen.path)[0].text}
        child = node(ask(lab, "refine_by", chosen.path, shown=shown)[0], chosen)
        chosen.children.append(child)
        tree.append(child)
        visit(child)
        current: Node | None = chosen
        while current is not None:
            known = [each.q for each in current.children if each.q is not None]
            current.q = None if current.q is None or not known else (current.q + max(known)) / 2
            tree.remove(current)
            tree.insert(0, current)
            current = current.parent
    return tree[ranked([each.q for each in tree])[0]].path
