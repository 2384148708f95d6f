"""A report as files that open without a server: `index.html`, data as scripts, figures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from tts_runtime.record.reader import Tree
from tts_runtime.report.drawing import as_csv, can_draw, pdf, png, svg
from tts_runtime.report.page import baseline_of, drawn, problems, report
from tts_runtime.report.script import call
from tts_runtime.report.study import Entry, Study
from tts_runtime.report.tables import sources, tables
from tts_runtime.report.trees import columns
from tts_runtime.report.typesetting import latex, markdown, table_csv

_INDEX: Final = "index.html"
#: In the page of a folder that this module wrote, and may write again.
_MARK: Final = b'<meta name="generator" content="tts-report">'


class SiteError(Exception):
    """A report that cannot be written; the message says why, and what to do."""


@dataclass(frozen=True)
class Written:
    """The written site. `index`: the page to open."""

    index: Path
    figures: int
    tables: int
    trees: int
    size: int


def assets() -> Iterator[tuple[str, Traversable]]:
    """The fixed files of the page, by their path in the site."""
    pending = [("", files("tts_runtime.report").joinpath("assets"))]
    while pending:
        prefix, folder = pending.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                pending.append((f"{prefix}{entry.name}/", entry))
            else:
                yield prefix + entry.name, entry


def write_site(study: Study, out: Path, baseline: str | None = None) -> Written:
    """Reads the runs of a study and writes their report; a tree at a time.

    Raises:
        SiteError: `out` holds something else, or cannot be written.
        DirectoryError: A run cannot be read.
        KeyError: There is no strategy `baseline`.
    """
    study.open()
    study.check_begun()
    baseline_of(study, baseline)
    _check(study, out)
    count = 0
    try:
        _clear(out)
        for name, asset in sorted(assets(), key=lambda each: each[0] != _INDEX):
            _write(out / name, asset.read_bytes())
        numbers: dict[int, int] = {}

        def write_tree(entry: Entry, tree: Tree) -> None:
            nonlocal count
            at = numbers.setdefault(id(entry), study.entries.index(entry))
            place = study.places[tree.answer.trial]
            _write(out / tree_path(at, place), tree_script(at, place, tree).encode())
            count += 1

        study.update(write_tree)
        chosen = baseline_of(study, baseline)
        figures, groups = drawn(study, chosen)
        endings = ("svg", "pdf", "png", "csv") if can_draw() else ("csv",)
        for figure in figures:
            base = out / "figures" / figure.name
            _write(base.with_name(f"{figure.name}.csv"), as_csv(figure).encode())
            if can_draw():
                _write(base.with_name(f"{figure.name}.svg"), svg(figure).encode())
                _write(base.with_name(f"{figure.name}.pdf"), pdf(figure))
                _write(base.with_name(f"{figure.name}.png"), png(figure))
        listed_tables, notes = tables(study, chosen), sources(study)
        for table in listed_tables:
            base = out / "tables" / table.name
            _write(base.with_suffix(".tex"), latex(table, notes).encode())
            _write(base.with_suffix(".md"), markdown(table, notes).encode())
            _write(base.with_suffix(".csv"), table_csv(table).encode())
        listed = call("tts.problems", problems(study, groups))
        _write(out / "data/problems.js", listed.encode())
        shown = call("tts.report", report(study, figures, groups, chosen, endings))
        _write(out / "data/report.js", shown.encode())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SiteError(f"{error.filename or out} cannot be written: {reason}") from error
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Written(out / _INDEX, len(figures), len(listed_tables), count, size)


def tree_path(strategy: int, place: int) -> str:
    """The path of a problem's tree in a site."""
    return f"data/trees/{strategy}/{place}.js"


def tree_script(strategy: int, place: int, tree: Tree) -> str:
    """The script that hands a tree to the page."""
    return call("tts.tree", strategy, place, columns(tree))


def _check(study: Study, out: Path) -> None:
    """Refuses a folder that holds something else than a report."""
    if out.is_file():
        raise SiteError(f"{out} is a file: name a folder with --out")
    if not out.is_dir() or not any(out.iterdir()):
        return
    index = out / _INDEX
    if not index.is_file() or _MARK not in index.read_bytes():
        raise SiteError(f"{out} holds something else than a report: name another with --out")
    folder = out.resolve()
    for directory in study.directories:
        if folder in (directory.resolve(), *directory.resolve().parents):
            raise SiteError(f"{out} holds the run {directory}: name another folder with --out")


def _clear(out: Path) -> None:
    """Removes the data, figures and tables of an earlier report."""
    for name in ("data", "figures", "tables"):
        if (out / name).is_dir():
            shutil.rmtree(out / name)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
