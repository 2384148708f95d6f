"""Run directories: everything a run made, appended as it happens.

    DIR/run.json                      the run: configuration, engines, versions, sessions
    DIR/problems.jsonl                the problems, whole
    DIR/models.json                   sizes of the models behind the engines that state them
    DIR/replies.jsonl                 what engines replied to problems in flight
    DIR/STRATEGY/plan.json            the plan that ran (`tts-run` accepts it again)
    DIR/STRATEGY/nodes.jsonl          every candidate: lineage, text, tokens, finish, scores
    DIR/STRATEGY/answers.jsonl        the answer to each problem and what it cost
    DIR/STRATEGY/summary.json         the line of the table, of what has finished

Schema 1 of `tts_runtime.record`, which reads it; each line is sealed by a checksum.

A problem's lines are written in one go when it finishes, so a run that is interrupted leaves whole
problems behind, and the replies to others. A run of the same configuration continues them: see
`tts_runtime.runs.resume`.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import Enum
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import PlanError, from_json, to_json
from tts_lang.plan.text import to_text
from tts_lang.printable import printable
from tts_lang.readers import MAX_LINE_BYTES, MAX_PLAN_BYTES, read_written
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.problems.model import Problem, Trial
from tts_runtime.record.files import (
    MANIFEST,
    MODELS,
    PLAN,
    PROBLEMS,
    SUMMARY,
    DirectoryError,
    folder_of,
    problem_line,
    read_manifest,
    read_problems,
    replaced,
    seal_of,
)
from tts_runtime.record.manifest import Manifest
from tts_runtime.record.replies import ReplyLog
from tts_runtime.record.writer import RecordWriter
from tts_runtime.runs.results import Summary

#: Access to folders: their owner only.
FOLDER: Final = 0o700
#: Messages about each part of a configuration that differs.
_OTHER = {
    "strategies": "other strategies or parameters",
    "plans": "a strategy has changed since",
    "policies": "another policy engine",
    "scorers": "another scorer engine",
    "graders": "another grader",
    "without": "other --no-pass",
    "strict": "with --strict or without",
    "keep": "other --keep",
    "version": "another version of tts-lang",
}


class RunDirectoryError(Exception):
    """A run directory that cannot be used; the message says which and what to do."""


def check(
    path: Path,
    configuration: Mapping[str, Any],
    problems: Sequence[Problem],
    plans: Sequence[Plan] = (),
) -> bool:
    """Whether `path` holds an earlier session of this very run; makes nothing.

    Problems and seeds may be more or fewer than there: what is the same in both is the same run.
    Plans are what they say, wherever their files lie; `plans` are for the message.

    Raises:
        RunDirectoryError: `path` holds something else, or cannot be read.
    """
    try:
        _check_place(path)
        if not path.exists() or all(each.name == f"{MANIFEST}.new" for each in path.iterdir()):
            return False  # or it was stopped before it began
        there = read_manifest(path)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {reason_of(error)}") from error
    except DirectoryError as error:
        raise RunDirectoryError(f"{error}: name another directory with --out") from error
    expected = json.loads(_text(configuration))
    differs = differences(there.configuration, expected)
    if differs == _OTHER["plans"]:
        differs = next(filter(None, (_changed_plan(path, plan) for plan in plans)), differs)
    if not differs:
        differs = _changed_record(there) or _changed(path, there.identity, problems)
    if differs:
        raise RunDirectoryError(
            f"{path} holds another run ({differs}): name another directory with --out, or remove "
            "this one"
        )
    return True


def _changed_record(there: Manifest) -> str:
    """The message about samples that were replayed and are others now; empty if none are."""
    for about in there.engines.values():
        # Runs of earlier versions do not say what they read.
        if "record" in about:
            same = import_module("tts_runtime.replay.sources").is_same
            if not same(about["engine"], [tuple(each) for each in about["record"]]):
                return f"what {about['engine']} has recorded has changed since"
    return ""


def _changed(path: Path, identity: str, problems: Sequence[Problem]) -> str:
    """The message about a problem that has the same id there and differs; empty if none does."""
    recorded = read_problems(path, identity, [])
    for problem in problems:
        there = recorded.get(problem.id)
        if there is not None and there != json.loads(json.dumps(problem_line(problem))):
            return f"problem {problem.id} has changed since"
    return ""


#: Plans that were written last, by identity, and their texts: a run needs each several times.
_TEXTS: OrderedDict[int, tuple[Plan, str]] = OrderedDict()
_MOST_TEXTS: Final = 64


def plan_text(plan: Plan) -> str:
    """A plan as `plan.json` has it, the same wherever its files lie."""
    cached = _TEXTS.get(id(plan))
    if cached is None:
        if len(_TEXTS) >= _MOST_TEXTS:
            _TEXTS.popitem(last=False)
        cached = _TEXTS[id(plan)] = plan, to_json(plan, folders=False) + "\n"
    return cached[1]


def _changed_plan(path: Path, plan: Plan) -> str:
    """The first change of a plan since it ran there; empty if none, or it cannot be read."""
    try:
        text = read_written(folder(path, plan) / PLAN, MAX_PLAN_BYTES).decode()
        if text == plan_text(plan):
            return ""
        there = from_json(text)
    except (OSError, UnicodeDecodeError, PlanError):
        return ""
    same = there == replace(plan, file=there.file)
    what = "its lines stand elsewhere in the file" if same else "its prompts"
    both = to_text(there).splitlines(), to_text(plan).splitlines()
    for was, now in zip_longest(*both, fillvalue="nothing"):
        if was != now:
            what = f"`{was.strip()}` is now `{now.strip()}`"
            break
    return f"{plan.strategy} has changed since: {what}"


def _check_place(path: Path) -> None:
    """Refuses a place where no directory can be made, before a model takes its time to load."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise RunDirectoryError(f"{there} is a file: name a new directory with --out")
    if there != path and not os.access(there, os.W_OK):
        raise RunDirectoryError(f"{path} cannot be written: no right to write into {there}")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Differences of two configurations, the most important first; empty if there are none."""
    keys = [key for key in _OTHER if there.get(key) != here.get(key)]
    if "strategies" in keys and "plans" in keys:
        keys.remove("plans")
    return ", ".join(_OTHER[key] for key in keys[:3])


def reason_of(error: OSError) -> str:
    """Why the system refuses, in lower case."""
    return (error.strerror or type(error).__name__).lower()


def _text(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, indent=2, default=_plain) + "\n"


@contextmanager
def opened(path: Path, manifest: Manifest, problems: Sequence[Problem]) -> Iterator[Path]:
    """A run directory, made if it is not there; nobody else may write it meanwhile.

    Raises:
        RunDirectoryError: As `check`; also if another process writes there.
    """
    try:
        path.mkdir(FOLDER, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error
    try:
        _lock(path, lock)
        whole = manifest
        if check(path, manifest.configuration, problems):
            before = read_manifest(path)
            seeds = sorted({*before.seeds, *manifest.seeds})
            sessions = [*before.sessions, *manifest.sessions]
            files = {**before.files, **manifest.files}
            whole = manifest.model_copy(
                update={"seeds": seeds, "files": files, "sessions": sessions}
            )
        seal = seal_of("", "", MANIFEST)
        lines = _problem_lines(path, manifest.identity, problems)
        # First: a directory with anything else in it would not be known as a run.
        write(path / MANIFEST, seal.document(whole.model_dump_json(indent=2, by_alias=True)))
        write(path / PROBLEMS, b"".join(lines).decode())
        yield path
    finally:
        os.close(lock)


def _problem_lines(path: Path, identity: str, problems: Sequence[Problem]) -> list[bytes]:
    """Lines of the problems that are there and of those that are not, each once.

    Raises:
        RunDirectoryError: A line is longer than any that is read.
    """
    values = dict(read_problems(path, identity, []))
    for problem in problems:
        values.setdefault(problem.id, problem_line(problem))
    seal = seal_of(identity, "", PROBLEMS)
    lines = [seal.line(value) for value in values.values()]
    for id_, line in zip(values, lines, strict=True):
        if len(line) >= MAX_LINE_BYTES:
            most = MAX_LINE_BYTES >> 20
            raise RunDirectoryError(
                f"problem {id_!r} has {most} MiB or more, which a run directory cannot keep; "
                "shorten it"
            )
    return lines


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


def write(path: Path, text: str) -> None:
    """Writes a whole file, or leaves the old one as it was.

    Raises:
        RunDirectoryError: It cannot be written.
    """
    try:
        with replaced(path) as file:
            file.write(printable(text).encode())
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error


def write_models(
    path: Path, identity: str, engines: Mapping[str, PolicyEngine | ScorerEngine]
) -> None:
    """Writes how large the models behind engines are, for `tts-compile --stats`.

    Raises:
        RunDirectoryError: It cannot be written.
    """
    cards = {name: engine.card for name, engine in engines.items() if engine.card is not None}
    text = json.dumps({name: asdict(card) for name, card in cards.items()}, indent=2)
    write(path / MODELS, seal_of(identity, "", MODELS).document(text, "#crc"))


def open_replies(
    path: Path,
    identity: str,
    engines: Mapping[str, PolicyEngine | ScorerEngine],
    ended: Callable[[Trial], bool],
) -> ReplyLog:
    """The replies to problems in flight, after those of earlier sessions.

    Raises:
        RunDirectoryError: They cannot be written.
    """
    try:
        return ReplyLog(path, identity, engines, ended)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error


def folder(directory: Path, plan: Plan) -> Path:
    """The folder of a strategy's files: right below the run's, whatever the strategy is called."""
    return directory / folder_of(plan.strategy)


class StrategyWriter:
    """Writes one strategy's files, after what is there; a context manager that closes them.

    Raises:
        RunDirectoryError: A file that cannot be written, now or later.
    """

    def __init__(self, directory: Path, plan: Plan, identity: str) -> None:
        self.path = folder(directory, plan)
        self._summary_seal = seal_of(identity, self.path.name, SUMMARY)
        try:
            self.path.mkdir(FOLDER, exist_ok=True)
            self._record = RecordWriter(self.path, identity)
        except OSError as error:
            raise RunDirectoryError(f"{self.path} cannot be written: {reason_of(error)}") from error
        write(self.path / PLAN, plan_text(plan))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._record.__exit__(kind, error, trace)

    def problem(
        self,
        trial: Trial,
        answer: bytes,
        nodes: Sequence[Mapping[str, Any]],
        decisions: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Writes a finished problem: its candidates first, so that an answer never lacks them.

        `answer`: as `compact.encoded_answer` gives it.
        """
        try:
            self._record.problem(trial, answer, nodes, decisions)
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path} cannot be written: {reason_of(error)}; what has finished before is "
                "kept, and the same command continues from there"
            ) from error

    def summary(self, summary: Summary) -> None:
        """Writes the strategy's summary."""
        write(self.path / SUMMARY, self._summary_seal.document(summary.model_dump_json(indent=2)))


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
