"""Names and forms of a run directory's files that all strategies share: `run.json`, problems."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import quote

from pydantic import ValidationError

from tts_lang.readers import MAX_PLAN_BYTES, parse_json, read_written
from tts_runtime.problems.model import Problem, Trial
from tts_runtime.record.lines import Damage, Seal, lines_of
from tts_runtime.record.manifest import SCHEMA, Manifest

MANIFEST: Final = "run.json"
PROBLEMS: Final = "problems.jsonl"
NODES: Final = "nodes.jsonl"
DECISIONS: Final = "decisions.jsonl"
ANSWERS: Final = "answers.jsonl"
REPLIES: Final = "replies.jsonl"
SUMMARY: Final = "summary.json"
MODELS: Final = "models.json"
PLAN: Final = "plan.json"
#: Who may read and write a file: its owner only, as models write there what they like.
PRIVATE: Final = 0o600
#: What schema 1 does not have, and its predecessor had.
_OLD: Final = "candidates.jsonl"
#: Characters of a folder's name; file systems take 255 bytes.
_LONGEST_NAME: Final = 200


class DirectoryError(Exception):
    """A directory that cannot be read as a run; the message says why, and what to do."""


def _instead(directory: Path) -> str:
    """What a folder is that is no run directory, and what was probably meant."""
    if not directory.is_dir():
        inside = directory.is_file() and (directory.parent / MANIFEST).is_file()
        return (
            f"it is a file in one: name {directory.parent}" if inside else f"it has no {MANIFEST}"
        )
    found = sorted(each.parent for each in directory.glob(f"*/{MANIFEST}"))
    there = f"; there is one in it: {found[0]}" if len(found) == 1 else ""
    if len(found) > 1:
        there = f"; there are {len(found)} in it: name {found[0]} or others, or {directory}/*"
    return f"it has no {MANIFEST}{there}"


def refuse_twice(directories: Iterable[Path]) -> None:
    """Refuses a run that is named twice, under one path or several.

    Raises:
        DirectoryError: With its name.
    """
    seen: set[Path] = set()
    for directory in directories:
        if directory.resolve() in seen:
            raise DirectoryError(f"{directory} is named twice; name each run once")
        seen.add(directory.resolve())


def read_manifest(directory: Path) -> Manifest:
    """The run that a directory holds.

    Raises:
        DirectoryError: It holds none, one of another schema, or a damaged `run.json`.
        OSError: It cannot be read.
    """
    path = directory / MANIFEST
    try:
        text = read_written(path, MAX_PLAN_BYTES).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DirectoryError(
            f"{directory} is not a run directory: {_instead(directory)}"
        ) from error
    try:
        value = parse_json(text)
    except ValueError as error:
        raise DirectoryError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise DirectoryError(f"{path} is damaged: no JSON object")
    schema = value.get("schema")
    if schema is None and (value.get("version") or any(directory.glob(f"*/{_OLD}"))):
        raise DirectoryError(
            f"{directory} was written by an older tts-lang (without a schema): run it again"
        )
    if schema != SCHEMA:
        raise DirectoryError(
            f"{directory} has schema {schema!r}, this tts-lang reads schema {SCHEMA}: "
            "read it with the version that wrote it"
        )
    try:
        seal_of("", "", MANIFEST).check_document(text)
        return Manifest.model_validate(value)
    except ValidationError as error:
        raise DirectoryError(f"{path} is damaged: {error.errors()[0]['msg']}") from error
    except ValueError as error:
        raise DirectoryError(f"{path} is damaged: {error}") from error


def open_private(path: Path, mode: str) -> BinaryIO:
    """A file of a run directory, which only its owner may read; `mode`: `wb` or `ab`.

    Raises:
        OSError: It cannot be opened.
    """
    file = open(  # noqa: SIM115  (the caller closes it)
        path, mode, opener=lambda name, flags: os.open(name, flags, PRIVATE)
    )
    return cast("BinaryIO", file)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """The new content of a file, which takes the old one's place once it is on the disk.

    Raises:
        OSError: It cannot be written; the old file is as it was.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with open_private(new, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def seal_of(identity: str, folder: str, file: str) -> Seal:
    """What the lines of a file are sealed with; `folder` is empty for files of the whole run."""
    return Seal(identity, folder, file)


def trial_of(line: Mapping[str, Any]) -> Trial:
    """The problem and seed that a line of nodes, decisions or answers belongs to."""
    return Trial(str(line.get("problem", line.get("id"))), line.get("seed", 0))


def read_document(path: Path, seal: Seal, damaged: list[Damage]) -> str | None:
    """The text of a sealed document; `None` if it is not there, or joins `damaged`.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        text = read_written(path, MAX_PLAN_BYTES).decode("utf-8", "surrogateescape")
        seal.check_document(text)
    except FileNotFoundError:
        return None
    except ValueError as error:
        damaged.append(Damage(f"{path.parent.name}/{path.name}", 0, str(error)))
        return None
    return text


def problem_line(problem: Problem) -> dict[str, Any]:
    """A problem as a line of `problems.jsonl`."""
    line: dict[str, Any] = {"id": problem.id, "text": problem.text, "answer": problem.answer}
    if problem.before:
        line["before"] = [list(message) for message in problem.before]
    if problem.fields:
        line["fields"] = plain(dict(problem.fields))
    if problem.grader is not None:
        line["grader"] = problem.grader
    return line


def digest_of(problems: Iterable[Problem]) -> str:
    """A digest of problems in their order: everything that a record has of them."""
    digest = sha256()
    for problem in problems:
        digest.update(json.dumps(problem_line(problem)).encode() + b"\n")
    return digest.hexdigest()


def read_problems(
    directory: Path, identity: str, damaged: list[Damage]
) -> dict[str, dict[str, Any]]:
    """The problems of a run by id, as lines; what cannot be believed goes to `damaged`.

    Raises:
        OSError: The file cannot be read.
    """
    seal = seal_of(identity, "", PROBLEMS)
    lines = lines_of(directory / PROBLEMS, seal, damaged)
    return {str(value.get("id")): value for _, value in lines}


def plain(value: Any) -> Any:
    """A value of a problem file as JSON has it; what JSON lacks is written as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if callable(getattr(value, "tolist", None)):  # a number or an array of NumPy
        return plain(value.tolist())
    return str(value)


def folder_of(strategy: str) -> str:
    """The name of a strategy's folder: values of a sweep as `majority@n=16`, nothing that a shell
    or a file system expands, and a digest at the end of a long name."""
    name = strategy.replace("[", "@", 1).removesuffix("]") if "[" in strategy else strategy
    name = quote(name, safe="@=,+", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _LONGEST_NAME:
        digest = sha256(strategy.encode(errors="surrogatepass")).hexdigest()[:16]
        name = f"{name[: _LONGEST_NAME - 17]}-{digest}"
    return name
