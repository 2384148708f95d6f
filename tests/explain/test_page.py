"""EXPLAIN as an HTML page: complete, well formed, and nothing overlaps in its drawing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from tests.support.plans import Builder
from tests.support.random_plans import plans
from tests.support.shipped import NAMED, as_shipped
from tts_lang import library
from tts_lang.compiler import compile_strategy
from tts_lang.explain.assumptions import Assumed, Lengths
from tts_lang.explain.formats import explained
from tts_lang.explain.layout import layout
from tts_lang.explain.models import Model, Models
from tts_lang.explain.page import NARROW, WIDE, to_svg
from tts_lang.explain.tree import explain
from tts_lang.optimise.command import explain_optimised
from tts_lang.optimise.pipeline import optimise
from tts_lang.plan import graph
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Plan

ASSUMED = Assumed(
    lengths=Lengths(60, 9, 100), models=Models({"prm": Model(7e9)}, policy=Model(7e9))
)
VOID = {"meta", "rect", "path"}


class Reader(HTMLParser):
    """Checks that elements close, and keeps the texts and what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert reader.loaded == []
    assert not re.search(r"url\((?!#)|@import|<script", page)
    return reader


def test_a_page_has_the_drawing_the_costs_and_the_optimiser() -> None:
    plan = compile_strategy(library.find("beam_search"), settings={"n": 8, "width": 1})
    page = explain_optimised(optimise(plan), "html", ASSUMED)
    texts = read(page).texts
    for text in ("Total, per problem", "saved by", "return select top 1 of beams by last(prm)"):
        assert any(text in each for each in texts), text
    assert any("did not" in each for each in texts) is False
    assert any(each.startswith("fuse_expansions: loop-fused once:") for each in texts)
    assert any(each.startswith("FLOPs = 2 x parameters") for each in texts)


@pytest.mark.parametrize("name", ["mcts", "rebase", "compute_optimal", "mixture_of_agents"])
def test_pages_of_shipped_strategies(name: str) -> None:
    plan = compile_strategy(library.find(name))
    for assumed in (Assumed(), ASSUMED):
        reader = read(explained(plan, "html", assumed=assumed))
        assert any(text.startswith(f"{name}(") for text in reader.texts)


def test_what_strategies_say_is_text_in_a_page() -> None:
    build = Builder()
    said = "</svg><script>x</script> & \"q\" 'p'"
    forced = build.pool(graph.Force(Const(said)), build.problem, name="pool")
    page = explained(build.plan(forced), "html")
    assert "<script" not in page
    assert any("</svg><script>x" in text for text in read(page).texts)


# ------------------------------------------------------------------------------ geometry

Rectangle = tuple[float, float, float, float]
Point = tuple[float, float]
SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Drawn:
    """What a drawing shows: boxes with their texts, and edges as points along them."""

    width: float
    height: float
    boxes: list[Rectangle]
    texts: list[tuple[Rectangle, Rectangle]]  # a text, and the box before it
    edges: list[list[Point]]


def drawn(svg: str) -> Drawn:
    root = ElementTree.fromstring(svg)
    found = Drawn(float(root.attrib["width"]), float(root.attrib["height"]), [], [], [])
    for element in root.iter():
        at = element.attrib
        if element.tag == f"{SVG}rect":
            x, y = float(at["x"]), float(at["y"])
            found.boxes.append((x, y, x + float(at["width"]), y + float(at["height"])))
        elif element.tag == f"{SVG}text":
            x, y = float(at["x"]), float(at["y"])
            place = (x, y - 10, x + float(at["textLength"]), y + 3)
            found.texts.append((place, found.boxes[-1]))
        elif element.tag == f"{SVG}path" and not at["d"].endswith("z"):
            found.edges.append(list(along(at["d"])))
    return found


def along(path: str) -> Iterator[Point]:
    """Points of a path of straight lines and curves, close to one another."""
    here = (0.0, 0.0)
    for kind, numbers in re.findall(r"([MLC])([^MLC]+)", path):
        given = [float(each) for each in re.split(r"[ ,]+", numbers.strip())]
        points = [here, *zip(given[::2], given[1::2], strict=True)]
        for t in [1.0] if kind == "M" else [step / 24 for step in range(25)]:
            if kind == "C":
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                pairs = list(zip(weights, points, strict=True))
                yield sum(w * x for w, (x, _) in pairs), sum(w * y for w, (_, y) in pairs)
            else:
                (x, y), (to_x, to_y) = points[0], points[-1]
                yield x + (to_x - x) * t, y + (to_y - y) * t
        here = points[-1]


def holds(box: Rectangle, point: Point, slack: float) -> bool:
    """Whether a point lies in a box that is larger by `slack` on every side."""
    (left, top, right, bottom), (x, y) = box, point
    return left - slack <= x <= right + slack and top - slack <= y <= bottom + slack


def faults(found: Drawn) -> Iterator[str]:
    """What overlaps, sticks out or crosses."""
    whole = (0.0, 0.0, found.width, found.height)
    for number, box in enumerate(found.boxes):
        corners = ((box[0], box[1]), (box[2], box[3]))
        if not all(holds(whole, corner, 1) for corner in corners):
            yield f"a box off the page: {box}"
        for other in found.boxes[:number]:
            apart = box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1]
            apart = apart or other[3] <= box[1]
            if not apart and not all(holds(other, corner, 0.2) for corner in corners):
                yield f"boxes overlap: {box}, {other}"
    for text, box in found.texts:
        if not (holds(box, text[:2], 0) and holds(box, text[2:], 0)):
            yield f"a text sticks out: {text} of {box}"
    for edge in found.edges:
        for box in found.boxes:
            around = holds(box, edge[0], 0.1) and holds(box, edge[-1], 0.1)
            if not around and any(holds(box, point, -0.2) for point in edge):
                yield f"an edge crosses a box: {edge[0]} to {edge[-1]}, {box}"


WIDTHS = (NARROW, WIDE)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_nothing_crosses_in_drawings_of_shipped_strategies(path: Path, name: str) -> None:
    tree = explain(as_shipped(path, name))
    for width in WIDTHS:
        found = drawn(to_svg(layout(tree.lines, width)))
        assert list(faults(found)) == []
        assert len(found.boxes) == 1 + len(list(tree.all_lines()))
        assert found.width <= width + 8


@settings(max_examples=20, deadline=None, derandomize=True)
@given(plans())
def test_nothing_crosses_in_drawings_of_any_plan(plan: Plan) -> None:
    for width in WIDTHS:
        assert list(faults(drawn(to_svg(layout(explain(plan).lines, width))))) == []


def test_wide_characters_take_two_columns() -> None:
    build = Builder()
    said = "你好" * 60 + " " + "e\u0301" * 90
    forced = build.pool(graph.Force(Const(said)), build.problem, name="pool")
    for width in WIDTHS:
        found = drawn(to_svg(layout(explain(build.plan(forced)).lines, width)))
        assert list(faults(found)) == []
        assert found.width < 420


def test_a_page_names_nothing_that_the_strategy_does_not() -> None:
    for path, name in NAMED[::8]:
        tree = explain(as_shipped(path, name))
        for text in (line.text for line in tree.all_lines()):
            assert not re.search(r"%\d", text), text


def test_networkx_is_imported_for_drawings_only() -> None:
    code = (
        "import sys; from tts_lang.cli import main\n"
        "try: main(['beam_search', '--explain'])\n"
        "except SystemExit: pass\n"
        "assert 'networkx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
