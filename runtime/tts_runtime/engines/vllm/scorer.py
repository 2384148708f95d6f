"""`FAMILY:MODEL?engine=vllm`: reward models through vLLM.

Generative families are read by requests of one token, with the log-probabilities of the two
verdicts; classifiers by pooling. Each place ends a text, so the prefix cache
serves what was read before.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from math import exp
from typing import Any

from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.hf.files import card
from tts_runtime.engines.prm.families import HeadKind
from tts_runtime.engines.prm.recognise import open_family
from tts_runtime.engines.vllm import launch
from tts_runtime.engines.vllm.core_client import explained
from tts_runtime.engines.vllm.options import SCORER_SHARE, VllmScorerOptions

_LOGGER = logging.getLogger(__name__)
_POOLED = {HeadKind.TOKEN_CLASSES: "token_classify", HeadKind.SEQUENCE: "classify"}


class VllmScorer(ScorerEngine):
    """A reward model of a known family, through vLLM.

    Args:
        family: A name of the table of families, or `auto`.
        name: A model of the hub, or a folder.
        options: Window, dtype, sizes.

    Raises:
        EngineError: The model cannot be loaded, is not of this family, or of one that vLLM lacks.
    """

    def __init__(self, family: str, name: str, options: VllmScorerOptions | None = None) -> None:
        options = options or VllmScorerOptions()
        opened = open_family(family, name, options.context, options.revision, layout=options.layout)
        self._reading = opened.reading
        self._head = self._reading.head
        if self._head not in (HeadKind.VERDICT, *_POOLED):
            raise EngineError(
                f"`{name}`: vLLM does not run the value head of family {opened.outline.name}; "
                "omit `engine=vllm`"
            )
        further: dict[str, Any] = {}
        self._outline = opened.outline
        if self._head is HeadKind.VERDICT:
            # The verdict itself takes a place in vLLM's window.
            self._outline = replace(opened.outline, context=opened.outline.context - 1)
        else:
            further |= {"runner": "pooling", "pooler_config": _pooler(self._head)}
        self.family = opened.outline.name
        self.steps = self._outline.steps
        self.low, self.high = self._reading.low, self._reading.high
        self.card = card(opened.files)
        self._numbers = count()
        started = launch.start(
            name, opened.files.folder, options, SCORER_SHARE, opened.outline.context, further
        )
        self.exact = started.dtype == "float32"
        self.service = started.service
        self.chosen = f"{opened.chosen}, {started.described}, window {self._outline.context}"
        _LOGGER.info("scorer `%s`: %s", name, self.chosen)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Starts one path."""
        return self.service.submit(self._reply, request)

    async def close(self) -> None:
        """Ends vLLM's processes."""
        await self.service.close()

    async def _reply(self, request: ScoreRequest) -> ScoreReply:
        path = self._outline.path(request)
        if path is None:
            return ScoreReply(())
        one = self._verdict if self._head is HeadKind.VERDICT else self._classified
        replies = await asyncio.gather(*(one(path.ids[: place + 1]) for place in path.places))
        return path.reply([score for score, _ in replies], sum(read for _, read in replies))

    async def _verdict(self, ids: Sequence[int]) -> tuple[float, int]:
        """P(good) against P(bad) for the token after these, and the number of tokens read."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        good, bad = self._reading.signs
        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprob_token_ids=[good, bad],
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        reply = await self._last(self.service.client.generate, ids, parameters)
        found = reply.outputs[0].logprobs[0]
        difference = found[bad].logprob - found[good].logprob
        return 1 / (1 + exp(min(difference, 700.0))), _read(ids, reply)

    async def _classified(self, ids: Sequence[int]) -> tuple[float, int]:
        """A classifier's score at the last of these tokens, and the number of tokens read.

        A token classifier returns rows for the tokens read, which always include the last.
        """
        from vllm import PoolingParams

        parameters = PoolingParams(
            task=_POOLED[self._head], use_activation=False, skip_reading_prefix_cache=False
        )
        reply = await self._last(self.service.client.encode, ids, parameters)
        logits = reply.outputs.data.double()
        row = logits[-1] if self._head is HeadKind.TOKEN_CLASSES else logits.flatten()
        return _score(row.tolist()), _read(ids, reply)

    async def _last(self, ask: Any, ids: Sequence[int], parameters: Any) -> Any:
        """The last of vLLM's replies."""
        from vllm import TokensPrompt

        prompt = TokensPrompt(prompt_token_ids=list(ids))
        try:
            replies = [reply async for reply in ask(prompt, parameters, str(next(self._numbers)))]
        except Exception as error:
            raise explained(f"scorer `{self._outline.name}`", error) from error
        return replies[-1]


def _pooler(head: HeadKind) -> Any:
    """All rows of a token classifier: vLLM would pick marks as if no token were cached."""
    from vllm.config import PoolerConfig

    return PoolerConfig(tok_pooling_type="ALL") if head is HeadKind.TOKEN_CLASSES else None


def _read(ids: Sequence[int], reply: Any) -> int:
    return len(ids) - (reply.num_cached_tokens or 0)


def _score(logits: Sequence[float]) -> float:
    """One label: the number. Two: the probability of the second."""
    if len(logits) == 1:
        return logits[0]
    first, second = logits
    return 1 / (1 + exp(min(first - second, 700.0)))
