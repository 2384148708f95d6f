"""One generation as requests of vLLM's, and what vLLM draws for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

from tts_runtime.engines.base import EngineError, GenerateRequest, Generation
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import StopCriteria
from tts_runtime.engines.vllm.core_client import CoreRequest
from tts_runtime.engines.vllm.protocol import KEY, ProcessorConfig, packed, read_value, read_values


@dataclass(slots=True)
class WastedTokens:
    """Tokens that were drawn for nothing: for cancelled requests, and behind a stop."""

    cancelled: int = 0
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What all generations of an engine have in common.

    Args:
        config: What the logits processor knows, too.
        tokenizer: The policy's.
        closing: Tokens that hold a step delimiter.
        listing: Whether tokens' values come in one list at the end (`wire`).
        lora: vLLM's request for an adapter.
        checked: The request as it fits the policy; raises EngineError.
        wasted: Counts.
    """

    config: ProcessorConfig
    tokenizer: HuggingFaceTokenizer
    closing: frozenset[int]
    listing: bool
    lora: Any | None
    checked: Callable[[GenerateRequest], GenerateRequest]
    wasted: WastedTokens = field(default_factory=WastedTokens)


class GenerateCall(CoreRequest[Generation]):
    """A generation on its way.

    `StopCriteria` decides twice when it stops: in vLLM's worker, which then ends the request, and
    here, which is authoritative. Ids that always stop it are passed to vLLM as well, so that most
    requests end without another token. vLLM may stop early, at an id that closes a step only after
    some text: then another of its requests continues from there, on the same stream.
    """

    def __init__(self, request: GenerateRequest, context: EngineContext) -> None:
        self._request = request
        self._context = context
        self._criteria: StopCriteria | None = None
        self._prefilled = 0
        self._listed = False
        self._drawn: list[int] = []  # their values come at the end

    @property
    def over(self) -> bool:
        """Whether the reply is known."""
        return self._criteria is not None and self._criteria.finish is not None

    def reply(self) -> Generation:
        """What was drawn, once that is known."""
        assert self._criteria is not None
        return self._criteria.result(self._prefilled)

    def cancelled(self) -> None:
        """Counts what was drawn."""
        drawn = 0 if self._criteria is None else self._criteria.drawn
        self._context.wasted.cancelled += drawn + len(self._drawn)

    def following(self, name: str) -> Any:
        """vLLM's next request, of that name."""
        from vllm.v1.engine import EngineCoreRequest

        context, criteria = self._context, self._criteria
        if criteria is None:
            request, config = context.checked(self._request), context.config
            criteria = self._criteria = StopCriteria(
                request, context.tokenizer, frozenset(config.ends), config.delimiter.encode()
            )
            seen = request.limits.watched
            self._listed = context.listing and not request.statistics and not seen
        request = criteria.request
        ids = [*request.prompt, *request.prefix, *criteria.partial.ids]
        self._prefilled += len(ids)  # less what is cached, when vLLM says how many that are
        return EngineCoreRequest(
            request_id=name,
            external_req_id=name,
            prompt_token_ids=ids,
            mm_features=None,
            sampling_params=self._parameters(criteria),
            pooling_params=None,
            arrival_time=time.time(),
            lora_request=context.lora,
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
        criteria = self._criteria
        assert criteria is not None
        for place, token in enumerate(ids):
            if criteria.finish is not None:
                self._context.wasted.discarded += len(ids) - place
                return
            criteria.push(token, *next(values))

    def _read(self, output: Any) -> Iterator[tuple[float, tuple[float, ...]]]:
        """Log-probability and statistics of each token."""
        assert self._criteria is not None
        wanted, vocabulary = self._criteria.request.statistics, self._context.config.vocabulary
        found = output.new_logprobs
        rows = zip(output.new_token_ids, found.logprob_token_ids, found.logprobs, strict=True)
        for token, ids, values in rows:
            by_id = dict(zip(ids.tolist(), values.tolist(), strict=True))
            yield read_values(token, by_id, wanted, vocabulary)

    def _parameters(self, criteria: StopCriteria) -> Any:
        from vllm import SamplingParams

        request, done = criteria.request, len(criteria.partial.ids)
        limits = request.limits
        rest = replace(
            request,
            prefix=(*request.prefix, *criteria.partial.ids),
            first_rank=request.first_rank if criteria.drawn == 0 else None,
            segments=criteria.segments,
            limits=replace(
                limits,
                steps=limits.steps and limits.steps - self._closed(criteria),
                at_least=max(0, limits.at_least - done),
            ),
        )
        wanted = len(request.statistics)
        return SamplingParams(
            temperature=0.0,
            max_tokens=min(limits.max_tokens, limits.unit_tokens or limits.max_tokens) - done,
            stop_token_ids=self._stops(criteria),
            ignore_eos=True,
            detokenize=False,
            logprobs=None if self._listed else wanted and wanted + 1,
            extra_args=packed(rest, listed=self._listed),
            skip_clone=True,
        )

    def _stops(self, criteria: StopCriteria) -> list[int]:
        """Ids after which vLLM stops by itself."""
        limits, config = criteria.request.limits, self._context.config
        stops = {*config.ends, config.stop}
        if limits.steps == self._closed(criteria) + 1:
            stops |= self._context.closing
        if len(limits.thought) == 1:
            stops |= set(limits.thought)
        return sorted(stops)

    @staticmethod
    def _closed(criteria: StopCriteria) -> int:
        """Steps that were closed so far."""
        return len(criteria.segments.closed) - len(criteria.request.segments.closed)
