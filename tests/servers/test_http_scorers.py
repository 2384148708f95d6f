"""Reward models behind endpoints give the numbers that they give in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.server import Fault, Server, first, sim_server
from tests.support.server_clock import FakeClock
from tests.support.tiny_prms import (
    QUESTIONS,
    asked,
    classifier,
    make_er_prm,
    make_math_shepherd,
    make_outcome,
    make_qwen_math,
    make_rlhflow,
    make_skywork,
    paths,
)
from tts_runtime.engines import base as engines
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.openai.options import PoolingOptions
from tts_runtime.engines.openai.scorer import HttpScorer
from tts_runtime.engines.registry import scorer_engine

if TYPE_CHECKING:
    import torch


class ServedModel:
    """A tiny model's numbers, in the form of vLLM's replies."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        self._model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()

    def hidden(self, ids: Sequence[int]) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            return self._model.model(torch.tensor([list(ids)])).last_hidden_state[0]  # type: ignore[no-any-return]

    def completions(self, body: Mapping[str, Any]) -> Any:
        """One token, with the log-probabilities of the ids that were asked for."""
        import torch

        with torch.inference_mode():
            logits = self._model.lm_head(self.hidden(body["prompt"])[-1])
        logprobs = torch.log_softmax(logits, dim=-1)
        token = int(logits.argmax())
        top = {f"token_id:{each}": float(logprobs[each]) for each in body["logprob_token_ids"]}
        told = {
            "tokens": [f"token_id:{token}"],
            "token_logprobs": [float(logprobs[token])],
            "top_logprobs": [{**top, f"token_id:{token}": float(logprobs[token])}],
        }
        choice = {"text": "+", "finish_reason": "length", "logprobs": told}
        return {"choices": [choice], "usage": {"prompt_tokens": len(body["prompt"])}}

    def classes(self, body: Mapping[str, Any]) -> list[list[float]]:
        """Probabilities of the two classes, for every token."""
        import torch

        assert body["use_activation"] is True
        hidden = self.hidden(body["input"])
        head = classifier()
        middle = torch.relu(hidden @ head["score.0.weight"].T + head["score.0.bias"])
        logits = middle @ head["score.2.weight"].T + head["score.2.bias"]
        return torch.softmax(logits, dim=-1).tolist()


def pooled(rows: Any) -> Any:
    """A reply of `/pooling`."""
    return {"data": [{"index": 0, "data": rows}], "usage": {"prompt_tokens": 7}}


def scored(engine: ScorerEngine, requests: Sequence[ScoreRequest]) -> list[ScoreReply]:
    """Replies to requests that are in flight together."""

    async def main() -> list[ScoreReply]:
        try:
            return await asyncio.gather(*map(engine.score, requests))
        finally:
            await engine.close()

    return asyncio.run(main())


def requests() -> list[ScoreRequest]:
    """Whole paths, and paths whose first steps have been scored."""
    return [
        asked(question, steps, known)
        for question in QUESTIONS
        for steps in paths()[:2]
        for known in (0, 2, len(steps))
    ]


def compare(engine: HttpScorer, in_process: str, asked_for: Sequence[ScoreRequest]) -> None:
    """Both scorers give the same numbers."""
    expected = scored(scorer_engine(in_process), asked_for)
    found = scored(engine, asked_for)
    for one, other in zip(found, expected, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


def engine_of(server: Server, folder: Path, family: str = "auto", **options: Any) -> HttpScorer:
    """The scorer of a server."""
    given = {"tokenizer": str(folder), "family": family, **options}
    return HttpScorer(server.url, PoolingOptions.model_validate(given), FakeClock())


Make = Callable[[Path], Path]


@pytest.mark.parametrize(
    ("family", "make"),
    [
        ("math-shepherd", make_math_shepherd),
        ("er-prm", make_er_prm),
        ("rlhflow", make_rlhflow),
    ],
)
def test_verdicts_are_read_from_one_token_requests(family: str, make: Make, tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/v1/completions"] = ServedModel(folder).completions
        engine = engine_of(server, folder, family, context=4096)
        assert (engine.steps, engine.low, engine.high, engine.exact) == (True, 0.0, 1.0, False)
        compare(engine, f"{family}:{folder}", requests())


@pytest.mark.parametrize("reduced", [False, True])
def test_token_classes_come_for_all_tokens_or_for_the_steps(reduced: bool, tmp_path: Path) -> None:
    folder = make_qwen_math(tmp_path / "model")
    served = ServedModel(folder)

    def pooling(body: Mapping[str, Any]) -> Any:
        rows = served.classes(body)
        if reduced:  # vLLM's pooler of type STEP keeps the rows of the step tags
            tag = max(body["input"])
            rows = [row for row, token in zip(rows, body["input"], strict=True) if token == tag]
        return pooled(rows)

    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/pooling"] = pooling
        engine = engine_of(server, folder)
        assert engine.chosen.startswith("family qwen-math-prm (architecture")
        compare(engine, f"auto:{folder}", requests())


@pytest.mark.parametrize("labels", [1, 2])
def test_outcome_models_are_classified(labels: int, tmp_path: Path) -> None:
    folder = make_outcome(tmp_path / "model", labels)
    raw = [0.25, 1.5][:labels]
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/classify"] = lambda _body: {"data": [{"index": 0, "probs": raw}]}
        engine = engine_of(server, folder)
        assert (engine.steps, engine.low) == (False, None if labels == 1 else 0.0)
        [reply] = scored(engine, [ScoreRequest("What?", {}, "It is 3.", ())])
        [(_, body)] = server.requests
    assert reply.scores == pytest.approx([0.25 if labels == 1 else 1 / (1 + 2.718281828**-1.25)])
    assert reply.tokens == len(body["input"])
    assert body["use_activation"] is False


def test_a_server_that_ignores_the_switch_gives_the_same_scores(tmp_path: Path) -> None:
    """vLLM ignores a field that it does not know, and versions have two names for this one."""
    outcome, qwen = make_outcome(tmp_path / "outcome", 2), make_qwen_math(tmp_path / "qwen")
    whole, stepwise = ScoreRequest("What?", {}, "It is 3.", ()), asked(QUESTIONS[0], paths()[0])
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/classify"] = lambda _body: {"data": [{"probs": [0.2, 0.8]}]}
        [reply] = scored(engine_of(server, outcome), [whole])
        assert reply.scores == (0.8,)
        server.routes["/pooling"] = lambda body: pooled([[0.5, 1.5]] * len(body["input"]))
        [reply] = scored(engine_of(server, qwen), [stepwise])
        assert reply.scores == pytest.approx([1 / (1 + 2.718281828**-1)] * 5)
        server.routes["/pooling"] = lambda body: pooled([7.5] * len(body["input"]))
        with pytest.raises(EngineError, match=r"returns 7\.5, but scores of family .* are prob"):
            scored(engine_of(server, qwen), [stepwise])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"data": [{"data": [[true, false]]}]}', "are not numbers: [true, false]"),
        ('{"data": [{"data": "AAAA"}]}', 'no scores; it is {"data": [{"data": "AAAA"}]}'),
        ('[{"embedding": [0.5]}]', 'one entry; it is [{"embedding": [0.5]}]'),
        ('{"detail": "model is loading"}', "HTTP 500: model is loading"),
    ],
)
def test_a_reply_of_another_form_is_shown(body: str, message: str, tmp_path: Path) -> None:
    folder = make_qwen_math(tmp_path / "model")
    with sim_server(vllm=True, window=4096).running() as server:
        server.faults = lambda _number, _body: Fault(200, body=body)
        with pytest.raises(EngineError) as caught:
            scored(engine_of(server, folder, attempts=1), [asked(QUESTIONS[0], paths()[0])])
    assert message in str(caught.value)


def test_faults_are_passed_over(tmp_path: Path) -> None:
    folder = make_qwen_math(tmp_path / "model")
    served = ServedModel(folder)
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/pooling"] = lambda body: pooled(served.classes(body))
        request = asked(QUESTIONS[0], paths()[0])
        [expected] = scored(engine_of(server, folder), [request])
        spoilt = [Fault(200, body=text) for text in ("[]", "no", '{"data": [{"data": ["a"]}]}')]
        server.faults = first(Fault(429), Fault(cut=10), *spoilt)
        engine = engine_of(server, folder)
        assert scored(engine, [request]) == [expected]
        server.faults = lambda _number, _body: Fault(500)
        with pytest.raises(EngineError, match="given up after 2 attempts"):
            scored(engine_of(server, folder, attempts=2), [request])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(200, body='{"data": [{"data": [[null, 1]]}]}'), engines.Fault.UNUSABLE),
        (Fault(413), engines.Fault.TOO_LONG),
        (
            Fault(400, body='{"error": {"message": "the maximum context length is 64 tokens"}}'),
            engines.Fault.TOO_LONG,
        ),
    ],
)
def test_what_is_wrong_with_one_path_fails_it_alone(
    fault: Fault, kind: engines.Fault, tmp_path: Path
) -> None:
    folder = make_qwen_math(tmp_path / "model")
    served = ServedModel(folder)
    fine, bad = asked(QUESTIONS[0], paths()[0]), asked(QUESTIONS[0], paths()[1])
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/pooling"] = lambda body: pooled(served.classes(body))
        [expected] = scored(engine_of(server, folder), [fine])
        [spoilt] = scored(engine_of(server, folder), [bad])
        assert spoilt != expected
        ids = server.requests[-1][1]["input"]
        server.faults = lambda _number, body: fault if body["input"] == ids else None
        engine = engine_of(server, folder, attempts=2)

        async def both() -> list[ScoreReply | BaseException]:
            try:
                futures = [engine.score(request) for request in (bad, fine)]
                return await asyncio.gather(*futures, return_exceptions=True)
            finally:
                await engine.close()

        wrong, right = asyncio.run(both())
    assert isinstance(wrong, CandidateError)
    assert wrong.fault is kind
    assert right == expected


def test_servers_of_another_kind_are_named(tmp_path: Path) -> None:
    folder = make_qwen_math(tmp_path / "model")
    request = asked(QUESTIONS[0], paths()[0])
    with sim_server(vllm=True, window=4096).running() as server:
        with pytest.raises(EngineError, match=r"read through /pooling: .*`--runner pooling`"):
            scored(engine_of(server, folder), [request])
        server.routes["/pooling"] = lambda _body: pooled([[0.5, 0.5]] * 3)
        with pytest.raises(EngineError, match=r"returns 3 scores for a path of \d+ tokens and 5"):
            scored(engine_of(server, folder), [request])
        server.routes["/pooling"] = lambda body: pooled([[0.1, 0.2, 0.7]] * len(body["input"]))
        with pytest.raises(EngineError, match="returns 3 numbers per place"):
            scored(engine_of(server, folder), [request])
    shepherd = make_math_shepherd(tmp_path / "other")
    with sim_server(vllm=True, window=4096).running() as server:
        top = {"token_id:3": -0.5}
        told = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [top]}
        choice = {"text": "a", "finish_reason": "length", "logprobs": told}
        server.routes["/v1/completions"] = lambda _body: {"choices": [choice]}
        engine = engine_of(server, shepherd, "math-shepherd", context=4096)
        with pytest.raises(EngineError, match="needs vLLM with `logprob_token_ids`"):
            scored(engine, [asked("What?", ("1.",))])


def test_names_and_families_are_checked_when_opened(tmp_path: Path) -> None:
    with sim_server(vllm=True, window=4096).running() as server:
        with pytest.raises(EngineError, match="did you mean 'qwen-math-prm'"):
            scorer_engine(f"http:{server.url}?family=qwen-math")
        folder = make_skywork(tmp_path / "model")
        with pytest.raises(EngineError, match="do not run the value head of family skywork"):
            scorer_engine(f"http:{server.url}?tokenizer={folder}")
        with pytest.raises(EngineError, match="unknown option `tokeniser`; did you mean"):
            scorer_engine(f"http:{server.url}?tokeniser=x")
        with pytest.raises(EngineError, match="has no model `prm`"):
            scorer_engine(f"http:{server.root}#prm")
        made = make_qwen_math(tmp_path / "qwen")
        reduced = scorer_engine(f"http:{server.url}?tokenizer={made}&reduce=last")
        assert not reduced.steps


def refusing(name: str, status: int, message: str) -> Callable[[int, Mapping[str, Any]], Any]:
    """Refuses requests with a field, in a server's words."""
    body = json.dumps({"error": {"message": message.format(name)}})
    return lambda _number, request: Fault(status, body=body) if name in request else None


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("use_activation", 400, "Extra inputs are not permitted: '{}'"),
        ("use_activation", 422, "Unknown field `{}`"),
    ],
)
def test_a_refused_switch_is_sent_under_its_other_name(
    name: str, status: int, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it scores would be others, so it is renamed and never left out."""
    folder = make_qwen_math(tmp_path / "model")
    served = ServedModel(folder)
    asked_for = [asked(QUESTIONS[0], steps) for steps in paths()[:2]]
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/pooling"] = lambda body: pooled(
            served.classes({"use_activation": body.get("activation"), **body})
        )
        server.faults = refusing(name, status, message)
        compare(engine_of(server, folder), f"auto:{folder}", asked_for)
        # Requests arrive in any order; those that the server answered all carry the new name.
        answered = [body for _, body in server.requests if name not in body]
        assert [body.get("activation") for body in answered] == [True, True]
        assert caplog.text.count("refuses `use_activation`: it is sent as `activation`") == 1
        server.faults = lambda number, body: (
            refusing("activation", 400, message)(number, body)
            or refusing(name, status, message)(number, body)
        )
        with pytest.raises(EngineError, match=r"HTTP 400: .*activation"):
            scored(engine_of(server, folder), asked_for[:1])


@pytest.mark.parametrize("name", ["temperature", "logprob_token_ids"])
def test_what_verdicts_can_spare_is_left_out_once_refused(name: str, tmp_path: Path) -> None:
    folder = make_math_shepherd(tmp_path / "model")
    served = ServedModel(folder)
    good, bad = 0, 0

    def completions(body: Mapping[str, Any]) -> Any:
        nonlocal good, bad
        good, bad = body.get("logprob_token_ids", (good, bad))
        return served.completions({"logprob_token_ids": [good, bad], **body})

    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/v1/completions"] = completions
        engine = engine_of(server, folder, "math-shepherd", context=4096)
        good, bad = engine._reading.signs
        server.faults = refusing(name, 400, "Unsupported parameter: '{}'")
        compare(engine, f"math-shepherd:{folder}", [asked(QUESTIONS[0], paths()[0])])
        assert name not in server.requests[-1][1]


def test_fields_of_scorers_are_set_by_hand(tmp_path: Path) -> None:
    folder = make_qwen_math(tmp_path / "model")
    served = ServedModel(folder)
    with sim_server(vllm=True, window=4096).running() as server:
        server.routes["/pooling"] = lambda body: pooled(served.classes(body))
        engine = engine_of(server, folder, extra="priority=3")
        scored(engine, [asked(QUESTIONS[0], paths()[0])])
        assert server.requests[-1][1]["priority"] == 3
        with pytest.raises(EngineError, match="`input` cannot be omitted or added"):
            engine_of(server, folder, omit="input")
