"""EXPLAIN's page in Chromium: on a phone and a screen, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import pytest

from tests.support.browsers import chromium, violations
from tts_lang import library
from tts_lang.compiler import compile_strategy
from tts_lang.explain.formats import explained

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def html() -> str:
    return explained(compile_strategy(library.find("mctsr")), "html")


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark")])
def test_the_page_fits_and_can_be_read(
    browser: Browser, html: str, width: int, theme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.set_content(html)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawing = page.locator("svg:visible").bounding_box()
    assert drawing is not None
    assert drawing["x"] + drawing["width"] <= width
    assert violations(page) == []
    assert page.get_by_text("rows that the strategy gives no name").is_visible()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (theme == "dark")
    assert said == []
    context.close()
