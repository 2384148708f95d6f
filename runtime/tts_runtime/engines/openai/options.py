"""Options of `openai:URL#MODEL` and `http:URL#MODEL`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tts_runtime.engines.http.client import HttpOptions


class _FieldOptions(HttpOptions):
    """Which fields requests have."""

    omit: str = Field(default="", description="Fields that are never sent: seed,top_p")
    extra: str = Field(
        default="", description="Fields to add to every request: name=value,... or a JSON object"
    )


class ServerOptions(_FieldOptions):
    """How a model behind a server is prompted and read."""

    api: Literal["auto", "completions", "chat"] = "auto"
    tokenizer: str | None = Field(
        default=None, description="The model's own: a folder or a hub id; else texts are sent"
    )
    revision: str | None = Field(default=None, description="Of a tokenizer of the hub")
    binding: str | None = Field(default=None, description="A shipped binding's name, or a file")
    context: int | None = Field(default=None, gt=0, description="Tokens of the window")
    api_version: str | None = Field(
        default=None, description="Azure's: goes behind every address as ?api-version="
    )


class PoolingOptions(_FieldOptions):
    """Of `http:URL#MODEL`, a reward model."""

    family: str = Field(default="auto", description="How the model reads a path")
    layout: str | None = Field(default=None, description="Whose way of writing paths, by family")
    tokenizer: str | None = Field(default=None, description="Folder or hub id; else the model's")
    context: int | None = Field(default=None, gt=0, description="Tokens of the window")
    revision: str | None = Field(default=None, description="Of a tokenizer of the hub")
