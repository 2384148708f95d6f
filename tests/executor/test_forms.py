"""What is drawn has a form (C77), and words that begin less often (C78)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.agreement import by_executor, compiled, world
from tests.support.checking import codes
from tests.support.runs import PROBLEM, plan_of, run_plan
from tests.support.scripted import ScriptedPolicy
from tts_runtime.engines.base import (
    Ability,
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Sampling,
)
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.executor import BindError, CandidateRecord, bind
from tts_runtime.steps import NOTHING
from tts_runtime.tokens import to_bytes

SIM = SimPolicy(SimModel(5))
TOKENS = SIM.model.tokenizer


def drawn(
    form: str, number: int = 0, rank: int | None = None, prefix: str = "", **more: object
) -> Generation:
    """What a simulated policy draws in a form, on the stream of a number."""
    limits = Limits(40, matching=form)
    request = GenerateRequest(
        TOKENS.encode("2 + 2\n"),
        TOKENS.encode(prefix),
        b"%16d" % number,
        Sampling(),
        limits,
        NOTHING,
    )
    return SIM.generate_now(replace(request, first_rank=rank, **more))  # type: ignore[arg-type]


def text_of(generation: Generation) -> str:
    return to_bytes(TOKENS, generation.ids).decode()


def expanded(*lines: str, seed: int = 1) -> list[CandidateRecord]:
    """The candidates of a strategy in a simulated world."""
    source = "strategy main():\n" + "\n".join(f"    {line}" for line in lines)
    outcome = by_executor(compiled(source), world(seed), PROBLEM, seed)
    assert outcome.error is None, outcome.error
    return [each for each in outcome.candidates if each.op == "expand"]


def keys_of(*lines: str) -> list[bytes]:
    """The keys of a strategy's requests."""
    engine = ScriptedPolicy(["abcdefgh"])
    outcome = run_plan(plan_of(*lines), engine)
    assert outcome.error is None, outcome.error
    return [each.key for each in engine.requests]


# ------------------------------------------------------------------------------ C77


@pytest.mark.parametrize(
    "form",
    [
        "a",
        "a|ab|abc",
        "[a-c]{2,5}",
        "(Wait|so)+ [0-9]",
        r"\\boxed\{\d+\}",
        "(?i)WAIT",
        "\xe9",  # of two tokens
        "\n\n",
        "(a|b\n\n){3}",  # across the ends of steps
        "[^a-z]?",  # perhaps nothing
        "[]ab]|[a\\-c]",
    ],
)
def test_c77_all_that_is_drawn_matches_and_then_the_policy_ends(form: str) -> None:
    for number in range(20):
        generation = drawn(form, number)
        assert generation.finish is Finish.END
        assert re.fullmatch(form, text_of(generation), re.ASCII), text_of(generation)
        assert generation.drawn == len(generation.ids) + 1


def test_c77_every_text_that_matches_can_be_drawn() -> None:
    assert {text_of(drawn("a|ab|b\n\nb|Wait", n)) for n in range(400)} == {
        "a",
        "ab",
        "b\n\nb",
        "Wait",
    }


def test_c77_the_form_begins_where_the_call_begins() -> None:
    records = expanded(
        'pool = sample 3 max 2 tokens matching "[ab]{6}"',
        'pool = expand pool by 1 matching "[cd]{2}"',
        "return first of pool",
    )
    first, second = records[:3], records[3:]
    assert [each.finish for each in records] == ["length"] * 3 + ["end"] * 3
    assert all(re.fullmatch("[ab]{2}", each.added) for each in first)
    assert all(re.fullmatch("[cd]{2}", each.added) for each in second)
    assert all(each.done for each in second)


def test_c77_a_call_hands_on_no_key() -> None:
    """Else a second call would draw with the first one's noise behind other masks."""
    form = 'max 1 token matching "[a-d]{4}"'
    first, second = keys_of(f"pool = sample 1 {form}", f"return expand pool by 1 {form}")
    assert first != second
    whole, part = (
        expanded(f'return sample 1 matching "[a-d]{{4}}"{limit}')[0].added
        for limit in ("", " max 2 tokens")
    )
    assert whole.startswith(part)
    assert len(part) == 2


def test_c77_likeliest_counts_the_tokens_that_fit() -> None:
    texts = [text_of(drawn("a|b|Wait|0", rank=rank)) for rank in range(4)]
    assert sorted(texts) == ["0", "Wait", "a", "b"]
    with pytest.raises(EngineError, match="fewer children"):
        drawn("a|b|Wait|0", rank=4)


def test_c77_what_no_token_leads_to_is_an_error_that_says_so() -> None:
    with pytest.raises(EngineError, match="none of its tokens leads to what `matching`"):
        drawn("xyz")  # not in the vocabulary


def test_c77_greedy_takes_the_likeliest_that_fits() -> None:
    greedy = drawn("[a-h]{4}", sampling=Sampling(0.0))
    logits = SIM.model.logits(TOKENS.encode("2 + 2\n"), ())
    first = max("abcdefgh", key=lambda each: logits[TOKENS.id(each)])
    assert text_of(greedy)[0] == first


@pytest.mark.parametrize(
    "clause",
    [
        'one of "A", "A"',
        'one of "A", ""',
        'one of "A" matching "B"',
        'matching "^a$"',
        r'matching "\\ba"',
        'matching "(a"',
        'matching "a" at least 2 tokens',
        'matching "(?=a)a"',
        'avoiding " " by 1',
    ],
)
def test_c77_what_cannot_be_drawn_is_told(clause: str) -> None:
    assert codes(f"strategy main():\n    return sample 1 {clause}") == ["TTS308"]


def test_c77_a_thought_has_no_form() -> None:
    assert codes('strategy main():\n    return sample 1 thought one of "a"') == ["TTS308"]


def test_c77_the_clause_of_a_header_gives_way_to_the_calls_own() -> None:
    source = 'strategy main() matching "a":\n    return first of (sample 3 one of "1", "2")'
    outcome = by_executor(compiled(source), world(1), PROBLEM, 1)
    assert len(outcome.candidates) == 3
    assert {each.added for each in outcome.candidates} <= {"1", "2"}


def test_c77_a_judge_replies_in_a_form() -> None:
    source = """judge grade one of "1", "2":
    "Grade {text}"
    read number from 0 to 9
strategy main():
    pool = sample 4 max 4 tokens
    score pool by grade
    return best of pool by grade"""
    outcome = by_executor(compiled(source), world(2), PROBLEM, 2)
    assert outcome.error is None
    assert {each.scores["grade"] for each in outcome.candidates} <= {1.0, 2.0}


@pytest.mark.parametrize(
    ("ability", "clause"),
    [
        (Ability.MATCHING, 'matching "a"'),
        (Ability.MATCHING, 'one of "a", "b"'),
        (Ability.AVOIDING, 'avoiding "a" by 3'),
    ],
)
def test_c77_engines_that_cannot_are_refused_before_anything_is_spent(
    ability: Ability, clause: str
) -> None:
    engine = ScriptedPolicy(["a"])
    engine.lacks = {ability: "cannot: bind another"}
    plan = plan_of(f"return sample 1 {clause}")
    with pytest.raises(BindError, match=r"main\.tts:3: .*cannot: bind another"):
        bind(plan, {"policy": engine}, {})
    bind(plan_of('return sample 1 avoiding "a" by 0'), {"policy": engine}, {})


def test_c77_without_the_library_a_run_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts_runtime.engines.matching.find_spec", lambda _: None)
    plan = plan_of('return sample 1 matching "a"')
    with pytest.raises(BindError, match=r"pip install 'tts-lang\[matching\]'"):
        bind(plan, {"policy": ScriptedPolicy(["a"])}, {})


# ------------------------------------------------------------------------------ C78


def logits_of(words: Sequence[str]) -> list[float]:
    found = list(SIM.model.logits(TOKENS.encode("2 + 2\n"), ()))
    return [found[TOKENS.id(word)] for word in words]


def sampling_of(clause: str) -> Sampling:
    engine = ScriptedPolicy(["x"])
    outcome = run_plan(plan_of(f"return sample 1 {clause}"), engine)
    assert outcome.error is None, outcome.error
    return engine.requests[0].sampling


def test_c78_the_penalty_is_on_the_token_that_begins_the_word_also_behind_a_space() -> None:
    assert sampling_of('avoiding "Wait", "But" by 2.5').penalties == (
        (ord("B"), 2.5),
        (ord("W"), 2.5),
    )
    assert sampling_of('avoiding "Wait" by 0').penalties == ()
    assert sampling_of('avoiding "Wait" by value').penalties == ()  # missing: without it


def test_c78_odds_change_by_the_penalty_and_nothing_else_does() -> None:
    """exp(-3) as many, by the difference of logits at which the token is no longer the largest."""
    a, b = logits_of("ab")
    for nats in (0.0, a - b - 1e-6, a - b + 1e-6, 1e6):
        sampling = Sampling(0.0, penalties=((TOKENS.id("a"), nats),))
        chosen = text_of(drawn("a|b", sampling=sampling))
        assert chosen == ("a" if a - nats > b else "b")


def test_c78_sampled_frequencies_follow_the_penalty() -> None:
    sampling = Sampling(1.0, penalties=((TOKENS.id("a"), 1.0),))
    plain = sum(text_of(drawn("a|b", n)) == "a" for n in range(1000)) / 1000
    less = sum(text_of(drawn("a|b", n, sampling=sampling)) == "a" for n in range(1000)) / 1000
    odds = plain / (1 - plain) * 2.718281828**-1
    assert less == pytest.approx(odds / (1 + odds), abs=0.03)


def test_c78_the_log_probability_is_that_of_the_policy_itself() -> None:
    sampling = Sampling(0.0, penalties=((TOKENS.id("a"), 50.0),))
    penalised, plain = drawn("b|a", sampling=sampling), drawn("b", sampling=Sampling(0.0))
    assert penalised == plain


def test_c78_keys_belong_to_the_way_of_sampling() -> None:
    [one], [two], [same] = (
        keys_of(f"return sample 1 max 3 tokens{clause}")
        for clause in ("", ' avoiding "Wait" by 2', ' avoiding "Wait" by 0')
    )
    assert one != two
    assert one == same


def test_c78_steps_with_a_penalty_are_one_solution_with_it() -> None:
    """Claim 3: the penalty does not depend on where the call begins."""
    clause = ' avoiding "b", "so" by 2'
    [whole] = expanded(f"return sample 1{clause}", seed=4)
    steps = expanded(
        f"pool = sample 1 step{clause}",
        f"repeat 60 until all pool done: pool = expand pool by 1 step{clause}",
        "return pool",
        seed=4,
    )
    assert "".join(each.added for each in steps) == whole.added


def test_c78_a_negative_penalty_is_an_error() -> None:
    assert codes('strategy main():\n    return sample 1 avoiding "a" by -1') == ["TTS302"]
    lines = ("pool = sample 1 step", 'return expand pool by 1 avoiding "a" by 2 - tokens')
    outcome = run_plan(plan_of(*lines), ScriptedPolicy(["abcde\n\nf"]))
    assert "the penalty is -5 for the candidate" in str(outcome.error)
