"""One generation as requests to vLLM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import nan
from typing import Any

from tts_runtime.engines.base import EngineError, GenerateRequest, Generation
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import StopCriteria
from tts_runtime.engines.vllm.core_client import CoreRequest, VllmOutput, VllmRequest
from tts_runtime.engines.vllm.protocol import ProcessorConfig, packed, read_value, read_values


@dataclass(slots=True)
class WastedTokens:
    """Tokens drawn for nothing, for cancelled requests."""

    cancelled: int = 0

    def aborted(self, tokens: int) -> None:
        """Counts the tokens of a cancelled request."""
        self.cancelled += tokens


@dataclass(frozen=True, slots=True)
class EngineContext:
    """The context that all generations of an engine share.

    Args:
        config: What the logits processor knows as well.
        tokenizer: The policy's.
        closing: Tokens that hold a step delimiter.
        listing: Values of tokens come as one list at the end (`protocol`).
        adapter: vLLM's `LoRARequest`, if any.
        checked: Fits a request to the policy; raises EngineError.
        wasted: Counts.
    """

    config: ProcessorConfig
    tokenizer: HuggingFaceTokenizer
    closing: frozenset[int]
    listing: bool
    adapter: Any | None
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
        """Whether the generation is complete."""
        return self._criteria is not None and self._criteria.finish is not None

    def reply(self) -> Generation:
        """The generation, once complete."""
        assert self._criteria is not None
        return self._criteria.result(self._prefilled)

    def cancelled(self) -> None:
        """Counts the tokens drawn for nothing."""
        drawn = 0 if self._criteria is None else self._criteria.drawn
        self._context.wasted.aborted(drawn + len(self._drawn))

    def following(self, name: str) -> VllmRequest:
        """The next request to vLLM, under this name."""
        context, criteria = self._context, self._criteria
        if criteria is None:
            request, config = context.checked(self._request), context.config
            criteria = self._criteria = StopCriteria(
                request, context.tokenizer, frozenset(config.ends), config.delimiter.encode()
            )
            told = request.statistics or request.limits.watched or request.on_token is not None
            self._listed = context.listing and not told
        request = criteria.request
        ids = [*request.prompt, *request.prefix, *criteria.partial.ids]
        self._prefilled += len(ids)  # minus what is cached, which the first output tells
        return VllmRequest(name, ids, self._parameters(criteria), context.adapter, request.priority)

    def take(self, output: VllmOutput) -> None:
        """Takes the tokens that a step drew."""
        self._prefilled -= output.cached
        if output.finish not in (None, "stop", "length"):
            raise EngineError(f"vLLM ended a request by itself ({output.finish})")
        if not self._listed:
            self._push(output.ids, self._read(output))
            return
        self._drawn += output.ids
        if output.finish is not None:
            ids, self._drawn = self._drawn, []
            # A request that ends unread has no list: only how many tokens it drew is counted.
            values = [nan] * len(ids) if output.values is None else output.values
            self._push(ids, ((read_value(value), ()) for value in values))

    def _push(self, ids: Sequence[int], values: Iterable[tuple[float, tuple[float, ...]]]) -> None:
        criteria = self._criteria
        assert criteria is not None
        each = iter(values)
        for token in ids:
            if criteria.finish is not None:
                return
            criteria.push(token, *next(each))

    def _read(self, output: VllmOutput) -> Iterable[tuple[float, tuple[float, ...]]]:
        """Log-probability and statistics of each token."""
        assert self._criteria is not None
        wanted, vocabulary = self._criteria.request.statistics, self._context.config.vocabulary
        for token, by_id in zip(output.ids, output.logprobs, strict=True):
            yield read_values(token, by_id, wanted, vocabulary)

    def _parameters(self, criteria: StopCriteria) -> Any:
        parameters, delta = _vllm()
        request, done = criteria.request, len(criteria.partial.ids)
        limits, rest = request.limits, request
        if criteria.drawn:
            rest = replace(
                request,
                prefix=(*request.prefix, *criteria.partial.ids),
                first_rank=None,
                segments=criteria.segments,
                limits=replace(
                    limits,
                    steps=limits.steps and limits.steps - self._closed(criteria),
                    at_least=max(0, limits.at_least - done),
                    begun=limits.begun + done,
                ),
            )
        wanted = len(request.statistics)
        return parameters(
            temperature=0.0,
            max_tokens=min(limits.max_tokens, limits.unit_tokens or limits.max_tokens) - done,
            stop_token_ids=self._stops(criteria),
            ignore_eos=True,
            detokenize=False,
            logprobs=None if self._listed else wanted and wanted + 1,
            extra_args=packed(rest, listed=self._listed),
            output_kind=delta,
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
        return criteria.segments.many_closed - criteria.request.segments.many_closed


@cache
def _vllm() -> tuple[Any, Any]:
    """vLLM's `SamplingParams` and its kind of outputs that tell what is new.

    Looked up once: an import statement takes a fifth of the time that a request does here.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams, RequestOutputKind.DELTA
