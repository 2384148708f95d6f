"""What stands between a run and a server: proxies, names, certificates, addresses."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from tests.servers.test_behaviours import ARITH, RIGHT, chats_only, serving
from tests.support.scripted_server import Asked, Reply, ScriptedServer, chat
from tests.support.tts_run import Command
from tts_runtime.engines.http.address import parse_address


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes between attempts."""

    async def passing(_clock: object, _seconds: float) -> None:
        """At once."""

    monkeypatch.setattr("tts_runtime.engines.http.retry.WallClock.sleep", passing)


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("socks5://127.0.0.1:9", "http_proxy is of kind `socks5`: name an HTTP proxy"),
        ("http://[::1", "http_proxy is no address: name an HTTP proxy"),
        ("127.0.0.1:9", "through the environment's proxy 127.0.0.1:9"),
        ("http://me:proxy-word@127.0.0.1:9", "through the environment's proxy 127.0.0.1:9"),
    ],
)
def test_a_proxy_that_does_not_work_is_named(
    proxy: str, message: str, tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    code, _, said = tts_run("greedy", *ARITH, "--policy", "openai:http://example.test/v1#m")
    assert code == 2
    assert message in " ".join(said.split())
    assert "proxy-word" not in said


def test_a_proxy_is_used_and_gets_its_password_from_its_address_only(
    tmp_path: Path, tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login me password netrc-word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    with serving(chats_only(lambda _asked: chat(RIGHT))) as server:
        monkeypatch.setenv("http_proxy", server.root.replace("//", "//me:proxy-word@"))
        code, _, said = tts_run("greedy", *ARITH, "--policy", "openai:http://example.test/v1#m")
    assert code == 0, said
    assert {each.headers["authorization"] for each in server.asked} == {"Bearer sk-secret-key"}
    words = {each.headers["proxy-authorization"] for each in server.asked}
    assert words == {f"Basic {b64encode(b'me:proxy-word').decode()}"}


@pytest.mark.parametrize("host", [".test", "a..b", "a" * 64])
def test_a_name_that_no_machine_has(host: str, tts_run: Command) -> None:
    code, _, said = tts_run("greedy", *ARITH, "--policy", f"openai:http://{host}/v1#m")
    assert code == 2
    assert f"`{host}` is no name of a machine" in " ".join(said.split())


@pytest.mark.parametrize("file", ["", "nothing.pem"])
def test_certificates_that_cannot_be_read(
    file: str, tmp_path: Path, tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / file))
    code, _, said = tts_run("greedy", *ARITH, "--policy", "openai:https://127.0.0.1:9/v1#m")
    assert code == 2
    assert "the certificates in the environment variable SSL_CERT_FILE" in " ".join(said.split())


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h:8000", "http://h:8000/v1"),
        ("http://h:8000/v1/", "http://h:8000/v1"),
        ("http://h/llm", "http://h/llm/v1"),
        ("http://h/v1/chat/completions", "http://h/v1"),
        ("http://h/v1/completions/", "http://h/v1"),
        ("http://h/models", "http://h/models/v1"),
        ("http://h/models/chat/completions", "http://h/models"),  # Azure
        ("http://h/inference/chat/completions", "http://h/inference"),
        ("https://h/v1beta/openai/", "https://h/v1beta/openai"),  # Gemini
        ("https://h/v1/projects/p/endpoints/openapi", "https://h/v1/projects/p/endpoints/openapi"),
        ("https://h/vllm/v2x", "https://h/vllm/v2x/v1"),
        (
            "https://h/api/v1/ns/n/services/s:80/proxy",
            "https://h/api/v1/ns/n/services/s:80/proxy/v1",
        ),
        ("https://h/api/v1/ns/n/pods/p/proxy/v1/a", "https://h/api/v1/ns/n/pods/p/proxy/v1/a"),
    ],
)
def test_addresses_as_people_have_them(url: str, base: str) -> None:
    assert parse_address(url, f"{url}#m").base == base


def test_an_address_that_got_a_version_says_so_if_nothing_is_there(tts_run: Command) -> None:
    def answer(asked: Asked) -> Reply:
        return chat(RIGHT) if asked.path == "/api/chat/completions" else Reply({}, 404)

    with ScriptedServer(answer).running() as server:
        url = f"openai:{server.root}/api{{}}#m?context=512"
        code, _, said = tts_run("greedy", *ARITH, "--policy", url.format(""))
        assert code == 2
        assert (
            f"{server.root}/api/v1: HTTP 404: {{}}; if that is no address of it, write"
            in " ".join(said.split())
        )
        assert tts_run("greedy", *ARITH, "--policy", url.format("/chat/completions"))[0] == 0
