"""Hooks of MkDocs: pages are written for the repository, and read well there; this adapts them."""

from __future__ import annotations

import posixpath
import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

import typing_extensions
from hatchling.builders.wheel import WheelBuilder
from mkdocs.exceptions import PluginError

from tts_lang import library
from tts_lang.compiler import compile_strategy
from tts_lang.explain.page import COLORS, DRAWING, drawings
from tts_lang.explain.tree import explain

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

#: A link of Markdown or an image to a relative path.
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
#: Words after the language of a fence are for the tests (`tts broken`).
_FENCE = re.compile(r"^```(tts) broken$", re.MULTILINE)
#: A drawing of the gallery for GitHub, which draws Mermaid itself.
_DATAFLOW = re.compile(
    r"^(Dataflow of `(\w+)` at its defaults:\n\n)```mermaid\n.*?\n```$", re.MULTILINE | re.DOTALL
)
#: Pixels of a page's column on a screen.
_COLUMN = 680


def on_page_markdown(
    markdown: str,
    page: Page,
    config: MkDocsConfig,
    files: Files,  # noqa: ARG001 (MkDocs names it)
) -> str:
    """Links to files outside docs/ lead to the repository; drawings need no network.

    README.md is the first page.
    """
    folder = posixpath.dirname(page.file.src_uri)

    def adapted(match: re.Match[str]) -> str:
        opening, path, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join("docs", folder, path))
        if target.startswith("docs/") or target == "docs":
            return match[0]
        if target == "README.md":
            return opening + posixpath.relpath("index.md", folder or ".") + anchor
        return f"{opening}{config.repo_url}/blob/main/{target}{anchor}"

    markdown, count = _DATAFLOW.subn(_drawn, _FENCE.sub(r"```\1", _LINK.sub(adapted, markdown)))
    return f"{markdown}\n<style>.dataflow {{{COLORS}{DRAWING}}}</style>\n" if count else markdown


def _drawn(match: re.Match[str]) -> str:
    """The compiler's own drawing of a shipped strategy."""
    name = match[2]
    lines = explain(compile_strategy(library.find(name), name)).lines
    inside = "\n".join(drawings(lines, _COLUMN, name))
    return f'{match[1]}<div class="dataflow">\n{inside}\n</div>'


# ------------------------------------------------------------------------------ the playground


#: Where `make docs` puts the build of pydantic's core for Pyodide.
WASM = "build/wasm"
#: Packages that are pure Python, or can be.
_LEFT_OUT = re.compile(r"/(assets|bundled)/")  # pages of reports, models
_PACKAGES = ("lark", "networkx", "pydantic", "annotated_types", "typing_inspection", "yaml")


def on_post_build(config: MkDocsConfig) -> None:
    """Wheels of what the playground runs: both packages, and what they import there."""
    folder = Path(config.site_dir) / "site" / "playground"
    root = Path(config.config_file_path or "mkdocs.yml").resolve().parent
    cores = sorted((root / WASM).glob("pydantic_core-*.whl"))
    if not cores:
        raise PluginError(f"{root / WASM} has no wheel of pydantic-core: `make docs` fetches it")
    (folder / "pydantic_core.whl").write_bytes(cores[-1].read_bytes())
    with tempfile.TemporaryDirectory() as made:
        (wheel,) = WheelBuilder(str(root)).build(directory=made, versions=["standard"])
        with ZipFile(wheel) as whole:
            for package in ("tts_lang", "tts_runtime"):
                with ZipFile(folder / f"{package}.whl", "w", ZIP_DEFLATED) as kept:
                    for name in whole.namelist():
                        if name.startswith(f"{package}/") and not _LEFT_OUT.search(name):
                            kept.writestr(name, whole.read(name))
    for package in _PACKAGES:
        home = Path(str(import_module(package).__file__)).parent
        with ZipFile(folder / f"{package}.whl", "w", ZIP_DEFLATED) as kept:
            for path in sorted(home.rglob("*")):
                inside = path.relative_to(home.parent)
                if path.suffix in (".py", ".lark") and "tests" not in inside.parts:
                    kept.write(path, inside.as_posix())
    with ZipFile(folder / "typing_extensions.whl", "w", ZIP_DEFLATED) as kept:
        kept.write(str(typing_extensions.__file__), "typing_extensions.py")
