"""`tts-view`: the page from a server that follows runs, for this machine only."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest

import tts_runtime
from tests.support.runs import plan_of
from tts_runtime.record.reader import open_run
from tts_runtime.report import serve
from tts_runtime.report.serve import Live, server
from tts_runtime.report.study import Study


@contextmanager
def served(directory: Path) -> Iterator[HTTPConnection]:
    with server(Live(Study([directory])), 0) as found:
        thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = HTTPConnection("127.0.0.1", found.server_address[1], timeout=30)
        try:
            yield connection
        finally:
            connection.close()
            found.shutdown()
            thread.join()


def get(connection: HTTPConnection, path: str, **headers: str) -> tuple[int, str]:
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    text = reply.read().decode()
    assert "'unsafe-inline'" not in (reply.headers["Content-Security-Policy"].split("style-src")[0])
    return reply.status, text


def test_the_server_has_what_the_site_has(run: Path, site: Path) -> None:
    with served(run) as connection:
        for path in ("index.html", "page/tree.js", "vendor/vega-lite.min.js", "data/problems.js"):
            assert get(connection, f"/{path}?v=3") == (200, (site / path).read_text())
        assert get(connection, "/")[1] == (site / "index.html").read_text()
        place = next((site / "data/trees/2").iterdir()).name
        tree = get(connection, f"/data/trees/2/{place}")
        assert tree == (200, (site / "data/trees/2" / place).read_text())


#: Where there is something on this machine, but nothing of the page.
ELSEWHERE = (
    "/../run.json",
    "/..%2frun.json",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/data/trees/0/../../report.js",
    "/data/trees/99/0.js",
    "/data/trees/0/99.js",
    "/data/trees/-1/0.js",
    "/data/trees/0/00000000000000000000000000000001.js",
    "/data/trees/\xd9\xa3/0.js",
    "/page/",
    "/page/../index.html",
    "/run.json",
    "/\\..\\run.json",
    "/index.html%00.js",
    "http://elsewhere/etc/passwd",
)


def test_a_path_that_leads_elsewhere_leads_nowhere(run: Path) -> None:
    with served(run) as connection:
        for path in ELSEWHERE:
            with socket.create_connection((connection.host, connection.port)) as raw:
                raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
                assert b" 404 " in raw.recv(4096).split(b"\r\n")[0], path


def test_another_name_of_this_machine_is_refused(run: Path) -> None:
    with served(run) as connection:
        assert get(connection, "/", Host="evil.example")[0] == 403
        assert get(connection, "/", Host="localhost:1")[0] == 200


def test_a_run_that_grows_is_followed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_EVERY", 0)
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    path = open_run(copy).strategy("majority[n=4]").folder / "answers.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0])

    def answered(connection: HTTPConnection) -> int:
        text = get(connection, "/data/report.js")[1]
        report = json.loads(text[text.index("(") + 1 : text.rindex(")")])
        return int(report["strategies"][0]["answered"])

    with served(copy) as connection:
        state = get(connection, "/data/state.json")[1]
        assert answered(connection) == 1
        assert get(connection, "/data/state.json")[1] == state
        with path.open("ab") as file:
            file.write(b"".join(lines[1:]))
        assert get(connection, "/data/state.json")[1] != state
        assert answered(connection) == 4


def test_what_a_run_took_is_there_once_it_has_ended(tmp_path: Path) -> None:
    """Its summary comes after the last answer; of a session that was killed there is none."""
    out = tmp_path / "run"
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=out)
    tts_runtime.run(plan_of("return sample 1"), ["1 + 1", "2 + 2"], settings=settings)
    record = open_run(out).strategy()
    summary, answers = record.folder / "summary.json", record.folder / "answers.jsonl"
    written, first = summary.read_bytes(), answers.read_bytes().splitlines(keepends=True)[0]
    summary.unlink()
    study = Study([out])
    study.update()
    [entry] = study.entries
    assert (entry.mean("seconds"), study.version) == (None, 1)
    summary.write_bytes(written)
    study.update()
    seconds = json.loads(written)["wall_s"] / 2
    assert (entry.mean("seconds"), study.version) == (seconds, 2)
    answers.write_bytes(first)
    study.update()
    assert (entry.mean("seconds"), study.version) == (seconds, 3)
