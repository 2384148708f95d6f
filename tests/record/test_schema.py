"""The JSON Schema files of a record, and its page, are those of the code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.support.golden import check_golden
from tts_runtime.record.decisions import Decision
from tts_runtime.record.manifest import Manifest
from tts_runtime.record.nodes import NodeBatch
from tts_runtime.runs.results import Answer, Summary

DOCS = Path(__file__).parents[2] / "docs"
MODELS: dict[str, type[BaseModel]] = {
    "run": Manifest,
    "nodes": NodeBatch,
    "decisions": Decision,
    "answers": Answer,
    "summary": Summary,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_files_are_those_of_the_code(name: str, update_golden: bool) -> None:
    model: type[BaseModel] = MODELS[name]
    text = json.dumps(model.model_json_schema(by_alias=True), indent=2, ensure_ascii=False)
    check_golden(DOCS / "schema" / f"{name}.schema.json", text + "\n", update_golden)


@pytest.mark.parametrize("name", MODELS)
def test_every_field_stands_in_the_page(name: str) -> None:
    page = (DOCS / "record.md").read_text(encoding="utf-8")
    for field, about in MODELS[name].model_fields.items():
        assert f"`{about.alias or field}`" in page, field
