"""Methods that show a policy its own solutions: revisions, critiques, mixtures, thoughts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import fsum

from tests.support.published.choosing import Score, best, top, vote
from tests.support.published.lab import Lab, Path
from tests.support.published.worlds import published


def listed(what: str, paths: Sequence[Path], strip: bool = False) -> str:
    """Numbered texts."""
    texts = [path.text.strip() if strip else path.text for path in paths]
    return "\n\n".join(f"{what} {place}:\n{text}" for place, text in enumerate(texts, 1))


def revise(lab: Lab, chain: Sequence[Path]) -> Path:
    """One more attempt, with at most four earlier ones in view. Snell et al. (2024), section 6.1."""
    shown = {"attempts last 4": listed("Attempt", chain[-4:], strip=True)}
    return lab.ask("revise", [chain[-1]], shown=shown)[0]


def chains_of(lab: Lab, chains: int, rounds: int) -> list[list[Path]]:
    """Chains of revisions that know nothing of each other. Section 6.1."""
    found = [[start] for start in lab.sample(lab.problem, chains)]
    for chain in found:
        for _ in range(rounds - 1):
            chain.append(revise(lab, chain))
    return found


@published
def sequential_revisions(lab: Lab, rounds: int = 4) -> Path | None:
    """One chain; the verifier's best attempt. Snell et al. (2024), section 6.1."""
    return best(chains_of(lab, 1, rounds)[0], lab.outcome)


@published
def revision_chains(lab: Lab, chains: int = 4, rounds: int = 4) -> Path | None:
    """Best-of-n weighted within each chain, then across the chains' winners. Section 6.2."""
    winners = [vote(lab, chain, lab.outcome) for chain in chains_of(lab, chains, rounds)]
    return vote(lab, [winner for winner in winners if winner is not None], lab.outcome)


@published
def revision_chains_global(lab: Lab, chains: int = 4, rounds: int = 4) -> Path | None:
    """Best-of-n weighted over all attempts at once, round by round. Section 6.2."""
    found = chains_of(lab, chains, rounds)
    return vote(lab, [chain[turn] for turn in range(rounds) for chain in found], lab.outcome)


def number_after(words: str, low: float, high: float) -> object:
    """Reads the last number in a range behind some words."""

    def read(reply: str) -> float | None:
        _, found, rest = reply.partition(words)
        numbers = [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", rest if found else "")]
        return next((value for value in reversed(numbers) if low <= value <= high), None)

    return read


def option(**worth: float) -> object:
    """Reads the last of some words."""
    words = re.compile(rf"(?<!\w)({'|'.join(worth)})(?!\w)", re.IGNORECASE)

    def read(reply: str) -> float | None:
        found = words.findall(reply)
        return worth[found[-1].lower()] if found else None

    return read


def graded(lab: Lab, path: Path) -> Score:
    """The policy's own grade of a solution, from 0 to 10."""
    return lab.judge("grade", number_after("Grade:", 0, 10), [path])  # type: ignore[arg-type]


@published
def self_refine(lab: Lab, rounds: int = 4, enough: float = 9) -> Path:
    """Feedback, refine, until the stop criterion. Madaan et al. (2023), algorithm 1.

    The criterion is the policy's own grade of its solution.
    """
    draft = lab.sample(lab.problem)[0]
    for _ in range(rounds):
        grade = graded(lab, draft)
        if grade is not None and grade >= enough:
            return draft
        notes = lab.ask("feedback", [draft])[0]
        draft = lab.ask("improve", [notes])[0]
    graded(lab, draft)  # the last one is judged too, though nothing depends on it
    return draft


@published
def mixture_of_agents(lab: Lab, n: int = 3) -> Path:
    """Proposers, a critique of all, an aggregator. Wang et al. (2024), section 2; optillm's moa.

    Drafts at temperature 1, critique and synthesis at 0.1.
    """
    drafts = lab.sample(lab.problem, n, temperature=1)
    shown = {"candidates": listed("Candidate", drafts)}
    notes = lab.ask("critique", drafts, shown=shown, together=True, temperature=0.1)
    shown["notes"] = notes[0].text
    return lab.ask("synthesize", drafts, shown=shown, given=notes, together=True, temperature=0.1)[
        0
    ]


@published
def tree_of_thoughts(lab: Lab, width: int = 5, depth: int = 3, proposals: int = 8) -> Path | None:
    """ToT-BFS with a propose prompt and values. Yao et al. (2023), algorithm 1 and section 4.1.

    Every state's value is the sum of three samples of sure / likely / impossible.
    """
    read = option(sure=20, likely=1, impossible=0.001)
    states = [lab.problem]
    worth: dict[int, Score] = {id(states[0]): 0.0}
    kept = states
    for _ in range(depth):
        replies = [lab.ask("propose", [state])[0] for state in kept]
        states = [state for reply in replies for state in lab.pieces(reply, proposals)]
        for state in states:
            votes = [
                lab.judge("promise", read, [state], reading=reading)  # type: ignore[arg-type]
                for reading in range(3)
            ]
            present = [value for value in votes if value is not None]
            worth[id(state)] = fsum(present) if present else None
        kept = top(states, width, lambda state: worth[id(state)])
        worth = {id(state): worth[id(state)] for state in kept}
    chosen = best(kept, lambda state: worth[id(state)])
    return None if chosen is None else lab.ask("finish_from", [chosen])[0]
