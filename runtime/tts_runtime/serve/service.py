"""Answers requests: within limits, one at a time, as one session's answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import ceil
from random import SystemRandom
from time import monotonic
from typing import Any, Final

from tts_lang.plan.graph import Plan
from tts_lang.plan.template import Slot, split_slot
from tts_lang.printable import concealed
from tts_lang.release import release
from tts_runtime.engines.base import EngineError, PolicyEngine
from tts_runtime.executor import BindError
from tts_runtime.executor.problem import Events
from tts_runtime.executor.problem_run import RequestMade
from tts_runtime.problems import QUESTION, Problem
from tts_runtime.runs.defaults import UnnamedError
from tts_runtime.runs.response import AnswerError, Response, Solution
from tts_runtime.runs.session import Prepared, Session
from tts_runtime.serve.admission import Admission
from tts_runtime.serve.catalogue import Catalogue, Served
from tts_runtime.serve.errors import ApiError, bad_request
from tts_runtime.serve.keys import ApiKey
from tts_runtime.serve.metrics import Metrics
from tts_runtime.serve.requests import AnswerRequest, of_sampling
from tts_runtime.serve.spans import RequestSpan, request_span
from tts_runtime.serve.watch import Best, Watch
from tts_runtime.tokens import encode

_LOGGER = logging.getLogger(__name__)
_RANDOM: Final = SystemRandom()
#: The executor's message about a prompt that is too long.
_TOO_LONG: Final = "has a context window of"
#: Characters of a question that are read at once: some milliseconds.
_PIECE: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class ServedChoice:
    """One solution: its text, what the policy thought before, why it ended."""

    text: str
    thought: str
    finish: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class ServedReply:
    """The reply to a request of any interface.

    Args:
        model: As the client named it.
        choices: Solutions, the best first.
        usage: Tokens: `prompt`, `cached`, `drawn`, `returned`.
        fingerprint: Of the plan, the engines and this version: of all that answers depend on.
        extras: What the OpenAI interface has no member for.
    """

    model: str
    choices: Sequence[ServedChoice]
    usage: Mapping[str, int]
    fingerprint: str
    extras: Mapping[str, Any] = field(default_factory=dict)


#: Told of every answer that a request has got: the strategy, and how it was found.
Recorder = Callable[[Served, Response], None]


class AnswerService:
    """The strategies of a catalogue, on the engines of a session.

    Args:
        seed: Of requests without one; `None`: a fresh one each, which the reply names.
        seconds: No request takes longer.
        record: Told of every answer.
    """

    def __init__(
        self,
        session: Session,
        catalogue: Catalogue,
        admission: Admission,
        *,
        seed: int | None = None,
        seconds: float = 600.0,
        record: Recorder | None = None,
    ) -> None:
        self.session = session
        self.catalogue = catalogue
        self.admission = admission
        self.metrics = Metrics(admission)
        self._deadlines: set[asyncio.Timeout] = set()
        self._hurried = False
        self._seed = seed
        self._seconds = seconds
        self._record = record
        settings = session.settings
        self._engines = repr(
            [
                (name, engine if isinstance(engine, str) else type(engine).__name__)
                for engines in (settings.policies, settings.scorers)
                for name, engine in sorted(engines.items())
            ]
        )

    def prepare(self) -> None:
        """Opens the engines of all strategies.

        Raises:
            UnnamedError, BindError, EngineError: They are missing, or do not fit; a strategy reads
                fields of problems.
            OverBudget: With their context windows, a strategy may cost more than it is allowed.
        """
        policies: dict[str, PolicyEngine] = {}
        for served in self.catalogue.listed():
            bound = self._bind(served.plan).bound
            for name, policy in bound.program.engines.policies.items():
                policies[name] = policy.engine
        self.catalogue.open_on(policies, self._bind)

    def _bind(self, plan: Plan) -> Prepared:
        """Binds a plan to the engines, unless no request can have what it reads.

        Raises:
            UnnamedError, BindError, EngineError: Engines are missing, or do not fit; the plan reads
                fields of problems.
        """
        prepared = self.session.prepare(plan)
        scorers = prepared.bound.program.engines.scorers
        fields = {engine.read_field for engine in scorers.values()} - {None}
        slots = [part for each in plan.prompts for part in each.parts if isinstance(part, Slot)]
        for slot in slots:
            head, name = split_slot(slot.name)
            if head == "field":
                fields.add(name)
        if fields:
            named = ", ".join(f"`{name}`" for name in sorted(filter(None, fields)))
            raise BindError(
                f"{plan.strategy} reads {named}, a field of problems, and requests have no fields; "
                "a choice by difficulty can probe instead: `tts-tune --difficulty predicted`"
            )
        return prepared

    def hurry(self) -> None:
        """The deadline of all requests is now: the server ends."""
        self._hurried = True
        now = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(now)

    async def answer(self, request: AnswerRequest, key: ApiKey, watch: Watch) -> ServedReply:
        """The reply to a request. Cancelling it frees all that it holds.

        Raises:
            ApiError: There is none; what the client is told.
        """
        begun = monotonic()
        status, model = 500, "none"
        try:
            parameters = self.catalogue.parameters(request.model)
            chosen, ignored = of_sampling(request.sampling, parameters)
            ignored += request.unread
            served = self.catalogue.find(request.model, {**chosen, **request.parameters})
            model = served.plan.strategy  # only now: metrics have no names that clients invent
            _check_budget(request, served)
            with request_span(model) as span:
                reply = _concealed(
                    await self._within_limits(request, served, ignored, key, watch, span)
                )
                span.replied(reply.usage, [choice.finish for choice in reply.choices])
            status = 200
        except ApiError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = 499  # the client has gone
            raise
        except Exception as error:
            _LOGGER.exception("a request failed")
            raise ApiError(500, "the server failed on this request", "internal_error") from error
        finally:
            self.metrics.requests.labels(model, status).inc()
            self.metrics.seconds.labels(model).observe(monotonic() - begun)
        return reply

    async def _within_limits(
        self,
        request: AnswerRequest,
        served: Served,
        ignored: Sequence[str],
        key: ApiKey,
        watch: Watch,
        span: RequestSpan,
    ) -> ServedReply:
        drawing = request.stream or request.seconds is not None
        seed = request.seed if request.seed is not None else self._seed
        seed = _RANDOM.getrandbits(31) if seed is None else seed
        problem = Problem(request.id or QUESTION, request.text)
        begun = monotonic()
        limit = min(self._seconds, request.seconds or self._seconds)
        with key.request(served.bounds.total.sampled_tokens) as paid:

            def listen(events: Events) -> None:
                watch.subscribe(events, served.rounds, drawing=drawing)
                span.subscribe(events)
                # From now on nobody knows what has been drawn, until there is an answer.
                events.subscribe(RequestMade, lambda _: paid(None))

            paid(0)  # what is refused, or leaves the queue, has asked no engine
            try:
                async with self._deadline(limit):
                    self._prepare(served)
                    await self._refuse_unreadable(served, request.text)
                    async with self.admission.room(key.name, served.rows):
                        self.metrics.waited.observe(monotonic() - begun)
                        response = await self.session.answer(
                            served.plan, problem, seed=seed, subscribe=listen
                        )
            except TimeoutError:
                return self._late(request, served, ignored, watch, seed)
            except AnswerError as error:
                self.metrics.spent(served.plan.strategy, watch.spent())
                raise _failed(error) from error
            except asyncio.CancelledError:
                self.metrics.spent(served.plan.strategy, watch.spent())
                raise
            self.metrics.spent(served.plan.strategy, response.usage)
            paid(response.usage.policy_tokens)
            if response.fault is not None:
                raise _failed(AnswerError(response.fault, by_engine=True))
        if self._record is not None:
            self._record(served, response)
        return self._reply(request, served, ignored, watch, response)

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[None]:
        """The time for an answer, which `hurry` cuts short.

        Raises:
            TimeoutError: It is over.
        """
        async with asyncio.timeout(seconds) as deadline:
            self._deadlines.add(deadline)
            try:
                yield
            finally:
                self._deadlines.discard(deadline)

    def _prepare(self, served: Served) -> None:
        """Binds a plan to the engines: other values of parameters may need others.

        Raises:
            ApiError: They are missing, or do not fit.
        """
        try:
            self._bind(served.plan)
        except (UnnamedError, BindError, EngineError) as error:
            _LOGGER.error("%s cannot be answered: %s", served.name, error)
            message = f"`{served.name}` needs engines that this server does not have"
            raise ApiError(503, message, "model_unavailable", "model") from error

    async def _refuse_unreadable(self, served: Served, text: str) -> None:
        """Refuses a question that no policy has room for, or that a tokenizer cannot read.

        A run would first read it whole, which may take seconds, and nobody else is answered
        meanwhile. Cut into pieces, a text has a few tokens more, but never twice as many.

        Raises:
            ApiError: It is either.
        """
        engines = self.session.prepare(served.plan).bound.program.engines
        for policy in engines.policies.values():
            tokens = start = 0
            while tokens < 2 * policy.context:
                if start >= len(text):
                    return
                try:
                    tokens += len(encode(policy.tokenizer, text[start : start + _PIECE]))
                except EngineError as error:
                    raise bad_request(f"the question cannot be read: {error}") from error
                start += _PIECE
                await asyncio.sleep(0)
        policy = engines.default
        raise _too_long(
            f"the prompt has more than {policy.context} tokens, but policy `{policy.name}` "
            f"(`{policy.binding.name}`) {_TOO_LONG} {policy.context}"
        )

    def _reply(
        self,
        request: AnswerRequest,
        served: Served,
        ignored: Sequence[str],
        watch: Watch,
        response: Response,
    ) -> ServedReply:
        usage = response.usage
        choices, returned = _choices(response, watch, request.choices)
        extras: dict[str, Any] = {
            "answer": response.answer,
            "seed": response.seed,
            "exact": response.exact,
            "policy_calls": usage.policy_calls,
            "scorer_tokens": usage.scorer_tokens,
            "flops": usage.flops,
        }
        if ignored:
            extras["ignored"] = sorted(ignored)
        if "candidates" in request.extras:
            extras["candidates"] = [
                {
                    "text": candidate.text,
                    "answer": candidate.answer,
                    "scores": dict(candidate.scores),
                    "tokens": candidate.tokens,
                    "finish": candidate.finish,
                }
                for candidate in response.candidates
            ]
        if "trace" in request.extras:
            extras["trace"] = _trace(response)
        prompt = usage.prompt_tokens
        return ServedReply(
            request.model,
            choices,
            {
                "prompt": prompt,
                "cached": max(0, prompt - usage.engines.prompt_tokens),
                "drawn": usage.policy_tokens,
                "returned": returned,
            },
            self._fingerprint(served),
            extras,
        )

    def _late(
        self,
        request: AnswerRequest,
        served: Served,
        ignored: Sequence[str],
        watch: Watch,
        seed: int,
    ) -> ServedReply:
        """The best answer at the deadline, marked as such."""
        spent = watch.spent()
        self.metrics.spent(served.plan.strategy, spent)
        best: Best | None = watch.best(streaming=request.stream)
        if best is None:
            what = "any solution was complete" if watch.begun else "it was the request's turn"
            if self._hurried:
                raise ApiError(503, f"the server ended before {what}", "shutting_down")
            raise ApiError(504, f"the deadline passed before {what}", "deadline_exceeded")
        extras: dict[str, Any] = {
            "answer": best.answer,
            "seed": seed,
            "partial": True,
            "policy_calls": spent.policy_calls,
            "scorer_tokens": spent.scorer_tokens,
        }
        if ignored:
            extras["ignored"] = sorted(ignored)
        return ServedReply(
            request.model,
            [_choice(best.thought, best.text, "length", best.answer)],
            {
                "prompt": spent.prompt_tokens,
                "cached": 0,
                "drawn": spent.policy_tokens,
                "returned": best.tokens,
            },
            self._fingerprint(served),
            extras,
        )

    def _fingerprint(self, served: Served) -> str:
        text = f"{served.digest}{self._engines}{release()}"
        return "fp_" + sha256(text.encode()).hexdigest()[:16]


def _choice(thought: str, text: str, finish: str | None, answer: str | None) -> ServedChoice:
    return ServedChoice(text, thought, "length" if finish == "length" else "stop", answer)


def _choices(response: Response, watch: Watch, wanted: int) -> tuple[list[ServedChoice], int]:
    """The best solutions, and the tokens drawn for them.

    The first is the returned one. Where a vote found no answer there is none, and the first reply
    that it was about stands for it: what answers an open question cannot be counted.
    """
    first = _choice(response.thought, response.reply, response.finish, response.answer)
    if (response.returned and wanted == 1) or not response.candidates:
        return [first], response.usage.returned_tokens
    parts = watch.parts([each.uid for each in response.candidates])
    shown = [(each, parts.get(each.uid, ("", each.text))) for each in response.candidates]
    if not response.returned:
        shown.sort(key=lambda each: not each[1][1].strip())  # thoughts that were cut off come last
    shown = shown[:wanted]
    choices = [_choice(*said, each.finish, each.answer) for each, said in shown]
    if response.returned:
        choices[0] = first
    return choices, _tokens_of(response, [each for each, _ in shown])


def _tokens_of(response: Response, candidates: Sequence[Solution]) -> int:
    """Tokens drawn for candidates; those that several begin with count once."""
    paths = (response.trace.path(candidate.uid) for candidate in candidates)
    nodes = {node.uid: node for path in paths for node in path}
    before = (nodes[node.before].tokens for node in nodes.values() if node.before in nodes)
    return sum(node.tokens for node in nodes.values()) - sum(before)


def _concealed(reply: ServedReply) -> ServedReply:
    """A reply without keys, where a model's server has repeated its own."""
    choices = [
        replace(
            choice,
            text=concealed(choice.text),
            thought=concealed(choice.thought),
            answer=_shown(choice.answer),
        )
        for choice in reply.choices
    ]
    return replace(reply, choices=choices, extras=_shown(reply.extras))


def _shown(value: Any) -> Any:
    """The same for a value of JSON."""
    if isinstance(value, str):
        return concealed(value)
    if isinstance(value, Mapping):
        return {name: _shown(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return value


def _check_budget(request: AnswerRequest, served: Served) -> None:
    """Refuses a plan that may draw more than the request allows, before the first token."""
    if request.tokens is None:
        return
    bound = served.bounds.total.sampled_tokens
    if bound is None or bound > request.tokens:
        most = "any number of" if bound is None else f"up to {bound:,}"
        raise ApiError(
            400,
            f"`{served.name}` may draw {most} tokens, and the request allows {request.tokens:,.0f}",
            "over_budget",
            "tts.budget.tokens",
        )


def _too_long(message: str) -> ApiError:
    return ApiError(400, message, "context_length_exceeded", "messages")


def _failed(error: AnswerError) -> ApiError:
    message = str(error)
    if _TOO_LONG in message:
        return _too_long(message)
    if error.by_engine:
        _LOGGER.warning("an engine failed: %s", message)
        message = f"an engine failed: {message}"
        if error.wait is None:
            return ApiError(502, message, "engine_failed")
        headers = {"Retry-After": str(max(1, ceil(error.wait)))}
        return ApiError(503, message, "engine_failed", headers=headers)
    _LOGGER.warning("a strategy failed: %s", message)
    return ApiError(500, f"the strategy failed: {message}", "strategy_failed")


def _trace(response: Response) -> dict[str, Any]:
    """Nodes and decisions, as the record writes them."""
    return {
        "nodes": [
            {
                "node": node.uid,
                "parent": node.parent,
                "op": node.op,
                "place": node.place,
                "text": node.added,
                "scores": dict(node.scores),
                "answer": node.answer,
                "finish": node.finish,
            }
            for node in response.trace.nodes.values()
        ],
        "decisions": [dict(each) for each in response.trace.decisions],
    }
