"""How fast the tree browser of a report is, in Chromium: `python -m benchmarks.report_speed`.

Simulates a beam search of 10,000 candidates, opens its tree from the report's file, and prints the
time until its rows are drawn, the frames while its list is scrolled from end to end, and the time
that a key takes: by the clock (requestAnimationFrame), and the processor's by Chromium's figures.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

import tts_runtime
from tts_runtime.report.site import write_site
from tts_runtime.report.study import Study

#: Milliseconds from one frame to the next while the list scrolls, 120 rows a frame.
FRAMES = """async () => {
  const list = document.querySelector('.outline'), found = [];
  let before = performance.now();
  while (list.scrollTop + list.clientHeight < list.scrollHeight - 1) {
    list.scrollTop += 3600;
    const now = await new Promise(requestAnimationFrame);
    found.push(now - before);
    before = now;
  }
  return found.slice(1);
}"""
#: Milliseconds until the frame after each of 40 keys.
KEYS = """async () => {
  const list = document.querySelector('.outline'), found = [];
  list.focus();
  for (let at = 0; at < 40; at++) {
    const before = performance.now();
    list.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true}));
    await new Promise(requestAnimationFrame);
    found.push(performance.now() - before);
  }
  return found;
}"""


def written(folder: Path, candidates: int) -> Path:
    """A report of one problem with this many candidates; its page."""
    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": "sim"}, out=folder / "run"
    )
    # About half of the beams end before the last of five rounds.
    parameters = {"n": round(0.46 * candidates), "width": 4, "depth": 5}
    tts_runtime.run("beam_search", ["1 + 1"], settings=settings, parameters=parameters)
    write_site(Study([folder / "run"]), folder / "site")
    return folder / "site" / "index.html"


def measured(page: Page, address: str) -> None:
    """Prints what opening, scrolling and keys take."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    page.wait_for_selector("html[data-drawn]")
    start = page.evaluate("performance.now()")
    query = urlencode({"p": "row-1", "a": "beam_search"})
    page.evaluate(f"location.hash = '#/tree?{query}'")
    page.wait_for_selector(".outline .row")
    ready = page.evaluate("performance.now()")
    rows = page.locator(".outline .row").count()
    nodes = page.locator(".pane .small, .pane p").first.inner_text()
    print(f"{nodes}: tree drawn in {ready - start:.0f} ms, {rows} rows in the page")
    page.locator(".outline").focus()
    page.keyboard.press("*")
    page.keyboard.press("Home")
    for name, script in (("frame of scrolling", FRAMES), ("key", KEYS)):
        before = used(session.send("Performance.getMetrics"))
        times = sorted(page.evaluate(script))
        busy = used(session.send("Performance.getMetrics")) - before
        print(
            f"{len(times)} x {name}: median {statistics.median(times):.0f} ms, "
            f"95 % within {times[int(0.95 * len(times))]:.0f} ms, "
            f"{1000 * busy / len(times):.1f} ms of work each"
        )


def used(metrics: dict[str, list[dict[str, float | str]]]) -> float:
    """Seconds of the processor that the page's thread has used."""
    return next(float(one["value"]) for one in metrics["metrics"] if one["name"] == "TaskDuration")


def main() -> None:
    """Simulates, writes the report, and measures it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=10_000)
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = written(Path(folder), options.candidates)
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            measured(browser.new_page(), page.as_uri())
        finally:
            browser.close()


if __name__ == "__main__":
    main()
