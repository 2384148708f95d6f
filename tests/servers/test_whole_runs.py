"""Strategies run on servers, and what becomes of a run whose server fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tts_lang
import tts_runtime
from tests.servers.conftest import Subject, open_subject
from tests.support.runs import plan_of
from tests.support.server import Fault, Server, sim_server
from tests.support.tts_run import Command
from tts_runtime import Problem, Settings
from tts_runtime.executor import BindError
from tts_runtime.record.reader import open_run

PROBLEMS = [Problem(str(number), f"What is {number}?", "2") for number in range(4)]


@pytest.fixture
def serving() -> Iterator[Server]:
    """A vLLM server."""
    with sim_server(vllm=True).running() as server:
        yield server


def ran(subject: Subject, strategy: Any, **parameters: Any) -> tts_runtime.Result:
    """A run whose problems all finish."""
    options = "&".join(f"{key}={value}" for key, value in subject.options.items())
    name = f"openai:{subject.server.url}" + (f"?{options}" if options else "")
    settings = Settings(policies={"policy": name}, scorers={"prm": "sim"})
    [result] = tts_runtime.run(strategy, PROBLEMS, settings=settings, parameters=parameters)
    assert [answer.error for answer in result.answers] == [None] * len(PROBLEMS)
    assert not result.summary.exact
    assert result.summary.policy_tokens > 0
    return result


def test_strategies_of_whole_solutions_run_everywhere(subject: Subject) -> None:
    plans = tts_lang.compile("best_of_n", n=3), tts_lang.compile("majority", n=3)
    best, most = (ran(subject, plan) for plan in plans)
    assert any(each.answer is not None for each in most.answers)
    assert best.summary.scorer_calls == 3 * len(PROBLEMS)


def test_the_same_seed_gives_the_same_answers_where_the_server_keeps_it(vllm: Subject) -> None:
    one, again = (ran(vllm, "majority", n=4) for _ in range(2))
    assert [each.answer for each in again.answers] == [each.answer for each in one.answers]


def test_beam_search_goes_on_where_partial_answers_can(continuing: Subject) -> None:
    result = ran(continuing, "beam_search", n=4, width=2, depth=3)
    assert result.summary.policy_calls > 4 * len(PROBLEMS)


@pytest.mark.parametrize("name", ["vllm-ids", "plain-ids"])
def test_budget_forcing_where_ids_are_known(name: str, folder: Path) -> None:
    for subject in open_subject(name, folder):
        ran(subject, "budget_forcing", waits=2, budget=40)
        bodies = subject.server.bodies()
        assert any(body.get("logit_bias") for body in bodies)


JUDGE = 'judge good:\n    "{problem} {text} From 0 to 9?"\n    read number from 0 to 9\n'
CHOOSES = 'judge good:\n    "{text} Good?"\n    read probability of "b"\n'


@pytest.mark.parametrize("judge", [JUDGE, CHOOSES])
def test_judges_are_answered_by_servers(subject: Subject, judge: str) -> None:
    plan = plan_of(
        "p = sample 2 max 20 tokens", "score p by good", "return best of p by good", before=judge
    )
    if judge == CHOOSES and subject.server.style.logprobs < 20:
        with pytest.raises(BindError, match="reading a probability needs the likeliest first"):
            ran(subject, plan)
        return
    assert ran(subject, plan).summary.policy_calls >= 4 * len(PROBLEMS)


READS = [
    ["p = sample 2", "return best of p by logprob"],
    ["return vote (sample 2) weighted by exp(logprob / tokens)"],
    ["return sample 1 max 9 tokens stop when logprob < -3"],
    ["p = sample 2", "let doubt of p = 0 - logprob", "return best of p by doubt"],
]


def asked_for(subject: Subject) -> set[bool]:
    """Whether requests since the last call wanted log-probabilities."""
    found = {"logprobs" in body for body in subject.server.bodies()}
    subject.server.requests.clear()
    return found


def test_log_probabilities_are_asked_for_where_somebody_reads_them(
    vllm_ids: Subject, tmp_path: Path
) -> None:
    """The record says what it lacks; `--keep logprobs` brings it back, and no other answers."""
    plans = [plan_of(*lines) for lines in READS]
    for plan in plans:
        ran(vllm_ids, plan)
        assert asked_for(vllm_ids) == {True}
    options = f"?tokenizer={vllm_ids.options['tokenizer']}"
    settings = Settings({"policy": f"openai:{vllm_ids.server.url}{options}"})
    majority = tts_lang.compile("majority", n=3)
    answers = []
    for keep in ((), ("logprobs",)):
        out = tmp_path / f"run{len(keep)}"
        kept = replace(settings, out=out, keep=keep)
        [result] = tts_runtime.run(majority, PROBLEMS, settings=kept)
        answers.append([(each.answer, each.policy_tokens) for each in result.answers])
        run = open_run(out)
        nodes = [node for _, listed in run.strategy().nodes() for node in listed.values()]
        assert asked_for(vllm_ids) == {bool(keep)}
        assert run.manifest.engines["policy"].get("logprobs", True) == bool(keep)
        assert {node.logprob is None for node in nodes if node.tokens} == {not keep}
        assert {node.token_logprobs is None for node in nodes if node.tokens} == {not keep}
        again = Settings({"policy": f"replay:{out}"})
        [replayed] = tts_runtime.run(majority, PROBLEMS, settings=again)
        assert [each.answer for each in replayed.answers] == [
            each.answer for each in result.answers
        ]
        if keep:
            tts_runtime.run(plans[0], PROBLEMS, settings=again)
        else:
            with pytest.raises(BindError, match="run with `--keep logprobs`"):
                tts_runtime.run(plans[0], PROBLEMS, settings=again)
    assert answers[0] == answers[1]
    tts_runtime.run([plans[0], majority], PROBLEMS, settings=settings)  # their requests are shared
    assert asked_for(vllm_ids) == {True}


#: Without a choice between the steps, both are one solution to the optimiser.
CONTINUES = ["p = sample 2 steps", "p = best of p by tokens", "return expand p by 1"]


@pytest.mark.parametrize(
    ("style", "lines", "message"),
    [
        ("chat", CONTINUES, "start every answer from scratch"),
        ("chat", ["return sample 1 stop when tokens > 3"], "an engine that streams"),
        ("silent", ["p = sample 2", "return best of p by logprob"], "gets none from its server"),
        (
            "plain",
            ["p = sample 2", "return best of p by confidence(all)"],
            "gets at most those of the 5 likeliest",
        ),
        (
            "vllm",
            ["p = sample 2", "return best of p by entropy(all)"],
            "gets at most those of the 20 likeliest",
        ),
        ("vllm", ["return sample 1 at least 3 tokens"], "add `?tokenizer=PATH_OR_HUB`"),
        ("silent", ["return vote (sample 2 likeliest)"], "gets none from its server"),
    ],
)
def test_what_a_server_lacks_is_said_before_anything_is_spent(
    style: str, lines: list[str], message: str, folder: Path
) -> None:
    plan = plan_of(*lines)
    for subject in open_subject(style, folder):
        with pytest.raises(BindError) as caught:
            ran(subject, plan)
        assert str(caught.value).startswith("main.tts:")
        assert message in str(caught.value)
        assert subject.server.bodies() == []


def fails_on(*numbers: int) -> Any:
    """The server cannot answer about some problems, from their first request on."""

    def faults(_number: int, body: Mapping[str, Any]) -> Fault | None:
        wrong = any(f"What is {number}?" in str(body.get("prompt")) for number in numbers)
        return Fault(500) if wrong else None

    return faults


def write_problems(path: Path) -> None:
    """As `PROBLEMS`."""
    lines = [
        json.dumps({"id": each.id, "problem": each.text, "answer": each.answer})
        for each in PROBLEMS
    ]
    path.write_text("\n".join(lines) + "\n")


def test_finished_problems_stay_finished(
    serving: Server, tts_run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3; the reason, and every answer that there is, are written down."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    write_problems(tmp_path / "four.jsonl")
    serving.faults = fails_on(1, 2)
    policy = f"openai:{serving.url}?attempts=1"
    arguments = ["majority", "--set", "n=3", "--problems", str(tmp_path / "four.jsonl")]
    out = tmp_path / "run"
    code, printed, said = tts_run(*arguments, "--policy", policy, "--out", str(out))
    assert code == 3
    assert "majority" in printed
    assert "2 of 4 problems failed" in said
    assert "HTTP 500: try again; given up after 1 attempts" in " ".join(said.split())
    record = open_run(out).strategy()
    assert {name: answer.error is None for (name, _), answer in record.answers.items()} == {
        "0": True,
        "1": False,
        "2": False,
        "3": True,
    }
    assert "NaN" not in (out / "majority" / "nodes.jsonl").read_text()
    assert {trial.problem for trial, _ in record.nodes()} >= {"0", "3"}
    everything = "".join(path.read_text() for path in out.rglob("*") if path.is_file())
    assert "sk-secret" not in everything + printed + said


def test_a_key_that_expires_fails_the_rest(
    tts_run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    write_problems(tmp_path / "four.jsonl")
    with sim_server(vllm=True, key="sk-secret").running() as server:
        expired = Fault(401, body='{"error": {"message": "key sk-secret has expired"}}')
        server.faults = lambda number, _body: expired if number > 5 else None
        policy = f"openai:{server.url}?concurrency=1"
        problems = str(tmp_path / "four.jsonl")
        code, _, said = tts_run("greedy", "--policy", policy, "--problems", problems)
        assert code == 3 or not server.bodies()[6:]
        server.faults = lambda _number, _body: expired
        code, _, said = tts_run("greedy", "--policy", policy, "--problems", problems)
    assert code == 3
    words = " ".join(said.split())
    assert "4 of 4 problems failed" in words
    assert "the key in OPENAI_API_KEY is refused" in words
    assert "sk-secret" not in words


def test_a_wrong_model_ends_with_code_2(serving: Server, tts_run: Command, tmp_path: Path) -> None:
    write_problems(tmp_path / "four.jsonl")
    arguments = ["greedy", "--problems", str(tmp_path / "four.jsonl")]
    code, _, said = tts_run(*arguments, "--policy", f"openai:{serving.root}/v1#smi")
    assert code == 2
    assert "did you mean 'sim'?" in " ".join(said.split())
    code, _, said = tts_run(*arguments, "--policy", f"openai:{serving.url}?speed=x")
    assert code == 2
    assert "unknown option `speed`" in " ".join(said.split())
