"""Metrics of a server, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tts_runtime.executor.requests import Counts
from tts_runtime.runs.response import TokenUsage
from tts_runtime.serve.admission import Admission

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counts of one server."""

    def __init__(self, admission: Admission) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "tts_requests",
            "Requests by strategy and status",
            ("model", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "tts_request_seconds",
            "From request to answer",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.waited = Histogram(
            "tts_waiting_seconds", "Waiting for room", buckets=_SECONDS, registry=registry
        )
        self.tokens = Counter(
            "tts_tokens", "Tokens: drawn, prompt, scorer", ("model", "kind"), registry=registry
        )
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "tts_running_requests": ("Requests that run", lambda: admission.running),
            "tts_running_candidates": ("Candidates they have room for", lambda: admission.rows),
            "tts_waiting_requests": ("Requests that wait", lambda: admission.waiting),
        }
        for name, (what, read) in gauges.items():
            Gauge(name, what, registry=registry).set_function(read)

    def spent(self, model: str, cost: TokenUsage | Counts) -> None:
        """Counts the tokens of a request."""
        counts = {
            "drawn": cost.policy_tokens,
            "prompt": cost.prompt_tokens,
            "scorer": cost.scorer_tokens,
        }
        for kind, count in counts.items():
            self.tokens.labels(model, kind).inc(count)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)
