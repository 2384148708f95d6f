"""Options of every engine behind a server."""

from __future__ import annotations

from pydantic import Field

from tts_runtime.engines.options import NoOptions


class HttpOptions(NoOptions):
    """How a server is talked to."""

    key_env: str | None = Field(default=None, description="Environment variable with the API key")
    key_header: str = Field(
        default="authorization",
        pattern="^[A-Za-z0-9-]+$",
        description="Header that the key goes into; Azure: api-key",
    )
    concurrency: int = Field(default=64, gt=0, description="Requests in flight, at most")
    timeout: float = Field(default=600.0, gt=0, description="Longest silence, in seconds")
    attempts: int = Field(default=7, gt=0, description="How often a request is sent, at most")
    patience: float = Field(
        default=300.0, ge=0, description="Seconds that a server is waited for that is away"
    )
    deadline: float = Field(
        default=3600.0, ge=0, description="Seconds for a request and its repetitions; 0: no limit"
    )


class PoolingOptions(HttpOptions):
    """Of `http:URL#MODEL`, a reward model."""

    family: str = Field(default="auto", description="How the model reads a path")
    layout: str | None = Field(default=None, description="Whose way of writing paths, by family")
    tokenizer: str | None = Field(default=None, description="Folder or hub id; else the model's")
    context: int | None = Field(default=None, gt=0, description="Tokens of the window")
    revision: str | None = Field(default=None, description="Of a tokenizer of the hub")
