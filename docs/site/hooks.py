"""Hooks of MkDocs: pages are written for the repository, and read well there; this adapts them."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

#: A link of Markdown or an image to a relative path.
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
#: Words after the language of a fence are for the tests (`tts broken`).
_FENCE = re.compile(r"^```(tts) broken$", re.MULTILINE)


def on_page_markdown(
    markdown: str,
    page: Page,
    config: MkDocsConfig,
    files: Files,  # noqa: ARG001 (MkDocs names it)
) -> str:
    """Links to files outside docs/ lead to the repository, README.md is the first page."""
    folder = posixpath.dirname(page.file.src_uri)

    def adapted(match: re.Match[str]) -> str:
        opening, path, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join("docs", folder, path))
        if target.startswith("docs/") or target == "docs":
            return match[0]
        if target == "README.md":
            return opening + posixpath.relpath("index.md", folder or ".") + anchor
        return f"{opening}{config.repo_url}/blob/main/{target}{anchor}"

    return _FENCE.sub(r"```\1", _LINK.sub(adapted, markdown))
