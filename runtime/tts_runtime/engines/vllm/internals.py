"""Everything undocumented that we use of vLLM, checked before it is used.

Four parts make searches faster and change no answer; without one of them its public substitute
serves:

* `core`: requests go straight to the engine core (else `PublicTransport`);
* `connector`: partial blocks are cached, and requests carry their tokens' log-probabilities home
  in one list (else blocks are whole, and vLLM returns log-probabilities token by token);
* `scheduler`: the tokens of such requests come home together, when they end (else step by step);
* `executor`: on a CPU, scheduler and model share a process (else vLLM's own two processes, which
  wait for each other by spinning).

Elsewhere only vLLM's documented names may be imported (tests/test_layers.py). Among those,
the interface of `processor` is documented too, for vLLM's first model runner: without it streams
cannot be followed, and the engine is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from inspect import isabstract, signature
from typing import Any, Final

import torch
from torch import Tensor

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.vllm.core_client import Transport, VllmOutput, VllmRequest
from tts_runtime.engines.vllm.direct_calls import call_directly
from tts_runtime.engines.vllm.partial_blocks import BlockCopies, PartialBlockCache
from tts_runtime.engines.vllm.parts import Internals
from tts_runtime.engines.vllm.protocol import KEY, values_in

#: The connector's setting for the memory of partial blocks, in GiB.
ROOM: Final = "partial_blocks"

_MISSING: dict[str, str] = {}


def _part(part: str, module: str, name: str) -> Any:
    """An undocumented class of vLLM's; where it is missing, an empty one, and the part fails."""
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        _MISSING.setdefault(part, f"no `{module}.{name}`")
        return type(name, (), {})


_CONNECTORS: Final = "vllm.distributed.kv_transfer.kv_connector.v1.base"
_KVConnector: Any = _part("connector", _CONNECTORS, "KVConnectorBase_V1")
_KVConnectorMetadata: Any = _part("connector", _CONNECTORS, "KVConnectorMetadata")
_SupportsHMA: Any = _part("connector", _CONNECTORS, "SupportsHMA")
_Request: Any = _part("connector", "vllm.v1.request", "Request")
_UniProcExecutor: Any = _part("executor", "vllm.v1.executor.uniproc_executor", "UniProcExecutor")
_EngineCoreRequest: Any = _part("core", "vllm.v1.engine", "EngineCoreRequest")
_EngineCoreOutput: Any = _part("core", "vllm.v1.engine", "EngineCoreOutput")
_EngineCoreOutputs: Any = _part("scheduler", "vllm.v1.engine", "EngineCoreOutputs")
_OutputProcessor: Any = _part("core", "vllm.v1.engine.output_processor", "OutputProcessor")
_CoreClient: Any = _part("core", "vllm.v1.engine.core_client", "AsyncMPClient")
_Scheduler: Any = _part("scheduler", "vllm.v1.core.sched.scheduler", "Scheduler")


# ---------------------------------------------------------------------- which parts can be used


def probe() -> Internals:
    """Checks each part against this vLLM; costs milliseconds once vLLM is imported."""
    found = Internals(frozenset(_CHECKS))
    for part, check in _CHECKS.items():
        try:
            wrong = _MISSING.get(part) or check()
        except Exception as error:  # noqa: BLE001  (whatever fails in vLLM: the part is not used)
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            found = found.without(part, wrong)
    return found


def _check_core() -> str:
    """The faults of the engine core's client; empty if it has none."""
    from vllm import SamplingParams

    request = VllmRequest("probe", [1, 2], SamplingParams(extra_args={KEY: {"values": []}}))
    struct = _core_request(request)
    if (struct.request_id, list(struct.prompt_token_ids)) != ("probe", [1, 2]):
        return "its request keeps other fields"
    lacks = _lacking(
        _EngineCoreOutput(request_id="probe", new_token_ids=[3]),
        ("new_logprobs", "finish_reason", "prefill_stats", "kv_transfer_params"),
    )
    lacks += _uncallable(_CoreClient, ("add_request_async", "abort_requests_async"), 1)
    lacks += _uncallable(_OutputProcessor, ("process_outputs", "propagate_error"), 1)
    return _listed(lacks)


def _check_connector() -> str:
    if isabstract(Connector):
        return _listed(sorted(Connector.__abstractmethods__))
    from vllm import SamplingParams

    request = _Request("probe", [1, 2], SamplingParams(), None)
    # Of what the scheduler hands over, the rest is checked by the first request (`policy`).
    return _listed(
        _lacking(
            request,
            (
                *("all_token_ids", "num_tokens", "num_computed_tokens", "block_hashes"),
                *("sampling_params", "lora_request", "cache_salt", "mm_features"),
                *("prompt_embeds", "skip_reading_prefix_cache"),
            ),
        )
    )


def _check_executor() -> str:
    return _listed(_lacking(_UniProcExecutor, ("collective_rpc",)))


def _check_scheduler() -> str:
    return _listed(_uncallable(_Scheduler, ("update_from_output", "finish_requests"), 2))


_CHECKS: Final[Mapping[str, Callable[[], str]]] = {
    "core": _check_core,
    "connector": _check_connector,
    "executor": _check_executor,
    "scheduler": _check_scheduler,
}


def _lacking(thing: object, names: Sequence[str]) -> list[str]:
    return [name for name in names if not hasattr(thing, name)]


def _uncallable(owner: Any, names: Sequence[str], arguments: int) -> list[str]:
    """Methods that are missing; TypeError if one does not take that many arguments."""
    for name in names:
        if hasattr(owner, name):
            signature(getattr(owner, name)).bind(None, *range(arguments))
    return _lacking(owner, names)


def _listed(names: Sequence[str]) -> str:
    return f"no {', '.join(f'`{name}`' for name in names)}" if names else ""


def no_streams() -> str:
    """Why this vLLM cannot follow streams; empty if it can."""
    try:
        processor = import_module("tts_runtime.engines.vllm.processor").StreamProcessor
    except (ImportError, AttributeError) as error:
        return str(error)
    return _listed(sorted(processor.__abstractmethods__)) if isabstract(processor) else ""


def lora_ranks() -> tuple[int, ...]:
    """Ranks of adapters that vLLM makes room for; vLLM's own list, or the usual one."""
    from typing import get_args

    found = getattr(import_module("vllm.config.lora"), "MaxLoRARanks", None)
    return get_args(found) or (8, 16, 32, 64, 128, 256)


def shut_down(engine: Any, seconds: float) -> None:
    """Ends an engine's processes, which have so long to end by themselves."""
    takes = signature(engine.shutdown).parameters
    engine.shutdown(**({"timeout": seconds} if "timeout" in takes else {}))
    # Its `__del__` would end it again, perhaps when half of Python is gone, and complain.
    engine.shutdown = lambda *_, **__: None


# ---------------------------------------------------------------------- executor


class SameProcess(_UniProcExecutor):  # type: ignore[misc]  # vLLM is not there to check
    """vLLM's executor of one process; under this name vLLM does not replace it on a CPU."""

    def _init_executor(self) -> None:
        with suppress(ImportError):  # no such layer: vLLM's own models have another
            from tts_runtime.engines.vllm.cpu_kernels import use_kernels

            use_kernels()
        super()._init_executor()
        if self.vllm_config.model_config.enforce_eager:
            self.collective_rpc("apply_model", args=(call_directly,))


# ---------------------------------------------------------------------- scheduler


class ListingScheduler(_Scheduler):  # type: ignore[misc]
    """Tells of a request once, when it ends or is aborted, if its values come home in one list.

    vLLM tells of every token after each step, which has to be packed, sent and unpacked.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._held: dict[str, Any] = {}
        self._given_up: list[tuple[int, Any]] = []

    def update_from_output(self, *arguments: Any) -> dict[int, Any]:
        """The outputs of a step, by client, without those that can wait."""
        by_client: dict[int, Any] = super().update_from_output(*arguments)
        for client, found in list(by_client.items()):
            found.outputs = [output for output in found.outputs if not self._waits(output)]
            if not (found.outputs or found.finished_requests or found.scheduler_stats):
                del by_client[client]
        for client, output in self._given_up:
            by_client.setdefault(client, _EngineCoreOutputs()).outputs.append(output)
        self._given_up.clear()
        return by_client

    def finish_requests(self, *arguments: Any) -> Any:
        """Ends requests from outside."""
        requests = super().finish_requests(*arguments)
        for request in requests:
            held = self._held.pop(request.request_id, None)
            if held is not None:
                held.finish_reason = request.get_finished_reason()
                self._given_up.append((request.client_index, held))
        return requests

    def _waits(self, output: Any) -> bool:
        held = self._held.get(output.request_id)
        if output.finish_reason is not None:
            if held is not None:
                del self._held[output.request_id]
                output.new_token_ids = held.new_token_ids + output.new_token_ids
                output.prefill_stats = held.prefill_stats
            return False
        if held is not None:
            held.new_token_ids += output.new_token_ids
            return True
        parameters = self.requests[output.request_id].sampling_params
        if values_in(parameters and parameters.extra_args) is None:
            return False
        self._held[output.request_id] = output
        return True


# ---------------------------------------------------------------------- core


class CoreTransport(Transport):
    """Requests straight to vLLM's engine core, and its outputs straight back.

    vLLM's front end makes a task, a queue and an object of replies for each request: that is work
    on a core that scoring needs. Outputs of requests that are not ours take the usual way.
    """

    def open(
        self,
        engine: Any,
        prefix: str,
        outputs: Callable[[Sequence[VllmOutput]], None],
        failed: Callable[[Sequence[str] | None, Exception], None],
    ) -> None:
        """Connects to vLLM's `AsyncLLM`, whose processing of outputs is put behind ours."""
        super().open(engine, prefix, outputs, failed)
        self._sending: set[asyncio.Task[None]] = set()
        front = engine.output_processor
        self._process_others: Callable[..., Any] = front.process_outputs
        self._fail_others: Callable[[Exception], None] = front.propagate_error
        front.process_outputs, front.propagate_error = self._process, self._broken

    def close(self) -> None:
        """Gives vLLM's front end its methods back."""
        front = self.engine.output_processor
        front.process_outputs, front.propagate_error = self._process_others, self._fail_others

    def send(self, requests: Sequence[VllmRequest], aborted: Sequence[str]) -> None:
        """Sends from a task of its own, so in turn."""
        task = asyncio.get_running_loop().create_task(self._send(requests, aborted))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, requests: Sequence[VllmRequest], aborted: Sequence[str]) -> None:
        core = self.engine.engine_core
        for request in requests:
            try:
                await core.add_request_async(_core_request(request))
            except Exception as error:  # noqa: BLE001  (raised where the reply is awaited)
                self.failed([request.name], error)
        if aborted:
            await core.abort_requests_async(list(aborted))

    def _process(self, outputs: Sequence[Any], *further: Any, **named: Any) -> Any:
        """In place of vLLM's `process_outputs`."""
        ours: list[VllmOutput] = []
        others: list[Any] = []
        for output in outputs:
            if output.request_id.startswith(self.prefix):
                ours.append(_core_output(output))
            else:
                others.append(output)
        if ours:
            self.outputs(ours)
        return self._process_others(others, *further, **named)

    def _broken(self, error: Exception) -> None:
        """In place of vLLM's `propagate_error`: the engine is dead."""
        self.failed(None, error)
        self._fail_others(error)


def _core_request(request: VllmRequest) -> Any:
    return _EngineCoreRequest(
        request_id=request.name,
        external_req_id=request.name,
        prompt_token_ids=request.ids,
        mm_features=None,
        sampling_params=request.parameters,
        pooling_params=None,
        arrival_time=time.time(),
        lora_request=request.adapter,
        cache_salt=None,
        data_parallel_rank=None,
        priority=request.priority,
    )


def _core_output(output: Any) -> VllmOutput:
    return VllmOutput(
        output.request_id,
        output.new_token_ids,
        _logprobs(output),
        None if output.finish_reason is None else str(output.finish_reason),
        0 if output.prefill_stats is None else output.prefill_stats.num_cached_tokens,
        (output.kv_transfer_params or {}).get(KEY),
    )


def _logprobs(output: Any) -> Iterator[Mapping[int, float]]:
    found = output.new_logprobs
    for ids, values in zip(found.logprob_token_ids, found.logprobs, strict=True):
        yield dict(zip(ids.tolist(), values.tolist(), strict=True))


# ---------------------------------------------------------------------- connector


@dataclass
class _Metadata(_KVConnectorMetadata):  # type: ignore[misc]
    moves: BlockCopies


class Connector(_KVConnector, _SupportsHMA):  # type: ignore[misc]
    """Caches the partial block of every request that ends, for those that continue it.

    vLLM asks its connector, for every new request, how many tokens after the cached blocks it can
    provide, and has it copy them into the request's own blocks before the model runs. In vLLM's
    scheduler it keeps the index of partial blocks, in its workers their contents. Without room for
    any (`partial_blocks=0`) it only brings values home.
    """

    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any) -> None:
        super().__init__(vllm_config, role, kv_cache_config)
        group = kv_cache_config.kv_cache_groups[0]
        # Models that mix kinds of attention have several groups of blocks: nothing is cached.
        self._single = len(kv_cache_config.kv_cache_groups) == 1
        self._block = group.kv_cache_spec.block_size
        self._blocks = kv_cache_config.num_blocks
        room = vllm_config.kv_transfer_config.get_from_extra_config(ROOM, 0.0) * 2**30
        self._slots = int(room / (group.kv_cache_spec.page_size_bytes * len(group.layer_names)))
        # In the scheduler:
        self._partial = PartialBlockCache(self._slots if self._single else 0, self._block)
        self._found: dict[str, tuple[int, int]] = {}
        self._begun: list[tuple[Any, int, int]] = []
        # In a worker: layer by layer, vLLM's blocks and ours; on a CPU as bytes of NumPy.
        self._layers: list[tuple[Any, Any]] = []

    def get_num_new_matched_tokens(self, request: Any, computed: int) -> tuple[int, bool]:
        """Tokens after the cached blocks in a partial block; the last one is always read."""
        whole = computed // self._block
        tokens = request.all_token_ids[computed : computed + self._block]
        self._found.pop(request.request_id, None)
        found = self._partial.find(_prefix(request, whole), tokens) if _plain(request) else None
        if found is None:
            return 0, False
        slot, length = found
        self._found[request.request_id] = slot, whole
        return min(length, request.num_tokens - 1 - computed), False

    def update_state_after_alloc(self, request: Any, blocks: Any, external: int) -> None:
        """The request has its blocks: loads a partial block into one, or notes one to cache."""
        slot, place = self._found.pop(request.request_id, (0, 0))
        ids = blocks.get_block_ids()[0]
        if external:
            self._partial.load(slot, ids[place])
        elif self._slots and _plain(request):
            last = (request.num_tokens - 1) // self._block
            if last < len(ids):  # else it is read piece by piece, and has not all its blocks yet
                self._begun.append((request, request.num_tokens, ids[last]))

    def request_finished_all_groups(
        self, request: Any, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Caches the block that the request wrote to last; returns its values."""
        self._found.pop(request.request_id, None)
        count = min(request.num_computed_tokens, request.num_tokens)
        place = (count - 1) // self._block
        if count and place < len(block_ids[0]) and _plain(request):
            self._keep(request, count, block_ids[0][place])
        values = values_in(request.sampling_params and request.sampling_params.extra_args)
        return False, None if values is None else {KEY: values}

    def build_connector_meta(self, scheduler_output: Any) -> _Metadata:
        """The copies before this step; what this step completes is cached before the next one."""
        moves = self._partial.take()
        scheduled: Mapping[str, int] = scheduler_output.num_scheduled_tokens
        for request, count, block in self._begun:
            if request.num_computed_tokens + scheduled.get(request.request_id, 0) >= count:
                self._keep(request, count, block)
        self._begun.clear()
        return _Metadata(moves)

    def reset_cache(self) -> bool:
        """Forgets all partial blocks."""
        self._partial.forget()
        return True

    def register_kv_caches(self, kv_caches: dict[str, Tensor]) -> None:
        """Allocates memory beside vLLM's own blocks, in a worker."""
        for cache in kv_caches.values() if self._single else ():
            if cache.shape[0] != self._blocks:
                raise EngineError(
                    f"vLLM keeps this model's keys and values as {list(cache.shape)}, not by the "
                    f"{self._blocks} blocks, so partial blocks cannot be copied: set "
                    "`partial_blocks=0`"
                )
            kept = cache.new_empty((self._slots, *cache.shape[1:]))
            if cache.device.type == "cpu":  # indexing a tensor takes longer than copying a block
                pair = [each.view(torch.uint8).numpy() for each in (cache, kept)]
                self._layers.append((pair[0], pair[1]))
            else:
                self._layers.append((cache, kept))

    def handle_preemptions(self, kv_connector_metadata: _Metadata) -> None:
        """Saves partial blocks before a step, while freed blocks still hold what they held."""
        for cache, kept in self._layers:
            _copy(cache, kept, kv_connector_metadata.moves.saves)

    def start_load_kv(self, forward_context: Any, **_: Any) -> None:  # noqa: ARG002
        """Loads partial blocks into requests' blocks."""
        for cache, kept in self._layers:
            _copy(kept, cache, self._get_connector_metadata().moves.loads)

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Nothing is in progress: copies are synchronous."""

    def save_kv_layer(
        self, layer_name: str, kv_layer: Tensor, attn_metadata: Any, **_: Any
    ) -> None:
        """Nothing is saved while layers run."""

    def wait_for_save(self) -> None:
        """Nothing is in progress."""

    def request_finished(
        self, request: Any, block_ids: list[int]
    ) -> tuple[bool, dict[str, Any] | None]:
        """As `request_finished_all_groups`, for a single group."""
        return self.request_finished_all_groups(request, (block_ids,))

    def _keep(self, request: Any, count: int, block: int) -> None:
        """Caches the block that holds a request's token number `count`."""
        place = (count - 1) // self._block
        tokens = request.all_token_ids[place * self._block : count]
        self._partial.keep(_prefix(request, place), tokens, block)


def _copy(source: Any, target: Any, moves: Sequence[tuple[int, int]]) -> None:
    """Copies blocks, by their numbers in the source and in the target."""
    if moves and isinstance(source, Tensor):
        places, others = torch.tensor(moves, device=source.device).T
        target.index_copy_(0, others, source.index_select(0, places))
        return
    for place, other in moves:
        target[other] = source[place]


def _prefix(request: Any, whole: int) -> tuple[Any, ...]:
    """Identifies what precedes a request's block number `whole`."""
    adapter = request.lora_request.lora_int_id if request.lora_request else 0
    return (request.block_hashes[whole - 1] if whole else b"", adapter, request.cache_salt)


def _plain(request: Any) -> bool:
    """Whether tokens alone identify a request, and it may read what others cached."""
    return not (
        request.mm_features
        or request.prompt_embeds is not None
        or request.skip_reading_prefix_cache
    )
