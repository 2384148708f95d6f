"""`tts-serve` as a command: what it refuses, and a whole life of a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import tts_runtime
from tests.serve.conftest import serving
from tts_lang.explain.assumptions import Assumed
from tts_runtime.cli.serve import serve_command
from tts_runtime.runs.limits import CostLimits
from tts_runtime.runs.settings import Settings
from tts_runtime.serve import server
from tts_runtime.serve.catalogue import SetupError
from tts_runtime.serve.keys import Keys
from tts_runtime.serve.server import ServeOptions
from tts_runtime.serve.trace import TraceWriter

SIM = ("--policy", "sim")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no strategy"),
        (("majorty", *SIM), "did you mean 'majority'"),
        (("majority", "m=3", *SIM), "no parameter `m`"),
        (("majority", *SIM, "--port", "70000"), "at most 65535"),
        (("majority", *SIM, "--port", "x"), "expected a whole number"),
        (("majority", *SIM, "--max-running", "0"), "1 or more"),
        (("majority", "majority", *SIM), "two strategies are called majority"),
        (("majority@n=4", "majority@n=4", *SIM), "two strategies are called majority@n=4"),
        (("majority@m=4", *SIM), "`majority` has no parameter `m`"),
        (("majority@n=many", *SIM), "majority@n=many"),
        (("majority", "--policy", "simm"), "unknown policy engine `simm`"),
        (("majority", *SIM, "--policy", "b=sim"), "no strategy here uses a policy `b`"),
        (("best_of_n", *SIM), "name the scorer that best_of_n needs"),
        (("compute_optimal_oracle", *SIM, "--scorer", "prm=sim"), "reads `pass_rate`, a field of"),
        (("best_of_n_outcome", *SIM, "--scorer", "orm=field:answer"), "reads `answer`, a field of"),
        (("own.tts", *SIM), "own reads `hint`, a field of problems, and requests have no fields"),
        (("majority", *SIM, "--budget", "tokens=100"), "the budget of 100"),
        (("majority", *SIM, "--key-file", "none.txt"), "none.txt cannot be read"),
        (("majority", *SIM, "--trace", "file/below"), "--trace"),
        (("majority", *SIM, "--model", "x"), "--policy"),
    ],
)
def test_what_cannot_be_served_is_said(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "own.tts").write_text(
        'prompt hinted = """{problem} {field.hint}"""\n\n'
        "strategy own():\n    return ask hinted about problem\n"
    )
    assert serve_command(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def options(strategies: list[str], trace: Path | None = None) -> ServeOptions:
    """A server on a free port."""
    return ServeOptions(
        strategies,
        {},
        ({"policy": "sim"}, {}),
        CostLimits((), Assumed()),
        Keys(),
        host="127.0.0.1",
        port=0,
        running=64,
        waiting=64,
        seconds=60.0,
        drain=10,
        seed=1,
        joined=False,
        strict=False,
        trace=trace,
        quiet=False,
        verbose=False,
        command=(),
    )


def test_a_server_lives_traces_reloads_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a real socket."""
    file = tmp_path / "mine.tts"
    file.write_text("strategy mine(n = 2):\n    return vote (sample n)\n")
    made: list[server._Server] = []

    class Kept(server._Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(server, "_Server", Kept)
    monkeypatch.setattr("tts_runtime.serve.catalogue._LOOK_EVERY", 0.0)

    async def life() -> None:
        serving = asyncio.ensure_future(server.serve(options([str(file)], tmp_path / "trace")))
        while not made and not serving.done():
            await asyncio.sleep(0.01)
        port = made[0].servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

            async def calls() -> int:
                asked = {"model": "mine", "messages": [{"role": "user", "content": "1 + 1"}]}
                reply = await http.post("/v1/chat/completions", json=asked)
                found: int = reply.json()["tts"]["policy_calls"]
                return found

            assert await calls() == 2
            file.write_text("strategy mine(n = 3):\n    return vote (sample n)\n")
            assert await calls() == 3
            file.write_text("strategy mine(n = 4:\n    return vote (sample n)\n")
            assert await calls() == 3  # a mistake leaves the old plan
            assert "policy" in (await http.get("/v1/models")).text
            with pytest.raises(SetupError, match="is the port taken"):
                await server.serve(_at(port, str(file)))
        made[0].handle_exit(15, None)
        await serving

    def _at(port: int, strategy: str) -> ServeOptions:
        file.write_text("strategy mine(n = 2):\n    return vote (sample n)\n")
        return replace(options([strategy]), port=port)

    asyncio.run(life())
    err = capsys.readouterr().err
    assert "serving mine, policy at http://127.0.0.1:" in err
    assert "may ask" not in err
    first, second = sorted((tmp_path / "trace").iterdir())
    for folder, nodes in ((first, [2]), (second, [3, 3])):
        run = tts_runtime.open_run(folder)
        assert [answer.nodes for answer in run.answers()] == nodes
        assert run.verify() == []
        for problem in run.problems.values():
            assert (problem.text, problem.fields["seed"]) == ("1 + 1", 1)
            assert len(run.tree(problem.id).decisions) == 1


@asynccontextmanager
async def living(
    options: ServeOptions, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[server._Server, str]]:
    """A server on a real socket and its address; it has been told to end when this is left."""
    made: list[server._Server] = []

    class Kept(server._Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(server, "_Server", Kept)
    monkeypatch.setattr(server, "_TICK", 0.01)

    serving = asyncio.ensure_future(server.serve(options))
    while not made and not serving.done():
        await asyncio.sleep(0.01)
    port = made[0].servers[0].sockets[0].getsockname()[1]
    yield made[0], f"http://127.0.0.1:{port}"
    await serving


QUESTION = {"model": "majority", "messages": [{"role": "user", "content": "1 + 1"}]}


def test_a_server_that_ends_says_so_while_requests_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """On new connections, too."""

    async def life() -> None:
        async def status(path: str) -> int:
            async with httpx.AsyncClient(timeout=30) as http:
                return (await http.get(root + path)).status_code

        async with (
            living(options(["majority"]), monkeypatch) as (made, root),
            made._service.admission.room("somebody", 1),
        ):
            assert await status("/ready") == 200
            made.handle_exit(15, None)
            while made.servers[0].is_serving() and await status("/ready") != 503:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)  # uvicorn looks every 0.1 s whether it should end
            assert await status("/ready") == 503
            assert await status("/health") == 200
            async with httpx.AsyncClient(timeout=30) as http:
                reply = await http.post(f"{root}/v1/chat/completions", json=QUESTION)
            assert reply.json()["error"]["code"] == "shutting_down"
        with pytest.raises(httpx.ConnectError):
            await status("/ready")

    asyncio.run(asyncio.wait_for(life(), 30))


@pytest.mark.parametrize("stream", [False, True])
def test_what_outlives_the_drain_is_told_so(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def life() -> None:
        ending = replace(options(["majority"]), drain=0)
        async with (
            living(ending, monkeypatch) as (made, root),
            httpx.AsyncClient(timeout=30) as http,
            made._service.admission.room("somebody", 64),
        ):
            url, asked = f"{root}/v1/chat/completions", {**QUESTION, "stream": stream}
            reply = asyncio.ensure_future(http.post(url, json=asked))
            while not made._service.admission.waiting:
                await asyncio.sleep(0.01)
            made.handle_exit(15, None)
            assert "the server ended before it was the request's turn" in (await reply).text

    asyncio.run(asyncio.wait_for(life(), 30))


def test_a_server_that_starts_again_continues_its_trace(tmp_path: Path) -> None:
    """Other engines have a directory of their own, which is continued too."""
    for policy in ("sim", "sim", "sim:7", "sim:8", "sim:7", "sim"):

        async def asked(policy: str = policy) -> None:
            settings = Settings(policies={"policy": policy})
            with TraceWriter(tmp_path, settings, ()) as trace:
                async with serving(record=trace.write) as served:
                    assert (await served.chat()).status_code == 200

        asyncio.run(asked())
    first, *others = sorted(tmp_path.iterdir())
    assert first.name == "majority@n=3"
    counts = {each.name: len(list(tts_runtime.open_run(each).answers())) for each in others}
    assert sorted(counts.values()) == [1, 2]
    run = tts_runtime.open_run(first)
    assert len(list(run.answers())) == 3
    assert run.verify() == []


def test_a_trace_that_cannot_be_written_stops_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def asked() -> None:
        settings = Settings(policies={"policy": "sim"})
        with TraceWriter(tmp_path / "trace", settings, ()) as trace:
            (tmp_path / "trace" / "majority@n=3").write_text("in the way")
            (tmp_path / "trace").chmod(0o500)
            async with serving(record=trace.write) as served:
                assert (await served.chat()).status_code == 200

    asyncio.run(asked())
    (tmp_path / "trace").chmod(0o700)
    assert caplog.text == "" or "not in the trace" in caplog.text


def test_an_address_that_others_reach_and_the_bundled_policy_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a second signal ends the server without a word."""
    file = tmp_path / "mine.tts"
    file.write_text("strategy mine(n = 2):\n    return vote (sample n)\n")

    class Stopped(server._Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)  # type: ignore[arg-type]
            self.handle_exit(15, None)
            self.handle_exit(15, None)

    monkeypatch.setattr(server, "_Server", Stopped)
    bundled = replace(options([str(file)]), host="0.0.0.0", engines=({"policy": "bundled"}, {}))
    asyncio.run(server.serve(bundled))
    warned, noted, serving = capsys.readouterr().err.splitlines()
    assert warned == "warning: whoever reaches 0.0.0.0 may ask: --key-file names keys"
    assert noted.startswith("note: the bundled policy knows only problems such as ")
    assert serving.startswith("serving mine, policy at http://0.0.0.0:")


@pytest.mark.parametrize("newer", [False, True])
def test_a_host_of_another_machine_is_no_fault_of_the_port(
    newer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nowhere(*_: object, **__: object) -> None:
        raise OSError("could not bind on any address out of [('192.0.2.1', 0)]")

    if newer:  # what asyncio raises from Python 3.13 on
        monkeypatch.setattr(asyncio.BaseEventLoop, "create_server", nowhere)
    elsewhere = replace(options(["greedy"]), host="192.0.2.1")  # for documentation (RFC 5737)
    with pytest.raises(SetupError, match=r"192\.0\.2\.1 is not an address of this machine"):
        asyncio.run(server.serve(elsewhere))
