"""Faults at random in generated programs: problems end, whatever the schedule the same (C64)."""

from __future__ import annotations

from asyncio import Future, get_running_loop
from hashlib import blake2b

from tests.support.agreement import INSTANT, PROBLEMS, World, compiled, latency, world
from tests.support.programs import random_program
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import (
    CandidateError,
    Fault,
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Outcome, bind, execute

#: Of 256 requests, that many fail.
OFTEN = 40


def hit(data: bytes, often: int) -> int:
    """A number from 1 for requests that fail, 0 for the others: a pure function of the request."""
    digest = blake2b(data, digest_size=2).digest()
    return 1 + digest[1] % 4 if digest[0] < often else 0


class FaultyPolicy(PolicyEngine):
    """A simulated policy some of whose replies are filtered."""

    def __init__(self, inner: SimPolicy, often: int) -> None:
        self.inner, self.often = inner, often
        self.binding, self.tokenizer = inner.binding, inner.tokenizer

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """As the inner engine, or filtered."""
        name = repr((request.prompt, request.prefix, request.sampling, request.first_rank)).encode()
        # Greedy requests are one whatever their key (C15).
        name += request.key if request.sampling.temperature else b""
        if hit(name, self.often):
            future: Future[Generation] = get_running_loop().create_future()
            future.set_exception(CandidateError(Fault.FILTERED, "filtered"))
            return future
        return self.inner.generate(request)


class FaultyScorer(ScorerEngine):
    """A simulated scorer with something wrong for some texts: four kinds of wrong."""

    def __init__(self, inner: SimScorer, often: int) -> None:
        self.inner, self.often = inner, often
        self.steps, self.low, self.high = inner.steps, inner.low, inner.high

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """As the inner engine, an error, or a useless reply."""
        kind = hit(request.text.encode(), self.often)
        if kind == 1:
            raise ZeroDivisionError("at once")
        future: Future[ScoreReply] = get_running_loop().create_future()
        if kind == 2:
            future.set_exception(CandidateError(Fault.TOO_LONG, "too long"))
        elif kind == 3:
            future.set_exception(KeyError("later"))
        elif kind == 4:
            future.set_result(ScoreReply((float("nan"),)))
        return future if kind else self.inner.score(request)

    def score_together(self, requests: object) -> Future[object]:  # type: ignore[override]
        """As the inner engine."""
        return self.inner.score_together(requests)  # type: ignore[arg-type, return-value]


def outcome_of(
    plan: Plan, here: World, number: int, speed: Latency, often: int, *, strict: bool = False
) -> Outcome:
    """What a plan gives with faults."""
    policies = {
        name: FaultyPolicy(engine, often) for name, engine in here.policies(plan, speed).items()
    }
    scorers = {
        name: FaultyScorer(engine, often) for name, engine in here.scorers(plan, speed).items()
    }
    bound = bind(plan, policies, scorers, strict=strict)

    async def one() -> Outcome:
        return await execute(bound, PROBLEMS[number % len(PROBLEMS)], number)

    return run_virtual(one())


def test_c64_random_faults_end_no_problem_and_depend_on_no_schedule(program_count: int) -> None:
    failed = missing = 0
    for number in range(max(20, program_count // 2)):
        source = random_program(number)
        plan, here = compiled(source), world(number)
        one = outcome_of(plan, here, number, INSTANT, OFTEN)
        other = outcome_of(plan, here, number, latency(number), OFTEN)
        told = f"in world {number}, in this program:\n{source}"
        assert one.error == other.error, told
        if one.error is not None:
            continue
        assert one.candidates == other.candidates, told
        assert (one.answer, one.row) == (other.answer, other.row), told
        assert one.reliability == other.reliability, told
        found = one.reliability
        failed += sum(found.failed.values())
        missing += sum(sum(each.missing.values()) for each in found.scorers.values())
        bad = [each for each in one.candidates if each.finish == "failed"]
        assert len(bad) == sum(found.failed.values()), told
        assert not any(each.answer or each.logprob is not None for each in bad), told
    assert failed > 10
    assert missing > 10


def test_c64_without_faults_strict_changes_nothing(program_count: int) -> None:
    for number in range(max(10, program_count // 10)):
        source = random_program(number)
        plan, here = compiled(source), world(number)
        strict = outcome_of(plan, here, number, INSTANT, 0, strict=True)
        if strict.error is None:
            lenient = outcome_of(plan, here, number, INSTANT, 0)
            assert lenient.candidates == strict.candidates, source
            assert (lenient.answer, lenient.counts) == (strict.answer, strict.counts), source
            assert lenient.reliability == strict.reliability, source
