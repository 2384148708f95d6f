"""Replicas: whatever dies when, a run directory is that of one process."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.records import content
from tts_runtime import Problem, Session, Settings, arun, run
from tts_runtime.cluster import ray_cluster
from tts_runtime.cluster.ray_cluster import ClusterAddress
from tts_runtime.cluster.replica import Replica, ReplicaFacts, ReplicaReply, ReplicaSetup
from tts_runtime.cluster.replicas import ReplicaHandle, ReplicaLostError, ReplicaPool
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Work
from tts_runtime.record.files import read_manifest

SIM = Settings({"policy": "sim"}, {"prm": "sim"}, analyze=True)
PROBLEMS = [Problem(str(number), f"{number} + 1", "2", {"level": number}) for number in range(8)]


class Here(ReplicaHandle):
    """A replica in this process; `die` makes it fail as one does whose machine is gone."""

    def __init__(self, *, joins: bool = True) -> None:
        self._replica = Replica()
        self._joins = joins
        self._dead: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = False
        self.answered = 0

    def die(self) -> None:
        if not self._dead.done():
            self._dead.set_result(None)

    async def open(self, setup: ReplicaSetup) -> ReplicaFacts:
        if not self._joins:
            await asyncio.Event().wait()
        await asyncio.sleep(0.02)
        if self._dead.done():
            raise ReplicaLostError("killed while it opened its engines")
        return await self._replica.open(setup)

    async def answer(
        self, setup: ReplicaSetup, problem: Problem, seed: int, places: Collection[int]
    ) -> ReplicaReply:
        self.answered += 1
        asking = asyncio.ensure_future(self._replica.answer(setup, problem, seed, places))
        await asyncio.wait((asking, self._dead), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        if self._dead.done():
            asking.cancel()
            raise ReplicaLostError("killed")
        return asking.result()

    async def end(self) -> None:
        self.ended = True


Began = Callable[[Here, int], None]


def cluster(
    monkeypatch: pytest.MonkeyPatch, began: Began = lambda *_: None, joining: int = 1 << 20
) -> list[Here]:
    """Replicas are in this process; `began` is told of each; the first `joining` ones join."""
    started: list[Here] = []

    @asynccontextmanager
    async def here(_: ClusterAddress, count: int) -> AsyncIterator[ReplicaPool]:
        def start() -> Here:
            started.append(Here(joins=len(started) < joining))
            began(started[-1], len(started))
            return started[-1]

        async with ReplicaPool(start, count) as replicas:
            yield replicas

    monkeypatch.setattr(ray_cluster, "on_ray", here)
    return started


def settings(out: Path | None = None, cluster: str | None = None, replicas: int = 1) -> Settings:
    return Settings(
        SIM.policies,
        SIM.scorers,
        out=out,
        cluster=cluster,
        replicas=replicas,
        concurrency=2,
        seeds=range(2),
        keep=("ids",),
    )


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_twenty_deaths_give_the_directory_of_one_process(
    replicas: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategies = ["majority", "best_of_n", "beam_search"]
    parameters = {"n": 4, "depth": 3}
    chance = Random(replicas)

    def began(handle: Here, number: int) -> None:
        if number <= 20:
            delay = 0.01 if number % 4 == 0 else chance.random() * 0.4
            asyncio.get_running_loop().call_later(delay, handle.die)

    started = cluster(monkeypatch, began)
    alone = settings(tmp_path / "alone")
    expected = run_virtual(arun(strategies, PROBLEMS, settings=alone, parameters=parameters))
    spread = settings(tmp_path / "spread", "ray", replicas)
    found = run_virtual(arun(strategies, PROBLEMS, settings=spread, parameters=parameters))
    assert len(started) == replicas + 20
    assert all(handle.ended for handle in started)
    assert content(tmp_path / "spread") == content(tmp_path / "alone")
    engines = [read_manifest(tmp_path / name).engines for name in ("spread", "alone")]
    assert engines[0] == engines[1]
    for one, other in zip(expected, found, strict=True):
        assert one.answers == other.answers
    # Half a directory is continued, by whichever way.
    again = run(strategies, PROBLEMS, settings=alone, parameters=parameters)
    assert [each.answers for each in again] == [each.answers for each in found]


def test_a_run_without_a_directory_counts_and_gives_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster(monkeypatch)
    [alone] = run_virtual(arun("best_of_n", PROBLEMS[:4], settings=SIM))
    elsewhere = Settings(SIM.policies, SIM.scorers, analyze=True, cluster="ray", replicas=2)
    [result] = run_virtual(arun("best_of_n", PROBLEMS[:4], settings=elsewhere))
    assert result.answers == alone.answers
    assert result.op_stats is not None
    assert alone.op_stats is not None
    assert result.op_stats.operations == alone.op_stats.operations
    assert result.work.policy_tokens == alone.work.policy_tokens > 0


def test_replicas_that_never_join_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    started = cluster(monkeypatch, joining=1)
    settled = settings(cluster="ray", replicas=3)
    [result] = run_virtual(arun("majority", PROBLEMS, settings=settled))
    assert len(result.answers) == 2 * len(PROBLEMS)
    assert len(started) == 3
    assert all(handle.ended for handle in started)


def test_replicas_that_die_again_and_again_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    started = cluster(monkeypatch, lambda handle, _: handle.die())
    with pytest.raises(EngineError, match="10 replicas have died in a row"):
        run_virtual(arun("majority", PROBLEMS, settings=settings(cluster="ray", replicas=2)))
    assert all(handle.ended for handle in started)


def test_an_engine_that_cannot_be_opened_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster(monkeypatch)
    nobody = {"policy": "openai:http://127.0.0.1:9/v1#m?patience=0"}
    elsewhere = Settings(nobody, cluster="ray", replicas=2)
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9"):
        run("majority", PROBLEMS, settings=elsewhere)


def test_a_session_answers_and_runs_on_replicas_that_stay_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = cluster(monkeypatch)

    async def on(where: str | None) -> list[Any]:
        found: list[Any] = []
        async with Session(
            SIM.policies, SIM.scorers, cluster=where, replicas=2 if where else None
        ) as session:
            asking = [
                session.answer(name, problem, seed=3, n=3)
                for problem in PROBLEMS
                for name in ("majority", "best_of_n")
            ]
            for each in await asyncio.gather(*asking):
                nodes = sorted(each.trace.nodes)
                texts = [solution.text for solution in each.candidates]
                usage = replace(each.usage, engines=Work())
                found.append((each.text, each.answer, each.correct, usage, nodes, texts))
                found.append(each.trace.decisions)
            for strategy in ("majority", "greedy"):
                [result] = await session.run(strategy, PROBLEMS, seeds=range(2))
                found.append(result.answers)
            if where:
                with pytest.raises(ValueError, match="other processes"):
                    await session.answer("majority", "1 + 1", subscribe=lambda _: None)
        return found

    alone = run_virtual(on(None))
    assert run_virtual(on("ray")) == alone
    assert len(started) == 2
    assert all(handle.ended and handle.answered > 10 for handle in started)


def test_a_session_survives_deaths_between_and_during_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = cluster(monkeypatch)

    async def answered() -> list[str]:
        async with Session(SIM.policies, SIM.scorers, cluster="ray", replicas=2) as session:
            first = await session.answer("majority", "1 + 1", n=3)
            for handle in started:
                handle.die()
            asking = [session.answer("best_of_n", "1 + 1", n=3, seed=seed) for seed in range(6)]
            asyncio.get_running_loop().call_later(0.05, lambda: started[-1].die())
            again = await session.answer("majority", "1 + 1", n=3)
            assert again.text == first.text
            return [each.text for each in await asyncio.gather(*asking)]

    async def alone() -> list[str]:
        async with Session(SIM.policies, SIM.scorers) as session:
            return [
                (await session.answer("best_of_n", "1 + 1", n=3, seed=seed)).text
                for seed in range(6)
            ]

    assert run_virtual(answered()) == run_virtual(alone())
    assert len(started) > 3
    assert all(handle.ended for handle in started)


def test_open_engines_belong_to_this_process() -> None:
    from tts_runtime.engines.sim.engines import SimPolicy

    with pytest.raises(EngineError, match="give its name"):
        run("majority", PROBLEMS, settings=Settings({"policy": SimPolicy()}, cluster="ray"))
    with pytest.raises(ValueError, match="at least 1"):
        Settings(replicas=0)


def test_addresses() -> None:
    assert ClusterAddress.parse("ray") == ClusterAddress(None)
    assert ClusterAddress.parse("ray://h:10001?gpus=1&cpus=4") == ClusterAddress(
        "ray://h:10001", 4.0, 1.0
    )


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs tts-lang[ray]")
def test_ray_gives_what_one_process_gives(tmp_path: Path) -> None:
    alone, spread = settings(tmp_path / "alone"), settings(tmp_path / "spread", "ray", 2)
    run("best_of_n", PROBLEMS, settings=alone, parameters={"n": 2})
    run("best_of_n", PROBLEMS, settings=spread, parameters={"n": 2})
    assert content(tmp_path / "spread") == content(tmp_path / "alone")


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    class Absent:
        @staticmethod
        def init(**_: object) -> None:
            raise ConnectionError("ray client connection timeout\nmore")

    with pytest.raises(EngineError, match=r"no cluster at this machine: ray client connection t"):
        ray_cluster._connect(Absent, ClusterAddress.parse("ray"), 1)
    with pytest.raises(EngineError, match=r"no cluster at ray://127\.0\.0\.1:1: .*refused"):
        ray_cluster._connect(Absent, ClusterAddress.parse("ray://127.0.0.1:1"), 1)
