"""Sources of `replay:PATH`: a run directory, a file of samples, or several files."""

from __future__ import annotations

from functools import lru_cache
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from tts_lang.readers import is_file, is_folder
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.options import options_of, parse_name, with_option, with_options
from tts_runtime.problems.model import BadLine, Problem, ProblemFileError
from tts_runtime.record.files import MANIFEST
from tts_runtime.replay.files import RecordedFiles, read_samples
from tts_runtime.replay.options import ReplayOptions
from tts_runtime.replay.rundirs import RecordedRun
from tts_runtime.replay.samples import Recorded

#: Files of a folder that may hold samples.
_SUFFIXES: Final = (".json", ".jsonl", ".parquet", ".gz", ".zst", ".xz", ".bz2")


def open_recorded(path: str, options: ReplayOptions) -> Recorded:
    """The record at a path: a run directory, a file, a folder of files, or a pattern.

    Policy, scorer and problem set of a run share it.

    Raises:
        EngineError: There is none, or it cannot be used; the message says why.
    """
    if is_file(Path(path) / MANIFEST):
        return _run(path, options, (Path(path) / MANIFEST).stat().st_mtime_ns)
    files = _files(path)
    stamps = tuple((str(file), file.stat().st_mtime_ns) for file in files)
    return _read(path, options, stamps)


@lru_cache(4)
def _run(path: str, options: ReplayOptions, _stamp: int) -> Recorded:
    return RecordedRun(Path(path), options)


@lru_cache(4)
def _read(path: str, options: ReplayOptions, files: tuple[tuple[str, int], ...]) -> Recorded:
    return RecordedFiles(path, [read_samples(Path(file)) for file, _ in files], options)


def _files(path: str) -> list[Path]:
    if not path:
        raise EngineError("`replay:`: expected replay:PATH, a run directory or a file of samples")
    place = Path(path)
    if is_folder(place):
        inside = sorted(
            file for file in place.iterdir() if file.suffix in _SUFFIXES and file.is_file()
        )
        if not inside:
            raise EngineError(
                f"`replay:{path}`: the folder holds neither a run nor files of samples"
            )
        return inside
    if is_file(place):
        return [place]
    if has_magic(path):
        matched = [Path(each) for each in sorted(glob(path)) if Path(each).is_file()]  # noqa: PTH207  (a pattern may name folders, too)
        if matched:
            return matched
        raise EngineError(f"`replay:{path}`: no file matches this pattern")
    raise EngineError(f"`replay:{path}`: there is no such file or folder")


def problems_recorded(name: str) -> list[Problem]:
    """The problems of `--problems replay:PATH`.

    Raises:
        ProblemFileError: The record cannot be used.
    """
    try:
        parsed = parse_name(name)
        return list(open_recorded(parsed.argument, options_of(parsed, ReplayOptions)).problems)
    except EngineError as error:
        raise ProblemFileError(name, (BadLine(0, str(error)),)) from error


def scorers_recorded(engine: str) -> dict[str, str]:
    """The engines of a record's scorers, by the names that strategies give them.

    Raises:
        EngineError: The record of the policy `engine` cannot be used.
    """
    parsed = parse_name(engine)
    recorded = open_recorded(parsed.argument, options_of(parsed, ReplayOptions))
    return {name: with_option(source_of(engine), "scorer", name) for name in recorded.scorers}


def source_of(engine: str) -> str:
    """The record that a policy's engine reads, for problem sets and scorers beside it."""
    parsed = parse_name(engine)
    options = dict(parsed.options)
    options.pop("policy", None)
    return with_options(parsed.plain, options)
