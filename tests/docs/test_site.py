"""Every page of docs/ has its place in the site, and every public name one in the Python API."""

from __future__ import annotations

import re
from types import ModuleType, SimpleNamespace

import pytest

import tts_lang
import tts_runtime
from tests.docs.blocks import ROOT
from tests.support.site_hooks import site_hooks

PAGE = re.compile(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", re.MULTILINE)


def test_the_site_has_every_page_once() -> None:
    listed = PAGE.findall((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    # The extension of VS Code is no part of the site: its folder is excluded.
    there = {path.as_posix() for path in pages if not path.is_relative_to("editors/vscode")}
    assert sorted(listed) == sorted(there)


def test_every_decision_is_in_their_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-\S+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert sorted(listed) == sorted(path.name for path in folder.glob("0*.md"))


@pytest.mark.parametrize("package", [tts_lang, tts_runtime])
def test_the_page_of_the_python_api_has_every_public_name(package: ModuleType) -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    assert [name for name in package.__all__ if not re.search(rf"\b{name}\b", page)] == []


def test_drawings_of_the_gallery_need_no_network() -> None:
    source = (ROOT / "docs" / "gallery" / "trees.md").read_text("utf-8")
    page = SimpleNamespace(file=SimpleNamespace(src_uri="gallery/trees.md"))
    config = SimpleNamespace(repo_url="https://github.com/tts-lang/tts-lang")
    built = site_hooks().on_page_markdown(source, page, config, None)
    drawn = re.findall(r"^Dataflow of `(\w+)` .*\n\n<div class=\"dataflow\">\n<div", built, re.M)
    assert drawn == re.findall(r"^## (\w+)$", source, re.MULTILINE)
    names = re.findall(r'<marker id="([^"]+)"', built)
    assert len(names) == len(set(names)) >= len(drawn)
    assert "mermaid" not in built
