"""What is read has limits: strategies, bindings, problem files, JSON from anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tts_lang.readers import MAX_JSON_DEPTH, MAX_TEXT_BYTES, TooDeep, parse_json
from tts_lang.syntax.parser import load
from tts_runtime.binding import BindingError, load_binding
from tts_runtime.problems import ProblemFileError, load_problems


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', ' [ "x", '])
@pytest.mark.parametrize("levels", [MAX_JSON_DEPTH + 1, 2_000, 200_000])
def test_deep_json_is_named_whatever_it_is_made_of(opening: str, levels: int) -> None:
    closing = {"[": "]", "{": "}"}
    ends = "".join(closing[sign] for sign in reversed(opening) if sign in closing)
    last = '"x"' if opening.startswith(" ") else "1"
    with pytest.raises((TooDeep, ValueError)) as caught:
        parse_json(opening * levels + last + ends * levels)
    if not isinstance(caught.value, json.JSONDecodeError):
        assert "levels deep" in str(caught.value)


def test_json_of_usual_depth_is_read() -> None:
    deep = "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH
    assert parse_json(deep) == json.loads(deep)
    assert parse_json('{"a": [{"b": 1}], "c": "[[[["}') == {"a": [{"b": 1}], "c": "[[[["}


def test_a_deep_problem_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    deep = "[" * 100_000 + "]" * 100_000
    path.write_text(f'{{"problem": "a"}}\n{{"problem": "b", "more": {deep}}}\n')
    with pytest.raises(ProblemFileError, match=r"line 2: nested more than 64 levels deep"):
        load_problems(path)


def test_strategies_and_bindings_are_not_read_without_end(tmp_path: Path) -> None:
    path = tmp_path / "large.tts"
    path.write_bytes(b"#" * (MAX_TEXT_BYTES + 1))
    for endless in (path, Path("/dev/zero")):
        if endless.exists():
            [found] = load(endless).diagnostics
            assert "more than 128 KiB" in found.message
            with pytest.raises(BindingError, match="more than 128 KiB"):
                load_binding(endless)


def test_a_deep_binding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binding.yaml"
    path.write_text("name: " + "[" * 5_000)
    with pytest.raises(BindingError, match=r"binding\.yaml: is not"):
        load_binding(path)
