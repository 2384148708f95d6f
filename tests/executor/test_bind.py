"""What does not fit is said before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support.runs import plan_of, run_plan, says
from tests.support.scripted import Bytes, ScriptedPolicy, TableScorer
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import Ability, Exactness, PolicyEngine, ScorerEngine
from tts_runtime.engines.python import PythonScorer
from tts_runtime.engines.scorers import ReducedScorer, SimilarityScorer
from tts_runtime.executor import BindError, bind

ORM = "scorer orm per solution from 0 to 1"
SCORED = ("pool = sample 2", "score pool by orm", "return best of pool by orm")


class OneByOne(TableScorer):
    """A scorer that sees one candidate at a time."""

    score_together = ScorerEngine.score_together


def refused(
    plan: Plan,
    policies: Mapping[str, PolicyEngine] | None = None,
    scorers: Mapping[str, ScorerEngine] | None = None,
) -> str:
    """The message with which binding fails."""
    with pytest.raises(BindError) as caught:
        bind(
            plan, {"policy": ScriptedPolicy(["a"])} if policies is None else policies, scorers or {}
        )
    return str(caught.value)


def test_a_missing_policy_names_the_option_and_a_near_name() -> None:
    plan = plan_of("return sample 1 from small", before="policy small")
    message = refused(plan, {"policy": ScriptedPolicy(["a"]), "smal": ScriptedPolicy(["a"])})
    assert "needs a policy `small`: bind one with `--policy small=...`" in message
    assert "did you mean 'smal'?" in message


def test_everything_that_is_missing_is_said_at_once() -> None:
    message = refused(plan_of(*SCORED, before=ORM), {})
    assert message.splitlines() == [
        "strategy `main` needs a policy `policy`: bind one with `--policy policy=...`",
        "strategy `main` needs a scorer `orm`: bind one with `--scorer orm=...`; "
        "a PRM can stand in: `--scorer orm=bundled?reduce=last`",
    ]


def test_c25_thoughts_need_delimiters() -> None:
    message = refused(plan_of("trace = sample 1 thought", "return expand trace by 1"))
    assert message.startswith("main.tts:3: policy `policy` (`scripted`) has no thoughts")
    assert "thinking: {begin: ..., end: ...}" in message


def test_c25_the_delimiter_itself_needs_a_policy_that_has_one() -> None:
    plan = plan_of("p = sample 1", "force end_of_thought into p", "return p")
    assert refused(plan).startswith("main.tts:4: ")


@pytest.mark.parametrize(
    ("declared", "engine", "advice"),
    [
        ("per solution", TableScorer({}, steps=True), "add `?reduce=last` "),
        ("per step", TableScorer({}, steps=False), "declare `scorer orm per solution`"),
        ("per step", PythonScorer(lambda *_: [], "f"), 'with `@tts_runtime.scorer(per="step")`'),
    ],
)
def test_a_scorer_must_score_what_is_declared(
    declared: str, engine: ScorerEngine, advice: str
) -> None:
    by = "orm" if declared == "per solution" else "last(orm)"
    plan = plan_of(*SCORED[:2], f"return best of pool by {by}", before=f"scorer orm {declared}")
    message = refused(plan, scorers={"orm": engine})
    assert f"scorer `orm` is declared {declared}" in message
    assert "but its engine scores per" in message
    assert advice in message
    assert "declare `scorer orm per" in message


def test_together_needs_a_scorer_that_sees_a_pool() -> None:
    plan = plan_of(*SCORED, before="scorer orm together from 0 to 1")
    for blind in (OneByOne({}), ReducedScorer(OneByOne({}, steps=True), "last")):
        assert "one candidate at a time" in refused(plan, scorers={"orm": blind})
    for sees in (TableScorer({}), ReducedScorer(TableScorer({}, steps=True), "last")):
        assert bind(plan, {"policy": ScriptedPolicy(["a"])}, {"orm": sees}).exactness.exact


@pytest.mark.parametrize(
    ("high", "gives", "advice"),
    [
        (None, "from 0 to no limit", "such as `scorer orm per solution from -50 to 50`"),
        (10.0, "from 0 to 10", "declare `scorer orm per solution from 0 to 10`"),
    ],
)
def test_a_scorers_range_must_lie_in_the_declared_one(
    high: float | None, gives: str, advice: str
) -> None:
    wide = TableScorer({})
    wide.high = high
    message = refused(plan_of(*SCORED, before=ORM), scorers={"orm": wide})
    assert f"declared from 0 to 1, but its engine gives numbers {gives}: " in message
    assert message.endswith(advice)


@pytest.mark.parametrize("clause", ["stop when", "end when"])
def test_c27_conditions_need_an_engine_that_streams(clause: str) -> None:
    plan = plan_of(f"return sample 1 {clause} tokens > 3")
    message = refused(plan, lacking(Ability.STREAMING))
    assert message.startswith(f"main.tts:3: `{clause}` needs an engine that streams")


def lacking(*abilities: Ability) -> dict[str, PolicyEngine]:
    """A policy on a server that cannot do some things."""
    engine = ScriptedPolicy(["a"])
    engine.lacks = dict.fromkeys(abilities, "cannot: bind another")
    return {"policy": engine}


@pytest.mark.parametrize(
    ("ability", "lines"),
    [
        (Ability.LOGPROBS, ("p = sample 2", "return best of p by logprob")),
        (Ability.CONFIDENCE, ("p = sample 2", "return best of p by confidence(all)")),
        (Ability.MARGIN, ("p = sample 2", "return best of p by margin(answer)")),
        (Ability.ENTROPY, ("return sample 1 stop when entropy(tail 2) > 1",)),
        (Ability.LIKELIEST, ("return vote (sample 2 likeliest)",)),
        (Ability.AT_LEAST, ("return vote (sample 2 at least 3 tokens)",)),
        (Ability.CONTINUE, ("p = sample 1 step", "return expand p by 1")),
        (Ability.CONTINUE, ("p = problem", 'force "Wait" into p', "return expand p by 1")),
    ],
)
def test_what_an_engine_lacks_is_said_with_the_place(
    ability: Ability, lines: tuple[str, ...]
) -> None:
    plan = plan_of(*lines)
    message = refused(plan, lacking(ability))
    assert message.startswith("main.tts:")
    assert message.endswith("but policy `policy` (`scripted`) cannot: bind another")


def test_fresh_samples_need_no_continuing() -> None:
    plan = plan_of("p = sample 4", "p = p + (sample 1)", "return vote p")
    bind(plan, lacking(*Ability), {})


def test_a_judge_that_reads_a_probability_needs_first_tokens() -> None:
    judge = 'judge yes:\n    "{problem} {text}?"\n    read probability of "Yes"'
    plan = plan_of("p = sample 2", "score p by yes", "return best of p by yes", before=judge)
    message = refused(plan, lacking(Ability.FIRST_TOKENS))
    assert message.startswith("judge `yes`: reading a probability needs the likeliest first tokens")


def other() -> dict[str, PolicyEngine]:
    """Two policies with different tokenizers."""
    return {
        "policy": ScriptedPolicy(["a"]),
        "small": ScriptedPolicy(["b"], tokenizer=Bytes("other")),
    }


@pytest.mark.parametrize(
    "lines",
    [
        ("p = sample 1 step", "p = expand p by 1 from small", "return p"),
        ("p = sample 1 step from small", "repeat 2:", "    p = expand p by 1 step", "return p"),
        (
            "p = sample 1 step",
            "repeat 2:",
            "    p = expand p by 1 step",
            "    p = expand p by 1 step from small",
            "return p",
        ),
        ("p = problem", 'force "x" into p', "return expand p by 1 from small"),
    ],
)
def test_c09_ids_are_not_encoded_again_for_another_tokenizer(lines: tuple[str, ...]) -> None:
    message = refused(plan_of(*lines, before="policy small"), other())
    assert "their tokenizers differ" in message
    assert "`ask` policy" in message


def test_c09_asking_another_policy_and_sampling_from_two_is_fine() -> None:
    plan = plan_of(
        "p = sample 1 from small",
        "q = sample 1",
        "return vote (q + (ask again about p))",
        before='policy small\nprompt again = "{text}"',
    )
    assert run_plan(plan, other()).error is None


def test_engines_that_the_plan_does_not_name_are_ignored() -> None:
    outcome = says(["a"], "return sample 1", scorers={"unused": TableScorer({})})
    assert outcome.counts.scorer_calls == 0


def test_a_run_is_exact_only_if_every_engine_is() -> None:
    engine = ScriptedPolicy(["a"])
    plan = plan_of("return sample 1")
    levels = []
    for exact, same_bits in ((True, True), (True, False), (False, False)):
        engine.exact, engine.same_bits = exact, same_bits
        bound = bind(plan, {"policy": engine}, {})
        assert bound.exactness.exact == exact
        levels.append(bound.exactness)
    assert levels == list(Exactness)


COMPARED = ("pool = sample 2", "score pool by x", "return best of pool by x")


def test_a_missing_pool_scorer_is_named_by_what_fits() -> None:
    message = refused(plan_of(*COMPARED, before="scorer x together from 0 to 1"))
    assert message.endswith("these compare a pool's candidates: similarity, diversity")
    message = refused(plan_of(*COMPARED, before="scorer x together"))
    assert message.endswith("clusters, answer-clusters, similarity, diversity")
    named = [line.replace(" x", " clusters") for line in COMPARED]
    message = refused(plan_of(*named, before="scorer clusters together"))
    assert message.endswith("the shipped one: `--scorer clusters=clusters`")


def test_a_pool_scorer_is_for_pools_only() -> None:
    plan = plan_of(*COMPARED, before="scorer x per solution from 0 to 1")
    message = refused(plan, scorers={"x": SimilarityScorer()})
    assert "declare `scorer x together`" in message
