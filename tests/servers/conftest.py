"""Servers of every style, and the engine that talks to each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.server import Server, Style, sim_server
from tests.support.server_clock import FakeClock
from tests.support.server_model import HashModel
from tests.support.tiny_models import tiny_tokenizer
from tests.support.tts_run import Command
from tts_runtime.engines.base import GenerateRequest, Generation, Limits, Sampling
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.policy import OpenAIPolicy
from tts_runtime.steps import NOTHING
from tts_runtime.streams import root_key
from tts_runtime.tokens import Tokenizer, to_bytes

Result = TypeVar("Result")


@dataclass
class Subject:
    """A server and the options with which its engine is opened."""

    server: Server
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    clock: FakeClock = field(default_factory=FakeClock)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The engine's."""
        return self.open().tokenizer

    def texts(self, answers: Sequence[Generation]) -> list[str]:
        """What was written."""
        data = [to_bytes(self.tokenizer, answer.ids) for answer in answers]
        return [each.decode("utf-8", "replace") for each in data]

    def open(self, **more: Any) -> OpenAIPolicy:
        """A new engine."""
        options = ServerOptions.model_validate({**self.options, **more})
        return OpenAIPolicy(self.server.url, options, self.clock)

    def run(self, work: Callable[[OpenAIPolicy], Awaitable[Result]], **more: Any) -> Result:
        """Some work on a fresh engine, which is closed afterwards."""

        async def main() -> Result:
            engine = self.open(**more)
            try:
                return await work(engine)
            finally:
                await engine.close()

        return asyncio.run(main())

    def answers(
        self, many: int, limits: Limits, sampling: Sampling | None = None, **more: Any
    ) -> list[Generation]:
        """The answers to that many different requests that are in flight together."""

        async def work(engine: OpenAIPolicy) -> list[Generation]:
            requests = requests_for(engine, many, limits, sampling)
            return await asyncio.gather(*map(engine.generate, requests))

        return self.run(work, **more)


def requests_for(
    engine: OpenAIPolicy, many: int, limits: Limits, sampling: Sampling | None = None
) -> list[GenerateRequest]:
    """First children of several problems."""
    found = []
    for number in range(many):
        text = engine.binding.open(f"What is {number}?", thinking=False)
        prompt = engine.tokenizer.encode(text)
        key = root_key(0, str(number))
        found.append(GenerateRequest(prompt, (), key, sampling or Sampling(), limits, NOTHING))
    return found


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer with a binding, as a model's folder."""
    return tiny_tokenizer(tmp_path_factory.mktemp("servers") / "policy")


#: Servers by what they can: vLLM by texts and by ids, others by texts, by ids, without
#: log-probabilities, and with chat completions only.
STYLES: Mapping[str, Style] = {
    "vllm": Style(vllm=True),
    "vllm-ids": Style(vllm=True),
    "vllm-chat": Style(vllm=True, completions=False),
    "plain": Style(logprobs=5),
    "plain-ids": Style(logprobs=5),
    "plain-names": Style(logprobs=5, ids=False),
    "silent": Style(logprobs=-1, usage=False),
    "chat": Style(completions=False),
}
CONTINUING = [name for name in STYLES if name != "chat"]
KNOWN_IDS = ["vllm-ids", "plain-ids", "plain-names"]


def open_subject(name: str, folder: Path) -> Iterator[Subject]:
    """A running server of a style."""
    options: dict[str, Any] = {}
    if name in KNOWN_IDS:
        tokenizer = HuggingFaceTokenizer(folder, ("<think>", "</think>"))
        server = Server(HashModel(tokenizer, {0: "<eos>"}), STYLES[name])
        options["tokenizer"] = str(folder)
    else:
        style = STYLES[name]
        server = sim_server(**{key: getattr(style, key) for key in Style.__dataclass_fields__})
        if not style.vllm:
            options["context"] = 256
        if name in ("plain", "silent"):
            options["api"] = "completions"
    with server.running():
        yield Subject(server, options, name)


@pytest.fixture(params=STYLES)
def subject(request: pytest.FixtureRequest, folder: Path) -> Iterator[Subject]:
    """Each style in turn."""
    yield from open_subject(request.param, folder)


@pytest.fixture(params=CONTINUING)
def continuing(request: pytest.FixtureRequest, folder: Path) -> Iterator[Subject]:
    """Each style that continues with partial answers."""
    yield from open_subject(request.param, folder)


@pytest.fixture(params=KNOWN_IDS)
def known_ids(request: pytest.FixtureRequest, folder: Path) -> Iterator[Subject]:
    """Each style where the tokenizer is known."""
    yield from open_subject(request.param, folder)


@pytest.fixture
def vllm_ids(folder: Path) -> Iterator[Subject]:
    """vLLM, by ids."""
    yield from open_subject("vllm-ids", folder)


@pytest.fixture
def vllm() -> Iterator[Subject]:
    """vLLM, by texts."""
    with sim_server(vllm=True).running() as server:
        yield Subject(server)


@pytest.fixture
def tts_run(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, in this process."""
    return Command(capsys)
