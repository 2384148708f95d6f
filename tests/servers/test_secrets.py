"""An API key goes to its server, and nowhere else: terminal, logs, run directories, exceptions."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.test_behaviours import ARITH, RIGHT, chats_only, serving
from tests.support.records import candidates
from tests.support.runs import plan_of
from tests.support.scripted_server import Asked, Reply, ScriptedServer, chat, completion, models
from tests.support.tts_run import Command
from tts_lang.printable import printable
from tts_runtime import Problem, Settings, run
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.http.address import Key, find_key
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.policy import OpenAIPolicy
from tts_runtime.engines.options import parse_name

KEY = 'sk-"private\\key"-0123456789'


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in its variable, with letters that JSON escapes."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def shown(text: str) -> bool:
    """Whether a text holds the key, as it is or as it stands in JSON."""
    return KEY in text or json.dumps(KEY)[1:-1] in text or "0123456789" in text


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that it hangs on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


SPOILT = {
    "error": lambda asked: Reply({"error": {"message": f"bad key {said(asked)}"}}, 401),
    "long": lambda asked: Reply({"error": {"message": "x" * 390 + said(asked)}}, 401),
    "text": lambda asked: Reply(f"<html>{'y' * 395}{said(asked)}".encode(), 400),
    "no JSON": lambda asked: Reply(("z" * 70 + said(asked)).encode()),
    "code": lambda asked: Reply({"error": {"message": "m", "code": said(asked)}}, 400),
    "header": lambda asked: Reply({}, 307, {"location": f"https://x/{said(asked)}"}),
    "list": lambda asked: Reply({"data": [{"id": said(asked)}, {"id": "n"}]}),
}


def said(asked: Asked) -> str:
    """The key, as the server repeats it."""
    return asked.headers.get("authorization", "").removeprefix("Bearer ")


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("place", ["models", "probe"])
def test_a_server_that_repeats_the_key_while_it_is_opened(
    kind: str, place: str, tts_run: Command
) -> None:
    def answer(asked: Asked) -> Reply:
        listing = asked.path.endswith("models")
        if listing and place == "probe":
            return models()
        return SPOILT[kind](asked) if listing or place == "probe" else chat(RIGHT)

    with ScriptedServer(answer).running() as server:
        url = f"{server.root}/v1#m?attempts=1"
        code, out, err = tts_run("greedy", *ARITH, "--policy", f"openai:{url}")
        assert any(each.headers.get("authorization") == f"Bearer {KEY}" for each in server.asked)
        with pytest.raises(EngineError) as caught:
            OpenAIPolicy(url.partition("?")[0], ServerOptions(attempts=1))
    assert code == 2
    for text in (out, err, *(f"{each} {each!r} {vars(each)}" for each in chain(caught.value))):
        assert not shown(text), text


def test_a_reply_that_repeats_the_key(tts_run: Command, tmp_path: Path) -> None:
    """Whole, in pieces of a stream, as an answer, and in the middle of a run's errors."""
    prompts: list[str] = []

    def answer(asked: Asked) -> Reply:
        if asked.chat:
            return Reply({}, 404)
        if not asked.body.get("stream"):
            if "seed" in asked.body and asked.body["max_tokens"] > 1:
                prompts.append(asked.body["prompt"][:99])
            if prompts and prompts[-1] != prompts[0]:
                return Reply({"error": {"message": "x" * 390 + said(asked)}}, 400)
            return completion(f"The key is {said(asked)}: \\boxed{{{said(asked)}}}")
        text = f"{said(asked)} is it.\n\n"
        events = [{"choices": [{"text": letter}]} for letter in text]
        return Reply(events=(*events, {"choices": [{"text": "", "finish_reason": "stop"}]}))

    strategy = tmp_path / "mine.tts"
    strategy.write_text(
        "strategy mine():\n    p = sample 3\n    q = sample 2 steps\n    return vote p + q\n"
    )
    with serving(answer) as server:
        policy = f"openai:{server.root}/v1#m?api=completions&attempts=1&concurrency=1"
        arguments = (*ARITH[:-1], "2", "--policy", policy, "--out", str(tmp_path / "run"))
        code, out, err = tts_run(str(strategy), *arguments, "--analyze")
        again, more, other = tts_run(str(strategy), *arguments, "--json")
    assert (code, again) == (3, 3)
    written = "".join(path.read_text() for path in (tmp_path / "run").rglob("*.json*"))
    assert "$OPENAI_API_KEY" in written
    for text in (out, err, more, other, written):
        assert not shown(text)
    assert candidates(tmp_path / "run")


def test_run_directories_are_their_owners(tmp_path: Path) -> None:
    with serving(chats_only(lambda _asked: chat(RIGHT))) as server:
        name = f"openai:{server.root}/v1#m"
        settings = Settings(policies={"policy": name}, scorers={}, out=tmp_path / "run")
        for _ in range(2):
            run(plan_of("return sample 1"), [Problem("1", "What?", "42")], settings=settings)
    for path in (tmp_path / "run", *(tmp_path / "run").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sk-one\nsk-two-secret", "a line break (character 7 of 20)"),
        ("sk-one\rsecret", "a line break"),
        ("sk-one secret", "a space"),
        ("sk-one\x07secret", "a control character"),
        ("sk-onë-secret", "a character outside ASCII"),
        ("sk-one\u200bsecret", "a character outside ASCII"),
    ],
)
def test_a_key_that_is_none_is_named_and_not_shown(
    text: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", text)
    with pytest.raises(EngineError) as caught:
        find_key(None)
    assert f"the key in the environment variable OPENAI_API_KEY has {named}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_key_is_read_without_the_line_end_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    found = find_key(None)
    assert found.headers() == {"authorization": f"Bearer {KEY}"}
    assert not shown(f"{found!r} {found}")
    assert not shown(repr(Key("X", KEY)))


def test_a_word_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    find_key(None)
    assert printable("the EMPTY set") == "the EMPTY set"


@pytest.mark.parametrize(
    "policy",
    [
        *(
            f"openai:http://127.0.0.1:9/v1#m?{option}"
            for option in (
                "api_key={}",
                "api-key={}",
                "key={}",
                "OPENAI_API_KEY={}",
                "key_env={}",
                "extra=api_key={}",
                "extra={{'api_key':'{}'}}",
                "headers=authorization=Bearer%20{}",
                "context&api_key={}",
                "context=9&context=9&api_key={}",
            )
        ),
        "openai:http://127.0.0.1:9/v1?api_key={}#m",
        "openai:http://me:{}@127.0.0.1:port/v1#m",
        "openai://{}@127.0.0.1/v1#m",
        "http://me:{}@127.0.0.1/v1#m",
        "transformers:m?hf_token={}",
    ],
)
def test_a_key_in_the_command_line_is_refused_and_not_shown(
    policy: str, tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_POLICY", policy.format("sk-0123456789"))
    code, out, err = tts_run("greedy", *ARITH, "-v")
    assert code == 2
    assert "?key_env=NAME" in " ".join(err.split())
    assert not shown(out + err)


def test_a_module_may_be_called_like_a_key() -> None:
    assert parse_name("python:secret:score").argument == "secret:score"
