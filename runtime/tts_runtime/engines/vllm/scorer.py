"""`FAMILY:MODEL?engine=vllm`: reward models through vLLM, as classifiers of tokens or sequences.

A path is one request, whose new tokens vLLM reads once; the prefix cache has the others. A verdict
is a classifier of one label: the good token's row of the language-model head minus the bad one's,
which vLLM makes of the two tokens (`classifier_from_token`).
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from math import exp
from typing import Any

from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.hf.files import card
from tts_runtime.engines.paths import KnownScores
from tts_runtime.engines.prm.families import HeadKind
from tts_runtime.engines.prm.recognise import open_family
from tts_runtime.engines.vllm import launch
from tts_runtime.engines.vllm.core_client import explained
from tts_runtime.engines.vllm.options import SCORER_SHARE, VllmScorerOptions

_LOGGER = logging.getLogger(__name__)
_HEADS = (HeadKind.VERDICT, HeadKind.TOKEN_CLASSES, HeadKind.SEQUENCE)


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
        if self._head not in _HEADS:
            raise EngineError(
                f"`{name}`: vLLM does not run the value head of family {opened.outline.name}; "
                "omit `engine=vllm`"
            )
        self._outline = opened.outline
        self._known = KnownScores()
        further: dict[str, Any] = {"runner": "pooling", "pooler_config": _pooler(self._head)}
        self._by_token = self._head is HeadKind.VERDICT and options.tensor_parallel > 1
        if self._by_token:
            # vLLM cannot take rows of a head that several devices share. The verdict itself takes
            # a place in its window.
            self._outline = replace(opened.outline, context=opened.outline.context - 1)
            further = {}
        elif self._head is HeadKind.VERDICT:
            good, bad = map(opened.tokenizer.name, self._reading.signs)
            further |= {
                "convert": "classify",
                "hf_overrides": {
                    "classifier_from_token": [bad, good],
                    "method": "from_2_way_softmax",
                },
            }
        self.family = opened.outline.name
        self.steps = self._outline.steps
        self.low, self.high = self._reading.low, self._reading.high
        self.card = card(opened.files)
        self._numbers = count()
        started = launch.start(
            name, opened.files.folder, options, SCORER_SHARE, opened.outline.context, further
        )
        self.exact, self.same_bits = started.exact, started.same_bits
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
        keys = self._known.keys(path)
        scores = self._known.leading(keys)
        tokens = 0
        if len(scores) < len(keys) and not self._by_token:
            rows, tokens = await self._rows(path.ids)
            first = len(path.ids) - len(rows)
            seen = [rows[place - first] for place in path.places if place >= first]
            new = list(map(self._score, seen))
            self._known.add(keys[len(keys) - len(new) :], new)
        # What was cached has been scored, as a rule: for a path that begins alike.
        while len(scores := self._known.leading(keys)) < len(keys):
            place = len(scores)
            score, read = await self._one(path.ids[: path.places[place] + 1])
            self._known.add([keys[place]], [score])
            tokens += read
        return path.reply(scores, tokens)

    async def _one(self, ids: Sequence[int]) -> tuple[float, int]:
        """The score at the last of these tokens, which vLLM always reads, and the tokens read."""
        if self._by_token:
            return await self._verdict(ids)
        rows, read = await self._rows(ids)
        return self._score(rows[-1]), read

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

    async def _rows(self, ids: Sequence[int]) -> tuple[list[list[float]], int]:
        """The labels' numbers at the last tokens, as far as vLLM read them, and the tokens read."""
        from vllm import PoolingParams

        task = "classify" if self._head is HeadKind.SEQUENCE else "token_classify"
        parameters = PoolingParams(task=task, use_activation=False, skip_reading_prefix_cache=False)
        reply = await self._last(self.service.client.encode, ids, parameters)
        rows = reply.outputs.data.double()
        rows = rows.reshape(1, -1) if self._head is HeadKind.SEQUENCE else rows
        return rows.tolist(), _read(ids, reply)

    def _score(self, numbers: Sequence[float]) -> float:
        """One label: the number, of a verdict its probability. Two: that of the second."""
        if len(numbers) == 1 and self._head is not HeadKind.VERDICT:
            return numbers[0]
        difference = -numbers[0] if len(numbers) == 1 else numbers[0] - numbers[1]
        return 1 / (1 + exp(min(difference, 700.0)))

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

    return None if head is HeadKind.SEQUENCE else PoolerConfig(tok_pooling_type="ALL")


def _read(ids: Sequence[int], reply: Any) -> int:
    return len(ids) - (reply.num_cached_tokens or 0)
