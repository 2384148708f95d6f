"""EXPLAIN as an HTML page: complete, well formed, and nothing overlaps in its drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from tests.support.plans import Builder
from tests.support.random_plans import plans
from tts_lang import library
from tts_lang.compiler import compile_strategy
from tts_lang.explain.assume import Assumed
from tts_lang.explain.forms import explained
from tts_lang.explain.lengths import Lengths
from tts_lang.explain.models import Model, Models
from tts_lang.explain.svg import to_svg
from tts_lang.optimise.command import explain_optimised
from tts_lang.optimise.pipeline import optimise
from tts_lang.plan import graph
from tts_lang.plan.draw import COLORS, Look
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
    assert any(each.startswith("fused: loop-fused once:") for each in texts)
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


Rectangle = tuple[float, float, float, float]


def rectangles(svg: str) -> Iterator[tuple[bool, Rectangle]]:
    """Every box: whether it is a node, and where it is."""
    colors = {COLORS[look] for look in Look}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect"):
        x, y, width, height = (
            float(element.attrib[name]) for name in ("x", "y", "width", "height")
        )
        yield element.attrib["fill"] in colors, (x, y, x + width, y + height)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(plans())
def test_no_two_nodes_overlap_and_all_are_on_the_page(plan: Plan) -> None:
    svg = to_svg(plan)
    root = ElementTree.fromstring(svg)
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    nodes = [place for is_node, place in rectangles(svg) if is_node]
    assert len(nodes) > sum(not each.regions for each in graph.operations(plan.body))
    for x, y, right, bottom in nodes:
        assert -1 <= x <= right <= width + 1
        assert -1 <= y <= bottom <= height + 1
    for number, (x, y, right, bottom) in enumerate(nodes):
        for other_x, other_y, other_right, other_bottom in nodes[:number]:
            apart = right <= other_x or other_right <= x or bottom <= other_y or other_bottom <= y
            assert apart
