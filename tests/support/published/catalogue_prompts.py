"""Catalogue: chains of prompts."""

from __future__ import annotations

from tests.support.published.asking import (
    ask,
    ask_together,
    judge,
    judge_in_words,
    option,
    pieces,
)
from tests.support.published.beams import without_duplicates
from tests.support.published.catalogue_votes import Dice
from tests.support.published.choosing import average, best, ranked, top_of, vote
from tests.support.published.lab import Lab
from tests.support.published.path import How, Path
from tests.support.published.revising import graded
from tests.support.published.thinking import think_deeper
from tests.support.published.worlds import published


@published
def re2(lab: Lab) -> Path:
    """The question twice. Xu et al. (2023), section 2."""
    return ask(lab, "reread", lab.problem)[0]


@published
def cot_reflection(lab: Lab) -> Path:
    """One reply that thinks and reflects. optillm, cot_reflection."""
    return ask(lab, "reflect", lab.problem)[0]


@published
def leap(lab: Lab, mistakes: int = 3) -> Path:
    """Mistakes, principles learnt from them, solution. Zhang et al. (2024), section 3."""
    wrong = lab.sample(lab.problem, mistakes, temperature=1)
    learnt = ask_together(lab, "principles", wrong, temperature=0)
    shown = {"learnt": learnt[0].text}
    return ask(lab, "by_principles", lab.problem, shown=shown, given=[learnt], temperature=0)[0]


@published
def least_to_most(lab: Lab, most: int = 5) -> Path:
    """Sub-questions in turn, what is solved in view; greedy. Zhou et al. (2022), section 2."""
    greedy: How = {"temperature": 0}
    solved: list[Path] = []
    for question in pieces(lab, ask(lab, "decompose", lab.problem, **greedy)[0], most):
        shown = {"solved": "\n\n".join(path.text for path in solved)}
        solved += ask(lab, "sub_question", question, shown=shown, given=[list(solved)], **greedy)
    shown = {"solved": "\n\n".join(path.text for path in solved)}
    return ask(lab, "conclude_from", lab.problem, shown=shown, given=[solved], **greedy)[0]


@published
def round_trip(lab: Lab) -> Path:
    """Solve, describe, solve the description; merge what differs. optillm, rto.

    Missing answers differ from everything.
    """
    one = lab.sample(lab.problem)[0]
    description = ask(lab, "describe", one)[0]
    other = ask(lab, "solve_description", description)[0]
    if lab.answer(one) is not None and lab.answer(one) == lab.answer(other):
        return one
    shown = {"one": one.text, "other": other.text}
    return ask(lab, "merge_two", lab.problem, shown=shown, given=[[one], [other]])[0]


@published
def plan_search(lab: Lab, attempts: int = 3) -> Path | None:
    """Observations, derived ones, an idea, a solution. Wang et al. (2024), section 4; optillm."""
    solutions = []
    for seen in ask(lab, "observe", lab.problem, attempts):
        idea = ask(lab, "idea_from", ask(lab, "derive", seen)[0])[0]
        solutions += ask(lab, "implement", idea)
    return vote(lab, solutions)


@published
def prover_verifier(lab: Lab, rounds: int = 2, each: int = 3) -> Path:
    """Helpful and sneaky provers, a verifier's grades. Kirchner et al. (2024); optillm's pvg.

    A later round must beat the best solution of those before.
    """
    leader, grade = lab.problem, None
    heat = 0.7
    for turn in range(rounds):
        played = [
            path
            for role in ("helpful", "sneaky")
            for path in ask(lab, role, leader, each, temperature=heat)
        ]
        grades = [graded(lab, path) for path in played]
        place = ranked(grades)[0]
        if turn == 0 or ranked([grade, grades[place]])[0] == 1:
            leader, grade = played[place], grades[place]
        heat = max(0.2, heat - 0.1)
    return leader


@published
def cepo(lab: Lab, n: int = 3, m: int = 3, plans: int = 6) -> Path | None:
    """Plans, executions, contradictions settled, a final solution; a rating of 0 or 1.

    Cerebras (2024); optillm, cepo. Its four steps sample at the temperature of the first.
    """
    warm: How = {"temperature": 0.55}
    attempts: list[list[Path]] = []
    for _ in range(n):
        drafts = ask(lab, "plan_steps", lab.problem, plans, **warm)
        whole = [draft for draft in drafts if draft.finish == "end"]
        runs = [ask(lab, "execute", draft, history=True, **warm)[0] for draft in whole]
        attempts.append([run for run in runs if run.finish == "end"][:m])
    attempts.sort(key=lambda runs: not runs)  # those without a plan are answered after the others
    finals = []
    for runs in attempts:
        solutions = runs or lab.sample(lab.problem, temperature=0.1)
        settled = ask_together(lab, "inconsistencies", solutions, **warm)[0]
        finals += ask(lab, "settle", settled, **warm)
    return best(finals, lambda path: judge(lab, "sound", option(yes=1, no=0), path))


@published
def chain_of_code(lab: Lab, repairs: int = 2) -> Path:
    """Write, run, repair; simulate what will not run. Li et al. (2023), section 2."""
    program = ask(lab, "code", lab.problem)[0]
    output = ask(lab, "run", program, policy="python")[0]
    for _ in range(repairs):
        if lab.answer(output) is not None:
            break
        program = ask(lab, "repair", output)[0]
        output = ask(lab, "run", program, policy="python")[0]
    return output if lab.answer(output) is not None else ask(lab, "simulate", program)[0]


@published
def mars(
    lab: Lab, agents: int = 3, k: int = 3, rounds: int = 3, fixes: int = 5, most: int = 6
) -> Path | None:
    """Agents, merged groups, two checks each, repairs while none passes. optillm, mars.

    Where none passes: an answer that two give, else a synthesis of three.
    """
    read = option(yes=1, no=0)
    dice = Dice(lab)

    def checked(path: Path) -> tuple[float | None, str]:
        checks = [judge_in_words(lab, "sound", read, path, turn) for turn in range(2)]
        words = "\n\n".join(words for _, words in checks)
        return average([verdict for verdict, _ in checks]), words

    heats = (0.3, 0.6, 1)
    pool = [lab.sample(lab.problem, temperature=heats[agent % 3])[0] for agent in range(agents)]
    for _ in range(rounds):
        merged: list[Path] = []
        for _ in range(2):
            group = top_of(pool, k, [dice.uniform(path) for path in pool])
            merged += ask_together(lab, "merge", group, temperature=0.7)
        pool = [*merged, *pool][:most]
    checks = [checked(path) for path in pool]
    for _ in range(fixes):
        if any(verdict == 1 for verdict, _ in checks):
            break
        pool = [
            ask(lab, "mend_checked", path, shown={"sound.words": words})[0]
            for path, (_, words) in zip(pool, checks, strict=True)
        ]
        checks = [checked(path) for path in pool]
    for path, (verdict, _) in zip(pool, checks, strict=True):
        if verdict == 1:
            return path
    answers = [answer for path in pool if (answer := lab.answer(path)) is not None]
    if any(answers.count(answer) > 1 for answer in answers):
        return vote(lab, pool)
    return ask_together(lab, "merge", pool[:3], temperature=0.3)[0]


@published
def tree_of_thoughts_sampled(lab: Lab, width: int = 5, k: int = 5, depth: int = 10) -> Path | None:
    """ToT-BFS that samples thoughts. Yao et al. (2023), algorithm 1.

    In its code a duplicate is worth nothing; here it is left out.
    """
    read = option(sure=20, likely=1, impossible=0.001)

    def value(path: Path) -> float | None:
        return judge(lab, "promise", read, path)

    states = [lab.problem]
    for _ in range(depth):
        if all(state.done for state in states):
            break
        samples = [child for state in states for child in lab.sample(state, k, steps=1)]
        grown = without_duplicates(samples)
        states = top_of(grown, width, [value(path) for path in grown])
    return best([end for state in states for end in lab.sample(state)], value)


@published
def auto_think(lab: Lab) -> Path:
    """Classify, then think within limits that suit. optillm, autothink."""
    high = judge(lab, "complexity", option(low=0, high=1), lab.problem) == 1
    shortest, longest = (1024, 4096) if high else (256, 1024)
    return think_deeper(lab.again(), shortest, longest)
