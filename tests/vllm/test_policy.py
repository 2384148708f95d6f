"""What a user of `vllm:MODEL` relies on beside the conformance suite: aborts, errors, endings."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tiny_models import tiny_model
from tests.support.tiny_prms import make_outcome
from tests.support.vllm_engines import Engines, opening
from tts_runtime.engines.base import (
    EngineError,
    Finish,
    Generation,
    Limits,
    Partial,
    PolicyEngine,
    Sampling,
)
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.registry import policy_engine
from tts_runtime.engines.vllm.core_client import VllmOutput
from tts_runtime.engines.vllm.generate_call import GenerateCall
from tts_runtime.engines.vllm.options import VllmPolicyOptions
from tts_runtime.engines.vllm.policy import VllmPolicy
from tts_runtime.paths import bundled
from tts_runtime.sampling import STATISTICS

LONG = Limits(200, at_least=200)


@pytest.fixture
def engine(engines: Engines, policy_folder: Path) -> VllmPolicy:
    """A shared engine of the random policy."""
    return engines.policy(policy_folder)


def test_cancelled_requests_leave_vllm(engine: VllmPolicy) -> None:
    """Running and waiting ones; what they had drawn is counted, and others continue."""

    async def main() -> int:
        before = engine.cancelled_tokens
        futures = [engine.generate(opening(engine, number, LONG)) for number in range(100)]
        # By then those that run have drawn tokens, and some may still wait.
        await engine.generate(replace(opening(engine, 100, Limits(5)), priority=-1))
        kept = futures.pop()
        for future in futures:
            future.cancel()
        answer = await kept
        assert len(answer.ids) == 200
        while engine.unfinished:
            await asyncio.sleep(0.01)
        return engine.cancelled_tokens - before

    assert 0 < asyncio.run(asyncio.wait_for(main(), 300)) < 99 * 200


def test_tokens_come_home_when_a_request_ends(
    engine: VllmPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM's core sends one output for all tokens of a call, unless they are watched."""
    outputs: list[tuple[str, int]] = []
    take = GenerateCall.take

    def noted(self: GenerateCall, output: VllmOutput) -> None:
        outputs.append((output.name, len(output.ids)))
        take(self, output)

    async def main(limits: Limits) -> None:
        outputs.clear()
        await asyncio.gather(*(engine.generate(opening(engine, n, limits)) for n in range(3)))

    monkeypatch.setattr(GenerateCall, "take", noted)
    asyncio.run(main(Limits(20, at_least=20)))
    assert [count for _, count in outputs] == [20] * 3
    asyncio.run(main(Limits(20, at_least=20, stop_when=lambda _: False)))
    assert [count for _, count in outputs] == [1] * 60


def test_the_numbers_are_those_of_the_bundled_engine(engines: Engines, policy_folder: Path) -> None:
    """Raw log-probabilities and statistics, whatever the sampling; ends and finish too."""
    own = BundledPolicy(policy_folder)
    vllm = engines.policy(policy_folder)
    settings = (Sampling(0.6, top_p=0.8), Sampling(0.0), Sampling(1.4, top_k=7, min_p=0.05))
    requests = [
        replace(
            opening(own, number, Limits(30, at_least=number % 4 * 3, steps=number % 3)),
            sampling=settings[number % 3],
            statistics=STATISTICS if number % 2 else STATISTICS[:1],
        )
        for number in range(24)
    ]

    async def answers(engine: PolicyEngine) -> list[object]:
        return list(await asyncio.gather(*map(engine.generate, requests)))

    expected = asyncio.run(answers(own))
    asyncio.run(own.close())
    for one, other in zip(asyncio.run(answers(vllm)), expected, strict=True):
        assert (one.ids, one.finish, one.segments) == (other.ids, other.finish, other.segments)  # type: ignore[attr-defined]
        assert one.drawn == other.drawn  # type: ignore[attr-defined]
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)  # type: ignore[attr-defined]
        assert one.end_logprob == pytest.approx(other.end_logprob, abs=1e-4)  # type: ignore[attr-defined]
        for name, values in other.statistics.items():  # type: ignore[attr-defined]
            assert one.statistics[name] == pytest.approx(values, abs=1e-4)  # type: ignore[attr-defined]


def test_stop_when_and_stop_texts_stop_where_they_say(engine: VllmPolicy) -> None:
    def enough(partial: Partial) -> bool:
        return len(partial.ids) == 11 and len(partial.statistics["entropy"]) == 11

    whole = opening(engine, 1, Limits(40, at_least=40))
    halted = replace(whole, limits=replace(whole.limits, end_when=enough), statistics=("entropy",))

    async def main() -> None:
        full = await engine.generate(whole)
        cut = await engine.generate(halted)
        assert (cut.ids, cut.finish, cut.halted) == (full.ids[:11], Finish.STOP, True)
        text = b"".join(engine.tokenizer.pieces[token] for token in full.ids[:6])
        stopped = await engine.generate(
            replace(whole, limits=replace(whole.limits, stop_at=text[-3:]))
        )
        assert stopped.finish is Finish.STOP
        assert stopped.ids == full.ids[: len(stopped.ids)]
        assert len(stopped.ids) <= 6

    asyncio.run(main())


def test_what_breaks_one_request_breaks_no_other(engine: VllmPolicy) -> None:
    """A condition that fails, a token that is none: said where it was asked, ended in vLLM."""

    def broken(partial: Partial) -> bool:
        return len(partial.ids) == 3 and 1 / 0 > 0

    one = opening(engine, 5, LONG)

    async def main() -> list[object]:
        requests = [
            one,
            replace(one, limits=replace(LONG, stop_when=broken)),
            replace(one, prefix=(10**9,)),
            replace(one, prompt=()),
        ]
        found = await asyncio.gather(*map(engine.generate, requests), return_exceptions=True)
        assert engine.unfinished == 0
        return list(found)

    kept, *failed = asyncio.run(main())
    assert isinstance(kept, Generation)
    assert len(kept.ids) == 200
    assert [type(each) for each in failed] == [ZeroDivisionError, EngineError, EngineError]
    assert "token 1000000000 is not in the vocabulary" in str(failed[1])


def test_a_path_without_numbers_fails(tmp_path: Path) -> None:
    """Also where its statistics would be none; the embedding of one character is damaged."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tiny_model(tmp_path / "policy")
    weights = load_file(folder / "model.safetensors")
    [token] = HuggingFaceTokenizer(folder).encode("~")
    weights["model.embed_tokens.weight"][token] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    engine = VllmPolicy(str(folder), VllmPolicyOptions(slots=4, kv_cache=0.25))

    async def main() -> None:
        good = await engine.generate(opening(engine, 0, Limits(5)))
        assert len(good.ids) == 5
        for statistics in ((), ("confidence", "entropy")):
            for limits in (Limits(5), Limits(5, at_least=5)):
                asked = opening(engine, 1, limits, "What ~ is")
                with pytest.raises(EngineError, match="numbers are none here"):
                    await engine.generate(replace(asked, statistics=statistics))
        await engine.close()

    asyncio.run(main())


def test_requests_of_an_engine_that_dies_fail(policy_folder: Path) -> None:
    """Those in flight and those that come later; nobody waits for ever."""
    before = children(os.getpid())
    engine = VllmPolicy(str(policy_folder), VllmPolicyOptions(slots=16, kv_cache=0.25))
    own = children(os.getpid()) - before

    async def main() -> list[object]:
        futures = [engine.generate(opening(engine, number, LONG)) for number in range(8)]
        await engine.generate(opening(engine, 9, Limits(5)))  # by then all are running
        for number in own:
            if b"EngineCore" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGKILL)
        found = await asyncio.gather(*futures, return_exceptions=True)
        later = await asyncio.gather(
            engine.generate(opening(engine, 10, LONG)), return_exceptions=True
        )
        await engine.close()
        return [*found, *later]

    found = asyncio.run(asyncio.wait_for(main(), 300))
    assert len(found) == 9
    assert {type(each) for each in found} == {EngineError}
    assert all("vLLM broke" in str(each) for each in found)


def test_a_longer_prefix_is_mostly_cached(engine: VllmPolicy) -> None:
    async def main() -> None:
        first = opening(engine, 3, Limits(150, at_least=150))
        done = await engine.generate(first)
        rest = replace(first, prefix=done.ids, segments=done.segments, limits=Limits(5))
        again = await engine.generate(rest)
        assert again.prefilled < 40 < len(first.prompt) + len(done.ids)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("?slot=3", "unknown option `slot`; did you mean 'slots'?"),
        ("?gpu_memory=1.5", "option `gpu_memory`: Input should be less than or equal to 1"),
        ("?context=9999", "context 9999 is more than the 256 positions"),
        ("?batch_invariant=on", "`batch_invariant=on`: VLLM_BATCH_INVARIANT needs a GPU"),
        ("?lora=nowhere", "option `lora`: `nowhere` is no folder of a LoRA adapter"),
        ("?devices=cuda", "option `devices`: String should match pattern"),
        ("?args=max_num_seqs=3", "option `args`: `max_num_seqs`: it is the option `slots`"),
        ("?args=logits_processors=x", "`logits_processors`: streams need it as it is"),
        ("?args=quantisation=fp8", "`quantisation`: did you mean 'quantization'?"),
        ("?args=quantization", "option `args`: expected name=value or a JSON object"),
    ],
)
def test_wrong_options_get_help(policy_folder: Path, tail: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        policy_engine(f"vllm:{policy_folder}{tail}")
    assert message in str(caught.value)


def test_reward_models_are_no_policies(tmp_path: Path) -> None:
    folder = make_outcome(tmp_path / "orm", 1)
    with pytest.raises(EngineError, match=rf"--scorer NAME=auto:{folder}"):
        policy_engine(f"vllm:{folder}")


def test_an_adapter_of_too_high_a_rank_is_refused(policy_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 1000}')
    with pytest.raises(EngineError, match=r"has rank 1000; vLLM takes at most \d+$"):
        policy_engine(f"vllm:{policy_folder}?lora={tmp_path}")


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from tts_runtime.engines.registry import policy_engine\n"
        f"policy_engine('vllm:{bundled('policy')}')\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert 'put what the script runs under `if __name__ == "__main__":`' in done.stderr


def test_a_cache_that_does_not_fit_says_what_to_change(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")  # the option goes before vLLM's variable
    folder = tiny_model(tmp_path / "policy")
    with pytest.raises(EngineError, match=r"does not fit: .*`kv_cache`.*vLLM says: "):
        VllmPolicy(str(folder), VllmPolicyOptions(kv_cache=0.0005))
    assert "Traceback" not in "".join(capfd.readouterr())


def test_close_cancels_and_refuses(policy_folder: Path) -> None:
    engine = VllmPolicy(str(policy_folder), VllmPolicyOptions(slots=1, kv_cache=0.25))
    before = children(os.getpid())

    async def main() -> list[bool]:
        futures = [engine.generate(opening(engine, number, LONG)) for number in range(3)]
        await engine.close()
        with pytest.raises(EngineError, match="is closed"):
            engine.generate(opening(engine, 9, LONG))
        return [future.cancelled() for future in futures]

    assert asyncio.run(main()) == [True, True, True]
    assert children(os.getpid()) < before


@pytest.mark.parametrize("ending", ["ctrl-c", "interrupt", "killed"])
def test_nothing_is_left_when_a_run_is_stopped(tmp_path: Path, ending: str) -> None:
    """While it samples: Ctrl-C reaches the whole terminal; who is killed cannot tidy up."""
    command = [
        *(str(Path(sys.executable).with_name("tts-run")), "majority", "--set", "n=64"),
        *("--policy", f"vllm:{bundled('policy')}?kv_cache=0.25&slots=16", "--problems", "arith"),
        *("--out", str(tmp_path / "run")),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, text=True
    )
    try:
        while not is_running(process.pid):
            assert process.poll() is None, process.stdout and process.stdout.read()
            time.sleep(0.2)
        if ending == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGKILL if ending == "killed" else signal.SIGINT)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == (-signal.SIGKILL if ending == "killed" else 130)
        assert "Traceback" not in output
        wait_until(lambda: not in_session(process.pid))
    finally:
        for number in in_session(process.pid):
            os.kill(number, signal.SIGKILL)


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Fails if something does not come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def is_running(number: int) -> bool:
    """Whether a run's engine has started: then it is watched, and sampling begins."""
    return any(
        b"sys.stdin.read()" in Path(f"/proc/{child}/cmdline").read_bytes()
        for child in children(number)
    )


def children(number: int) -> set[int]:
    """Processes that one has started, in Linux' own list."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == number and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


def in_session(session: int) -> list[int]:
    """Processes of a session that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
