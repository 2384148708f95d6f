"""What we add to vLLM between steps: tails, and requests that take their tokens' values home.

vLLM asks its connector, for every new request, how many tokens behind the cached blocks it can
provide, and has it copy them into the request's own blocks before the model runs. In vLLM's
scheduler it keeps the book of tails, in its workers the store. When a request ends, it may say
something to whoever asked: there go the values that `processor` has listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorMetadata,
    KVConnectorRole,
    SupportsHMA,
)

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.vllm.partial_blocks import BlockCopies, PartialBlockCache
from tts_runtime.engines.vllm.protocol import KEY, values_in

#: vLLM's setting of the connector that says how much room there is for tails, in GiB.
ROOM: Final = "tails"


@dataclass
class _Metadata(KVConnectorMetadata):  # type: ignore[misc]  # vLLM is not there to check
    moves: BlockCopies


class Connector(KVConnectorBase_V1, SupportsHMA):  # type: ignore[misc]
    """Keeps the begun block of every request that ends, for those that go on from there.

    With room for none (`tails=0`) it only brings values.
    """

    def __init__(self, vllm_config: Any, role: KVConnectorRole, kv_cache_config: Any) -> None:
        super().__init__(vllm_config, role, kv_cache_config)
        group = kv_cache_config.kv_cache_groups[0]
        # Models that mix kinds of attention have several groups of blocks: nothing is kept.
        self._single = len(kv_cache_config.kv_cache_groups) == 1
        self._block = group.kv_cache_spec.block_size
        self._blocks = kv_cache_config.num_blocks
        room = vllm_config.kv_transfer_config.get_from_extra_config(ROOM, 0.0) * 2**30
        self._slots = int(room / (group.kv_cache_spec.page_size_bytes * len(group.layer_names)))
        # In the scheduler:
        self._tails = PartialBlockCache(self._slots if self._single else 0, self._block)
        self._found: dict[str, tuple[int, int]] = {}
        self._begun: list[tuple[Any, int, int]] = []
        # In a worker: layer by layer, vLLM's blocks and ours.
        self._layers: list[tuple[Tensor, Tensor]] = []

    def get_num_new_matched_tokens(self, request: Any, computed: int) -> tuple[int, bool]:
        """Tokens behind the cached blocks that a tail has; the last token is read in any case."""
        whole = computed // self._block
        tokens = request.all_token_ids[computed : computed + self._block]
        self._found.pop(request.request_id, None)
        found = self._tails.find(_prefix(request, whole), tokens) if _plain(request) else None
        if found is None:
            return 0, False
        slot, length = found
        self._found[request.request_id] = slot, whole
        return min(length, request.num_tokens - 1 - computed), False

    def update_state_after_alloc(self, request: Any, blocks: Any, external: int) -> None:
        """The request has its blocks: a tail goes into one, or what it reads is to become one."""
        slot, place = self._found.pop(request.request_id, (0, 0))
        ids = blocks.get_block_ids()[0]
        if external:
            self._tails.load(slot, ids[place])
        elif self._slots and _plain(request):
            last = (request.num_tokens - 1) // self._block
            if last < len(ids):  # else it is read piece by piece, and has not all its blocks yet
                self._begun.append((request, request.num_tokens, ids[last]))

    def request_finished_all_groups(
        self, request: Any, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Keeps the block that the request was writing to, or had just filled; gives its values."""
        self._found.pop(request.request_id, None)
        count = min(request.num_computed_tokens, request.num_tokens)
        place = (count - 1) // self._block
        if count and place < len(block_ids[0]) and _plain(request):
            self._keep(request, count, block_ids[0][place])
        values = values_in(request.sampling_params and request.sampling_params.extra_args)
        return False, None if values is None else {KEY: values}

    def build_connector_meta(self, scheduler_output: Any) -> KVConnectorMetadata:
        """The copies before this step; what this step reads whole is kept before the next one."""
        moves = self._tails.take()
        scheduled: Mapping[str, int] = scheduler_output.num_scheduled_tokens
        for request, count, block in self._begun:
            if request.num_computed_tokens + scheduled.get(request.request_id, 0) >= count:
                self._keep(request, count, block)
        self._begun.clear()
        return _Metadata(moves)

    def reset_cache(self) -> bool:
        """Forgets all tails."""
        self._tails.forget()
        return True

    def register_kv_caches(self, kv_caches: dict[str, Tensor]) -> None:
        """Makes room beside vLLM's own blocks, in a worker."""
        for cache in kv_caches.values() if self._single else ():
            if cache.shape[0] != self._blocks:
                raise EngineError(
                    f"vLLM keeps this model's keys and values as {list(cache.shape)}, not by the "
                    f"{self._blocks} blocks: tails cannot be copied; set `tails=0`"
                )
            self._layers.append((cache, cache.new_empty((self._slots, *cache.shape[1:]))))

    def handle_preemptions(self, kv_connector_metadata: KVConnectorMetadata) -> None:
        """Saves tails before a step, when blocks that were given back are still as they were."""
        saves = kv_connector_metadata.moves.saves
        if saves:
            blocks, slots = torch.tensor(saves).T
            for cache, kept in self._layers:
                kept.index_copy_(0, slots, cache.index_select(0, blocks))

    def start_load_kv(self, forward_context: Any, **_: Any) -> None:  # noqa: ARG002
        """Loads tails into requests' blocks."""
        loads = self._get_connector_metadata().moves.loads
        if loads:
            slots, blocks = torch.tensor(loads).T
            for cache, kept in self._layers:
                cache.index_copy_(0, blocks, kept.index_select(0, slots))

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Nothing is under way: copies are done when they are asked for."""

    def save_kv_layer(
        self, layer_name: str, kv_layer: Tensor, attn_metadata: Any, **_: Any
    ) -> None:
        """Nothing is taken out of layers while they run."""

    def wait_for_save(self) -> None:
        """Nothing is under way."""

    def request_finished(
        self, request: Any, block_ids: list[int]
    ) -> tuple[bool, dict[str, Any] | None]:
        """As `request_finished_all_groups`, from a vLLM that knows one group."""
        return self.request_finished_all_groups(request, (block_ids,))

    def _keep(self, request: Any, count: int, block: int) -> None:
        """The block of a request's token number `count`."""
        place = (count - 1) // self._block
        tail = request.all_token_ids[place * self._block : count]
        self._tails.keep(_prefix(request, place), tail, block)


def _prefix(request: Any, whole: int) -> tuple[Any, ...]:
    """Names what stands before a request's blocks number `whole` and on."""
    adapter = request.lora_request.lora_int_id if request.lora_request else 0
    return (request.block_hashes[whole - 1] if whole else b"", adapter, request.cache_salt)


def _plain(request: Any) -> bool:
    """Whether a request's tokens say all about it, and it may read what others have left."""
    return not (
        request.mm_features
        or request.prompt_embeds is not None
        or request.skip_reading_prefix_cache
    )
