"""Rows of a problem file, whatever its format: JSONL, JSON, CSV, TSV, Parquet; also compressed.

The content decides, not the name; only CSV and TSV, which look like any text, go by the name first.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from tts_lang.readers import MAX_LINE_BYTES, MAX_PROBLEMS_BYTES, TooDeep, parse_json
from tts_runtime.problems.fields import FieldNames, is_chat, is_problem
from tts_runtime.problems.model import (
    BadLine,
    BadRowError,
    Problem,
    ProblemFileError,
    json_type,
)

#: Kinds of files without problems, by their first bytes.
_FOREIGN: Final[Sequence[tuple[bytes, str]]] = (
    (b"version https://git-lfs", "a git-lfs pointer: fetch what it points to with `git lfs pull`"),
    (b"%PDF-", "a PDF: problems must be text in JSONL, JSON, CSV or Parquet"),
    (b"SQLite format 3\0", "an SQLite database: export its table as CSV or JSONL"),
    (b"PK\x03\x04", "a ZIP archive or an Excel file: unpack it, or save the sheet as CSV"),
    (b"ARROW1", "an Arrow file: save it as Parquet"),
    (b"\xff\xff\xff\xff", "an Arrow stream, as `datasets` keeps them: save it as Parquet"),
    (b"FEA1", "a Feather file: save it as Parquet"),
    (b"\x89HDF", "an HDF5 file: save it as Parquet or JSONL"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard: decompress it, or use gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"),
    (b"\x80\x03", "a Python pickle, which could run code: save it as JSONL"),
    (b"\x80\x04", "a Python pickle, which could run code: save it as JSONL"),
    (b"\x80\x05", "a Python pickle, which could run code: save it as JSONL"),
    (b"<!doctype html", "a web page: download the file itself (its `raw` or `resolve` address)"),
    (b"<html", "a web page: download the file itself (its `raw` or `resolve` address)"),
)

_COMPRESSED: Final = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))

#: Rows of a JSON object that holds them under one of these names.
_HOLDERS: Final = ("data", "problems", "examples", "rows", "questions", "instances", "test")


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row's fields, the problem that it is, or why it is none. `number`: from 1."""

    number: int
    fields: Mapping[str, Any] | Problem | BadRowError


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of a file, and what one is called in messages and ids (`line`, `row`)."""

    unit: str
    rows: Iterator[FileRow]


def rows_of(path: Path, fields: FieldNames | None = None) -> FileRows:
    """The rows of a file; `-` is standard input. `fields`: which hold what, if not the usual.

    Raises:
        ProblemFileError: It cannot be read, is too large, or is nothing that holds rows.
    """
    content = contents(path)
    for start, what in _FOREIGN:
        if content[: len(start)].lower() == start.lower():
            raise _error(path, f"the file is {what}")
    if content.startswith(b"PAR1"):
        return FileRows("row", _parquet(path, content))
    if content[257:262] == b"ustar":
        raise _error(path, "the file is a tar archive: unpack it")
    text = _utf8(content)
    names = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in names or ".tsv" in names:
        return FileRows("row", _csv(path, text, "\t" if ".tsv" in names else None))
    start = text.lstrip()[:1]
    if ".jsonl" not in names and ".ndjson" not in names and start not in (b"{", b"["):
        # Standard input and files of any other name: only a table has a heading.
        heading = text.lstrip().partition(b"\n")[0]
        if b"," in heading or b"\t" in heading or heading.startswith(b"sep="):
            return FileRows("row", _csv(path, text, None))
    if ".parquet" in names and start not in (b"{", b"["):
        raise _error(path, "the file is called Parquet, but is none: was it downloaded whole?")
    document = _document(path, text, fields or FieldNames(), lines_wanted=".jsonl" in names)
    if document is not None:
        return FileRows("row", document)
    return FileRows("line", _json_lines(text))


def contents(path: Path) -> bytes:
    """The bytes of a file, decompressed; `-` is standard input.

    Raises:
        ProblemFileError: It cannot be read, or is too large.
    """
    return _decompressed(path, _content(path))


def _error(path: Path, reason: str, number: int = 0) -> ProblemFileError:
    return ProblemFileError(path, (BadLine(number, reason),))


def _content(path: Path) -> bytes:
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MAX_PROBLEMS_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_PROBLEMS_BYTES + 1)
    except FileNotFoundError:
        raise _error(path, "the file does not exist; check the path") from None
    except IsADirectoryError:
        inside = sorted(each.name for each in path.iterdir() if each.is_file())[:5]
        there = f"; in it: {', '.join(inside)}" if inside else ""
        raise _error(path, f"the file cannot be opened (it is a folder{there})") from None
    except OSError as error:
        reason = f"the file cannot be opened ({error.strerror}); check the path and its rights"
        raise _error(path, reason) from error
    return _bounded(path, content)


def _bounded(path: Path, content: bytes) -> bytes:
    if len(content) > MAX_PROBLEMS_BYTES:
        raise _error(path, f"more than {MAX_PROBLEMS_BYTES >> 20} MiB; split the file")
    return content


def _decompressed(path: Path, content: bytes) -> bytes:
    for start, opened in _COMPRESSED:
        if content.startswith(start):
            stream = cast(IO[bytes], opened(io.BytesIO(content), "rb"))
            try:
                with stream:
                    return _bounded(path, stream.read(MAX_PROBLEMS_BYTES + 1))
            except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
                raise _error(path, f"the compressed file is damaged: {error}") from error
    return content


def _utf8(content: bytes) -> bytes:
    """UTF-16 and UTF-32, with a byte order mark or without, as UTF-8; UTF-8 without its mark."""
    encoding = json.detect_encoding(content[:4])
    if encoding.startswith("utf-8"):
        return content.removeprefix(b"\xef\xbb\xbf")
    return content.decode(encoding, "replace").encode()


# ------------------------------------------------------------------------------ JSON


def _json_lines(content: bytes) -> Iterator[FileRow]:
    # Only \n ends a line: JSON texts may hold other separators, such as U+2028. Files of an old Mac
    # have \r, which no text holds.
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE_BYTES:
                raise BadRowError(f"longer than {MAX_LINE_BYTES >> 20} MiB; split the line")
            yield FileRow(number, _object(line))
        except BadRowError as error:
            yield FileRow(number, error)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = parse_json(content.decode("utf-8"), _refuse_constant, _named_once)
    except UnicodeDecodeError as error:
        raise BadRowError(
            f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise BadRowError(
            f"not JSON (column {error.colno}: {error.msg}); write one JSON object a line"
        ) from error
    except ValueError as error:
        raise BadRowError(_unusable(error)) from error
    return _as_fields(value)


def _unusable(error: ValueError) -> str:
    if isinstance(error, TooDeep):
        return f"{error}; write a plain JSON object"
    limit = sys.get_int_max_str_digits()
    long = "set_int_max_str_digits" in str(error)
    reason = f"a whole number of more than {limit:,} digits" if long else str(error)
    return f"not usable JSON ({reason}); correct the number"


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        _refuse_twice([name for name, _ in pairs], "the object has")
    return fields


def _refuse_twice(names: Sequence[str], where: str) -> None:
    """Names a name that stands twice, where one value would hide the other.

    Raises:
        BadRowError: There is one.
    """
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise BadRowError(f"{where} {twice!r} twice; give each field a name of its own")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _as_fields(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if is_chat(value):
        return {"messages": value}
    raise BadRowError(
        f"a JSON {json_type(value)} instead of an object; write "
        '{"id": ..., "problem": ..., "answer": ...}'
    )


def _document(
    path: Path, content: bytes, fields: FieldNames, *, lines_wanted: bool
) -> Iterator[FileRow] | None:
    """The rows of one JSON document; None for JSON lines, and for what is neither."""
    stripped = content.strip()
    if stripped[:1] not in (b"[", b"{"):
        return None
    end = re.search(rb"[\r\n]", stripped)
    first = stripped if end is None else stripped[: end.start()].strip()
    begins = first in (b"[", b"{")  # a document over several lines
    try:
        value = parse_json(content, _refuse_constant, _named_once)
    except BadRowError as error:
        if lines_wanted and not begins:
            return None
        raise _error(path, str(error)) from error
    except json.JSONDecodeError as error:
        # A first line that is complete makes JSON lines of it, whatever follows.
        if lines_wanted or error.msg == "Extra data" or first.endswith(b"}"):
            return None
        reason = f"not JSON (column {error.colno}: {error.msg})"
        raise _error(path, reason, error.lineno) from error
    except ValueError as error:
        if not begins:
            return None  # the reader of lines says what is wrong
        raise _error(path, _unusable(error)) from error
    if isinstance(value, list):
        return None if lines_wanted and end is None else _listed(value)
    rows = [value] if is_problem(value, fields) else _held(value)
    if end is None and (lines_wanted or rows == [value]):
        return None  # a line that is an object
    return iter([FileRow(number, row) for number, row in enumerate(rows, start=1)])


def _listed(values: Sequence[object]) -> Iterator[FileRow]:
    for number, value in enumerate(values, start=1):
        try:
            yield FileRow(
                number, {"problem": value} if isinstance(value, str) else _as_fields(value)
            )
        except BadRowError as error:
            yield FileRow(number, error)


def _held(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object: a list in it, objects by their ids, or a list for each column.

    Also as pandas writes it: `{"problem": {"0": ...}}`, and `columns` beside `data`.
    """
    lists = {name: each for name, each in value.items() if isinstance(each, list)}
    for name in (*_HOLDERS, *(lists if len(lists) == 1 else ())):
        rows = lists.get(name)
        if rows and all(isinstance(row, dict) for row in rows):
            # The hub's own interface wraps each row.
            return [row["row"] if isinstance(row.get("row"), dict) else row for row in rows]
    names, data = lists.get("columns", []), lists.get("data", [])
    whole = all(isinstance(each, list) and len(each) == len(names) for each in data)
    if names and data and whole and all(isinstance(name, str) for name in names):
        return [dict(zip(names, row, strict=True)) for row in data]
    lengths = {len(each) for each in lists.values()}
    if len(lists) == len(value) > 1 and len(lengths) == 1:
        names = list(lists)
        return [dict(zip(names, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if value and all(isinstance(each, dict) for each in value.values()):
        [places, *others] = [list(each) for each in value.values()]
        by_place = all(map(str.isdigit, places)) and all(each == places for each in others)
        if places and by_place:
            return [{name: value[name][place] for name in value} for place in places]
        return [{"id": key, **each} for key, each in value.items()]
    return [value]


# ------------------------------------------------------------------------------ tables


def _csv(path: Path, content: bytes, delimiter: str | None) -> Iterator[FileRow]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _error(path, "not UTF-8; save the file as UTF-8", line) from error
    mark = re.match(r"sep=(.)\r?\n", text)  # Excel's own first line
    if mark is not None:
        delimiter, text = mark[1], text[mark.end() :]
    if delimiter is None:
        heading = text.partition("\n")[0]
        delimiter = max(",;\t", key=heading.count)
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0 if mark is None else 1
    line = before + 1  # where the next row begins: one may have several
    number = 0
    names: list[str] | None = None
    try:
        for values in reader:
            line = before + reader.line_num + 1
            if not any(map(str.strip, values)):
                continue  # a blank line, also as spreadsheets write it: `,,`
            if names is None:
                names = [name.strip() for name in values]
                _refuse_twice(names, "the heading has")
                continue
            number += 1
            if len(values) != len(names):
                how = "more" if len(values) > len(names) else "fewer"
                yield FileRow(number, BadRowError(f"{how} values than the heading has names"))
            else:
                yield FileRow(number, dict(zip(names, values, strict=True)))
    except BadRowError as error:
        raise _error(path, str(error)) from error
    except csv.Error as error:
        # An end of the file inside quotes says nothing of where they begin.
        where = line if "unexpected end" in str(error) else before + reader.line_num
        raise _error(path, f"not CSV: {error}", where) from error


def _parquet(path: Path, content: bytes) -> Iterator[FileRow]:
    try:
        from pyarrow import ArrowException, BufferReader
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise _error(path, "Parquet needs pyarrow: pip install 'tts-lang[data]'") from error
    try:
        number = 0
        for batch in ParquetFile(BufferReader(content)).iter_batches():
            for fields in batch.to_pylist():
                number += 1
                yield FileRow(number, fields)
    except (ArrowException, OSError) as error:
        raise _error(path, f"the Parquet file is damaged: {str(error).splitlines()[0]}") from error
