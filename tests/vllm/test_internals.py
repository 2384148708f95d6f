"""Undocumented parts of vLLM: in one module, checked before use, and dispensable."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.vllm_engines import opening
from tts_runtime.engines.base import EngineError, Generation, Limits, PolicyEngine
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.vllm import internals, launch, policy
from tts_runtime.engines.vllm.options import VllmPolicyOptions
from tts_runtime.engines.vllm.parts import version
from tts_runtime.engines.vllm.policy import VllmPolicy


def test_every_part_fits_the_vllm_that_is_tested_with() -> None:
    found = internals.probe()
    assert found.parts == {"core", "connector", "executor", "scheduler"}
    assert found.described == ""


class Narrow:
    """Nothing of what is expected."""


@pytest.mark.parametrize(
    ("name", "stand_in", "part", "said"),
    [
        ("_OutputProcessor", Narrow, "core", "no `process_outputs`, `propagate_error`"),
        ("_CoreClient", Narrow, "core", "no `add_request_async`, `abort_requests_async`"),
        ("_EngineCoreRequest", Narrow, "core", "TypeError"),
        ("_EngineCoreOutput", SimpleNamespace, "core", "no `new_logprobs`, "),
        ("_Request", lambda *_: Narrow(), "connector", "no `all_token_ids`, "),
        ("_UniProcExecutor", Narrow, "executor", "no `collective_rpc`"),
        ("_Scheduler", Narrow, "scheduler", "no `update_from_output`, `finish_requests`"),
    ],
)
def test_a_part_that_does_not_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, stand_in: Any, part: str, said: str
) -> None:
    monkeypatch.setattr(internals, name, stand_in)
    found = internals.probe()
    assert found.parts == {"core", "connector", "executor", "scheduler"} - {part}
    assert found.described.startswith(f"vLLM {version()} partly by its public interface")
    assert f"({part}: {said}" in found.described


def test_a_part_with_other_arguments_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def process_outputs(self) -> None: ...

        def propagate_error(self, error: Exception) -> None: ...

    monkeypatch.setattr(internals, "_OutputProcessor", Other)
    assert "core: TypeError: too many positional arguments" in internals.probe().described


def test_a_missing_class_is_named() -> None:
    stand_in = internals._part("nothing", "vllm.v1", "NoSuchClass")
    assert internals._MISSING.pop("nothing") == "no `vllm.v1.NoSuchClass`"
    assert isinstance(stand_in, type)


def test_an_engine_that_breaks_in_our_parts_starts_without_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[dict[str, Any]] = []

    def started(_name: str, arguments: dict[str, Any], *_: object, **__: object) -> object:
        tried.append(arguments)
        if len(tried) == 1:
            raise launch._InternalsBroke("no attribute `page_size_bytes`")
        return None

    monkeypatch.setattr(launch, "_started", started)
    found = launch.start("p", tmp_path, VllmPolicyOptions(), 0.5, 128, {"runner": "pooling"})
    ours = {"distributed_executor_backend", "kv_transfer_config"}
    assert [ours & set(arguments) for arguments in tried] == [ours, set()]
    assert tried[1]["runner"] == "pooling"
    assert (found.internals.parts, found.lists) == (frozenset(), False)
    assert "(it does not start otherwise: no attribute `page_size_bytes`)" in found.described


def test_a_vllm_that_cannot_follow_streams_is_refused(
    monkeypatch: pytest.MonkeyPatch, policy_folder: Path
) -> None:
    monkeypatch.setattr(internals, "no_streams", lambda: "no `update_state`")
    with pytest.raises(EngineError, match=r"streams need \(no `update_state`\): .* `transformers:"):
        VllmPolicy(str(policy_folder))


def drawn(engine: PolicyEngine) -> list[Generation]:
    """Some generations of an engine, which is closed."""

    async def main() -> list[Generation]:
        requests = [opening(engine, number, Limits(40, steps=number % 2)) for number in range(12)]
        try:
            return list(await asyncio.gather(*map(engine.generate, requests)))
        finally:
            await engine.close()

    return asyncio.run(main())


def test_a_part_that_gives_no_reply_is_not_used(
    monkeypatch: pytest.MonkeyPatch, policy_folder: Path
) -> None:
    """vLLM may change what a method does and keep its name: the first request tells."""
    process = internals.CoreTransport._process

    def deaf(self: Any, _outputs: Any, *further: Any, **named: Any) -> Any:
        return process(self, [], *further, **named)

    monkeypatch.setattr(internals.CoreTransport, "_process", deaf)
    monkeypatch.setattr(policy, "_SECONDS", 2.0)
    engine = VllmPolicy(str(policy_folder), VllmPolicyOptions(slots=16, kv_cache=0.25))
    assert "partly by its public interface (core: no reply)" in engine.chosen
    found, expected = drawn(engine), drawn(BundledPolicy(policy_folder))
    assert [one.ids for one in found] == [one.ids for one in expected]
