"""Run directories: everything a run made, appended as it happens.

    DIR/run.json                      configuration: strategies, parameters, engines, problems, seed
    DIR/models.json                   sizes of the models behind the engines that state them
    DIR/STRATEGY/plan.json            the plan that ran (`tts-run` accepts it again)
    DIR/STRATEGY/candidates.jsonl     every candidate: lineage, text, token counts, finish, scores
    DIR/STRATEGY/answers.jsonl        the answer to each problem and what it cost
    DIR/STRATEGY/summary.json         the line of the table, of what has finished

A problem's lines are written in one go when it finishes, so a run that is interrupted leaves whole
problems behind. A run of the same configuration goes on from there: see `tts_runtime.runs.resume`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO, cast
from urllib.parse import quote

from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import to_json
from tts_lang.printable import printable
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.runs.results import Answer, Summary

#: Who may do what with folders and files: their owner only.
_FOLDER: Final = 0o700
_FILE: Final = 0o600
#: Characters of a folder's name; file systems take 255 bytes.
_LONGEST_NAME: Final = 200
#: What a message says of each part of a configuration that is another one.
_OTHER = {
    "strategies": "other strategies or parameters",
    "plans": "a strategy has changed since",
    "problems": "other problems",
    "contents": "a problem has changed since",
    "seed": "another seed",
    "policies": "another policy engine",
    "scorers": "another scorer engine",
    "graders": "another grader",
    "without": "other --no-pass",
    "strict": "with --strict or without",
    "version": "another version of tts-lang",
}


class RunDirectoryError(Exception):
    """A run directory that cannot be used; the message says which and what to do."""


def check(path: Path, configuration: Mapping[str, Any]) -> bool:
    """Whether `path` holds an earlier session of this very run; makes nothing.

    Raises:
        RunDirectoryError: `path` holds something else, or cannot be read.
    """
    try:
        _check_place(path)
        if not path.exists() or not any(path.iterdir()):
            return False
        text = (path / "run.json").read_text(encoding="utf-8")
        there = json.loads(text)
    except FileNotFoundError as error:
        raise RunDirectoryError(
            f"{path} is not empty, and no run directory: name another one with --out"
        ) from error
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {reason_of(error)}") from error
    except ValueError as error:
        raise RunDirectoryError(
            f"{path / 'run.json'} is damaged: name another directory with --out, or remove this one"
        ) from error
    here = json.loads(_text(configuration))
    differs = _differences(there if isinstance(there, dict) else {}, here)
    if differs:
        raise RunDirectoryError(
            f"{path} holds another run ({differs}): name another directory with --out, or remove "
            "this one"
        )
    return True


def _check_place(path: Path) -> None:
    """Refuses a place where no directory can be made, before a model takes its time to load."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise RunDirectoryError(f"{there} is a file: name a new directory with --out")
    if there != path and not os.access(there, os.W_OK):
        raise RunDirectoryError(f"{path} cannot be written: no right to write into {there}")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What is another configuration there, most telling first; empty if nothing is."""
    found = [key for key in _OTHER if there.get(key) != here.get(key)]
    for part, whole in (("plans", "strategies"), ("contents", "problems")):
        if whole in found and part in found:
            found.remove(part)
    return ", ".join(_OTHER[key] for key in found[:3])


def reason_of(error: OSError) -> str:
    """Why the system refuses, in lower case."""
    return (error.strerror or type(error).__name__).lower()


def _text(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, indent=2, default=_plain) + "\n"


@contextmanager
def opened(path: Path, configuration: Mapping[str, Any]) -> Iterator[Path]:
    """A run directory, made with its configuration if it is not there; nobody else may write it.

    Raises:
        RunDirectoryError: As `check`; also if another process writes there.
    """
    try:
        path.mkdir(_FOLDER, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error
    try:
        _lock(path, lock)
        if not check(path, configuration):
            write(path / "run.json", _text(configuration))
        yield path
    finally:
        os.close(lock)


def _lock(path: Path, handle: int) -> None:
    """Holds a directory until its handle is closed, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunDirectoryError(f"{path} is being written by another tts-run") from error
    except OSError:
        return  # a file system without locks


def open_private(path: Path, mode: str) -> TextIO:
    """A file of a run directory, which only its owner may read: models write there what they like.

    Raises:
        OSError: It cannot be opened.
    """
    file = open(  # noqa: SIM115  (the caller closes it)
        path,
        mode,
        encoding="utf-8",
        newline="\n",
        opener=lambda name, flags: os.open(name, flags, _FILE),
    )
    return cast("TextIO", file)


def write(path: Path, text: str) -> None:
    """Writes a whole file, or leaves the old one as it was.

    Raises:
        RunDirectoryError: It cannot be written.
    """
    new = path.with_name(path.name + ".new")
    try:
        with open_private(new, "w") as file:
            file.write(printable(text))
        new.replace(path)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error


def write_models(path: Path, engines: Mapping[str, PolicyEngine | ScorerEngine]) -> None:
    """Writes how large the models behind engines are, for `tts-compile --stats`.

    Raises:
        RunDirectoryError: It cannot be written.
    """
    cards = {name: engine.card for name, engine in engines.items() if engine.card is not None}
    text = json.dumps({name: asdict(card) for name, card in cards.items()}, indent=2)
    write(path / "models.json", text + "\n")


def folder(directory: Path, plan: Plan) -> Path:
    """Where a strategy's files are: a folder right below the run's, whatever it is called.

    A name of the language stands for itself. Values of a sweep are in the name, too, so what may
    mean something to a file system is escaped as in addresses, and a long name ends in its digest.
    """
    name = quote(plan.strategy, safe="[]=,+ ", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _LONGEST_NAME:
        digest = sha256(plan.strategy.encode(errors="surrogatepass")).hexdigest()[:16]
        name = f"{name[: _LONGEST_NAME - 17]}-{digest}"
    return directory / name


class StrategyWriter:
    """Writes one strategy's files, behind what is there; a context manager that closes them.

    Raises:
        RunDirectoryError: A file that cannot be written, now or later.
    """

    def __init__(self, directory: Path, plan: Plan) -> None:
        self.path = folder(directory, plan)
        try:
            self.path.mkdir(_FOLDER, exist_ok=True)
            self._candidates = open_private(self.path / "candidates.jsonl", "a")
            self._answers = open_private(self.path / "answers.jsonl", "a")
        except OSError as error:
            raise RunDirectoryError(f"{self.path} cannot be written: {reason_of(error)}") from error
        write(self.path / "plan.json", to_json(plan) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whatever a full disk has kept from being written was said by `problem`.
        with suppress(OSError):
            self._candidates.close()
        with suppress(OSError):
            self._answers.close()

    def problem(self, answer: Answer, candidates: Sequence[object]) -> None:
        """Writes a finished problem: its candidates first, so that an answer never lacks them."""
        lines = [
            json.dumps({"problem": answer.id, **_fields(candidate)}, default=_plain) + "\n"
            for candidate in candidates
        ]
        try:
            self._candidates.write(printable("".join(lines)))
            self._candidates.flush()
            self._answers.write(printable(answer.model_dump_json()) + "\n")
            self._answers.flush()
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path} cannot be written: {reason_of(error)}; what has finished before is "
                "kept, and the same command goes on from there"
            ) from error

    def summary(self, summary: Summary) -> None:
        """Writes the strategy's summary."""
        write(self.path / "summary.json", summary.model_dump_json(indent=2) + "\n")


def _fields(candidate: object) -> dict[str, Any]:
    assert is_dataclass(candidate)
    assert not isinstance(candidate, type)
    return asdict(candidate)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
