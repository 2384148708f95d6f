"""docs/bindings.md lists every key of a binding with its default."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from pydantic import BaseModel

from tests.docs.blocks import ROOT, blocks
from tts_runtime.binding import Binding
from tts_runtime.engines.bundled.prm import PrmBinding

PAGE = ROOT / "docs" / "bindings.md"
ROW = re.compile(r"^\| (`[^|]*`) \| (.*?) ?\| .+ \|$", re.MULTILINE)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """(key, default) of a model and of the models inside it; `required` where there is none."""
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else field.default
        yield prefix + name, "" if isinstance(default, BaseModel) else default
        for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from keys(part, f"{prefix}{name}.")


def listed(section: str) -> dict[str, object]:
    """(key, default) of the rows of a section's table."""
    found: dict[str, object] = {}
    for names, default in ROW.findall(section):
        value = yaml.safe_load(default[1:-1]) if default.startswith("`") else default
        for name in names.split(", "):
            found[name.strip("`")] = tuple(value) if isinstance(value, list) else value
    return found


@pytest.mark.parametrize(("place", "model"), [(0, Binding), (1, PrmBinding)])
def test_every_key_is_listed_with_its_default(place: int, model: type[BaseModel]) -> None:
    section = PAGE.read_text(encoding="utf-8").split("\n## ")[1 + place]
    assert listed(section) == dict(keys(model))


@pytest.mark.parametrize(("place", "model"), [(0, Binding), (1, PrmBinding)])
def test_the_examples_are_bindings(place: int, model: type[BaseModel]) -> None:
    example = [block for block in blocks(PAGE) if block.info == "yaml"][place]
    model.model_validate(yaml.safe_load(example.body))
