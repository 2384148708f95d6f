"""What the server itself costs, clients that die, overload, fairness, equal answers, budgets."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.serving.client import HttpReply, Target, chat, kill, server, settled
from benchmarks.serving.served import ServedSetup
from tts_runtime import Problem, Settings, run

CLIENTS = 1000
KILLED = 200
SEARCHES = 8
BUDGET = 40_000


async def _timed(target: Target, model: str, **body: Any) -> float:
    """Seconds that a request takes."""
    begun = monotonic()
    reply = await target.ask(model, **body)
    assert reply.status == 200, reply.body
    return monotonic() - begun


async def overhead() -> bool:
    """1,000 requests in flight: latency less what the session took; memory."""
    good = True
    for name, spread, seconds in (("100 a second", 10.0, 10.0), ("all at once", 0.0, 10.0)):
        async with server(ServedSetup(overhead=seconds)) as target:
            await asyncio.gather(*(target.ask("policy", max_tokens=1) for _ in range(4)))
            before = await settled(target)

            async def one(number: int, step: float, target: Target = target) -> float:
                await asyncio.sleep(number * step)
                return await _timed(target, "policy", max_tokens=1, seed=number)

            tasks = [asyncio.ensure_future(one(i, spread / CLIENTS)) for i in range(CLIENTS)]
            await asyncio.sleep(max(spread, 5.0) + 0.2 * seconds)
            during = await target.get("/state")
            waited = await asyncio.gather(*tasks)
            answers = await target.get("/answers")
            after = await settled(target)
        own = sorted(each - answers[str(number)] for number, each in enumerate(waited))
        held = (during["resident"] - before["resident"]) / max(1, during["requests"])
        print(
            f"overhead, {CLIENTS} requests of {seconds:.0f} s, {name}: p50 "
            f"{own[CLIENTS // 2] * 1000:.1f} ms, p99 {own[CLIENTS * 99 // 100] * 1000:.1f} ms; "
            f"{during['requests']} in flight: {held / 1000:.0f} kB each, "
            f"{during['resident'] / 1e6:.0f} MB in all, {after['resident'] / 1e6:.0f} MB after",
            flush=True,
        )
        good = good and during["requests"] > 0.7 * CLIENTS
    return good


async def kills() -> bool:
    """Clients that are killed at random moments leave nothing."""
    chance = random.Random(1)
    async with server(ServedSetup(overhead=0.2, token=0.01, slots=64, running=256)) as target:

        async def victim(after: float) -> None:
            stream = chance.random() < 0.5
            model = chance.choice(["majority@n=16", "best_of_n@n=8"])
            # Few seeds: what is remembered of texts (answers as processes read them) is full soon.
            request = chat(model, stream=stream, seed=chance.randint(0, 3))
            begun = chance.randint(0, len(request)) if chance.random() < 0.2 else len(request)
            _, writer = await target.connect()
            writer.write(request[:begun])
            await asyncio.sleep(after)
            kill(writer)

        async def wave(count: int) -> dict[str, int]:
            await asyncio.gather(*(victim(chance.random() * 2) for _ in range(count)))
            return await settled(target)

        for _ in range(2):  # what is made once and kept
            await wave(KILLED)
        before = await settled(target)
        after = await wave(KILLED)
        left = {name: after[name] - before[name] for name in ("tasks", "objects", "resident")}
        reply = await target.ask("majority@n=2")
    good = not any(after[name] for name in ("rows", "requests", "engine")) and left["tasks"] <= 0
    good = good and left["objects"] < KILLED // 4
    print(
        f"kills: {KILLED} clients killed; left are {after['rows']} candidates, "
        f"{after['requests']} requests, {after['engine']} engine requests, {left['tasks']} tasks, "
        f"{left['objects']} Python objects, {left['resident'] / 1000:.0f} kB; then "
        f"HTTP {reply.status}",
        flush=True,
    )
    return good and reply.status == 200


async def overload() -> bool:
    """What does not fit is told when to come back, and can."""
    setup = ServedSetup(overhead=0.5, slots=16, running=16, waiting=50)
    async with server(setup) as target:
        replies = await asyncio.gather(*(target.ask("majority@n=4") for _ in range(300)))
        refused = [reply for reply in replies if reply.status == 429]
        served = sum(reply.status == 200 for reply in replies)
        after = sorted(int(reply.headers["retry-after"]) for reply in refused)
        again = await target.ask("majority@n=4")
        state = await settled(target)
    print(
        f"overload: 300 at once, room for 4 and 50 waiting: {served} served, {len(refused)} "
        f"HTTP 429 with Retry-After {after[0]} to {after[-1]} s; then HTTP {again.status}",
        flush=True,
    )
    return served + len(refused) == 300 and again.status == 200 and not state["requests"]


async def fairness() -> bool:
    """A greedy request beside searches that keep the server full."""
    async with server(ServedSetup(overhead=1.0, token=0.01, slots=64)) as target:

        async def mean() -> float:
            found = []
            for _ in range(12):
                found.append(await _timed(target, "greedy", seed=1))
            return sum(found) / len(found)

        alone = await mean()

        async def search() -> None:
            while True:
                await target.ask("best_of_n@n=256")

        searches = [asyncio.ensure_future(search()) for _ in range(SEARCHES)]
        await asyncio.sleep(2)
        beside = await mean()
        for task in searches:
            task.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
        state = await settled(target)
    print(
        f"fairness: greedy takes {alone:.2f} s alone, {beside:.2f} s ({beside / alone:.2f} times) "
        f"beside {SEARCHES} searches with n = 256",
        flush=True,
    )
    return beside < 2 * alone and not state["rows"]


async def equality() -> bool:
    """Answers are those of `tts-run`, twelve at once."""
    problems = [Problem(f"p{number}", f"{number} + 1") for number in range(12)]
    settings = Settings({"policy": "sim"}, {"prm": "sim"}, seeds=7)
    strategies = ["majority", "best_of_n"]
    results = run(strategies, problems, settings=settings, parameters={"n": 8})
    same = 0
    async with server(ServedSetup(token=0.001)) as target:
        for strategy, result in zip(strategies, results, strict=True):
            asked = (
                target.ask(
                    f"{strategy}@n=8",
                    messages=[{"role": "user", "content": problem.text}],
                    tts={"id": problem.id, "seed": 7},
                )
                for problem in problems
            )
            replies = [reply.json() for reply in await asyncio.gather(*asked)]
            for reply, answer in zip(replies, result.answers, strict=True):
                drawn = reply["usage"]["completion_tokens"]
                same += (reply["tts"]["answer"], drawn) == (answer.answer, answer.policy_tokens)
    print(f"equality: {same} of {2 * len(problems)} answers are those of tts-run, twelve at once")
    return same == 2 * len(problems)


async def budget() -> bool:
    """A key's budget under requests at once, some of which break off."""
    chance = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "keys.txt"
        file.write_text(f"sk-benchmark name=b tokens={BUDGET}\n")
        async with server(ServedSetup(token=0.005, keys=str(file))) as target:

            async def one() -> HttpReply | None:
                asking = target.ask("majority@n=4", "sk-benchmark")
                patience = 0.02 if chance.random() < 0.01 else 60.0
                try:
                    return await asyncio.wait_for(asking, patience)
                except TimeoutError:
                    return None

            replies: list[HttpReply | None] = []
            for _ in range(40):
                replies += await asyncio.gather(*(one() for _ in range(25)))
    served = [reply for reply in replies if reply is not None and reply.status == 200]
    refused = sum(reply is not None and reply.status in (403, 429) for reply in replies)
    drawn = sum(reply.json()["usage"]["completion_tokens"] for reply in served)
    print(
        f"budget: {len(replies)} requests, 25 at once, {replies.count(None)} broken off: {drawn:,} "
        f"tokens in {len(served)} answers of a budget of {BUDGET:,}, {refused} refused",
        flush=True,
    )
    return bool(served) and drawn <= BUDGET and refused > 0
