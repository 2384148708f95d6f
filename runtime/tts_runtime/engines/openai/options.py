"""Options of `openai:URL#MODEL` and `http:URL#MODEL`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tts_runtime.engines.http.client import HttpOptions


class _FieldOptions(HttpOptions):
    """Which fields requests have."""

    omit: str = Field(default="", description="Fields to omit from every request: seed,top_p")
    extra: str = Field(
        default="", description="Fields to add to every request: name=value,... or a JSON object"
    )


class ServerOptions(_FieldOptions):
    """Options of `openai:URL#MODEL`."""

    api: Literal["auto", "completions", "chat"] = "auto"
    tokenizer: str | None = Field(
        default=None,
        description="The model's tokenizer, a folder or hub id; without it texts are sent",
    )
    revision: str | None = Field(default=None, description="Revision of a hub tokenizer")
    binding: str | None = Field(default=None, description="Name of a shipped binding, or a file")
    context: int | None = Field(default=None, gt=0, description="Context window, in tokens")
    api_version: str | None = Field(
        default=None, description="Azure: added to every URL as ?api-version="
    )


class PoolingOptions(_FieldOptions):
    """Options of `http:URL#MODEL`, a reward model."""

    family: str = Field(default="auto", description="Family of the reward model")
    layout: str | None = Field(default=None, description="Layout of paths: one of the family's")
    tokenizer: str | None = Field(
        default=None, description="Tokenizer, a folder or hub id; else the model's"
    )
    context: int | None = Field(default=None, gt=0, description="Context window, in tokens")
    revision: str | None = Field(default=None, description="Revision of a hub tokenizer")
