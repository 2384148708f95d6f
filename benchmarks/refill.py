"""Why `beam_search_refill` gets worse with n on the bundled models: `python -m benchmarks.refill`.

Runs it at n = 4, 8, 16 on the 40 problems of the gallery (a minute), looks into its record for what
finished and what was returned, and writes benchmarks/data/refill.json, which the gallery tells of.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill

from benchmarks.families import SIZES
from benchmarks.measured import DATA, chosen
from tts_lang.arguments import plan_from
from tts_runtime import Settings, open_run, run
from tts_runtime.record.reader import StrategyRecord
from tts_runtime.stats.paired import compare

MEASURED = DATA / "refill.json"
PROBLEMS = 40


@dataclass(frozen=True, slots=True)
class Observed:
    """What one value of n did, in problems of all.

    Args:
        n: Beams.
        problems: All.
        right: Answered correctly.
        covered: With a right solution among those that finished.
        share: Of all finished solutions, the right ones.
        outscored: Answered wrongly although a right solution finished, where the one that was
            returned has the higher score; `outvoted`: where it has the lower one.
    """

    n: int
    problems: int
    right: int
    covered: int
    share: float
    outscored: int
    outvoted: int


def observe(record: StrategyRecord, n: int) -> Observed:
    """Reads every finished solution of a strategy."""
    problems = right = covered = outscored = outvoted = good_ones = finished = 0
    for tree in record.trees():
        done = [node for node in tree.nodes.values() if node.done]
        good = [_score(node.scores["prm"]) for node in done if node.answer == tree.problem.answer]
        problems, finished, good_ones = problems + 1, finished + len(done), good_ones + len(good)
        right += bool(tree.answer.correct)
        covered += bool(good)
        if good and not tree.answer.correct and tree.winner is not None:
            higher = _score(tree.winner.scores["prm"]) > max(good)
            outscored, outvoted = outscored + higher, outvoted + (not higher)
    share = round(good_ones / finished, 4)
    return Observed(n, problems, right, covered, share, outscored, outvoted)


def _score(column: object) -> float:
    return float(column[-1]) if isinstance(column, tuple) else 0.0


def main() -> None:
    """Measures, and writes what was observed."""
    plans = [plan_from(["beam_search_refill"], {"n": str(n)})[0] for n in SIZES]
    found = []
    answers = {}
    for plan, n in zip(plans, SIZES, strict=True):
        with TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            run(plan, chosen(PROBLEMS), settings=Settings(scorers={"prm": "bundled"}, out=out))
            found.append(observe(open_run(out).strategy(), n))
            answers[str(n)] = open_run(out).answers()
            print(found[-1], flush=True)
    (fall,) = compare(answers, [(str(SIZES[-1]), str(SIZES[0]))])
    value = {"p": round(fall.p, 4), "observed": [asdict(each) for each in found]}
    MEASURED.write_text(json.dumps(value, indent=1) + "\n", "utf-8")


def explanation() -> list[str]:
    """What the gallery says of it beside its figure."""
    measured = json.loads(MEASURED.read_text("utf-8"))
    found = [Observed(**each) for each in measured["observed"]]
    first, last = found[0], found[-1]
    sizes = ", ".join(str(each.n) for each in found)
    lost = last.outscored + last.outvoted

    def listed(values: list[str]) -> str:
        return f"{', '.join(values[:-1])} and {values[-1]}"

    covered = listed([str(each.covered) for each in found])
    shares = listed([f"{each.share:.0%}" for each in found])
    low, high = (f"{each.right / each.problems:.0%}" for each in (first, last))
    text = (
        f"`beam_search_refill` falls from {low} to {high} as n grows, though it finds more: at "
        f"n = {sizes} a right solution is among the finished ones of {covered} of "
        f"{first.problems} problems, but only {shares} of what finishes is right. Equal beams are "
        "dropped, so the places up to n are filled with other ones, mostly wrong, until one of "
        f"them deceives the PRM: of the {lost} problems that n = {last.n} answers wrongly with a "
        f"right solution at hand, in {last.outscored} the wrong one that it returns has the higher "
        "score. This is over-optimisation of a reward model, which Snell et al. (2024) see in beam "
        f"search on easy problems. {first.problems} problems leave it open whether the fall itself "
        f"is chance (p = {measured['p']:.2f}, exact sign-flip test). `python -m benchmarks.refill` "
        "counts again."
    )
    return fill(text, 118).splitlines()


if __name__ == "__main__":
    main()
