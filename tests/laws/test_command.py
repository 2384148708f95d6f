"""`tts-compile --laws` and `--equiv`, run in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tts_lang.cli import main
from tts_lang.laws import search

TRUE = """strategy plain(n = 4):
    return vote (sample n)

strategy heavy(n = 4, weight = 2):
    return vote (sample n) weighted by weight

strategy longer(n = 4):
    pool = sample n + 1
    return vote (first n of pool)

law heavy(n) == plain(n)
"""
FALSE = TRUE + "law plain(n = 1) == plain(n = 2)\n"
OPEN = TRUE + "law longer(n = 2) == plain(n = 2)\n"


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("true", TRUE), ("false", FALSE), ("open", OPEN)):
        Path(f"{name}.tts").write_text(text, encoding="utf-8")


Capture = pytest.CaptureFixture[str]


def command(capsys: Capture, *arguments: str) -> tuple[object, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_proved_laws_list_their_instances_and_exit_with_0(capsys: Capture) -> None:
    code, out, err = command(capsys, "true.tts", "--laws")
    assert (code, err) == (0, "")
    assert out == (
        "true.tts:11: proved: heavy(n) == plain(n)\n    proved at n = 1, 2, 3, 4, 5, 6, 8, 12, 16\n"
    )


def test_show_prints_normal_forms(capsys: Capture) -> None:
    code, out, _ = command(capsys, "true.tts:heavy", "--equiv", "true.tts:plain", "--show")
    assert code == 0
    assert out.startswith("proved: heavy(n = 4, weight = 2) == plain(n = 4)\n")
    assert "normal form of both sides:" in out
    assert "expand %0 by 4 solutions" in out
    assert "rules used for heavy: equal-weights" in out


def test_a_refuted_law_exits_with_1_and_is_replayed(capsys: Capture) -> None:
    code, out, _ = command(capsys, "false.tts", "--laws", "--trials", "40")
    assert code == 1
    assert "proved: heavy(n) == plain(n)" in out
    refuted = out[out.index("false.tts:12: refuted") :]
    assert "they part at candidate 2, which only plain (right) samples" in refuted
    seed, trial = refuted.split("--seed ")[1].split(" --trial ")
    again = ("--seed", seed, "--trial", trial.strip())
    code, out, _ = command(capsys, "false.tts", "--laws", *again)
    assert code == 1
    assert out[out.index("false.tts:12: refuted") :] == refuted


def test_no_counterexample_is_said_with_the_number_of_trials(capsys: Capture) -> None:
    code, out, _ = command(capsys, "open.tts", "--laws", "--trials", "15")
    assert code == 0
    assert out.endswith(
        "open.tts:12: no counterexample: longer(n = 2) == plain(n = 2)\n"
        "    note: not proved; no counterexample in 15 trials\n"
    )


def test_as_many_trials_as_are_asked_for(capsys: Capture) -> None:
    _, out, _ = command(capsys, "open.tts", "--laws", "--trials", "3")
    assert "no counterexample in 3 trials" in out


def test_titles_have_the_settings_of_sampling(capsys: Capture) -> None:
    """Without them a title would say something that is false."""
    text = TRUE.partition("law ")[0]
    one, two = "plain(n = 1, temperature = 0.5) == plain(n = 1)", "plain(n, length = 7) == plain(n)"
    Path("sampled.tts").write_text(f"\ufeff{text}law {one}\nlaw {two}\n", encoding="utf-8")
    _, out, _ = command(capsys, "sampled.tts", "--laws", "--trials", "3")
    line = 1 + text.count("\n")  # of a file with a byte order mark, too
    assert f"sampled.tts:{line}: " in out
    assert f": {one}\n" in out
    assert f": {two}\n" in out


def test_json(capsys: Capture) -> None:
    code, out, _ = command(capsys, "false.tts", "--laws", "--trials", "40", "--json")
    assert code == 1
    proved, refuted = json.loads(out)
    assert (proved["law"], proved["verdict"]) == ("heavy(n) == plain(n)", "proved")
    assert [each["values"] for each in proved["instances"]][:2] == [{"n": 1}, {"n": 2}]
    example = refuted["instances"][0]["counterexample"]
    assert refuted["verdict"] == "refuted"
    assert example["answers"][0] != example["answers"][1]
    assert {"seed", "trial", "world", "parting"} <= example.keys()


def test_mistakes_as_json(capsys: Capture) -> None:
    Path("wrong.tts").write_text(f"{TRUE}law plain(n) == plian(n)\n", encoding="utf-8")
    for question in (("--laws",), ("--equiv", "true.tts:plain")):
        code, out, err = command(capsys, "wrong.tts", *question, "--json")
        assert (code, err) == (2, "")
        assert [each["code"] for each in json.loads(out)] == ["TTS201"]


def test_settings_go_to_both_strategies(capsys: Capture) -> None:
    equal = ("heavy", "plain")
    left, right = (f"true.tts:{name}" for name in equal)
    code, out, _ = command(capsys, left, "--equiv", right, "--set", "n=3", "--set", "weight=0.5")
    assert (code, out) == (0, "proved: heavy(n = 3, weight = 0.5) == plain(n = 3)\n")
    code, out, _ = command(
        capsys, left, "--equiv", right, "--set", "weight=0", "--trials", "200", "--seed", "1"
    )
    assert code == 1
    assert "refuted: heavy(n = 4, weight = 0) == plain(n = 4)" in out


def test_defaults_that_differ_are_said_where_they_may_be_the_reason(capsys: Capture) -> None:
    sides = ("true.tts:plain", "--equiv", "majority")
    code, out, _ = command(capsys, *sides, "--trials", "60")
    assert code == 1
    note = "    note: each side has its own default: n = 4 and n = 16; --set n=... goes to both\n"
    assert out.endswith(note)
    assert command(capsys, *sides, "--set", "n=3")[:2] == (
        0,
        "proved: plain(n = 3) == majority(n = 3)\n",
    )


MISTAKES: tuple[tuple[Sequence[str], str], ...] = (
    (("true.tts:plain", "--equiv", "true.tts:plane"), "did you mean 'plain'?"),
    (("true.tts:plain", "--equiv", "majorty"), "did you mean 'majority'?"),
    (("true.tts:plain", "--equiv", ""), "--equiv: expected OTHER, not an empty text"),
    (("true.tts:plain", "--equiv", "majority", "--set", "m=2"), "none of the strategies has"),
    (("true.tts", "true.tts", "--equiv", "majority"), "--equiv compares two strategies"),
    (("true.tts", "--laws", "--equiv", "majority"), "choose one"),
    (("true.tts", "--laws", "--set", "n=2"), "a law states its own arguments"),
    (("true.tts", "--laws", "--explain"), "go with --show"),
    (("true.tts", "--show"), "--show belongs to --laws or --equiv"),
    (("true.tts", "--laws", "--trials", "many"), "expected a whole number"),
    (("greedy", "--laws"), "states no laws"),
    (("bad.tts", "--laws"), "TTS403"),
    (("none.tts", "--laws"), "error: none.tts:13: law thirds(n) == plain(n): its strategies"),
)


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda each: str(each)[:40])
def test_mistakes_exit_with_2_and_say_what_to_do(
    capsys: Capture, arguments: Sequence[str], message: str
) -> None:
    Path("bad.tts").write_text(TRUE + "law plain(n = 1, width = 1) == plain(n = 1)\n")
    thirds = "strategy thirds(n = 60):\n    return vote (sample n / 60)\n"
    none = TRUE.replace("\nlaw ", f"\n{thirds}law ").replace("heavy(n) ==", "thirds(n) ==")
    Path("none.tts").write_text(none)
    code, out, err = command(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_without_a_search_what_is_not_proved_is_a_mistake(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "entry_points", lambda **_: [])
    assert command(capsys, "true.tts", "--laws")[0] == 0
    code, _, err = command(capsys, "open.tts", "--laws")
    assert code == 2
    assert "no search for counterexamples is installed" in err


def test_the_installed_search_is_found() -> None:
    from tts_runtime.laws import hunt

    assert search.find_search() is hunt


LARGE = """strategy plain(n = 2):
    return vote (sample n)

strategy limited(n = 2):
    return vote (sample n max 200 tokens)

strategy warm(n = 2):
    return vote (sample n at temperature 1)

strategy deep(rounds = 12):
    pool = sample 2 steps
    repeat rounds until all pool done:
        score pool by prm
        pool = expand pool by 1 step
    return vote pool

strategy negative(n = 2):
    return vote (sample n) weighted by tokens - 100_000_000

strategy unsure(n = 2):
    return vote (sample n) weighted by tokens - 1

strategy many(n = 1e300):
    return vote (sample n)

strategy long(n = 2):
    pool = sample n max 1_000_000 tokens
    return vote pool

strategy forever(n = 2):
    pool = sample n
    let x of pool = tokens
    repeat 1_000_000_000_000_000:
        let x of pool = x + 1
    return vote pool weighted by x

strategy longest(n = 2):
    pool = sample n
    let x of pool = tokens
    repeat 1_000_000_000_000_000:
        let x of pool = x + 2
    return vote pool weighted by x
"""


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("limited", "plain"),  # no ordinary text has 200 tokens
        ("warm", "plain"),  # the binding's temperature need not be 1
        ("deep", "deeper"),
    ],
)
def test_laws_that_small_texts_cannot_tell_false_are_refuted(
    capsys: Capture, left: str, right: str
) -> None:
    deeper = LARGE[LARGE.index("strategy deep") : LARGE.index("strategy negative")]
    text = LARGE + deeper.replace("deep(rounds = 12)", "deeper(rounds = 8)")
    Path("large.tts").write_text(text, encoding="utf-8")
    pair = (f"large.tts:{left}", "--equiv", f"large.tts:{right}")
    code, out, _ = command(capsys, *pair, "--trials", "20")
    assert (code, out.partition(":")[0]) == (1, "refuted")
    replay = re.search(r"replay: add (--seed 0 --trial \d+)", out)
    assert replay is not None
    assert command(capsys, *pair, *replay[1].split())[0] == 1


def test_a_proof_states_its_condition(capsys: Capture) -> None:
    Path("large.tts").write_text(LARGE, encoding="utf-8")
    same = ("large.tts:unsure", "--equiv", "large.tts:unsure", "--strict")
    code, out, _ = command(capsys, *same)
    assert code == 0
    assert "in runs without errors: the weight of `vote` (line 21) is never negative" in out
    never = ("large.tts:negative", "--equiv", "large.tts:negative")
    code, out, _ = command(capsys, *never)
    assert code == 0
    assert "this says nothing: all of 8 random runs failed" in " ".join(out.split())
    assert command(capsys, *never, "--strict")[0] == 3


@pytest.mark.parametrize("sides", [("many", "plain"), ("forever", "longest")])
def test_what_is_too_large_to_be_run_is_scaled_down(
    capsys: Capture, sides: tuple[str, str]
) -> None:
    Path("large.tts").write_text(LARGE, encoding="utf-8")
    pair = (f"large.tts:{sides[0]}", "--equiv", f"large.tts:{sides[1]}", "--trials", "10")
    code, out, _ = command(capsys, *pair)
    assert code == 0
    assert out.startswith("no counterexample")
    assert "scaled down" in out
    assert command(capsys, *pair, "--strict")[0] == 3


def test_clauses_that_no_trial_reached_are_named(capsys: Capture) -> None:
    Path("large.tts").write_text(LARGE, encoding="utf-8")
    code, out, _ = command(capsys, "large.tts:long", "--equiv", "large.tts:plain", "--trials", "10")
    assert code == 0
    text = " ".join(out.split())
    assert "no trial reached the limit of: max 1,000,000 tokens (27)" in text
    assert "scaled down (1e+06 tokens -> 2), the two differ, so this is probably false" in text


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("vote pool weighted by tokens + steps", "vote pool weighted by steps + tokens"),
        ("vote (pool where tokens > 3)", "vote (pool where 3 < tokens)"),
        (
            "vote ((pool where done) where tokens * 2 > 3)",
            "vote (pool where 3 < 2 * tokens and done)",
        ),
        ("vote (pool + pool)", "vote pool"),
        ("vote (pool where tokens >= 0)", "vote pool"),
        ("vote (pool where not logprob > 1)", "vote pool"),
    ],
)
def test_laws_of_expressions_and_rows_are_proved(capsys: Capture, left: str, right: str) -> None:
    text = "".join(
        f"strategy {name}(n = 4):\n    pool = sample n\n    return {result}\n"
        for name, result in (("left", left), ("right", right))
    )
    Path("pairs.tts").write_text(text, encoding="utf-8")
    code, out, _ = command(capsys, "pairs.tts:left", "--equiv", "pairs.tts:right", "--strict")
    assert (code, out.partition(":")[0]) == (0, "proved")
