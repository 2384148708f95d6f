"""Sources of `replay:PATH`: a run directory, a file of samples, or several files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from glob import glob, has_magic
from hashlib import sha256
from pathlib import Path
from typing import Final

from tts_lang.readers import is_file, is_folder
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.options import options_of, parse_name, with_option, with_options
from tts_runtime.problems.model import BadLine, Problem, ProblemFileError
from tts_runtime.record.files import MANIFEST, DirectoryError, read_manifest
from tts_runtime.replay.files import RecordedFiles, read_samples
from tts_runtime.replay.options import ReplayOptions
from tts_runtime.replay.rundirs import RecordedRun, RunTrees
from tts_runtime.replay.samples import Recorded

#: Bytes that are read at once.
_BLOCK: Final = 1 << 20
#: Files of a folder that may hold samples.
_SUFFIXES: Final = (".json", ".jsonl", ".parquet", ".gz", ".zst", ".xz", ".bz2")


def open_recorded(path: str, options: ReplayOptions) -> Recorded:
    """The record at a path: a run directory, a file, a folder of files, or a pattern.

    Policy, scorer and problem set of a run share it.

    Raises:
        EngineError: There is none, or it cannot be used; the message says why.
    """
    if (trees := _trees_at(path)) is not None:
        return _run(trees, options)
    files = _files(path)
    stamps = tuple((str(file), file.stat().st_mtime_ns) for file in files)
    return _read(path, options, stamps)


def _trees_at(path: str) -> RunTrees | None:
    """What the run directory at a path holds; `None`: there is none."""
    manifest = Path(path) / MANIFEST
    return _trees(path, manifest.stat().st_mtime_ns) if is_file(manifest) else None


@lru_cache(4)
def _trees(path: str, _stamp: int) -> RunTrees:
    return RunTrees(Path(path))


@lru_cache(8)
def _run(trees: RunTrees, options: ReplayOptions) -> Recorded:
    return RecordedRun(trees, options)


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


def policy_recorded(name: str, engine: str) -> str:
    """The engine of a strategy's policy: of several recorded ones, that of the same name.

    Raises:
        EngineError: The record cannot be used.
    """
    parsed = parse_name(engine)
    # One that is called `policy`, or is alone, is chosen without a name.
    if name == "policy" or "policy" in dict(parsed.options):
        return engine
    trees = _trees_at(parsed.argument)
    if trees is None or len(trees.policies) == 1 or name not in trees.policies:
        return engine
    return with_option(engine, "policy", name)


def source_of(engine: str) -> str:
    """The record that a policy's engine reads, for problem sets and scorers beside it."""
    parsed = parse_name(engine)
    options = dict(parsed.options)
    options.pop("policy", None)
    return with_options(parsed.plain, options)


def stamp_of(engine: str) -> list[tuple[int, str]]:
    """What a record is now: of each of its files the size and a digest; or which run it is.

    Raises:
        EngineError, DirectoryError, OSError: It cannot be read.
    """
    path = parse_name(engine).argument
    if is_file(Path(path) / MANIFEST):
        # What a run has finished stays as it is: only another run has other samples.
        run = read_manifest(Path(path))
        first = [session.started for session in run.sessions[:1]]
        return [(0, sha256(repr((run.identity, first)).encode()).hexdigest())]
    return [_digest(file, file.stat().st_size) for file in _files(path)]


def is_same(engine: str, stamp: Sequence[tuple[int, str]]) -> bool:
    """Whether a record is what it was, but for what has been appended to it.

    One that cannot be read any more is said to be so where it is opened.
    """
    try:
        now = stamp_of(engine)
        if [size for size, _ in now] != [size for size, _ in stamp]:
            files = _files(parse_name(engine).argument)
            now = [_digest(file, size) for file, (size, _) in zip(files, stamp, strict=False)]
    except (EngineError, DirectoryError, OSError):
        return True
    return now == [(size, digest) for size, digest in stamp]


def _digest(file: Path, size: int) -> tuple[int, str]:
    """How much of a file's first `size` bytes there is, and their digest."""
    digest, left = sha256(), size
    with file.open("rb") as opened:
        while block := opened.read(min(left, _BLOCK)):
            digest.update(block)
            left -= len(block)
    return size - left, digest.hexdigest()
