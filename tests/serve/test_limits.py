"""Who may ask how much: keys, budgets, admission, deadlines, clients that leave."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.serve.conftest import Served, serving
from tts_lang.explain.budget import OverBudget
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.runs.limits import CostLimits
from tts_runtime.serve.admission import Admission
from tts_runtime.serve.catalogue import Catalogue
from tts_runtime.serve.errors import ApiError
from tts_runtime.serve.keys import Allowance, ApiKey, KeyFileError, read_keys

SLOW = Latency(overhead=30.0, token=0.0)


async def until(served: Served, waiting: int, running: int) -> None:
    """Waits until this many requests run, and this many wait."""
    for _ in range(2000):
        admission = served.service.admission
        if (admission.waiting, admission.running) == (waiting, running):
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{admission.waiting} wait, {admission.running} run")


async def _hold(admission: Admission) -> None:
    """Room of somebody else's, until it is cancelled."""
    async with admission.room("other", 3):
        await asyncio.Event().wait()


def test_a_plan_that_may_cost_more_than_allowed_is_refused_with_its_bound() -> None:
    async def asked() -> None:
        async with serving() as served:
            budget = {"budget": {"tokens": 750}}
            assert (await served.chat(model="majority@n=2", tts=budget)).status_code == 200
            before = served.policy.counts.submitted
            refused = await served.chat(model="majority@n=3", tts=budget)
            assert refused.status_code == 400
            error = refused.json()["error"]
            assert error["code"] == "over_budget"
            assert "768" in error["message"]
            assert served.policy.counts.submitted == before

    asyncio.run(asked())


class Wide(SimPolicy):
    """A simulated policy with a large context window, which it fills."""

    def __init__(self) -> None:
        super().__init__()
        self.binding = self.binding.model_copy(update={"context": 32_768})


def test_bounds_are_those_of_the_engines_that_are_open() -> None:
    """Not those of the window that is assumed before: none would hold."""

    async def asked() -> None:
        async with serving(policy=Wide()) as served:
            listed = (await served.http.get("/v1/models")).json()["data"]
            assert [each["tts"]["bounds"]["tokens"] for each in listed][::2] == [524_288, 32_768]
            chosen = await served.chat(model="majority@n=2", tts={"budget": {"tokens": 60_000}})
            assert "65,536" in chosen.json()["error"]["message"]

    asyncio.run(asked())
    catalogue = Catalogue(["greedy"], {}, CostLimits((("tokens", 5_000.0),)))
    with pytest.raises(OverBudget, match=r"32,768 tokens .*the context window here is 32,768"):
        catalogue.open_on({"policy": Wide()})


def test_a_deadline_gives_the_best_solution_so_far_and_says_so() -> None:
    times = Latency(slots=1, token=0.02)

    async def asked() -> None:
        async with serving(latency=times) as served:
            tts = {"budget": {"seconds": 0.8}}
            reply = (await served.chat(model="majority@n=500", tts=tts, seed=1)).json()
            assert reply["tts"]["partial"] is True
            assert reply["choices"][0]["finish_reason"] == "length"
            usage = reply["usage"]
            assert usage["completion_tokens"] > 0
            whole = (await served.chat(model="majority@n=1")).json()["usage"]
            assert usage["prompt_tokens"] == whole["prompt_tokens"] > 0
            late = await served.chat(model="majority@n=500", tts={"budget": {"seconds": 0.001}})
            assert late.status_code == 504
            assert late.json()["error"]["code"] == "deadline_exceeded"
            await asyncio.sleep(0)
            assert served.idle()

    asyncio.run(asked())


def test_a_deadline_that_passes_in_the_queue_says_so() -> None:
    async def asked() -> None:
        async with serving(latency=SLOW, running=8) as served:
            running = asyncio.ensure_future(served.chat(model="majority@n=8"))
            await until(served, 0, 1)
            late = await served.chat(model="majority@n=8", tts={"budget": {"seconds": 0.01}})
            assert late.status_code == 504
            assert late.json()["error"]["message"].endswith("the request's turn")
            tts = {"budget": {"seconds": 0.3}}
            waiting = asyncio.ensure_future(served.chat(model="majority@n=8", tts=tts))
            await until(served, 1, 1)
            served.service.admission.open = False  # the server drains, but has not ended
            assert (await waiting).json()["error"]["code"] == "deadline_exceeded"
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await until(served, 0, 0)

    asyncio.run(asked())


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_all_that_it_holds(stream: bool) -> None:
    async def asked() -> None:
        async with serving(latency=SLOW, running=8) as served:
            tasks = [
                asyncio.ensure_future(served.chat(model="majority@n=4", stream=stream))
                for _ in range(5)
            ]
            await until(served, 3, 2)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await until(served, 0, 0)
            await asyncio.sleep(0)
            assert served.idle()

    asyncio.run(asked())


def test_overload_is_told_when_to_come_back() -> None:
    async def asked() -> None:
        async with serving(latency=SLOW, running=3, waiting=2) as served:
            tasks = [asyncio.ensure_future(served.chat(model="majority@n=3")) for _ in range(3)]
            await until(served, 2, 1)
            refused = await served.chat(model="majority@n=3")
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["type"] == "rate_limit_error"
            streamed = await served.chat(model="majority@n=3", stream=True)
            assert streamed.status_code == 429
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await until(served, 0, 0)
            served.policy._server._latency = Latency(token=0.0)  # it recovers
            assert (await served.chat(model="majority@n=3")).status_code == 200

    asyncio.run(asked())


def test_an_ending_server_lets_requests_end_and_takes_no_more() -> None:
    async def asked() -> None:
        async with serving(latency=Latency(overhead=0.1, token=0.0)) as served:
            running = asyncio.ensure_future(served.chat())
            await until(served, 0, 1)
            assert (await served.http.get("/ready")).status_code == 200
            served.service.admission.open = False
            assert (await served.http.get("/ready")).status_code == 503
            assert (await served.http.get("/health")).status_code == 200
            refused = await served.chat()
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            assert (await running).status_code == 200

    asyncio.run(asked())


def test_small_requests_and_other_keys_pass_large_ones() -> None:
    async def order(asked: list[tuple[str, int]]) -> list[int]:
        admission = Admission(8, 100)
        turns: list[int] = []
        release = asyncio.Event()

        async def holder() -> None:
            async with admission.room("first", 8):
                await release.wait()

        async def one(number: int, key: str, rows: int) -> None:
            async with admission.room(key, rows):
                turns.append(number)
                await asyncio.sleep(0)

        holding = asyncio.ensure_future(holder())
        await asyncio.sleep(0)
        tasks = []
        for number, (key, rows) in enumerate(asked):
            tasks.append(asyncio.ensure_future(one(number, key, rows)))
            await asyncio.sleep(0)
        release.set()
        await asyncio.gather(holding, *tasks)
        assert (admission.rows, admission.running, admission.waiting) == (0, 0, 0)
        return turns

    # Ten large ones wait; a small one goes second.
    assert asyncio.run(order([("a", 8)] * 10 + [("a", 1)])).index(10) <= 1
    # One key asks ten times; another key's request does not wait for all of them.
    assert asyncio.run(order([("a", 8)] * 10 + [("b", 8)])).index(10) <= 1
    # Among equals, first come first served.
    assert asyncio.run(order([("a", 8)] * 5)) == [0, 1, 2, 3, 4]


def test_small_requests_have_room_on_top_of_searches() -> None:
    async def asked() -> None:
        admission = Admission(64, 100)
        sizes = (64, 64, 5, 4, 1, 4)
        ends = [asyncio.Event() for _ in sizes]
        entered: list[int] = []

        async def one(rows: int, end: asyncio.Event) -> None:
            async with admission.room("a", rows):
                entered.append(rows)
                await end.wait()

        tasks = [asyncio.ensure_future(one(*each)) for each in zip(sizes, ends, strict=True)]
        for _ in range(5):
            await asyncio.sleep(0)
        # Small is up to 4 of 64, and 8 in all have room on top: the last one waits.
        assert entered == [64, 4, 1]
        assert (admission.rows, admission.waiting) == (69, 3)
        ends[3].set()  # the small one that waits may have its room, whatever waits before it
        for _ in range(5):
            await asyncio.sleep(0)
        assert entered == [64, 4, 1, 4]
        assert (admission.rows, admission.waiting) == (69, 2)
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        assert sorted(entered) == [1, 4, 4, 5, 64, 64]
        assert (admission.rows, admission.running, admission.waiting) == (0, 0, 0)

    asyncio.run(asked())


def test_when_to_come_back_follows_what_requests_took(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.0
    monkeypatch.setattr("tts_runtime.serve.admission.monotonic", lambda: seconds)

    async def asked() -> list[int]:
        nonlocal seconds
        after = []
        admission = Admission(3, 10)
        for took in (101, 11, 11):
            async with admission.room("other", 3):
                waiting = [asyncio.ensure_future(_hold(admission)) for _ in range(3)]
                await asyncio.sleep(0)
                after.append(admission.retry_after())
                for each in waiting:
                    each.cancel()
                await asyncio.wait(waiting)
                seconds += took
        return after

    # The mean of the time that requests take is 1 s, then 11 s: three of them wait for one.
    assert asyncio.run(asked()) == [3, 33, 33]


def test_room_is_kept_through_any_cancellation() -> None:
    async def stormy(seed: int) -> None:
        from random import Random

        chance = Random(seed)
        admission = Admission(32, 1000)
        most = 0

        async def one() -> None:
            nonlocal most
            async with admission.room(chance.choice("abc"), chance.randint(1, 44)):
                most = max(most, admission.rows)
                for _ in range(chance.randint(0, 4)):
                    await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(one()) for _ in range(60)]
        while not all(task.done() for task in tasks):
            chance.choice(tasks).cancel()
            await asyncio.sleep(0)
        assert 32 <= most <= 36
        assert (admission.rows, admission.running, admission.waiting) == (0, 0, 0)

    for seed in range(20):
        asyncio.run(stormy(seed))


# ------------------------------------------------------------------------------ keys


def test_a_key_has_a_rate_a_concurrency_and_a_budget(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(
        "# who may ask\nsk-alice-1 name=alice concurrency=1\nsk-bob-0001 tokens=2500  # bob\n"
        "sk-carol-1 rate=2/min\n"
    )

    async def asked() -> None:
        async with serving(keys=read_keys(file)) as served:
            assert (await served.chat()).status_code == 401
            assert (await served.http.get("/v1/models")).status_code == 401

            def by(key: str) -> None:
                served.http.headers["authorization"] = f"Bearer {key}"

            by("sk-nobody-1")
            assert (await served.chat()).status_code == 401
            by("sk-alice-1")
            codes = [each.status_code for each in await asyncio.gather(*[served.chat()] * 1)]
            two = await asyncio.gather(served.chat(), served.chat())
            codes += sorted(each.status_code for each in two)
            assert codes == [200, 200, 429]
            by("sk-bob-0001")
            spent, refusals = 0, 0
            for _ in range(200):
                reply = await served.chat(model="majority@n=1")
                if reply.status_code != 200:
                    refusals += 1
                    assert reply.json()["error"]["code"] == "over_budget"
                    break
                spent += reply.json()["usage"]["completion_tokens"]
            assert refusals
            assert 2500 - 256 < spent <= 2500
            by("sk-carol-1")
            codes = [(await served.chat()).status_code for _ in range(3)]
            assert codes == [200, 200, 429]

    asyncio.run(asked())


def test_a_rate_fills_up_again_to_one_period() -> None:
    now = [0.0]
    key = ApiKey("k", rate=Allowance(2, 60), clock=lambda: now[0])

    def refused_after(requests: int) -> str:
        for _ in range(requests):
            with key.request(None):
                pass
        with pytest.raises(ApiError, match="too many requests") as caught, key.request(None):
            pass
        return caught.value.headers["Retry-After"]

    assert refused_after(2) == "30"
    now[0] = 18.0
    assert refused_after(0) == "12"
    now[0] = 30.0
    assert refused_after(1) == "30"
    now[0] = 3600.0
    assert refused_after(2) == "30"


def test_a_budget_is_not_exceeded_by_requests_at_once_and_comes_back() -> None:
    now = [0.0]
    key = ApiKey("k", tokens=Allowance(100, 3600), clock=lambda: now[0])
    with key.request(60) as paid:
        with pytest.raises(ApiError, match="40 left") as caught, key.request(60):
            pass
        assert caught.value.headers["Retry-After"] == "3600"
        with pytest.raises(ApiError, match="nothing bounds"), key.request(None):
            pass
        paid(10)
    for bound, status in ((100, 429), (101, 403)):  # the one fits the next hour, the other none
        with pytest.raises(ApiError, match="90 left") as caught, key.request(bound):
            pass
        assert caught.value.status == status
    with key.request(90):
        pass  # it broke off: nobody knows what it drew
    with pytest.raises(ApiError, match="0 left"), key.request(1):
        pass
    now[0] = 3600.0
    with key.request(100):
        pass


def test_a_request_that_never_began_costs_nothing(tmp_path: Path) -> None:
    """And one that breaks off later costs its bound: the budget is that of one request."""
    file = tmp_path / "keys.txt"
    file.write_text("sk-alice-1 tokens=768\n")

    async def asked() -> None:
        async with serving(keys=read_keys(file), latency=SLOW, running=3, waiting=1) as served:
            served.http.headers["authorization"] = "Bearer sk-alice-1"
            admission = served.service.admission
            for stream in (False, True):
                assert (await served.chat("x " * 9000, stream=stream)).status_code == 400
                async with admission.room("other", 3):
                    late = await served.chat(stream=stream, tts={"budget": {"seconds": 0.001}})
                    assert late.status_code == 504
                    leaves = asyncio.ensure_future(served.chat(stream=stream))
                    await until(served, 1, 1)
                    leaves.cancel()
                    await asyncio.gather(leaves, return_exceptions=True)
                    await until(served, 0, 1)
                    waits = asyncio.ensure_future(_hold(admission))
                    await until(served, 1, 1)
                    assert (await served.chat(stream=stream)).status_code == 429
                    waits.cancel()
                    await asyncio.gather(waits, return_exceptions=True)
                admission.open = False
                assert (await served.chat(stream=stream)).status_code == 503
                admission.open = True
            breaks_off = asyncio.ensure_future(served.chat())
            while not served.policy.counts.submitted:
                await asyncio.sleep(0)
            breaks_off.cancel()
            await asyncio.gather(breaks_off, return_exceptions=True)
            await until(served, 0, 0)
            refused = (await served.chat(model="majority@n=1")).json()
            assert "the key has 0 left" in refused["error"]["message"]

    asyncio.run(asked())


def test_the_first_key_of_a_file_with_a_byte_order_mark_may_ask(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(b"\xef\xbb\xbfsk-alice-1 name=alice\r\nsk-bob-0001 name=bob\r\n")
    keys = read_keys(file)
    names = [keys.of(f"Bearer {key}").name for key in ("sk-alice-1", "sk-bob-0001")]
    assert names == ["alice", "bob"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key"),
        ("short", "at least 8"),
        ("sk-alice-1 rte=6/min", "did you mean 'rate'"),
        ("sk-alice-1 rate=6", "rate=60/min"),
        ("sk-alice-1 rate=x/min", "rate=60/min"),
        ("sk-alice-1 tokens=1e6/week", "tokens=2e6/day"),
        ("sk-alice-1 tokens=1.2.3", "tokens=2e6/day"),
        ("sk-alice-1 tokens=1e999/day", "tokens=2e6/day"),
        ("sk-alice-1 concurrency=0", "concurrency=8"),
        ("sk-alice-1 concurrency=8/min", "concurrency=8"),
        ("sk-alice-1 rate=1/min rate=600/min", "`rate` is there twice"),
        ("sk-älice-1 rate=6/min", "ASCII"),
        ("sk-alice-1\n\nsk-alice-1", "keys.txt:3: this key is there already"),
    ],
)
def test_a_wrong_key_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "keys.txt").write_text(text, encoding="utf-8")
    with pytest.raises(KeyFileError, match=message) as caught:
        read_keys(tmp_path / "keys.txt")
    assert "sk-alice-1" not in str(caught.value)
