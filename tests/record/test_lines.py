"""Sealed lines: what was written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_runtime.record import lines
from tts_runtime.record.lines import Damage, Seal, lines_of

SEAL = Seal("run", "majority", "answers.jsonl")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "crc"), VALUES, min_size=1, max_size=5))
def test_a_line_is_json_and_is_read_back(value: dict[str, object]) -> None:
    line = SEAL.line(value).decode()
    assert line.count("\n") == 1
    assert SEAL.read(line) == value
    assert json.loads(line) == value | {"crc": line[-11:-3]}


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_found(place: int, bit: int) -> None:
    data = SEAL.line({"id": "one", "answer": "42", "key": "42"})
    place %= len(data)
    changed = data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
    with pytest.raises(ValueError, match=r"torn|checksum|no JSON"):
        SEAL.read(changed.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    "other",
    [
        Seal("other run", "majority", "answers.jsonl"),
        Seal("run", "greedy", "answers.jsonl"),
        Seal("run", "majority", "nodes.jsonl"),
    ],
)
def test_a_line_of_another_run_or_file_is_not_believed(other: Seal) -> None:
    with pytest.raises(ValueError, match="of another run"):
        SEAL.read(other.line({"id": "one"}).decode())


def test_a_file_gives_its_good_lines_and_names_the_others(tmp_path: Path) -> None:
    path = tmp_path / "majority" / "answers.jsonl"
    path.parent.mkdir()
    good, other = SEAL.line({"id": "one"}), SEAL.line({"id": "two"})
    path.write_bytes(good + b"\n" + b'{"id": "three"}\n' + other[:-9])
    damaged: list[Damage] = []
    assert [value for _, value in lines_of(path, SEAL, damaged)] == [{"id": "one"}]
    assert list(map(str, damaged)) == [
        "majority/answers.jsonl:2: the line has no checksum",
        "majority/answers.jsonl:3: the line has no checksum",
        "majority/answers.jsonl:4: the line has no end: it was torn, or is too long",
    ]
    assert list(lines_of(tmp_path / "none.jsonl", SEAL, damaged)) == []


def test_a_line_beyond_every_limit_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    path = tmp_path / "answers.jsonl"
    good = SEAL.line({"id": "one"})
    path.write_bytes(good + SEAL.line({"text": "x" * 1000}) + good + b"y" * 1000)
    damaged: list[Damage] = []
    assert [value for _, value in lines_of(path, SEAL, damaged)] == [{"id": "one"}] * 2
    assert [each.line for each in damaged] == [2, 4]
