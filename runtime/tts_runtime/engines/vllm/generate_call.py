"""One generation as requests of vLLM's, and what vLLM draws for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

from tts_runtime.engines.base import EngineError, GenerateRequest, Generation
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import Tracker
from tts_runtime.engines.vllm.core_client import Call
from tts_runtime.engines.vllm.protocol import KEY, World, packed, read_value, read_values


@dataclass(slots=True)
class Waste:
    """Tokens that were drawn for nothing: for cancelled requests, and behind a stop."""

    cancelled: int = 0
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """What all generations of an engine have in common.

    Args:
        world: What the logits processor knows, too.
        tokenizer: The policy's.
        closing: Tokens that hold a step delimiter.
        listing: Whether tokens' values come in one list at the end (`wire`).
        lora: vLLM's request for an adapter.
        checked: The request as it fits the policy; raises EngineError.
        waste: Counts.
    """

    world: World
    tokenizer: HuggingFaceTokenizer
    closing: frozenset[int]
    listing: bool
    lora: Any | None
    checked: Callable[[GenerateRequest], GenerateRequest]
    waste: Waste = field(default_factory=Waste)


class Generating(Call[Generation]):
    """A generation on its way.

    What stops it is decided by `Tracker`, twice: in vLLM's worker, which then ends the request, and
    here, where the truth is. Ids that stop it whatever the text are given to vLLM as well, so that
    most end without another token. vLLM may stop early, at an id that closes a step only after some
    text: then another of its requests goes on from there, on the same stream.
    """

    def __init__(self, request: GenerateRequest, ground: Ground) -> None:
        self._request = request
        self._ground = ground
        self._tracker: Tracker | None = None
        self._prefilled = 0
        self._listed = False
        self._drawn: list[int] = []  # their values come at the end

    @property
    def over(self) -> bool:
        """Whether the reply is known."""
        return self._tracker is not None and self._tracker.finish is not None

    def reply(self) -> Generation:
        """What was drawn, once that is known."""
        assert self._tracker is not None
        return self._tracker.result(self._prefilled)

    def cancelled(self) -> None:
        """Counts what was drawn."""
        drawn = 0 if self._tracker is None else self._tracker.drawn
        self._ground.waste.cancelled += drawn + len(self._drawn)

    def following(self, name: str) -> Any:
        """vLLM's next request, of that name."""
        from vllm.v1.engine import EngineCoreRequest

        ground, tracker = self._ground, self._tracker
        if tracker is None:
            request, world = ground.checked(self._request), ground.world
            tracker = self._tracker = Tracker(
                request, ground.tokenizer, frozenset(world.ends), world.delimiter.encode()
            )
            seen = request.limits.watched
            self._listed = ground.listing and not request.statistics and not seen
        request = tracker.request
        ids = [*request.prompt, *request.prefix, *tracker.partial.ids]
        self._prefilled += len(ids)  # less what is cached, when vLLM says how many that are
        return EngineCoreRequest(
            request_id=name,
            external_req_id=name,
            prompt_token_ids=ids,
            mm_features=None,
            sampling_params=self._parameters(tracker),
            pooling_params=None,
            arrival_time=time.time(),
            lora_request=ground.lora,
            cache_salt=None,
            data_parallel_rank=None,
            priority=request.priority,
        )

    def take(self, output: Any) -> None:
        """What one of vLLM's steps drew."""
        if output.prefill_stats is not None:
            self._prefilled -= output.prefill_stats.num_cached_tokens
        reason = output.finish_reason
        if reason is not None and str(reason) not in ("stop", "length"):
            raise EngineError(f"vLLM ended a request by itself ({reason})")
        if self._listed:
            self._drawn += output.new_token_ids
            if reason is None:
                return
            ids, self._drawn = self._drawn, []
            # Where a request ends unread, nothing was listed: only how much it drew is counted.
            values = (output.kv_transfer_params or {KEY: [nan] * len(ids)})[KEY]
            self._push(ids, ((read_value(value), ()) for value in values))
        else:
            self._push(output.new_token_ids, self._read(output))

    def _push(self, ids: list[int], values: Iterator[tuple[float, tuple[float, ...]]]) -> None:
        tracker = self._tracker
        assert tracker is not None
        for place, token in enumerate(ids):
            if tracker.finish is not None:
                self._ground.waste.discarded += len(ids) - place
                return
            tracker.push(token, *next(values))

    def _read(self, output: Any) -> Iterator[tuple[float, tuple[float, ...]]]:
        """Log-probability and statistics of each token."""
        assert self._tracker is not None
        wanted, vocabulary = self._tracker.request.statistics, self._ground.world.vocabulary
        found = output.new_logprobs
        rows = zip(output.new_token_ids, found.logprob_token_ids, found.logprobs, strict=True)
        for token, ids, values in rows:
            by_id = dict(zip(ids.tolist(), values.tolist(), strict=True))
            yield read_values(token, by_id, wanted, vocabulary)

    def _parameters(self, tracker: Tracker) -> Any:
        from vllm import SamplingParams

        request, done = tracker.request, len(tracker.partial.ids)
        limits = request.limits
        rest = replace(
            request,
            prefix=(*request.prefix, *tracker.partial.ids),
            first_rank=request.first_rank if tracker.drawn == 0 else None,
            segments=tracker.segments,
            limits=replace(
                limits,
                steps=limits.steps and limits.steps - self._closed(tracker),
                at_least=max(0, limits.at_least - done),
            ),
        )
        wanted = len(request.statistics)
        return SamplingParams(
            temperature=0.0,
            max_tokens=min(limits.max_tokens, limits.unit_tokens or limits.max_tokens) - done,
            stop_token_ids=self._stops(tracker),
            ignore_eos=True,
            detokenize=False,
            logprobs=None if self._listed else wanted and wanted + 1,
            extra_args=packed(rest, listed=self._listed),
            skip_clone=True,
        )

    def _stops(self, tracker: Tracker) -> list[int]:
        """Ids after which vLLM stops by itself."""
        limits, world = tracker.request.limits, self._ground.world
        stops = {*world.ends, world.stop}
        if limits.steps == self._closed(tracker) + 1:
            stops |= self._ground.closing
        if len(limits.thought) == 1:
            stops |= set(limits.thought)
        return sorted(stops)

    @staticmethod
    def _closed(tracker: Tracker) -> int:
        """Steps that were closed so far."""
        return len(tracker.segments.closed) - len(tracker.request.segments.closed)
