"""What a run stops generating changes no answer: generated programs, votes, random arrivals."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.agreement import PROBLEMS, compiled, latency, world
from tests.support.programs import programs, random_program
from tts_lang.plan.graph import Plan
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, bind, execute

HEAD = "scorer orm per solution\n"

POOLS = (
    ("pool = sample {n}",),
    ("pool = sample {n} steps", "pool = expand pool by 1"),
    ("pool = sample {n} steps", "pool = (expand pool by 2) where done"),
    ("pool = sample {n}", "score pool by orm", "score pool by prm"),
    ("pool = fork problem into 2", "pool = expand pool by {n}", "pool = pool where has(answer)"),
)
ANSWERS = (
    "return vote pool",
    "return vote pool weighted by orm",
    "return vote pool weighted by min(prm) * orm + 0.25",
    "return vote pool weighted by 2 if last(prm) > 0.5 else exp(logprob)",
    "return first of (pool where has(answer))",
    "return vote (first 3 of (pool where tokens > 5))",
)


@st.composite
def votes(draw: st.DrawFn) -> str:
    """Programs that end with something that may be over early."""
    lines = [line.format(n=draw(st.integers(1, 9))) for line in draw(st.sampled_from(POOLS))]
    answer = draw(st.sampled_from(ANSWERS))
    lines += [f"score pool by {name}" for name in ("orm", "prm") if name in answer]
    body = "".join(f"    {line}\n" for line in [*lines, answer])
    if draw(st.booleans()):
        return HEAD + f"strategy inner():\n{body}strategy main():\n    return inner()\n"
    return HEAD + f"strategy main():\n{body}"


def run(plan: Plan, number: int, arrival: int, *passes: str) -> Outcome:
    """The outcome in a world, with replies in one of many orders."""
    here, speed = world(number), latency(arrival)
    bound = bind(plan, here.policies(plan, speed), here.scorers(plan, speed), passes)
    problem = PROBLEMS[number % len(PROBLEMS)]
    return run_virtual(execute(bound, problem, number))


def compare(source: str, number: int, arrival: int) -> int:
    """Checks one program; how many tokens fewer it drew."""
    plan = compiled(source)
    everything = run(plan, number, arrival)
    less = run(plan, number, arrival, *PASSES)
    if everything.error is not None:
        return 0  # what is not made cannot fail (C57)
    assert less.error is None, less.error
    assert less.answer_key == everything.answer_key, source
    other = run(plan, number, arrival + 1, *PASSES)
    assert (less.answer, less.answer_key) == (other.answer, other.answer_key), source
    assert less.counts.policy_tokens <= everything.counts.policy_tokens
    return everything.counts.policy_tokens - less.counts.policy_tokens


def test_c45_c58_answers_do_not_depend_on_what_is_left_out(program_count: int) -> None:
    saved: list[int] = []

    @settings(
        max_examples=max(50, program_count // 4),
        deadline=None,
        derandomize=True,
        suppress_health_check=(HealthCheck.too_slow,),
    )
    @given(source=votes(), number=st.integers(0, 99), arrival=st.integers(0, 99))
    def same(source: str, number: int, arrival: int) -> None:
        saved.append(compare(source, number, arrival))

    same()
    assert sum(tokens > 0 for tokens in saved) > 3


def test_c45_c58_generated_programs_answer_the_same(program_count: int) -> None:
    for number in range(program_count // 6):
        compare(random_program(number), number, number)

    @settings(
        max_examples=max(1, program_count // 10),
        deadline=None,
        derandomize=True,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    @given(source=programs(), number=st.integers(0, 999))
    def same(source: str, number: int) -> None:
        compare(source, number, number)

    same()
