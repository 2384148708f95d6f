r"""Problem files: JSONL, one problem a line, with an id, a text and optionally a gold answer.

How a line is read (`FieldNames` overrides the names):

* text: `problem`, else `question`;
* id: `id`, else `unique_id`, else `line-17` for the 17th line; unique in the file (C15);
* gold answer: the first of `answer`, `extracted_groundtruth`, `solution` that is there.
  A number stands for itself (`27.0` is `27`). A text is a worked solution if it ends in `#### 18`
  or, in the field `solution`, boxes its answer: then only that final answer is taken. A `solution`
  that does neither gives no gold answer. `null` is no answer.
* everything else is kept as `fields`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tts_lang.diagnostics import did_you_mean
from tts_runtime.answers import extract_answer
from tts_runtime.paths import bundled

MAXIMUM_REPORTED = 20
_FINAL_ANSWER = "####"


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Which fields of a line hold what; the first name that a line has is used."""

    id: tuple[str, ...] = ("id", "unique_id")
    text: tuple[str, ...] = ("problem", "question")
    answer: tuple[str, ...] = ("answer", "extracted_groundtruth", "solution")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `answer`: the gold answer, None if unknown; `fields`: what else the line had."""

    id: str
    text: str
    answer: str | None = None
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class BadLine:
    """What is wrong with a line (1-based; 0: the whole file) and what to do about it."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}" if self.number else self.reason


class ProblemFileError(Exception):
    """A problem file that cannot be used; `lines` are all bad lines, the message the first 20."""

    def __init__(
        self, path: str | Path, lines: tuple[BadLine, ...], *, usable: bool = True
    ) -> None:
        self.path = Path(path)
        self.lines = lines
        shown = [f"  {line}" for line in lines[:MAXIMUM_REPORTED]]
        if len(lines) > MAXIMUM_REPORTED:
            shown.append(f"  and {len(lines) - MAXIMUM_REPORTED} more bad lines")
        if len(lines) > 1 and not usable:
            # Not a problem file at all: what is wrong with its other lines helps nobody.
            wanted = '{"id": "1", "problem": "1 + 1", "answer": "2"}'
            shown[1:] = [f"  no line of the file can be used; a line looks like {wanted}"]
        super().__init__("\n".join([f"cannot read problems from {path or '``'}:", *shown]))


class _BadLineError(Exception):
    """The reason why one line is bad; collected by `load_problems`."""


def load_problems(
    path: str | Path, limit: int | None = None, names: FieldNames | None = None
) -> list[Problem]:
    """The problems of a JSONL file in file order, the first `limit` of them if given.

    The whole file is checked even then. Blank lines are skipped but count as lines.
    Raises ProblemFileError naming every bad line.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise ProblemFileError(path, (BadLine(0, f"the limit must be 1 or more, not {limit}"),))
    names = names or FieldNames()
    problems: list[Problem] = []
    bad: list[BadLine] = []
    first_line: dict[str, int] = {}
    for number, content in _lines(path):
        try:
            problem = _read_line(content, number, names)
            if problem.id in first_line:
                raise _BadLineError(
                    f"the id {problem.id!r} is already used on line {first_line[problem.id]}; "
                    "give every problem an id of its own"
                )
        except _BadLineError as error:
            bad.append(BadLine(number, str(error)))
        else:
            first_line[problem.id] = number
            problems.append(problem)
    if not problems and not bad:
        bad.append(BadLine(0, "the file has no problems; write one JSON object a line"))
    if bad:
        raise ProblemFileError(path, tuple(bad), usable=bool(problems))
    return problems[:limit]


def problems_named(name: str, limit: int | None = None) -> list[Problem]:
    """The bundled problems (`arith`, `arith:calibration`, `arith:train`) or a file's.

    Raises:
        ProblemFileError: Neither a bundled set nor a file, or a file with bad lines.
    """
    kind, _, split = name.partition(":")
    if kind == "arith":
        return load_problems(bundled_problems(split or "test"), limit)
    path = Path(name)
    if not name or (not path.suffix and not path.exists()):
        hint = did_you_mean(kind, ["arith"]) or "bundled are arith, arith:calibration, arith:train"
        raise ProblemFileError(name, (BadLine(0, f"neither a file nor a bundled set; {hint}"),))
    return load_problems(path, limit)


def bundled_problems(split: str = "test") -> Path:
    """The file of a bundled problem set: `test`, `calibration` or `train`.

    Raises ProblemFileError if there is no such split.
    """
    try:
        folder = bundled("problems")
    except FileNotFoundError as error:
        raise ProblemFileError(Path(f"{split}.jsonl"), (BadLine(0, str(error)),)) from error
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        splits = sorted(file.stem for file in folder.glob("*.jsonl"))
        hint = did_you_mean(split, splits) or f"there are: {', '.join(splits) or 'none'}"
        raise ProblemFileError(
            Path(f"arith:{split}"), (BadLine(0, f"there is no bundled split {split!r}; {hint}"),)
        )
    return path


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ProblemFileError(
            path, (BadLine(0, "the file does not exist; check the path"),)
        ) from None
    except OSError as error:
        reason = f"the file cannot be opened ({error.strerror}); check the path and its rights"
        raise ProblemFileError(path, (BadLine(0, reason),)) from error
    # Only \n ends a line: JSON texts may hold other separators, such as U+2028.
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _read_line(content: bytes, number: int, names: FieldNames) -> Problem:
    fields = _parse_object(content)
    text_name = _first(fields, names.text)
    if text_name is None:
        raise _BadLineError(
            f"no field {_or(names.text)}; add the text of the problem under one of these names"
        )
    text = fields[text_name]
    if not isinstance(text, str) or not text.strip():
        raise _BadLineError(f"the field {text_name!r} must be a text that is not empty")
    id_name = _first(fields, names.id)
    answer_name = _first(fields, names.answer)
    used = {text_name, id_name, answer_name}
    problem_id = f"line-{number}" if id_name is None else _read_id(fields[id_name], id_name)
    answer = None if answer_name is None else _read_answer(fields[answer_name], answer_name)
    for value in (text, problem_id, answer or ""):
        _check_characters(value)
    return Problem(
        id=problem_id,
        text=text,
        answer=answer,
        fields=MappingProxyType({key: fields[key] for key in fields if key not in used}),
    )


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _BadLineError(
            f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise _BadLineError(
            f"not JSON (column {error.colno}: {error.msg}); write one JSON object a line"
        ) from error
    except RecursionError as error:
        raise _BadLineError("nested too deeply; write a plain JSON object") from error
    except ValueError as error:
        raise _BadLineError(f"not usable JSON ({error}); correct the number") from error
    if not isinstance(value, dict):
        raise _BadLineError(
            f"a JSON {_json_type(value)} instead of an object; write "
            '{"id": ..., "problem": ..., "answer": ...}'
        )
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _read_id(value: object, name: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    raise _BadLineError(f"the field {name!r} must be a text or a whole number, not empty")


def _read_answer(value: object, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _BadLineError(
            f"the field {name!r} must be a text or a number, not a JSON {_json_type(value)}"
        )
    _, marker, final = value.rpartition(_FINAL_ANSWER)
    if marker:
        return final.strip() or None
    if name == "solution":
        return extract_answer(value, finish="cut")
    return value.strip() or None


def _check_characters(value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _BadLineError(
            f"half a character (\\u{ord(value[error.start]):04x}) in {value[:40]!a}; "
            "write the whole surrogate pair"
        ) from error


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in fields), None)


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"),
        (int, "number"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")
