"""What the literature found, as comparisons that would show it on the bundled models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.measured import ALL, GROUPS, LARGER, Point, point

SIZES = (4, 16, 64)
REDUCTIONS = ("last", "min", "mean", "prod")
#: Chains and rounds, 16 attempts each: from parallel to sequential.
CHAINS = ((16, 1), (4, 4), (1, 16))
WAITS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The accuracy of one strategy minus that of another, on the same problems.

    Args:
        group: A difficulty, or `all`: the panel of the figure.
        series, place: Where it stands in its panel.
        first, second: What is compared.
        expected: What the paper says of the difference: 1 above zero, -1 below, 0 nothing.
    """

    group: str
    series: str
    place: str
    first: Point
    second: Point
    expected: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a paper found.

    Args:
        name: On the command line.
        title: Of its section.
        claim: The finding, with its source.
        comparisons: What would show it.
        axis: What their places are.
        problems: The set that it is measured on, in benchmarks/data.
    """

    name: str
    title: str
    claim: str
    comparisons: tuple[Comparison, ...]
    axis: str = "n"
    problems: str = LARGER

    @property
    def points(self) -> list[Point]:
        """What has to be measured."""
        return list(
            dict.fromkeys(p for each in self.comparisons for p in (each.first, each.second))
        )


def _weighted() -> Iterator[Comparison]:
    for group in (ALL, *GROUPS):
        for n in SIZES:
            pair = point("weighted_best_of_n", n=n), point("best_of_n", n=n)
            yield Comparison(group, "weighted − plain", f"{n}", *pair, expected=int(group == ALL))


def _beam() -> Iterator[Comparison]:
    for group in GROUPS:
        for other in ("weighted_best_of_n", "best_of_n"):
            for n in SIZES:
                expected = {"hard": 1, "easy": -1 if n == max(SIZES) else 0}.get(group, 0)
                pair = point("beam_search", n=n), point(other, n=n)
                yield Comparison(group, f"beam − {other}", f"{n}", *pair, expected)


def _dvts() -> Iterator[Comparison]:
    for group in GROUPS:
        for n in SIZES:
            expected = int(group != "hard" and n == max(SIZES))
            pair = point("dvts", n=n), point("beam_search", n=n)
            yield Comparison(group, "dvts − beam", f"{n}", *pair, expected)


def _waits() -> Iterator[Comparison]:
    for group in (ALL, *GROUPS):
        for waits in WAITS:
            pair = point("budget_forcing", waits=waits), point("budget_forcing", waits=0)
            yield Comparison(group, "waits − none", f"{waits}", *pair, expected=int(group == ALL))


def _revisions() -> Iterator[Comparison]:
    parallel, mixed, sequential = CHAINS
    for group in GROUPS:
        for shape in CHAINS[1:]:
            expected = int(group == "easy" and shape == sequential)
            yield _shaped(group, "revisions − parallel", shape, parallel, expected)
        yield _shaped(group, "mixed − sequential", mixed, sequential, int(group == "hard"))


def _shaped(
    group: str, series: str, first: tuple[int, int], second: tuple[int, int], expected: int
) -> Comparison:
    one, other = (point("revision_chains", chains=c, rounds=r) for c, r in (first, second))
    return Comparison(group, series, "×".join(map(str, first)), one, other, expected)


def _hardest() -> Iterator[Comparison]:
    for first, second in (
        ("beam_search", "weighted_best_of_n"),
        ("dvts", "weighted_best_of_n"),
        ("dvts", "beam_search"),
    ):
        for n in SIZES:
            series = f"{first} − {second}"
            expected = int(second == "weighted_best_of_n")
            yield Comparison(ALL, series, f"{n}", point(first, n=n), point(second, n=n), expected)


def _reductions() -> Iterator[Comparison]:
    for n in (16, 64):
        for reduce in REDUCTIONS:
            # The default is left out, so that what others measure is measured once.
            given = {} if reduce == "last" else {"reduce": reduce}
            vote, best = (point(f"{kind}best_of_n", n=n, **given) for kind in ("weighted_", ""))
            yield Comparison(ALL, f"vote − max, n = {n}", reduce, vote, best)


FINDINGS = (
    Finding(
        "weighted",
        "Weighted best-of-n over plain best-of-n",
        "Adding up the scores of equal answers beats taking the best-scored solution (Li et al., "
        "2023; Snell et al., 2024, use it throughout; Beeching et al., 2024).",
        tuple(_weighted()),
    ),
    Finding(
        "beam",
        "Beam search against best-of-n, by difficulty",
        "Beam search beats best-of-n on hard problems; on easy ones it falls behind as n grows, "
        "because it exploits the PRM (Snell et al., 2024, section 5).",
        tuple(_beam()),
    ),
    Finding(
        "dvts",
        "DVTS over beam search at large n",
        "Separate trees keep solutions diverse, which pays on easy and medium problems at large n "
        "(Beeching et al., 2024).",
        tuple(_dvts()),
    ),
    Finding(
        "hardest",
        "A harder world: beam search, DVTS and best-of-n",
        "On hard problems searches guided by a PRM solve what samples do not: beam search and DVTS "
        "are above weighted best-of-n (Snell et al., 2024, section 5; Beeching et al., 2024). "
        "Chains of seven to ten operations; one sample in ten is right.",
        tuple(_hardest()),
        problems="hardest",
    ),
    Finding(
        "waits",
        "Budget forcing with `Wait`",
        "Forcing `Wait` where the thought would end lets the policy check itself: accuracy grows "
        "with the number of waits, and flattens (Muennighoff et al., 2025).",
        tuple(_waits()),
        axis="waits",
    ),
    Finding(
        "revisions",
        "Sequential revisions against parallel samples",
        "At 16 attempts in all, easy problems do best with one long chain of revisions, hard ones "
        "with a mixture of chains and revisions (Snell et al., 2024, section 6). `4×4`: four "
        "chains of four attempts.",
        tuple(_revisions()),
        axis="chains × attempts",
    ),
    Finding(
        "reductions",
        "Vote against max, for each reduction of step scores",
        "How much a vote gains over the best-scored solution depends on the PRM and on how step "
        "scores become one (Liu et al., 2025). The paper has no rule to confirm: this is a report "
        "about this PRM.",
        tuple(_reductions()),
        axis="reduction",
    ),
)
