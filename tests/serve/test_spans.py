"""OpenTelemetry: what a request's spans say, and what they never say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.serve.conftest import serving

trace = pytest.importorskip("opentelemetry.trace")

QUESTION = "what nobody else may read"


@dataclass
class KeptSpan(trace.NonRecordingSpan):  # type: ignore[misc,name-defined]
    """A span as a backend gets it."""

    name: str
    attributes: dict[str, Any]
    parent: Any
    start: int
    finish: int = 0
    events: list[tuple[str, Any]] = field(default_factory=list)
    failed: bool = False

    def is_recording(self) -> bool:
        return True

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def add_event(self, name: str, attributes: Any = None, timestamp: Any = None) -> None:
        del timestamp
        self.events.append((name, attributes))

    def set_status(self, status: Any, description: Any = None) -> None:
        del description
        self.failed = status.status_code is trace.StatusCode.ERROR

    def end(self, end_time: int | None = None) -> None:
        self.finish = end_time or self.start


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[KeptSpan]:
    """The spans that are made."""
    found: list[KeptSpan] = []

    class Kept(trace.NoOpTracer):  # type: ignore[misc,name-defined]
        def start_span(
            self,
            name: str,
            context: Any = None,
            kind: Any = None,
            attributes: Any = None,
            links: Any = None,
            start_time: int | None = None,
            **_: Any,
        ) -> Any:
            del kind, links
            parent = trace.get_current_span(context)
            found.append(KeptSpan(name, dict(attributes), parent, start_time or 0))
            return found[-1]

    monkeypatch.setattr(trace, "get_tracer", lambda _name: Kept())
    return found


def test_a_request_has_a_span_with_one_per_operation(spans: list[KeptSpan]) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"

    async def asked() -> Any:
        async with serving() as served:
            served.http.headers["traceparent"] = f"00-{trace_id}-00f067aa0ba902b7-01"
            reply = await served.chat(QUESTION, model="best_of_n@n=3")
            assert (
                await served.chat(QUESTION, model="best_of_n@n=1", tts={"budget": {"tokens": 1}})
            ).status_code == 400
            return reply.json()

    usage = asyncio.run(asked())["usage"]
    [whole, *parts] = spans
    assert whole.name == "chat best_of_n"
    assert f"{whole.parent.get_span_context().trace_id:032x}" == trace_id
    assert whole.attributes["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert whole.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert [part.attributes["tts.op"] for part in parts] == ["expand", "score"]
    assert parts[0].attributes["tts.candidates"] == parts[1].attributes["tts.scored"] == 3
    assert 0 < parts[0].attributes["gen_ai.usage.output_tokens"] <= usage["completion_tokens"]
    assert all(part.parent is whole and part.start <= part.finish for part in parts)
    [(name, rows)] = whole.events
    assert name.startswith("select best_of_n.tts:")
    assert rows == {"tts.rows.in": 3, "tts.rows.out": 1}
    assert QUESTION not in repr(spans)


def test_a_refused_request_has_a_span_that_says_why(spans: list[KeptSpan]) -> None:
    async def asked() -> None:
        async with serving(running=1, waiting=0) as served:
            served.service.admission.open = False
            assert (await served.chat(QUESTION)).status_code == 503

    asyncio.run(asked())
    [span] = spans
    assert span.failed
    assert span.attributes["error.type"] == "shutting_down"
