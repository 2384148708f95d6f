"""Replicas on Ray: killed at random, they write what one process writes; how speed grows with them.

    python -m benchmarks.replicas                 # all four, about eight minutes
    python -m benchmarks.replicas --only curve    # kills, nodes, curve, driver

kills: for one, two and four replicas, a run on Ray whose actors are killed (SIGKILL) 20 times, at
random moments. Its directory must equal that of one process: every line, answers, texts, costs.

nodes: a Ray cluster of several nodes, all on this machine (`ray.cluster_utils`). During a run,
nodes are added, and killed with all that runs on them.

curve: up to 64 replicas on the simulated clock, each an engine of 16 slots at 100 tokens a second
per slot. The time of a run is what its engines need, and what they wait for each other.

driver: what the process that grades and writes needs for a problem (processor time, on Ray), and
so how many problems a second it can take, whatever the replicas are.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.support.records import content
from tts_lang.compiler import compile_strategy
from tts_lang.optimise import optimise
from tts_runtime import Problem, Settings, run
from tts_runtime.cluster.replica import Finished, Replica, ReplicaFacts, ReplicaReply, ReplicaSetup
from tts_runtime.cluster.replicas import ReplicaHandle, ReplicaPool, Task
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Work
from tts_runtime.runs.window import default_window

STRATEGIES: Final = ["majority", "best_of_n", "beam_search"]
PARAMETERS: Final = {"n": 4, "depth": 6}
KILLS: Final = 20
#: Seconds between two kills, at most, and after which a run counts as hanging.
_PAUSE: Final = 2.0
_SLOTS: Final = 16


def problems(count: int) -> list[Problem]:
    """Problems without a meaning."""
    return [Problem(f"p{number:04}", f"{number} + 1", "2") for number in range(count)]


# ------------------------------------------------------------------ kills


def actors() -> list[int]:
    """Processes of replicas that this process has started, by way of Ray."""
    parents: dict[int, int] = {}
    named: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            number = int(folder.name)
            parents[number] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (folder / "cmdline").read_bytes().startswith(b"ray::Replica"):
                named.append(number)

    def ours(process: int) -> bool:
        while process > 1 and process != os.getpid():
            process = parents.get(process, 0)
        return process == os.getpid()

    return [process for process in named if ours(process)]


def killer(stop: threading.Event, killed: list[float], seed: int) -> None:
    """Kills replicas at random moments, until enough are dead or the run has ended."""
    chance = random.Random(seed)
    while len(killed) < KILLS and not stop.wait(chance.random() * _PAUSE):
        living = actors()
        if living:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(living), signal.SIGKILL)
                killed.append(time.monotonic())


def kills() -> bool:
    """Runs with kills; whether every directory is that of one process."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base = Settings({"policy": "sim"}, {"prm": "sim"}, concurrency=4)
        chosen = problems(200)
        run(STRATEGIES, chosen, settings=replace(base, out=place / "one"), parameters=PARAMETERS)
        expected = content(place / "one")
        lines = sum(len(each) for name, each in expected.items() if name.endswith(".jsonl"))
        for count in (1, 2, 4):
            stop, killed = threading.Event(), list[float]()
            out = place / f"replicas-{count}"
            thread = threading.Thread(target=killer, args=(stop, killed, count))
            thread.start()
            begun = time.monotonic()
            settings = replace(base, out=out, cluster="ray", replicas=count)
            run(STRATEGIES, chosen, settings=settings, parameters=PARAMETERS)
            stop.set()
            thread.join()
            same = content(out) == expected
            good = good and same and len(killed) == KILLS
            print(
                f"{count} replicas: {len(killed)} kills in {time.monotonic() - begun:.0f} s, "
                f"{lines} lines {'equal' if same else 'DIFFER'}",
                flush=True,
            )
    return good


# ------------------------------------------------------------------ nodes


class _Nodes:
    """Nodes of a Ray cluster, which come and go during a run.

    Of those that may have replicas there are two to four; the head has none.
    """

    def __init__(self, seed: int) -> None:
        from ray.cluster_utils import Cluster

        self._chance = random.Random(seed)
        quiet = {"include_dashboard": False, "object_store_memory": 100 << 20}
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **quiet})
        self._nodes = [self._added() for _ in range(2)]
        self.address: str = self._cluster.address
        self.log: list[str] = []

    def _added(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=100 << 20, wait=False)

    def change(self, run: Future[Any], count: int) -> None:
        """Adds and kills nodes, that many in all, until the run has ended."""
        while len(self.log) < count:
            done, _ = wait((run,), timeout=2 + 4 * self._chance.random())
            if done:
                break
            kill = len(self._nodes) > 3 or (len(self._nodes) > 1 and self._chance.random() < 0.5)
            if kill:
                victim = self._nodes.pop(self._chance.randrange(len(self._nodes)))
                self._cluster.remove_node(victim, allow_graceful=False)
                self.log.append("killed")
                continue
            try:
                self._nodes.append(self._added())
                self.log.append("added")
            except Exception:  # noqa: BLE001  (what Ray raises where a node is slow to start)
                self.log.append("not added in time")

    def close(self) -> None:
        """Ends all nodes."""
        self._cluster.shutdown()


def nodes(runs: int = 3, changes: int = 6) -> bool:
    """Runs on nodes that come and go; whether every directory is that of one process."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    good = True
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base = Settings({"policy": "sim"}, {"prm": "sim"}, concurrency=4)
        chosen = problems(300)
        run(STRATEGIES, chosen, settings=replace(base, out=place / "one"), parameters=PARAMETERS)
        expected = content(place / "one")
        for number in range(runs):
            cluster = _Nodes(number)
            os.environ["RAY_ADDRESS"] = cluster.address
            settings = replace(base, out=place / f"{number}", cluster="ray", replicas=4)
            begun = time.monotonic()
            # Ray starts nodes from the main thread only, so the run has another.
            with ThreadPoolExecutor(1) as threads:
                ran = threads.submit(
                    run, STRATEGIES, chosen, settings=settings, parameters=PARAMETERS
                )
                cluster.change(ran, changes)
                ran.result()
            cluster.close()
            del os.environ["RAY_ADDRESS"]
            same = content(place / f"{number}") == expected
            good = good and same and "killed" in cluster.log
            print(
                f"nodes {', '.join(cluster.log)} in {time.monotonic() - begun:.0f} s: "
                f"{'equal' if same else 'DIFFERENT'}",
                flush=True,
            )
    return good


# ------------------------------------------------------------------ curve


class _Here(ReplicaHandle):
    """A replica in this process, on the simulated clock."""

    def __init__(self) -> None:
        latency = Latency(token=0.01, slots=_SLOTS)
        policy, scorer = SimPolicy(latency=latency), SimScorer(latency=Latency(token=0.0))
        self._engines = {"policy": policy}, {"prm": scorer}
        self._replica = Replica()

    def _own(self, setup: ReplicaSetup) -> ReplicaSetup:
        return replace(setup, policies=self._engines[0], scorers=self._engines[1])

    async def open(self, setup: ReplicaSetup) -> ReplicaFacts:
        return await self._replica.open(self._own(setup))

    async def answer(
        self, setup: ReplicaSetup, problem: Problem, seed: int, places: Collection[int]
    ) -> ReplicaReply:
        return await self._replica.answer(self._own(setup), problem, seed, places)

    async def end(self) -> None:
        await self._replica.close()


def simulated(strategy: str, count: int, chosen: list[Problem]) -> tuple[float, int]:
    """Seconds of the simulated clock that a run takes, and the tokens that it draws."""
    plan = optimise(compile_strategy(strategy, settings={"n": 16})).plan
    setup = ReplicaSetup([plan], {}, {}, (), 0.0, False, None, False)

    async def ran() -> tuple[float, int]:
        work = Work()
        async with ReplicaPool(_Here, count) as pool:
            ready = await pool.prepare(setup)

            async def finished(_: Finished) -> None:
                """Nothing is graded or written here."""

            tasks = [Task(problem, 0, (0,)) for problem in chosen]
            window = default_window([plan], ready.policies.values())
            begun = asyncio.get_running_loop().time()
            await ready.run(tasks, finished, window=window, work=work)
            return asyncio.get_running_loop().time() - begun, work.policy_tokens

    return run_virtual(ran())


def curve(count: int) -> None:
    """Prints throughput over replicas."""
    chosen = problems(count)
    for strategy in ("majority", "beam_search"):
        first = 0.0
        print(f"{strategy}, n = 16, {count} problems; {_SLOTS} slots a replica")
        for replicas in (1, 2, 4, 8, 16, 32, 64):
            seconds, tokens = simulated(strategy, replicas, chosen)
            first = first or seconds
            busy = tokens * 0.01 / (_SLOTS * replicas * seconds)
            print(
                f"  {replicas:3} replicas {seconds:8.1f} s {count / seconds:8.2f} problems/s "
                f"{first / seconds:6.1f} times one, slots busy {busy:.0%}",
                flush=True,
            )


# ------------------------------------------------------------------ driver


def driver() -> None:
    """Prints what the driver needs for a problem."""
    chosen = problems(1000)
    for strategy, parameters in (("greedy", {}), ("majority", {"n": 16})):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(
                {"policy": "sim"}, out=Path(folder) / "x", cluster="ray", replicas=2
            )
            run(strategy, chosen[:10], settings=settings, parameters=parameters)
            begun = time.process_time()
            run(strategy, chosen, settings=settings, parameters=parameters)
            each = (time.process_time() - begun) / (len(chosen) - 10)
        print(f"{strategy}: {each * 1000:.1f} ms a problem, at most {1 / each:,.0f} problems/s")


def main() -> int:
    """Runs the parts; the exit code says whether all directories were equal."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", choices=("kills", "nodes", "curve", "driver"))
    options.add_argument("--problems", type=int, default=256, help="of the curve (256)")
    chosen = options.parse_args()
    logging.getLogger("tts_runtime").setLevel(logging.ERROR)
    good = True
    if chosen.only in (None, "kills"):
        good = kills()
    if chosen.only in (None, "nodes"):
        good = nodes() and good
    if chosen.only in (None, "curve"):
        curve(chosen.problems)
    if chosen.only in (None, "driver"):
        driver()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
