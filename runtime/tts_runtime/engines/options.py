"""Engine names with options: `transformers:MODEL?dtype=bfloat16&slots=32`, `ollama/MODEL`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tts_lang.diagnostics import did_you_mean
from tts_lang.printable import without_keys
from tts_lang.readers import is_folder
from tts_runtime.engines.base import EngineError


@dataclass(frozen=True, slots=True)
class EngineName:
    """An engine's name in `--policy` and `--scorer`: `kind:argument?key=value&key=value`."""

    written: str
    kind: str
    argument: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """The name without its options."""
        return f"{self.kind}:{self.argument}" if self.argument else self.kind


class NoOptions(BaseModel):
    """Options of an engine that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SimOptions(NoOptions):
    """Options of the policy `sim`."""

    context: int = Field(default=256, gt=0, description="Window, in tokens")


class ModelOptions(NoOptions):
    """Options of every engine that runs a model through transformers."""

    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:1")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: int = Field(
        default=0, ge=0, description="CPU threads per matrix product; 0: by model size"
    )
    known_tokens: int = Field(default=32_768, ge=0, description="Cached keys and values, in tokens")
    context: int | None = Field(default=None, gt=0, description="Context window, in tokens")
    revision: str | None = Field(default=None, description="Revision of a hub model")


class PolicyOptions(ModelOptions):
    """Options of `transformers:MODEL`."""

    binding: str | None = Field(default=None, description="Name of a shipped binding, or a file")
    slots: int = Field(default=64, gt=0, description="Maximum batch size, in paths")


class ScorerOptions(ModelOptions):
    """Options of `FAMILY:MODEL`, `orm:MODEL` and `auto:MODEL`."""

    rows: int = Field(default=64, gt=0, description="Maximum batch size, in paths")
    layout: str | None = Field(default=None, description="Layout of paths: one of the family's")
    engine: Literal["transformers", "vllm"] = "transformers"


#: What separates parts of a name, as it is written in values.
_ESCAPES: Final = {"%": "%25", "&": "%26", "#": "%23"}
#: Servers with a short name, `ollama/MODEL`: the address of their OpenAI interface, and the
#: variable of the API key where they require one.
SERVERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "ollama": ("http://localhost:11434/v1", None),
    "lmstudio": ("http://localhost:1234/v1", None),
    "sglang": ("http://localhost:30000/v1", None),
    "litellm": ("http://localhost:4000/v1", "LITELLM_MASTER_KEY"),  # LiteLLM's proxy
}

Options = TypeVar("Options", bound=NoOptions)


def parse_name(written: str) -> EngineName:
    """Splits an engine name.

    Args:
        written: `KIND:ARGUMENT?key=value&key=value`, or `SERVER/MODEL?...` with a name of
            `SERVERS`.

    Raises:
        EngineError: An option without `=`, a repeated one, or a key.
    """
    refuse_key(written)
    name, _, tail = written.partition("?")
    kind, _, argument = name.partition(":")
    server, _, model = name.partition("/")
    variable = None
    if model and server in SERVERS and not is_folder(Path(name)):
        address, variable = SERVERS[server]
        kind, argument = "openai", f"{address}#{model}"
    if kind in ("openai", "http") and "#" in tail:
        url, _, model = tail.rpartition("#")
        raise EngineError(
            f"engine `{written}`: options go after the model: {kind}:{argument}#{model}?{url}"
        )
    pairs: list[tuple[str, str]] = []
    for part in filter(None, tail.split("&")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise EngineError(f"engine `{written}`: expected key=value after `?`, found `{part}`")
        key = key.replace("-", "_")  # `api-version`, as Azure writes it
        if key in dict(pairs):
            raise EngineError(f"engine `{written}`: option `{key}` is given twice")
        for letter, code in reversed(_ESCAPES.items()):
            value = value.replace(code, letter)
        pairs.append((key, value))
    if variable is not None and "key_env" not in dict(pairs):
        pairs.append(("key_env", variable))
    return EngineName(written, kind, argument, tuple(pairs))


def refuse_key(written: str) -> None:
    """Refuses an engine name with a key or a password in it, without showing it.

    Raises:
        EngineError: What to do instead.
    """
    shown = without_keys(written)
    if shown != written:
        raise EngineError(
            f"engine `{shown}`: a key in the command line would be written to run directories: "
            "put it into OPENAI_API_KEY, or name another variable with ?key_env=NAME"
        )


def with_options(plain: str, options: Mapping[str, str]) -> str:
    """An engine name with these options."""
    escaped = {key: _escaped(value) for key, value in options.items()}
    tail = "&".join(f"{key}={value}" for key, value in escaped.items())
    return f"{plain}?{tail}" if tail else plain


def with_option(written: str, key: str, value: str) -> str:
    """An engine name with one more option."""
    return f"{written}{'&' if '?' in written else '?'}{key}={_escaped(value)}"


def _escaped(value: str) -> str:
    for letter, code in _ESCAPES.items():
        value = value.replace(letter, code)
    return value


def options_of(name: EngineName, model: type[Options]) -> Options:
    """The validated options of a name.

    Raises:
        EngineError: An unknown option, or an invalid value.
    """
    try:
        return model.model_validate(dict(name.options))
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = str(problem["loc"][0])
            if problem["type"] == "extra_forbidden":
                known = ", ".join(model.model_fields) or "it has none"
                hint = did_you_mean(key, model.model_fields)
                lines.append(f"unknown option `{key}`; {hint or f'options: {known}'}")
            else:
                lines.append(f"option `{key}`: {problem['msg']}, found {problem['input']!r}")
        raise EngineError(f"engine `{name.written}`: {'; '.join(lines)}") from error


def values_of(option: str, text: str) -> dict[str, Any]:
    """The values in the text of an option: `name=value,...`, or a JSON object.

    Raises:
        EngineError: It is neither.
    """
    text = unquote(text).strip()
    if not text:
        return {}
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"option `{option}`: not JSON ({error}): `{text[:80]}`") from error
        return dict(found)
    pairs: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise EngineError(
                f"option `{option}`: expected name=value or a JSON object, found `{part[:80]}`"
            )
        try:
            pairs[name.strip()] = json.loads(value)
        except (ValueError, RecursionError):
            pairs[name.strip()] = value.strip()
    return pairs
