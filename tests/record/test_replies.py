"""Replies of engines are kept as they arrive: a kill loses what was being drawn, nothing else."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from asyncio import Future
from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts_runtime
from tests.support.records import content
from tests.support.server import Fault, sim_server
from tts_runtime.engines.base import (
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Sampling,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.problems import Problem
from tts_runtime.problems.model import Trial
from tts_runtime.record import replies
from tts_runtime.record.reader import open_run
from tts_runtime.record.replies import ReplyLog
from tts_runtime.steps import StepSplit
from tts_runtime.tokens import TextTokenizer

PROBLEMS = [Problem(str(number), f"{number} + {number}", str(2 * number)) for number in range(3)]


class Watching(SimPolicy):
    """A simulated policy that leaves a copy of the directory, as a kill would, on its way.

    Args:
        at: The copy is made after this many replies; what is asked after them waits for it, as the
            log does for a pause. 0: none.
        fails: From this request on it is broken; 0: never.
    """

    def __init__(self, out: Path | None = None, at: int = 0, fails: int = 0) -> None:
        super().__init__()
        self.asked = self.answered = 0
        self._out, self._at, self._fails = out, at, fails
        self._copied = asyncio.Event()

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        self.asked += 1
        if self._fails and self.asked >= self._fails:
            raise EngineError("the policy broke")
        if self._at and self.asked > self._at and not self._copied.is_set():
            return asyncio.get_running_loop().create_task(self._later(request))
        return self._now(request)

    def _now(self, request: GenerateRequest) -> Future[Generation]:
        future = super().generate(request)
        future.add_done_callback(self._done)
        return future

    async def _later(self, request: GenerateRequest) -> Generation:
        await self._copied.wait()
        return await self._now(request)

    def _done(self, future: Future[Generation]) -> None:
        self.answered += not future.cancelled()
        if self._at and self.answered == self._at:
            self._task = asyncio.get_running_loop().create_task(self._copy())

    async def _copy(self) -> None:
        assert self._out is not None
        for _ in range(50):  # scorers reply, and the loop comes to rest
            await asyncio.sleep(0)
        shutil.copytree(self._out, self._out.with_name("killed"))
        self._copied.set()


class Counting(SimScorer):
    """A simulated scorer that counts."""

    asked = 0

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        self.asked += 1
        return super().score(request)

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        self.asked += 1
        return super().score_together(requests)


#: Strategies with requests of all kinds, and their parameters; `watching` looks at every token.
STRATEGIES: dict[str, dict[str, int]] = {
    "majority": {"n": 4},
    "beam_search": {"n": 4, "depth": 3},
    "self_refine": {"rounds": 1},
    "lookahead_search": {"n": 4, "width": 2, "depth": 2},
    "watching.tts": {},
    "pairs.tts": {},
}
SOURCES = {
    "watching.tts": """strategy watching():
    pool = sample 4 stop when tokens >= 5
    pool = expand pool by 2 stop when tokens >= 9
    return best of pool by confidence(lowest 2)
""",
    "pairs.tts": """scorer pair per step together

strategy pairs():
    pool = sample 3
    score pool by pair
    return best of pool by last(pair)
""",
}


def ran(strategies: str | list[str], out: Path, policy: Any, scorer: Any = None) -> list[Any]:
    listed = [strategies] if isinstance(strategies, str) else strategies
    parameters = STRATEGIES[listed[0]] if len(listed) == 1 else {"n": 4}
    for name in set(listed) & SOURCES.keys():
        Path(name).write_text(SOURCES[name])
    scorers = {name: scorer or SimScorer() for name in ("prm", "pair")}
    options = tts_runtime.Settings(policies={"policy": policy}, scorers=scorers, out=out)
    return tts_runtime.run(listed, PROBLEMS, settings=options, parameters=parameters)


def done(reply: Any) -> Future[Any]:
    future: Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(reply)
    return future


async def quiet() -> None:
    """Two turns of the event loop, in the second of which nothing more arrives."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize("strategies", [*STRATEGIES, ["majority", "best_of_n", "greedy"]], ids=str)
def test_a_killed_run_draws_again_only_what_was_being_drawn(
    strategies: str | list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = Watching()
    ran(strategies, tmp_path / "whole", whole, Counting())
    assert not (tmp_path / "whole" / "replies.jsonl").exists()
    at = int(0.6 * whole.answered)
    scorer, again, resumed = Counting(), Counting(), Watching()
    ran(strategies, tmp_path / "run", Watching(tmp_path / "run", at), scorer)
    ran(strategies, tmp_path / "killed", resumed, again)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert resumed.asked <= whole.asked - at
    assert again.asked <= scorer.asked
    assert not (tmp_path / "killed" / "replies.jsonl").exists()


def test_a_problem_that_failed_is_retried_with_the_replies_that_it_has(tmp_path: Path) -> None:
    whole = Watching()
    ran("beam_search", tmp_path / "whole", whole)
    broken = Watching(fails=whole.asked // 2)
    [result] = ran("beam_search", tmp_path / "run", broken)
    assert result.summary.failed
    again = Watching()
    ran("beam_search", tmp_path / "run", again)
    assert again.asked <= whole.asked - broken.answered
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_damaged_replies_are_named_and_drawn_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Watching()
    ran("beam_search", tmp_path / "whole", whole)
    ran("beam_search", tmp_path / "run", Watching(tmp_path / "run", whole.answered // 2))
    path = tmp_path / "killed" / "replies.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0].replace(b"policy", b"Policy") + b"".join(lines[1:])[:-9])
    named = [(each.file, each.line) for each in open_run(tmp_path / "killed").verify()]
    assert named == [("killed/replies.jsonl", 1), ("killed/replies.jsonl", len(lines))]
    ran("beam_search", tmp_path / "killed", Watching())
    assert "what it held is done again" in caplog.text
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_log_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def two_writes() -> None:
        scorer = SimScorer()
        with ReplyLog(tmp_path, "run", {"prm": scorer}, lambda _: False) as log:
            log._file = Path("/dev/full").open("wb")  # noqa: SIM115  (the log closes it)
            for problem in "pq":
                log.of(Trial(problem, 0)).scored(scorer, (), done(()))
                await quiet()

    asyncio.run(two_writes())
    assert caplog.text.count("no space left on device): a kill would now lose") == 1


@pytest.mark.parametrize("style", [{"vllm": True}, {"completions": False, "logprobs": -1}])
def test_what_a_server_has_drawn_is_not_asked_again(style: Any, tmp_path: Path) -> None:
    """Nothing makes a server draw the same again, so what it drew is worth the more."""
    copied = threading.Event()

    def fault(number: int, _body: Any) -> Fault | None:
        if number >= 9 and not copied.is_set():
            copied.set()
            time.sleep(0.2)  # the client waits for this reply, so it writes the others
            shutil.copytree(tmp_path / "run", tmp_path / "killed")
        return None

    with sim_server(**style).running() as server:
        policy = f"openai:{server.url}?concurrency=2" + ("" if "vllm" in style else "&context=256")
        ran("majority", tmp_path / "whole", policy)
        asked = len(server.bodies())
        server.requests.clear()
        server.faults = fault
        ran("majority", tmp_path / "run", policy)
        server.requests.clear()
        ran("majority", tmp_path / "killed", policy)
        assert len(server.bodies()) <= asked - 9 + 2 + 1
        assert content(tmp_path / "killed") == content(tmp_path / "whole")


@given(st.data())
@settings(deadline=None)
def test_generations_are_read_back_as_they_were(data: st.DataObject) -> None:
    """Of any numbers, ids and texts that an engine may give."""
    numbers = st.floats(allow_infinity=True, allow_nan=False) | st.just(0.1)
    engine = SimPolicy()
    if data.draw(st.booleans()):
        engine.tokenizer = TextTokenizer()
        ids = [engine.tokenizer.id(data.draw(st.binary(max_size=4))) for _ in range(3)]
    else:
        ids = data.draw(st.lists(st.integers(2, 30), max_size=4))
    segments = StepSplit((b"before",), b"")
    request = GenerateRequest(
        (1, 2), (3,), bytes(16), Sampling(), Limits(9), segments, None, ("a",)
    )
    logprobs = tuple(data.draw(numbers) for _ in ids)
    for token in ids:
        segments = segments.add(engine.tokenizer.pieces[token], b"\n\n")
    generation = Generation(
        tuple(ids),
        logprobs,
        data.draw(st.sampled_from([Finish.STOP, Finish.END, Finish.LENGTH])),
        segments,
        data.draw(numbers),
        data.draw(st.booleans()),
        data.draw(st.integers(0, 10**9)),
        0,
        {"a": tuple(data.draw(numbers) for _ in ids)},
    )

    async def kept() -> Generation | None:
        with tempfile.TemporaryDirectory() as folder:
            with ReplyLog(Path(folder), "run", {"policy": engine}, lambda _: False) as log:
                log.of(Trial("p", 7)).generated(engine, request, done(generation))
                other = replace(request, key=b"1" * 16)
                log.of(Trial("q", 7)).generated(engine, other, done(generation))
            with ReplyLog(Path(folder), "run", {"policy": engine}, lambda a: a[0] == "q") as log:
                assert log.of(Trial("q", 7)).generation(engine, request) is None
                other = replace(request, limits=Limits(8))
                assert log.of(Trial("p", 7)).generation(engine, other) is None
                return log.of(Trial("p", 7)).generation(engine, request)

    assert asyncio.run(kept()) == generation


@pytest.mark.parametrize("unusual", [(), (nan,), ("no number",), (None,), (None, 1)])
def test_scores_are_read_back_unless_they_are_no_finite_numbers(
    unusual: tuple[Any, ...], tmp_path: Path
) -> None:
    """Those that stand beside them are."""
    scorer, trial = SimScorer(), Trial("p", 0)
    asked = [
        ScoreRequest("p", {}, "text", ("text",), known, digest=bytes([known]) * 16)
        for known in range(4)
    ]
    replies = [
        ScoreReply((0.5,), 9, 2, (3,)),
        ScoreReply(unusual, 9, 2, (4,) * len(unusual)),
        ScoreReply((0.25, 1.0)),
        ScoreReply((0.75,), 9, 2, (5,)),
    ]

    async def kept() -> list[Any]:
        with ReplyLog(tmp_path, "run", {"prm": scorer}, lambda _: False) as log:
            given = log.of(trial)
            for request, reply in zip(asked, replies, strict=True):
                assert request.digest is not None
                given.read(scorer, request.digest, request.known, done(reply))
        with ReplyLog(tmp_path, "run", {"prm": scorer}, lambda _: False) as log:
            return [log.of(trial).scores(scorer, (request,)) for request in asked]

    first, second, third, last = asyncio.run(kept())
    assert (first, third) == ([replace(replies[0], tokens=0)], [replies[2]])
    assert last == [replace(replies[3], tokens=0)]
    readable = all(each is None or each == 1 for each in unusual)
    assert second == ([replace(replies[1], tokens=0)] if readable else None)


def test_the_log_stays_as_small_as_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "_LEAST_WASTE", 2000)
    sizes = []

    async def many() -> None:
        request = ScoreRequest("p", {}, "text", ("text",))
        scorer = SimScorer()
        with ReplyLog(tmp_path, "run", {"prm": scorer}, lambda _: False) as log:
            for problem in map(str, range(200)):
                log.of(Trial(problem, 0)).scored(scorer, (request,), done(ScoreReply((0.5,))))
                await quiet()
                sizes.append((tmp_path / "replies.jsonl").stat().st_size)
                if problem != "7":
                    log.drop(Trial(problem, 0))
        with ReplyLog(tmp_path, "run", {"prm": scorer}, lambda _: False) as log:
            assert log.of(Trial("7", 0)).scores(scorer, (request,)) == [ScoreReply((0.5,))]
            assert log.of(Trial("8", 0)).scores(scorer, (request,)) is None

    asyncio.run(many())
    assert max(sizes) < 3000


def test_what_arrives_without_a_pause_is_written_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A problem that ends before is never written there."""
    request, scorer = ScoreRequest("p", {}, "text", ("text",)), SimScorer()

    async def sizes(seconds: float) -> set[int]:
        monkeypatch.setattr(replies, "_LONGEST_WAIT", seconds)
        found = set()
        with ReplyLog(tmp_path, "run", {"prm": scorer}, lambda _: True) as log:
            kept = log.of(Trial("p", 0))
            for _ in range(20):
                kept.scored(scorer, (request,), done(ScoreReply((0.5,))))
                await asyncio.sleep(0)
                found.add((tmp_path / "replies.jsonl").stat().st_size)
            log.drop(Trial("p", 0))
            await quiet()
            found.add((tmp_path / "replies.jsonl").stat().st_size)
        return found

    assert asyncio.run(sizes(1e9)) == {0}
    assert len(asyncio.run(sizes(0.0))) > 9
