"""The report as files: what is in it, that texts are data, and where it may be written."""

from __future__ import annotations

import csv
import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import HOSTILE, PROBLEMS
from tts_runtime.record.files import DirectoryError
from tts_runtime.record.reader import open_run
from tts_runtime.report import site as site_module
from tts_runtime.report.charts import forest
from tts_runtime.report.drawing import PIXELS_PER_INCH, as_csv
from tts_runtime.report.script import call
from tts_runtime.report.site import SiteError, write_site
from tts_runtime.report.study import Study


def data(path: Path) -> list[Any]:
    """The values that a script of a site hands to the page."""
    text = path.read_text("ascii")
    found: list[Any] = json.loads("[" + text[text.index("(") + 1 : text.rindex(")")] + "]")
    return found


def test_a_site_is_whole_and_loads_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert all((site / name).is_file() for name in named if name != "data:,")
    assert len(named) > 10
    for path in [*site.glob("page/*"), site / "index.html"]:
        assert not re.search("https?:", path.read_text()), path
    assert (site / "vendor" / "vega.LICENSE.txt").is_file()


def test_the_numbers_are_those_of_the_run(run: Path, site: Path) -> None:
    (report,) = data(site / "data" / "report.js")
    for found in report["strategies"]:
        summary = json.loads(
            (open_run(run).strategies[found["name"]].folder / "summary.json").read_text()
        )
        assert found["accuracy"] == pytest.approx(
            [100 * summary[name] for name in ("accuracy", "accuracy_low", "accuracy_high")] + [3],
            abs=1e-2,
        )
        assert found["costs"]["policy_tokens"] == summary["policy_tokens"] / summary["problems"]
    names = [figure["name"] for figure in report["figures"]]
    assert names[:4] == ["accuracy-n", "accuracy-tokens", "difficulty", "differences"]


def test_every_figure_is_there_as_svg_pdf_png_and_csv(site: Path) -> None:
    pytest.importorskip("vl_convert", reason="vl-convert draws the files: tts-lang[report]")
    (report,) = data(site / "data" / "report.js")
    assert {path.name for path in (site / "figures").iterdir()} == {
        f"{figure['name']}.{ending}"
        for figure in report["figures"]
        for ending in ("svg", "pdf", "png", "csv")
    }
    for figure in report["figures"]:
        base = site / "figures" / figure["name"]
        drawn = base.with_suffix(".svg").read_text()
        assert "prefers-color-scheme:dark" in drawn
        assert "http" not in drawn.split(">", 1)[1]
        assert base.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
        picture = base.with_suffix(".png").read_bytes()
        per_meter = round(PIXELS_PER_INCH / 0.0254)
        assert b"pHYs" + struct.pack(">IIB", per_meter, per_meter, 1) in picture
        rows = list(csv.reader(base.with_suffix(".csv").read_text().splitlines()))
        assert len(rows) == 1 + len(figure["rows"])


def test_trees_have_every_text_of_the_record(run: Path, site: Path) -> None:
    names = list(open_run(run).strategies)
    for at, name in enumerate(names):
        trees = {tree.problem.id: tree for tree in open_run(run).strategy(name).trees()}
        files = list((site / "data" / "trees" / str(at)).iterdir())
        assert len(files) == len(trees) == len(PROBLEMS)
        for path in files:
            strategy, place, found = data(path)
            tree = trees[found["id"]]
            assert (strategy, str(place)) == (at, path.stem)
            assert found["text"] == tree.problem.text
            assert found["added"] == [node.added for node in tree.nodes.values()]
            assert found["winner"] == tree.answer.node
            scores = found["scores"].get("prm", [])
            for node, score in zip(tree.nodes.values(), scores, strict=False):
                vector = node.scores.get("prm")
                if isinstance(vector, tuple) and vector:
                    assert score[-1] == pytest.approx(vector[-1], rel=1e-5)


def test_no_text_can_end_its_script(site: Path) -> None:
    for path in (site / "data").rglob("*.js"):
        text = path.read_text("ascii")
        assert not set("<>&") & set(text), path
        assert text.count("\n") == 1
    trees = [data(path)[2] for path in (site / "data" / "trees").rglob("*.js")]
    assert sum(HOSTILE in tree["added"] for tree in trees) == len(PROBLEMS)
    assert call("f", "</script>\u2028") == 'f("\\u003c/script\\u003e\\u2028");\n'


def test_a_spreadsheet_runs_nothing() -> None:
    rows = [{"series": "=cmd()", "value": -1.5, "low": -2, "high": 1}]
    assert as_csv(forest("f", "title", rows, "x")).splitlines()[1] == "'=cmd(),-1.5,-2,1"


def test_a_report_replaces_a_report_and_nothing_else(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_module, "can_draw", lambda: False)
    out = tmp_path / "report"
    write_site(Study([run]), out)
    (out / "data" / "trees" / "0" / "999.js").write_text("stale")
    before = (out / "data" / "report.js").read_bytes()
    write_site(Study([run]), out)
    assert not (out / "data" / "trees" / "0" / "999.js").exists()
    assert (out / "data" / "report.js").read_bytes() == before
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("my own page")
    for other, said in (
        (mine, "something else"),
        (run, "something else"),
        (mine / "index.html", "is a file"),
    ):
        with pytest.raises(SiteError, match=said):
            write_site(Study([run]), other)
    assert (mine / "index.html").read_text() == "my own page"


def test_two_runs_stand_side_by_side(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_module, "can_draw", lambda: False)
    other = Path(shutil.copytree(run, tmp_path / "run"))
    study = Study([run, other])
    write_site(study, tmp_path / "report")
    (report,) = data(tmp_path / "report" / "data" / "report.js")
    names = [each["name"] for each in report["strategies"]]
    assert len(set(names)) == len(names) == 10
    assert {each["run"] for each in map(vars, study.entries)} == {"run", f"{tmp_path.name}/run"}
    pairs = {tuple(each[:2]): each[2:6] for each in report["pairs"]}
    assert all(pairs[at, at + 5][0] == 0 for at in range(5))  # a strategy against its copy


def test_a_run_that_is_none_or_named_twice(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"no run\.json"):
        Study([tmp_path]).update()
    with pytest.raises(DirectoryError, match="named twice"):
        Study([run, run / ".." / run.name])
