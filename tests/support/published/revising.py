"""Methods that show a policy its own solutions: revisions, critiques, mixtures, thoughts."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from tests.support.published.asking import (
    ask,
    ask_together,
    judge,
    number_after,
    option,
    pieces,
)
from tests.support.published.choosing import Score, best, ranked, top_of, vote
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published


def revise(lab: Lab, chain: Sequence[Path]) -> Path:
    """One more attempt, at most four earlier ones in view. Snell et al. (2024), section 6.1."""
    texts = [path.text.strip() for path in chain[-4:]]
    attempts = "\n\n".join(f"Attempt {place}:\n{text}" for place, text in enumerate(texts, 1))
    return ask(lab, "revise", chain[-1], shown={"attempts last 4": attempts})[0]


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


def graded(lab: Lab, path: Path) -> Score:
    """The policy's own grade of a solution, from 0 to 10."""
    return judge(lab, "grade", number_after("Grade:", 0, 10), path)


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
        notes = ask(lab, "feedback", draft)[0]
        draft = ask(lab, "improve", notes)[0]
    graded(lab, draft)  # the last one is judged too, though nothing depends on it
    return draft


@published
def mixture_of_agents(lab: Lab, n: int = 3) -> Path:
    """Proposers, a critique of all, an aggregator. Wang et al. (2024), section 2; optillm's moa.

    Drafts at temperature 1, critique and synthesis at 0.1.
    """
    drafts = lab.sample(lab.problem, n, temperature=1)
    notes = ask_together(lab, "critique", drafts, temperature=0.1)
    shown = {"notes": notes[0].text}
    return ask_together(lab, "synthesize", drafts, shown=shown, given=[notes], temperature=0.1)[0]


@published
def tree_of_thoughts(lab: Lab, width: int = 5, depth: int = 3, proposals: int = 8) -> Path | None:
    """ToT-BFS with a propose prompt and values. Yao et al. (2023), algorithm 1 and section 4.1.

    Every state's value is the sum of three samples of sure / likely / impossible. In the authors'
    code a state that was proposed before is worth nothing; here it is dropped.
    """
    read = option(sure=20, likely=1, impossible=0.001)
    states = [lab.problem]
    worth: list[Score] = [0.0]
    for _ in range(depth):
        replies = [ask(lab, "propose", state)[0] for state in states]
        proposed = [state for reply in replies for state in pieces(lab, reply, proposals)]
        states = list({state.text: state for state in reversed(proposed)}.values())[::-1]
        votes = [
            [judge(lab, "promise", read, state, turn) for turn in range(3)] for state in states
        ]
        valued = [(state, total(three)) for state, three in zip(states, votes, strict=True)]
        keep = set(ranked([value for _, value in valued])[:width])
        states = [state for place, (state, _) in enumerate(valued) if place in keep]
        worth = [value for place, (_, value) in enumerate(valued) if place in keep]
    return next((ask(lab, "finish_from", state)[0] for state in top_of(states, 1, worth)), None)


def total(votes: Sequence[Score]) -> Score:
    """The sum of the votes that could be read."""
    present = [value for value in votes if value is not None]
    return fsum(present) if present else None
