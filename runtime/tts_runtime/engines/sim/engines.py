"""Simulated engines: random finite models served on a virtual clock.

For tests (schedules, stragglers, failures, cancellation without waiting) and for planning (how long
a run takes on an engine of some speed). No torch.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from tts_runtime.binding import Binding
from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim.model import Reader, SimModel
from tts_runtime.engines.sim.sim_server import FaultPlan, Latency, SimReply, SimServer
from tts_runtime.engines.stopping import StopCriteria, end_ids, fitted
from tts_runtime.sampling import draw, log_probabilities, ranked, token_statistics

#: The same texts are drawn again wherever plans, schedules or engines are compared.
_draw = lru_cache(maxsize=1 << 10)(draw)


class SimPolicy(PolicyEngine):
    """Serves a random model.

    Args:
        model: The model; `None`: the one of seed 0.
        binding: `None`: the model's own.
        latency: Service times; they decide when replies arrive, never what they are.
        faults: Failures and stalls.
        remember: Cache every generation, so that repeating a request costs nothing (for measuring
            the overhead around the engine).
    """

    def __init__(
        self,
        model: SimModel | None = None,
        binding: Binding | None = None,
        latency: Latency | None = None,
        faults: FaultPlan | None = None,
        remember: bool = False,
    ) -> None:
        self.model = model if model is not None else SimModel()
        self.binding = binding if binding is not None else self.model.binding()
        self.tokenizer = self.model.tokenizer
        self._ends = end_ids(self.tokenizer, self.binding)
        self._delimiter = self.binding.step_delimiter.encode()
        self._memory: dict[GenerateRequest, Generation] | None = {} if remember else None
        self._server = SimServer(latency or Latency(), faults or FaultPlan())
        #: Requests submitted, finished, cancelled; tokens of finished requests.
        self.counts = self._server.counts

    @property
    def cancelled_tokens(self) -> int:
        """In proportion to the time that cancelled requests were served."""
        return self.counts.cancelled_tokens

    @property
    def load(self) -> Load:
        """Requests that have a slot, and those that wait."""
        return Load(self.counts.running, self._server.slots, self.counts.waiting)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """As `generate_now`, after a simulated time."""
        return self._server.submit(lambda: self._serve(request), request.priority)

    def generate_now(self, request: GenerateRequest) -> Generation:
        """The answer to a request, at once; a pure function of the model and the request.

        Raises:
            EngineError: The request cannot be answered.
        """
        if self._memory is None:
            return self._generate(request)
        if request not in self._memory:
            self._memory[request] = self._generate(request)
        return self._memory[request]

    async def close(self) -> None:
        """Cancels the requests in flight."""
        self._server.close()

    def _serve(self, request: GenerateRequest) -> SimReply[Generation]:
        generation = self.generate_now(request)
        return SimReply(generation, generation.drawn, generation.prefilled)

    def _generate(self, request: GenerateRequest) -> Generation:
        request = fitted(request, self.binding)
        criteria = StopCriteria(request, self.tokenizer, self._ends, self._delimiter)
        reader = Reader(self.model, request.prompt, request.prefix)
        position = len(request.prefix)
        first_rank = request.first_rank
        while criteria.finish is None:
            logits = reader.logits()
            forbidden = frozenset(criteria.forbidden())
            if first_rank is not None:
                token = ranked(logits, first_rank, forbidden, request.sampling)
                first_rank = None
            else:
                token = _draw(logits, request.sampling, request.key, position, forbidden)
            log_probs = log_probabilities(logits)
            criteria.push(token, log_probs[token], token_statistics(log_probs, request.statistics))
            reader.add(token)
            position += 1
        return criteria.result(prefilled=len(request.prompt) + len(request.prefix))


class SimScorer(ScorerEngine):
    """Random scores in [0, 1]: a pure function of the problem and of the text up to the step.

    Args:
        seed: Which random scorer.
        steps: A score per step, or one per solution.
        levels: Only this many different scores, so that ties occur; 0: any number.
        missing: How often a score is missing.
        latency: Service times; a scorer's tokens are the bytes that it reads.
        faults: Failures and stalls.
    """

    def __init__(
        self,
        seed: int = 0,
        steps: bool = True,
        levels: int = 0,
        missing: float = 0.0,
        latency: Latency | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        self.seed = seed
        self.steps = steps
        self._levels = levels
        self._missing = missing
        self._server = SimServer(latency or Latency(token=0.001), faults or FaultPlan())
        #: Requests submitted, finished, cancelled.
        self.counts = self._server.counts

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """As `score_now`, after a simulated time."""

        def serve() -> SimReply[ScoreReply]:
            reply = self.score_now(request)
            return SimReply(reply, reply.tokens)

        return self._server.submit(serve)

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """As `score_together_now`, after a simulated time."""

        def serve() -> SimReply[Sequence[ScoreReply]]:
            replies = self.score_together_now(requests)
            return SimReply(replies, sum(reply.tokens for reply in replies))

        return self._server.submit(serve)

    def score_now(self, request: ScoreRequest, pool: bytes = b"") -> ScoreReply:
        """The scores of one path, at once; `pool` identifies the candidates of the same pool."""
        state = blake2b(b"%d|" % self.seed + pool, digest_size=16)
        state.update(request.problem.encode())
        read = 0 if request.known else len(request.problem.encode())
        texts = request.steps if self.steps else (request.text,)
        scores: list[float | None] = []
        sizes: list[int] = []
        for number, text in enumerate(texts):
            data = text.encode()
            state.update(b"|%d|" % len(data) + data)
            if number >= request.known or not self.steps:
                scores.append(self._number(state.copy().digest()))
                sizes.append(len(data))
        tokens = read + sum(sizes)
        if not self.steps:
            return ScoreReply(tuple(scores), tokens, sizes=(tokens,))
        return ScoreReply(tuple(scores), tokens, read, tuple(sizes))

    def score_together_now(self, requests: Sequence[ScoreRequest]) -> tuple[ScoreReply, ...]:
        """The scores of a pool, at once; each depends on all texts, in order."""
        pool = blake2b(digest_size=16)
        for request in requests:
            pool.update(b"%d|" % len(request.text) + request.text.encode())
        return tuple(self.score_now(request, pool.digest()) for request in requests)

    async def close(self) -> None:
        """Cancels the requests in flight."""
        self._server.close()

    def _number(self, digest: bytes) -> float | None:
        if int.from_bytes(digest[:8], "little") < self._missing * 2**64:
            return None
        value = (int.from_bytes(digest[8:], "little") >> 11) * 2.0**-53
        return int(value * self._levels) / self._levels if self._levels else value
