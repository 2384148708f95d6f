"""Every page of docs/ has its place in the site, and every place a page."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

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
