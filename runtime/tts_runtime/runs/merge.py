"""Puts the parts of a run together, as one process would have written it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from tts_lang.readers import is_there
from tts_runtime.engines.base import Exactness
from tts_runtime.executor import Work
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import (
    ANSWERS,
    DECISIONS,
    MANIFEST,
    MODELS,
    NODES,
    PLAN,
    PROBLEMS,
    SUMMARY,
    DirectoryError,
    open_private,
    problem_line,
    seal_of,
)
from tts_runtime.record.manifest import Manifest
from tts_runtime.record.reader import Run, StrategyRecord, open_run
from tts_runtime.runs.results import RunInfo, Summary, summary_of
from tts_runtime.runs.rundir import (
    FOLDER,
    RunDirectoryError,
    differences,
    reason_of,
    write,
)
from tts_runtime.runs.shards import Shard


def merge(directories: Sequence[Path], out: Path) -> Run:
    """Writes the run whose parts lie in these directories, or in folders right below them.

    Raises:
        RunDirectoryError: A part is missing, there twice, damaged, unfinished or of another run; or
            `out` is there already, lies among the parts, or cannot be written.
    """
    if is_there(out):
        raise RunDirectoryError(f"{out} is there already: name a new directory with --out")
    try:
        parts = _parts(directories)
        _check_place(directories, parts, out)
        _check(parts)
        out.parent.mkdir(FOLDER, parents=True, exist_ok=True)
        # A name that nobody else has: whatever lies beside it is the user's.
        new = Path(tempfile.mkdtemp(prefix=f".{out.name[:40]}.", dir=out.parent))
        try:
            _write(parts, new)
            new.rename(out)
        finally:
            shutil.rmtree(new, ignore_errors=True)  # not there any more, if all went well
    except DirectoryError as error:
        raise RunDirectoryError(str(error)) from error
    except OSError as error:
        raise RunDirectoryError(f"{out} cannot be written: {reason_of(error)}") from error
    return open_run(out)


def _parts(directories: Sequence[Path]) -> list[Run]:
    """The parts, by index."""
    runs: dict[Path, Run] = {}
    for directory in directories:
        places = [directory]
        if not (directory / MANIFEST).exists():
            places = sorted(path.parent for path in directory.glob(f"*/{MANIFEST}"))
        if not places:
            raise RunDirectoryError(f"{directory} has no shards: write them with tts-run --shard")
        for place in places:
            runs[place.resolve()] = open_run(place)
    parts = list(runs.values())
    for part in parts:
        if part.manifest.shard is None:
            raise RunDirectoryError(f"{part.directory} is no shard: it was run without --shard")
    return sorted(parts, key=lambda part: _shard(part).index)


def _check_place(directories: Sequence[Path], parts: Sequence[Run], out: Path) -> None:
    """Refuses a place among the parts: the next merge would take the whole for one of them."""
    folders = {directory.resolve() for directory in directories}
    for part in parts:
        place = part.directory.resolve()
        if _shard(part).folder(place.parent) == place:
            folders.add(place.parent)
    if out.resolve().parent in folders:
        raise RunDirectoryError(f"{out} lies among the parts: name another place with --out")


def _shard(part: Run) -> Shard:
    shard = part.manifest.shard
    assert shard is not None
    return Shard(shard.index, shard.of)


def _check(parts: Sequence[Run]) -> None:
    """Refuses what is no whole run.

    Raises:
        RunDirectoryError: What is wrong, and with which part.
    """
    first = parts[0]
    shape = first.manifest.shard
    assert shape is not None
    for part in parts[1:]:
        differs = differences(first.manifest.configuration, part.manifest.configuration)
        other = part.manifest.shard
        assert other is not None
        if not differs and part.manifest.seeds != first.manifest.seeds:
            differs = "other seeds"
        if not differs and other.of != shape.of:
            differs = f"one of {shape.of} shards, one of {other.of}"
        if not differs and other.problems != shape.problems:
            differs = f"{shape.problems} problems there, {other.problems} here"
        # Older parts have no digest.
        if not differs and len({shape.digest, other.digest} - {None}) > 1:
            differs = "other problems, or in another order"
        if not differs and _models(part) != _models(first):
            differs = "engines of other sizes"
        if not differs and _replayed(part) != _replayed(first):
            differs = "what they replayed has changed in between"
        if differs:
            raise RunDirectoryError(
                f"{first.directory} and {part.directory} are of different runs ({differs})"
            )
    by_index: dict[int, Run] = {}
    for part in parts:
        index = _shard(part).index
        if index in by_index:
            raise RunDirectoryError(
                f"shard {_shard(part)} is there twice: {by_index[index].directory} and "
                f"{part.directory}"
            )
        by_index[index] = part
    missing = [
        str(Shard(index, shape.of)) for index in range(1, shape.of + 1) if index not in by_index
    ]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise RunDirectoryError(f"missing: shard {', '.join(missing[:5])}{more}")
    owners: dict[str, Run] = {}
    for part in parts:
        _check_part(part, shape.problems)
        for problem in part.problems:
            if problem in owners:
                raise RunDirectoryError(
                    f"problem {problem} is in {owners[problem].directory} and in {part.directory}"
                )
            owners[problem] = part


def _check_part(part: Run, problems: int) -> None:
    damaged = part.verify()
    if damaged:
        raise RunDirectoryError(
            f"{part.directory} is damaged ({damaged[0]}): its tts-run command repairs it"
        )
    shard = _shard(part)
    expected = len(shard.part(range(problems)))
    if len(part.problems) != expected:
        raise RunDirectoryError(
            f"{part.directory} has {len(part.problems)} problems, not the {expected} of shard "
            f"{shard} of {problems}"
        )
    trials = [Trial(problem, seed) for seed in part.manifest.seeds for problem in part.problems]
    for record in part.strategies.values():
        left = sum(trial not in record.answers for trial in trials)
        if left:
            raise RunDirectoryError(
                f"{part.directory} has not ended ({record.name}: {left} of {len(trials)} answers "
                "are missing): its tts-run command continues it"
            )


def _replayed(part: Run) -> dict[str, object]:
    return {name: about.get("record") for name, about in part.manifest.engines.items()}


def _models(part: Run) -> str:
    path = part.directory / MODELS
    return path.read_text(encoding="utf-8") if path.exists() else ""


# ------------------------------------------------------------------ the whole


def _write(parts: Sequence[Run], out: Path) -> None:
    first = parts[0].manifest
    sessions = [session for part in parts for session in part.manifest.sessions]
    manifest = first.model_copy(update={"sessions": sessions, "shard": None})
    text = manifest.model_dump_json(indent=2, by_alias=True)
    write(out / MANIFEST, seal_of("", "", MANIFEST).document(text))
    seal = seal_of(manifest.identity, "", PROBLEMS)
    write(out / PROBLEMS, b"".join(map(seal.line, _problems(parts))).decode())
    write(out / MODELS, _models(parts[0]))
    for name, record in parts[0].strategies.items():
        _write_strategy(
            manifest, [part.strategies[name] for part in parts], out / record.folder.name
        )


def _problems(parts: Sequence[Run]) -> Iterator[dict[str, object]]:
    """Problems in the order of the set: they were dealt to the parts one by one."""
    lines = [iter(part.problems.values()) for part in parts]
    for place in range(sum(len(part.problems) for part in parts)):
        yield problem_line(next(lines[place % len(parts)]))


def _write_strategy(manifest: Manifest, records: Sequence[StrategyRecord], folder: Path) -> None:
    """Lines as they are, since the parts' checksums are those of the whole run."""
    folder.mkdir(FOLDER)
    for file in (NODES, DECISIONS, ANSWERS):
        with open_private(folder / file, "wb") as written:
            for record in records:
                written.writelines(
                    line.encode("utf-8", "surrogateescape") for line, _ in record.lines(file)
                )
    write(folder / PLAN, (records[0].folder / PLAN).read_text(encoding="utf-8"))
    summaries = [
        Summary.model_validate_json((record.folder / SUMMARY).read_text(encoding="utf-8"))
        for record in records
        if (record.folder / SUMMARY).exists()
    ]
    # Parts without problems have none. What engines did in another that has none is not known.
    if len(summaries) < sum(bool(record.answers) for record in records) or not summaries:
        return
    first = summaries[0]
    whole = summary_of(
        (answer for record in records for answer in record.answers.values()),
        strategy=first.strategy,
        params=first.params,
        wall_s=max(summary.wall_s for summary in summaries),
        engines=Work(
            **{
                field.name: sum(getattr(summary.engines, field.name) for summary in summaries)
                for field in fields(Work)
            }
        ),
        info=RunInfo(
            Exactness.weakest(summary.exactness for summary in summaries),
            first.policies,
            first.scorers,
            first.problem_set,
            first.graders,
        ),
    )
    seal = seal_of(manifest.identity, folder.name, SUMMARY)
    write(folder / SUMMARY, seal.document(whole.model_dump_json(indent=2)))
