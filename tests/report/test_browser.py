"""The page in Chromium, opened from a file: every size and theme, by keyboard, hostile texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import pytest

from tests.report.conftest import HOSTILE
from tests.support.browsers import chromium, violations
from tts_runtime.record.decisions import classes
from tts_runtime.record.reader import open_run
from tts_runtime.report.script import call
from tts_runtime.report.trees import columns

#: Figures wider than their place.
TOO_WIDE = """[...document.querySelectorAll('.chart')].filter(
    chart => chart.firstElementChild.getBoundingClientRect().right
        > chart.getBoundingClientRect().right + 1).map(chart => chart.ariaLabel)"""

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Opens an address of the site at a size, in a theme; what the console says is an error.
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def opened(browser: Browser, site: Path) -> Iterator[Open]:
    said: list[str] = []
    contexts = []

    def open_page(
        view: str = "",
        size: tuple[int, int] = (1280, 800),
        theme: Literal["light", "dark"] = "light",
        **query: str,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme
        )
        contexts.append(context)
        context.route("http*://**", lambda route: route.abort())
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{(site / 'index.html').as_uri()}#/{view}?{urlencode(query)}")
        if view != "problems":
            page.wait_for_selector("html[data-drawn]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize(
    ("size", "theme"),
    [((320, 640), "dark"), ((820, 1180), "light"), ((1440, 900), "dark")],
    ids=["phone", "tablet", "desktop"],
)
def test_every_view_fits_and_is_accessible(opened: Open, size: tuple[int, int], theme: str) -> None:
    page = opened("", size, theme)
    assert page.locator(".chart svg").count() == page.locator("figure").count() >= 4
    views = {
        "": "html[data-drawn]",
        "problems": ".problems .row",
        "tree?p=one&a=main&b=beam_search%5Bn%3D8%5D": "html[data-drawn] .outline .row",
    }
    for view, there in views.items():
        page.evaluate("view => { location.hash = '#/' + view; }", view)
        page.wait_for_selector(there)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.evaluate(TOO_WIDE) == [], view
        assert violations(page) == [], view
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (theme == "light")


def test_hostile_texts_are_shown_and_never_run(opened: Open) -> None:
    page = opened("tree", p="one", a="main")
    page.locator(".outline .row", has_text="#5").click()
    shown = page.locator(".steps").inner_text()
    for part in ("</script><script>window.pwned = 1</script>", "\\u202etxet", "\\u0000", "\\ud800"):
        assert part in shown, part
    assert "\\u202etxet" in page.locator(".problem .text").inner_text()
    page.evaluate("location.hash = '#/problems'")
    page.wait_for_selector(".problems .row")
    assert "<b>three</b>&?#=%" in page.locator(".problems").inner_text()
    page.locator(".problems .row", has_text="three").click()
    page.wait_for_selector("h2:has-text('<b>three</b>&?#=%')")
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main script").count() == 0
    assert len(HOSTILE) > 100


def test_paper_is_light_whatever_the_screen_is(opened: Open) -> None:
    ink = "getComputedStyle(document.querySelector('.chart svg text')).fill"
    light = opened().evaluate(ink)
    page = opened(theme="dark")
    dark = page.evaluate(ink)
    for event, color in (("beforeprint", light), ("afterprint", dark)):
        # What a promise does is done when the event is: a printer waits for no more.
        assert page.evaluate(f"dispatchEvent(new Event('{event}')), 0") == 0
        assert page.evaluate(ink) == color
    assert light != dark


def test_views_have_titles_and_one_is_one(opened: Open) -> None:
    page = opened("tree", a="beam_search[n=8]")
    title = page.locator("h2").inner_text() + ": Test-time scaling report"
    assert page.title() == title
    assert page.evaluate("[tts.count(1, 'node'), tts.count(2, 'node')]") == ["1 node", "2 nodes"]


def test_a_tree_says_what_was_pruned_and_why(opened: Open, run: Path) -> None:
    tree, decision, pruned = next(
        (tree, decision, uid)
        for tree in open_run(run).strategy("beam_search[n=8]").trees()
        for decision in tree.decisions
        for uid, value in zip(decision["in"], decision["values"], strict=True)
        if uid not in decision["out"] and value is not None
    )
    scored = dict(zip(decision["in"], decision["values"], strict=True))
    page = opened("tree", p=tree.problem.id, a="beam_search[n=8]", n=str(pruned))
    detail = page.locator(".detail")
    assert f"Node #{pruned}: pruned" in detail.inner_text()
    known = [value for value in scored.values() if value is not None]
    rank = 1 + sum(value > scored[pruned] for value in known)
    assert f"select at {decision['place']}: value " in detail.inner_text()
    assert f"rank {rank} of {len(decision['in'])}" in detail.inner_text()
    assert tree.winner is not None
    page.keyboard.press("w")
    assert f"Node #{tree.winner.uid}: on the path that won" in detail.inner_text()
    assert f"n={tree.winner.uid}" in page.url


#: Six nodes, of which 5 and 6 continue 1; decisions (op, in, out, values, maybe groups); what
#: became of each.
FATES: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    "both halves of a pool are used": (
        [("where", [1, 2, 3, 4], [1, 2], []), ("where", [1, 2, 3, 4], [3, 4], [])],
        "won kept kept kept won kept",
    ),
    "a half that has everything": (
        [("where", [2, 3], [2, 3], []), ("where", [2, 3], [], [])],
        "won kept kept kept won kept",
    ),
    "half of a pool is chosen from": (
        [
            ("where", [1, 2, 3, 4], [1], []),
            ("where", [1, 2, 3, 4], [2, 3, 4], []),
            ("select", [2, 3, 4], [2], []),
        ],
        "won kept pruned pruned won kept",
    ),
    "what is left of a choice is chosen from, in whatever order lines stand": (
        [("select", [1, 2], [1], []), ("dedupe", [1, 2, 3], [1, 2], [])],
        "won pruned pruned kept won kept",
    ),
    "what was kept once is pruned rounds later": (
        [("select", [1, 2, 3], [1, 2], []), ("select", [2, 5, 6], [5], [])],
        "won pruned pruned kept won pruned",
    ),
    "left out, and voted": (
        [("where", [2, 3, 5], [5], []), ("vote", [2, 3, 5], [5], ["a", "b", "a"])],
        "won agreed outvoted kept won kept",
    ),
    "each group has its vote": (
        [("vote", [2, 3, 4, 6], [2, 4], ["a", "a", "b", "a"], [[0, 1], [2, 3]])],
        "won kept agreed kept won outvoted",
    ),
    "left out, with children": ([("select", [1, 2], [2], [])], "won kept kept kept won kept"),
    "a descent goes by": (
        [("descend", [0, 1, 2, 3], [2], [])],
        "won kept kept kept won kept",
    ),
}


@pytest.mark.parametrize("decisions", FATES)
def test_pruned_is_what_was_left_out_and_not_used(opened: Open, decisions: str) -> None:
    lines, fates = FATES[decisions]
    parents = [0, 0, 0, 0, 1, 1]
    tree = {
        "uid": list(range(1, 7)),
        **dict.fromkeys(("parent", "before"), parents),
        "added": [""] * 6,
        "scores": {},
        "winner": 5,
        "decisions": [
            dict(zip(("op", "in", "out", "values", "groups"), line, strict=False)) for line in lines
        ],
    }
    page = opened("tree", p="one", a="main")
    shown = page.evaluate("tree => tts.prepared(tree).fate", tree)
    assert shown == fates.split()
    assert page.evaluate("tree => tts.prepared(tree).pruned", tree) == fates.count("pruned")


def test_a_vote_lists_the_classes_of_each_group(opened: Open, run: Path) -> None:
    tree = next(open_run(run).strategy("majority[n=4]").trees())
    page = opened("tree", p=tree.problem.id, a="majority[n=4]")
    [counted] = map(classes, tree.decisions)
    listed = ", ".join(f"{key}: {weight:g}" for key, weight in counted[0].items())
    assert page.locator(".decisions li").inner_text().endswith(f"; {listed}")
    line = {"op": "vote", "in": [1, 2, 3], "values": ["a", "a", None], "groups": [[0, 1], [2]]}
    [vote] = columns(replace(tree, decisions=[line]))["decisions"]
    assert page.evaluate("vote => tts.votes(vote)", vote) == "; a: 2; no votes"


@pytest.mark.parametrize(("show", "rows"), [("a", "two"), ("b", "one four"), ("failed", "four")])
def test_what_only_one_solves_counts_what_failed(opened: Open, show: str, rows: str) -> None:
    page = opened("problems", a="majority[n=4]", b="majority[n=8]", show=show)
    page.wait_for_selector(".problems")
    page.evaluate("""() => {
        const { marks, order } = tts.store.problems;
        const set = (name, values) => {
            const at = (_, place) => values[order.indexOf(place)];
            marks[tts.strategyAt(name)] = order.map(at).join("");
        };
        set("majority[n=4]", "01?x");
        set("majority[n=8]", "10?1");
        tts.show();
    }""")
    shown = " ".join(page.locator(".problems .row b").all_inner_texts())
    assert [name for name in ("one", "two", "four") if name in shown] == rows.split()


def test_everything_is_reached_by_keyboard(opened: Open) -> None:
    page = opened()
    page.keyboard.press("2")
    page.wait_for_selector(".problems .row")
    page.keyboard.press("/")
    page.keyboard.type("two")
    assert page.locator(".problems .row").count() == 1
    page.keyboard.press("Tab")
    page.locator(".problems").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-drawn] .outline .row")
    assert "two/../x" in page.locator("h2").inner_text()
    page.keyboard.press("Home")
    first = page.locator(".outline .row.at .uid").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator(".outline .row.at .uid").inner_text() != first
    page.keyboard.press("n")
    page.wait_for_function("!document.querySelector('h2').textContent.includes('two')")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").is_visible()


def test_the_list_comes_back_as_it_was_left(opened: Open) -> None:
    page = opened("problems")
    page.locator(".problems").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-drawn] .outline .row")
    page.go_back()
    page.wait_for_selector(".problems .row")
    assert page.locator(".problems .row.at b").inner_text() == "four"
    page.keyboard.press("ArrowUp")
    assert page.locator(".problems .row.at b").inner_text() != "four"


def test_what_was_chosen_stays_while_the_run_grows(opened: Open) -> None:
    page = opened()
    first, second = (page.locator(".compare select").nth(at) for at in (0, 1))
    first.select_option("majority[n=4]")
    second.select_option("majority[n=8]")
    page.locator("figure .role-legend-label text").first.click()
    faint = "document.querySelectorAll('figure .chart [opacity=\"0.12\"]').length"
    page.wait_for_function(f"{faint} > 0")
    before = page.evaluate(faint)
    page.locator("figure details summary").nth(1).click()
    page.locator("figure details summary").nth(1).focus()
    page.evaluate("tts.show(true)")
    page.wait_for_selector("html[data-drawn]")
    assert page.evaluate(faint) == before
    chosen = [first.input_value(), second.input_value()]
    assert chosen == ["majority[n=4]", "majority[n=8]"]
    states = page.locator("figure details").evaluate_all("all => all.map(each => each.open)")
    assert [at for at, each in enumerate(states) if each] == [1]
    where = "document.activeElement.closest('figure').id"
    assert page.evaluate(where) == page.locator("figure").nth(1).get_attribute("id")
    page.locator("figure .role-legend-label text").first.click()
    page.wait_for_function(f"{faint} == 0")
    page.evaluate("location.hash = '#/problems'")
    page.locator("input[type=search]").fill("two")
    page.evaluate("tts.show(true)")
    page.keyboard.type("/")
    assert page.locator("input[type=search]").input_value() == "two/"
    assert page.locator(".problems .row b").all_inner_texts() == ["two/../x"]


def test_numbers_and_names_are_what_they_are(opened: Open) -> None:
    page = opened()
    for value, shown in {
        999_999: "999,999",
        999_999_999: "1.00 G",
        999_499_999: "999 M",
        -12_345_678: "-12.3 M",
        5e18: "5.00 E",
        9.999e20: "1.00e+21",
        0.25: "0.25",
    }.items():
        assert page.evaluate("value => tts.number(value)", value) == shown
    page.evaluate("location.hash = '#/tree?p=four'")
    page.wait_for_selector(".outline .row")
    fields = page.locator(".problem p").inner_text()
    assert fields == "number: 12345678901234567; open: true"
    page.evaluate("location.hash = '#/'")
    page.wait_for_selector("figure")
    assert page.evaluate("tts.counted()") == "problems"
    page.evaluate("tts.store.problems.seeds[0] = 1; tts.show()")
    table = page.locator("table", has=page.locator("caption", has_text="Strategies"))
    assert "answers" in table.locator("th").all_inner_texts()


def test_the_same_sample_is_marked_in_the_other_tree(opened: Open) -> None:
    page = opened("tree", p="one", a="majority[n=4]", b="majority[n=8]", n="2")
    page.wait_for_selector(".pane + .pane .row.marked")
    assert page.locator(".pane + .pane .row.marked .uid").inner_text() == "#2"
    assert "also in the other tree, #2" in page.locator(".pane .detail h4").first.inner_text()
    room = "list => list.clientHeight - list.querySelector('.space').clientHeight"
    assert page.locator(".outline").first.evaluate(room) <= 0  # a short list leaves no empty box


def test_ten_thousand_candidates_stay_few_elements(opened: Open) -> None:
    page = opened("tree", p="one", a="majority[n=4]")
    count = 10_000
    tree = {
        **dict.fromkeys(("gold", "answer", "error")),
        **{name: {} for name in ("fields", "scores")},
        **dict.fromkeys(("tokens", "calls", "correct"), 1),
        "id": "one",
        "seed": 0,
        "text": "many",
        "winner": count,
        "decisions": [],
        "uid": list(range(1, count + 1)),
        **{name: [at // 10 for at in range(count)] for name in ("parent", "before")},
        "added": [f"step {at}" for at in range(count)],
        **{name: [0] * count for name in ("sampled", "done")},
        **{name: [None] * count for name in ("logprob", "answers", "right")},
        **{name: {"names": ["x"], "at": [0] * count} for name in ("kind", "place", "finish")},
    }
    place = page.evaluate("tts.store.problems.find.get('one\\0' + 0)")
    page.evaluate(call("tts.tree", 1, place, tree))
    page.evaluate("location.hash = '#/tree?p=one&a=' + encodeURIComponent('majority[n=8]')")
    page.wait_for_selector(f".outline .row.at:has-text('#{count}')")
    page.locator(".outline").focus()
    for key in ("Home", "*", "End", "PageUp", "Home"):
        page.keyboard.press(key)
    assert page.locator(".outline .row.at .uid").inner_text() == "#1"
    assert page.locator(".outline .row").count() < 60
