"""The compute-optimal choice on worlds whose optimum is known, and as a file that runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tts_lang.compiler import compile_strategy
from tts_lang.optimise import NAMES, optimise
from tts_lang.plan.graph import Plan
from tts_lang.source import Source
from tts_lang.values import mean as language_mean
from tts_runtime.stats.difficulty import (
    ABSOLUTE,
    bin_names,
    bins_of,
    pass_rates,
    predicted,
    quantile_borders,
)
from tts_runtime.stats.proportions import Z95
from tts_runtime.stats.samples import Sample, SampledProblem
from tts_runtime.stats.scaling import control, matched_multiple, performance, slope
from tts_runtime.stats.tuned_file import ChangedError, FromField, Predicted, tuned_source
from tts_runtime.stats.tuning import (
    Measured,
    TunedPoint,
    TuningCandidate,
    budget_ratio,
    halves,
    tuned,
)

PROBLEMS = [f"p{at}" for at in range(300)]
#: A third easy, a third medium, a third hard.
BINS = {id_: at % 3 for at, id_ in enumerate(PROBLEMS)}


def candidate(name: str, cost: float, *rates: float, seed: int = 0) -> TuningCandidate:
    """A strategy with these chances of being right on easy, medium and hard problems."""
    random = Random(f"{name} {seed}")
    return TuningCandidate(
        name,
        {id_: Measured(random.random() < rates[BINS[id_]], 1, cost) for id_ in PROBLEMS},
    )


SEARCH = [candidate(f"search[n={n}]", 100.0 * n, 0.6, 0.5, 0.1 + 0.04 * n) for n in (4, 16)]
VOTE = [candidate(f"vote[n={n}]", 100.0 * n, 0.95, 0.5, 0.05) for n in (4, 16)]


def test_the_known_optimum_is_found_bin_by_bin() -> None:
    found = tuned([*SEARCH, *VOTE], BINS, budget=1600)
    assert found is not None
    assert (found.choice[0].partition("[")[0], found.choice[2]) == ("vote", "search[n=16]")
    assert found.accuracy == pytest.approx((0.95 + 0.5 + 0.74) / 3, abs=0.06)
    assert found.accuracy > found.best_single
    assert found.accuracy <= found.ceiling + 1e-9
    low, high = found.interval
    assert low < found.accuracy < high


def test_each_half_is_chosen_for_by_the_other_alone() -> None:
    """Whatever is best on all problems, and for one strategy without bins as for the choice."""
    bins = {f"p{at}": 0 for at in range(16)}
    first, second = halves(bins)

    def right_on(name: str, ids: list[str], costs: tuple[float, float] = (1, 1)) -> TuningCandidate:
        cost = {**dict.fromkeys(first, costs[0]), **dict.fromkeys(second, costs[1])}
        return TuningCandidate(name, {id_: Measured(id_ in ids, 1, cost[id_]) for id_ in bins})

    even = right_on("even", [*first[:5], *second[:5]])
    one, other = right_on("one", [*first[:7], second[0]]), right_on("other", second[:7])
    dear = right_on("dear", list(bins), (100, 1))  # on average above the budget
    point = tuned([even, one, other, dear], bins, budget=20)
    assert point is not None
    assert (point.choice, point.ceiling) == (("even",), 10 / 16)
    assert (point.accuracy, point.best_single) == (1 / 16, 1 / 16)
    # What fits in one bin of two is no choice.
    two = {id_: int(id_ in first) for id_ in bins}
    assert tuned([dear], two, budget=20) is None


def test_a_bin_without_problems_has_the_choice_of_its_neighbour() -> None:
    tried = [*SEARCH, *VOTE]
    easy = {id_: 1 for id_, at in BINS.items() if at == 1}
    point = tuned(tried, easy, number=4, budget=2000)
    assert point is not None
    assert len(point.choice) == 4
    assert len(set(point.choice)) == 1
    some = {id_: at for id_, at in BINS.items() if at != 1}
    found = tuned(tried, some, number=3, budget=2000)
    assert found is not None
    assert found.choice == ("vote[n=4]", "vote[n=4]", "search[n=16]")


def test_where_searching_never_helps_it_does_not_search() -> None:
    plain = [candidate(f"vote[n={n}]", 100.0 * n, 0.9, 0.6, 0.3) for n in (4, 16)]
    search = [candidate(f"search[n={n}]", 100.0 * n, 0.7, 0.4, 0.1) for n in (4, 16)]
    for limit in (400.0, 1600.0):
        found = tuned([*search, *plain], BINS, budget=limit)
        assert found is not None
        assert all(name.startswith("vote") for name in found.choice)


def test_a_budget_is_kept_in_every_bin_and_probes_count() -> None:
    found = tuned([*SEARCH, *VOTE], BINS, baseline=SEARCH[0])
    assert found is not None
    assert all(name.endswith("[n=4]") for name in found.choice)
    assert found.cost <= 400
    probes = dict.fromkeys((each.name for each in (*SEARCH, *VOTE)), 50)
    assert tuned([*SEARCH, *VOTE], BINS, budget=420, overhead=probes) is None
    found = tuned([*SEARCH, *VOTE], BINS, budget=450, overhead=probes)
    assert found is not None
    assert found.cost == pytest.approx(450)
    # Who draws the probes anyway pays nothing for them.
    free = {each.name: 0.0 if each in VOTE else 50.0 for each in (*SEARCH, *VOTE)}
    found = tuned([*SEARCH, *VOTE], BINS, budget=420, overhead=free)
    assert found is not None
    assert found.choice == ("vote[n=4]",) * 3
    assert found.cost == pytest.approx(400)


def test_one_strategy_for_all_has_the_same_budget_and_the_cheaper_of_equals_is_chosen() -> None:
    rates = {"cheap": (50.0, 4), "dear": (100.0, 4), "best": (101.0, 9)}
    tried = [
        TuningCandidate(name, {id_: Measured(right, 10, cost) for id_ in PROBLEMS})
        for name, (cost, right) in rates.items()
    ]
    for candidates in (tried, tried[::-1]):
        for limit in ({"budget": 100.0}, {"baseline": tried[1]}):
            found = tuned(candidates, BINS, **limit)
            assert found is not None
            assert found.choice == ("cheap",) * 3
            assert (found.accuracy, found.best_single) == (0.4, 0.4)
            assert found.cost == 50


def test_an_accuracy_is_not_that_of_the_problems_chosen_on() -> None:
    lucky = [candidate(f"same{at}", 100, 0.5, 0.5, 0.5, seed=at) for at in range(30)]
    found = tuned(lucky, BINS, budget=100)
    assert found is not None
    assert found.ceiling > 0.55  # the luck of 30 equal strategies
    low, high = found.interval
    assert low < 0.5 < high


def test_the_halves_have_all_bins_and_do_not_overlap() -> None:
    first, second = halves(BINS)
    assert sorted([*first, *second]) == sorted(PROBLEMS)
    for half in (first, second):
        assert {BINS[id_] for id_ in half} == {0, 1, 2}
    assert halves(dict(reversed(BINS.items()))) == (first, second)


def test_the_budget_ratio_of_a_known_world() -> None:
    baseline = [candidate(f"base[n={n}]", 100.0 * n, *[0.2 + 0.1 * at] * 3) for at, n in
                enumerate((1, 2, 4, 8, 16))]  # fmt: skip
    better = [candidate(f"better[n={n}]", 100.0 * n, *[0.4 + 0.1 * at] * 3) for at, n in
              enumerate((1, 2, 4, 8, 16))]  # fmt: skip
    points = [tuned([*baseline, *better], BINS, baseline=each) for each in baseline]
    ratio, low, high = budget_ratio([each for each in points if each], baseline[-1])
    assert ratio == pytest.approx(4, rel=0.5)  # two doublings earlier
    assert low is not None
    assert high is not None
    assert low < 4 < high
    worse = [tuned(baseline[:1], BINS, baseline=each) for each in baseline]
    assert budget_ratio([each for each in worse if each], baseline[-1])[0] is None


def test_the_ratio_is_read_between_two_budgets_and_its_interval_is_the_bootstraps() -> None:
    problems = PROBLEMS[:100]

    def point(right: int, *costs: float) -> TunedPoint:
        spent = {id_: costs[at % len(costs)] for at, id_ in enumerate(problems)}
        return TunedPoint(None, None, (), dict.fromkeys(problems, (right, 10)), spent, 1.0, 1.0)

    baseline = TuningCandidate("base", {id_: Measured(5, 10, 1000) for id_ in problems})
    # Halfway from 40 % to 60 %, so at the geometric mean of the costs.
    assert budget_ratio([point(6, 400), point(4, 100)], baseline) == pytest.approx((5, 5, 5))
    # The mean of 100 costs of 1 or 3 is 2, its standard error 0.1.
    varied = {id_: Measured(5, 10, 1.0 + 2 * (at % 2)) for at, id_ in enumerate(problems)}
    ratio, low, high = budget_ratio([point(5, 1)], TuningCandidate("base", varied))
    assert ratio == 2
    assert (low, high) == pytest.approx((2 - Z95 / 10, 2 + Z95 / 10), abs=0.03)


def test_the_choice_that_is_the_baseline_has_its_budget() -> None:
    """Both costs are of the problems that were drawn: what is dear for one is so for the other."""
    random = Random(5)
    one = TuningCandidate(
        "one", {id_: Measured(1, 1, random.choice((100.0, 5000.0))) for id_ in PROBLEMS}
    )
    point = tuned([one], BINS, baseline=one)
    assert point is not None
    assert budget_ratio([point], one) == pytest.approx((1, 1, 1))
    assert point.cost == pytest.approx(sum(point.costs.values()) / len(PROBLEMS))


def test_bins_are_those_of_the_papers_and_of_above() -> None:
    ease = {"a": 1.0, "b": 0.51, "c": 0.5, "d": 0.11, "e": 0.1, "f": 0.0}
    assert list(bins_of(ease, ABSOLUTE).values()) == [0, 0, 1, 1, 2, 2]
    assert bin_names(ABSOLUTE) == ["easy", "medium", "hard"]
    borders = quantile_borders([at / 100 for at in range(100)], 5)
    bins = bins_of({str(at): at / 100 for at in range(100)}, borders)
    assert [list(bins.values()).count(at) for at in range(5)] == [20] * 5
    assert quantile_borders(range(7), 3) == (2, 4)  # 3 hard, 2 in between, 2 easy
    assert quantile_borders([0.0] * 50, 5) == ()
    assert quantile_borders([], 5) == ()


def test_predicted_difficulty_is_the_mean_of_the_language() -> None:
    """To the last digit: what lies on a border is not above it where the file reads it."""
    scores = [0.1] * 10
    assert sum(scores) / 10 != language_mean(scores)
    samples = [Sample("1", True, 1, 1, {"prm": (score,)}) for score in scores]
    problem = SampledProblem("p", 0, True, True, samples)
    assert predicted([problem], "prm") == {"p": language_mean(scores)}
    wrong = replace(problem, samples=[replace(each, correct=False) for each in samples])
    assert (pass_rates([problem]), pass_rates([wrong])) == ({"p": 1.0}, {"p": 0.0})
    assert Sample("1", True, 1, 1, {"prm": tuple(scores)}).score("prm", "mean") == 0.1


def test_a_tuned_file_runs_and_reads_well(tmp_path: Path) -> None:
    plans = [compile_strategy("majority", settings={"n": "4"}),
             compile_strategy("beam_search", settings={"n": "8", "width": "2"})]  # fmt: skip
    text = tuned_source([plans[0], plans[0], plans[1]], (0.1, 0.5), FromField("pass_rate"),
                        about="The best.\n\nSource: a test.", folder=tmp_path)  # fmt: skip
    assert text == (
        'import "beam_search.tts"\nimport "majority.tts"\n\n'
        'scorer difficulty field "pass_rate"\n\n'
        'strategy tuned():\n    """The best.\n\n    Source: a test.\n    """\n'
        "    asked = problem\n    score asked by difficulty\n"
        "    choose by first(difficulty of asked):\n"
        "        above 0.1: return majority(n = 4)\n"
        "        otherwise: return beam_search(n = 8, width = 2)\n"
    )
    probed = tuned_source([*plans, plans[0]], (0.2, 0.6), Predicted("prm", 4, True),
                          about="The best.", folder=tmp_path)  # fmt: skip
    assert (
        "probe = sample 4\n    score probe by prm\n    choose by mean(last(prm) of probe):"
        in probed
    )
    assert "above 0.6: return majority(n = 4)\n        above 0.2: return beam" in probed
    alone = tuned_source([plans[0]] * 3, (0.1, 0.5), FromField("x"), about="One.", folder=tmp_path)
    borders = (0.1 + 0.2, 2 / 3, 7.0, 1e22)
    exact = tuned_source([*plans, *plans, plans[0]], borders, FromField("x"), about="Exact.",
                         folder=tmp_path)  # fmt: skip
    written = [
        float(line.split()[1].strip(":")) for line in exact.splitlines() if " above " in line
    ]
    assert tuple(written[::-1]) == borders
    assert "above 7: " in exact
    assert alone.endswith("    return majority(n = 4)\n")
    assert "choose" not in alone


@pytest.mark.parametrize("without", [(), *((name,) for name in NAMES), NAMES], ids="-".join)
def test_whichever_passes_ran_the_strategy_is_the_same(
    without: tuple[str, ...], tmp_path: Path
) -> None:
    compiled = compile_strategy("best_of_answered", settings={"n": "1"})
    plan = optimise(compiled, without=without).plan
    text = tuned_source([plan], (), FromField("x"), about="Mine.", folder=tmp_path)
    assert text.endswith("return best_of_answered(n = 1)\n")


def test_a_strategy_of_ones_own_is_imported_from_where_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "own.tts"
    mine.parent.mkdir()
    mine.write_text(
        "strategy own(n = 2, heat = 0.5):\n    return vote (sample n at temperature heat)\n"
    )
    plan = compile_strategy(mine, settings={"heat": "0.7"})
    text = tuned_source([plan], (), FromField("x"), about="Mine.", folder=tmp_path)
    assert 'import "mine/own.tts"' in text
    assert "return own(n = 2, heat = 0.7)" in text


@pytest.mark.parametrize(
    ("strategy", "settings", "written"),
    [
        ("own", {"word": "wait"}, 'own(n = 2, word = "wait")'),
        ("own", {"word": 'say "\\n"\nonce'}, r'own(n = 2, word = "say \"\\n\"\nonce")'),
        ("own", {"word": "majority", "keep": "50%"}, 'own(n = 2, word = "majority", keep = 50%)'),
        ("own", {"keep": "7%", "heat": "default"}, "own(n = 2, keep = 7%, heat = default)"),
        ("own", {"rate": "max"}, "own(n = 2, rate = max)"),
        ("own", {"length": "100"}, "own(n = 2, length = 100)"),
        ("must", {"word": "wait", "n": "3"}, 'must(n = 3, word = "wait")'),
        (
            "compute_optimal_oracle",
            {"on_hard": "deepconf_offline(keep=30%)", "on_easy": "best_of_n"},
            "compute_optimal_oracle(n = 16, on_easy = best_of_n, "
            "on_hard = deepconf_offline(keep = 30%))",
        ),
    ],
)
def test_values_are_written_as_they_ran(
    strategy: str, settings: dict[str, str], written: str, tmp_path: Path
) -> None:
    (tmp_path / "own.tts").write_text(
        'strategy own(n = 2, word = "so", keep = 10%, rate = last, heat = 0.5):\n'
        "    pool = sample n steps at temperature heat\n    force word into pool\n"
        "    pool = expand pool by 1\n    score pool by prm\n"
        "    return vote (select top keep of pool by rate(prm))\n\n"
        "strategy must(n, word):\n    pool = sample n steps\n    force word into pool\n"
        "    return vote (expand pool by 1)\n"
    )
    named = f"{tmp_path / 'own.tts'}:{strategy}" if strategy in ("own", "must") else strategy
    plan = compile_strategy(named, settings=settings)
    text = tuned_source([plan], (), FromField("x"), about="A.", folder=tmp_path)
    assert "".join(text.split()).endswith("return" + "".join(written.split()))
    again = compile_strategy(Source.of(text, str(tmp_path / "tuned.tts")), "tuned")
    [called] = again.body.operations
    assert [each.spec for each in called.regions[0].operations] == [
        each.spec for each in plan.body.operations
    ]


def test_what_is_imported_is_what_ran(tmp_path: Path) -> None:
    def source(plan: Plan) -> str:
        # As the record has it: without its folder, unless it is not a shipped one.
        return tuned_source([plan], (), FromField("x"), about="A.", folder=tmp_path)

    shipped = replace(compile_strategy("majority"), file="majority.tts")
    mine = tmp_path / "own" / "majority.tts"
    mine.parent.mkdir()
    mine.write_text("strategy majority(n = 2):\n    return vote (sample n at temperature 0.3)\n")
    own = compile_strategy(mine)
    assert 'import "majority.tts"' in source(shipped)
    assert 'import "own/majority.tts"' in source(own)
    mine.write_text("# The same.\n\n" + mine.read_text())
    assert 'import "own/majority.tts"' in source(own)
    mine.write_text(mine.read_text().replace("0.3", "0.4"))
    with pytest.raises(ChangedError, match="does not say any more what ran as majority"):
        source(own)
    mine.rename(tmp_path / "majority.tts")
    with pytest.raises(ChangedError, match=r"hides the shipped majority\.tts"):
        source(shipped)


def test_the_figures_of_s1_and_of_matched_flops() -> None:
    points = [(1000.0, 0.2), (2000.0, 0.4), (4000.0, 0.5)]
    assert slope(points) == pytest.approx((0.2 / 1000 + 0.3 / 3000 + 0.1 / 2000) / 3)
    assert slope(points[:1]) is None
    assert slope([(1.0, 0.1), (1.0, 0.2)]) is None
    assert performance(points) == 0.5
    assert control([5, 10, 15, 20], 10, 15) == 0.5
    assert control([], 10, 15) == performance([]) == 0
    # Snell et al., section 7: about 14 times the parameters.
    assert matched_multiple(14, 22) == pytest.approx(14 + 39 / 22)
    assert matched_multiple(1, 1) == 1  # no larger
    for sizes in ((0.5, 1), (14, 0)):
        with pytest.raises(ValueError, match="1 or more"):
            matched_multiple(*sizes)
