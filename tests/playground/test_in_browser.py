"""The page in Chromium, with Pyodide's own files: `make test-playground` fetches them."""

from __future__ import annotations

import functools
import http.server
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browsers import chromium, violations
from tts_runtime.playground import run

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "playground" / "site"
PYODIDE = ROOT / "build" / "playground" / "node_modules" / "pyodide"
CDN = re.compile(r"https://cdn\.jsdelivr\.net/npm/pyodide@([\d.]+)/")

# They share one page, and a browser beside four workers is slow: they run alone.
pytestmark = pytest.mark.skipif(
    "PYTEST_XDIST_WORKER" in os.environ or not (SITE.is_dir() and PYODIDE.is_dir()),
    reason="make test-playground builds the site for it",
)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site, and Pyodide's files where the page would load them from its network."""

    extensions_map = {  # noqa: RUF012 - as the class above declares it
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def translate_path(self, path: str) -> str:
        plain = path.partition("?")[0]
        if plain.startswith("/pyodide/"):
            return str(PYODIDE / plain.removeprefix("/pyodide/"))
        return super().translate_path(path)

    def do_GET(self) -> None:
        plain, _, query = self.path.partition("?")
        if plain != "/playground/":
            return super().do_GET()
        text = (SITE / "playground" / "index.html").read_text(encoding="utf-8")
        body = CDN.sub(query or "/pyodide/", text).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(_Handler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/playground/"
        server.shutdown()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
        context.route(re.compile(r"^https://"), lambda route: route.abort())
        made = context.new_page()
        made.set_default_timeout(60_000)
        said: list[str] = []
        made.on("pageerror", lambda error: said.append(str(error)))
        made.goto(address)
        made.wait_for_selector("#tts-playground[data-shown=html]")
        yield made
        assert said == []


def test_the_page_loads_what_was_tested() -> None:
    (version,) = set(CDN.findall((ROOT / "docs" / "playground.md").read_text(encoding="utf-8")))
    assert f'"version": "{version}"' in (PYODIDE / "package.json").read_text(encoding="utf-8")


def test_costs_are_drawn(page: Page) -> None:
    frame = page.frame_locator("[data-part=frame]")
    frame.get_by_role("heading", name="best(n = 16)").wait_for()
    frame.locator("svg:visible").wait_for()
    assert page.locator(".messages li").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_mistakes_are_shown_as_one_types(page: Page) -> None:
    text = page.get_by_label("The text of a strategy file")
    before = text.input_value()
    text.fill("# 🦉\n" + before.replace("by prm", "by prn").replace("best of pool", "best of 🦉"))
    page.wait_for_selector(".messages li.error")
    first = page.locator(".messages li").first
    assert "TTS201" in (first.text_content() or "")
    assert "did you mean 'prm'?" in (first.text_content() or "")
    assert page.locator("mark").first.text_content() == "prn"
    assert page.locator("mark").nth(1).text_content() == "🦉"
    first.get_by_role("button").click()
    chosen = "[selectionStart, selectionEnd]"
    start, end = page.evaluate(
        f"(() => {{ const {{selectionStart, selectionEnd}} = document.activeElement; "
        f"return {chosen} }})()"
    )
    units = text.input_value().encode("utf-16-le")[2 * start : 2 * end]
    assert units.decode("utf-16-le") == "prn"
    text.fill(before)
    page.wait_for_selector(".messages li", state="detached")


def test_the_text_is_formatted(page: Page) -> None:
    text = page.get_by_label("The text of a strategy file")
    before = text.input_value()
    text.fill(before.replace(" = ", "="))
    page.get_by_role("button", name="Format").click()
    page.wait_for_function(
        "before => document.querySelector('[data-part=text]').value === before", arg=before
    )


def test_laws_and_plans(page: Page) -> None:
    plain = page.locator("[data-part=plain]")
    page.get_by_role("radio", name="Laws").check()
    page.wait_for_selector("#tts-playground[data-shown=laws]")
    assert plain.text_content() == "playground.tts:9: proved: best(n = 1) == majority(n = 1)"
    text = page.get_by_label("The text of a strategy file")
    before = text.input_value()
    text.fill(before + "law best(n = 2) == majority(n = 2)\n")
    plain.get_by_text("playground.tts:10: refuted: best(n = 2) == majority(n = 2)").wait_for()
    text.fill(before)
    page.get_by_role("radio", name="Plan").check()
    page.wait_for_selector("#tts-playground[data-shown=text]")
    assert (plain.text_content() or "").startswith("best(n = 16)")
    page.get_by_label("n =").fill("5")
    plain.get_by_text("best(n = 5)").wait_for()
    page.get_by_label("n =").fill("many")
    page.wait_for_selector(".messages li.error")
    page.get_by_label("n =").fill("")
    page.wait_for_selector(".messages li", state="detached")


def test_a_strategy_runs_as_it_does_elsewhere(page: Page) -> None:
    plain = page.locator("[data-part=plain]")
    page.get_by_role("radio", name="Run").check()
    page.wait_for_selector("#tts-playground[data-shown=run]")
    for seed in (0, 5):
        page.get_by_label("Seed").fill(str(seed))
        text = page.get_by_label("The text of a strategy file").input_value()
        page_here = run(text, "best", {}, seed)["page"]
        page.wait_for_function(
            "page => document.querySelector('[data-part=plain]').textContent === page",
            arg=page_here,
        )
    assert "winner: node" in (plain.text_content() or "")
    page.get_by_role("radio", name="Plan").check()
    page.wait_for_selector("#tts-playground[data-shown=text]")


def test_examples_and_accessibility(page: Page) -> None:
    page.get_by_label("Example").select_option("mctsr")
    page.locator("[data-part=plain]").get_by_text("mctsr(rollouts = 8").wait_for()
    assert violations(page, "#tts-playground") == []


def test_without_pyodide_the_page_says_so(page: Page, address: str) -> None:
    other = page.context.new_page()
    said: list[str] = []
    other.on("pageerror", lambda error: said.append(str(error)))
    other.goto(f"{address}?/missing/")
    other.wait_for_selector("#tts-playground[data-state=failed]")
    status = other.locator("[data-part=status]").text_content() or ""
    assert status.startswith("The compiler does not start: ")
    assert other.evaluate("document.documentElement.scrollWidth") == 390
    assert said == []
    other.close()
