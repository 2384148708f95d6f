"""OpenTelemetry: a span per request, and below it one per operation that generates or scores.

Names and attributes are those of the conventions for generative AI where they have one, else
`tts.*`. Nothing is measured unless the process has a tracer provider
(`opentelemetry-instrument tts-serve ...`). What a client asks and gets is never in a span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import time_ns

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from tts_lang.plan.graph import Operation
from tts_runtime.executor.generation import CandidateMade
from tts_runtime.executor.problem import Events, place
from tts_runtime.executor.scope import Decided, Scored
from tts_runtime.record.nodes import place_of
from tts_runtime.serve.errors import ApiError


@dataclass(slots=True)
class _Work:
    """The work of an operation: its start and end (nanoseconds since 1970), how much."""

    begun: int
    ended: int
    attributes: dict[str, str | int]


class RequestSpan:
    """The span of a request, and what its run tells."""

    def __init__(self, tracer: Tracer, span: Span, begun: int) -> None:
        self._tracer = tracer
        self._span = span
        self._begun = begun
        self._heard = False
        self._work: dict[tuple[str, str], _Work] = {}
        #: The time at which each candidate was made, when operations on it begin.
        self._starts: dict[int, int] = {}

    def subscribe(self, events: Events) -> None:
        """Listens to a run; to the first one only, since a replay takes no time."""
        if self._heard or not self._span.is_recording():
            return
        self._heard = True
        events.subscribe(CandidateMade, self._candidate)
        events.subscribe(Scored, self._scored)
        events.subscribe(Decided, self._decided)

    def replied(self, usage: Mapping[str, int], finish: Sequence[str]) -> None:
        """The request has its answer."""
        self._span.set_attribute("gen_ai.usage.input_tokens", usage["prompt"])
        self._span.set_attribute("gen_ai.usage.output_tokens", usage["drawn"])
        self._span.set_attribute("gen_ai.response.finish_reasons", finish)

    def end(self) -> None:
        """Writes the operations' spans, then ends the request's."""
        context = trace.set_span_in_context(self._span)
        for (name, where), work in self._work.items():
            span = self._tracer.start_span(
                f"{name} {where}", context, attributes=work.attributes, start_time=work.begun
            )
            span.end(work.ended)
        self._span.end()

    def _candidate(self, event: CandidateMade) -> None:
        candidate = event.row.candidate
        if candidate.operation is None:
            return
        now = time_ns()
        self._starts[id(candidate)] = now
        parent = candidate.parent
        begun = self._begun if parent is None else self._starts.get(id(parent), self._begun)
        work = self._of(candidate.operation, begun, now, "tts.candidates")
        drawn = int(work.attributes.get("gen_ai.usage.output_tokens", 0))
        work.attributes["gen_ai.usage.output_tokens"] = drawn + len(event.row.node.ids)

    def _scored(self, event: Scored) -> None:
        begun = self._starts.get(id(event.row.candidate), self._begun)
        work = self._of(event.operation, begun, time_ns(), "tts.scored")
        work.attributes["tts.scorer"] = event.scorer

    def _decided(self, event: Decided) -> None:
        counts = {"tts.rows.in": len(event.rows), "tts.rows.out": len(event.kept)}
        name = f"{event.operation.spec.op} {place_of(place(event.operation.origins))}"
        self._span.add_event(name, counts)

    def _of(self, operation: Operation, begun: int, now: int, count: str) -> _Work:
        name = operation.spec.op, place_of(place(operation.origins))
        work = self._work.get(name)
        if work is None:
            about: dict[str, str | int] = {"tts.op": name[0], "tts.place": name[1]}
            work = self._work[name] = _Work(begun, now, about)
        work.begun, work.ended = min(work.begun, begun), now
        work.attributes[count] = int(work.attributes.get(count, 0)) + 1
        return work


@contextmanager
def request_span(model: str) -> Iterator[RequestSpan]:
    """The span of a request, below what the client's `traceparent` names.

    Args:
        model: The strategy; not as the client writes it, since spans have no names of clients.
    """
    tracer = trace.get_tracer("tts-serve")
    begun = time_ns()
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "tts-lang",
        "gen_ai.request.model": model,
    }
    span = tracer.start_span(
        f"chat {model}",
        attributes=attributes,
        start_time=begun,
    )
    request = RequestSpan(tracer, span, begun)
    try:
        yield request
    except ApiError as error:
        span.set_attribute("error.type", error.code)
        span.set_status(Status(StatusCode.ERROR, error.code))
        raise
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        request.end()
