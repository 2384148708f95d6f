"use strict";
// Starts the page, follows its address, listens to keys, and to a run that grows.

tts.keys = {
  "?": ["these keys", () => tts.help()],
  1: ["figures", () => tts.go("figures")],
  2: ["problems", () => tts.go("problems")],
  3: ["search trees", () => tts.go("tree")],
  t: ["light, dark or as the system", () => tts.turn()],
};

tts.help = function () {
  const box = tts.el("dialog", { "aria-label": "Keys" },
    tts.el("h2", {}, "Keys"),
    tts.el("dl", {}, Object.entries(tts.keys).map(([key, [text]]) => [tts.el("dt", {}, tts.el("kbd", {}, key)), tts.el("dd", {}, text)]),
      tts.el("dt", {}, tts.el("kbd", {}, "↑ ↓ ← → Enter *")), tts.el("dd", {}, "in a tree: move, fold, unfold, unfold beside")),
    tts.el("form", { method: "dialog" }, tts.el("button", {}, "Close")));
  document.body.append(box);
  box.addEventListener("close", () => box.remove());
  box.showModal();
};

tts.turn = function () {
  const themes = ["auto", "light", "dark"];
  const now = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
  tts.paint(now);
  try { localStorage.setItem("tts-theme", now); } catch (error) { /* no storage here */ }
  tts.themeButton();
};

/** Shows a theme; drawings have its colors in them. */
tts.paint = function (theme) {
  document.documentElement.dataset.theme = theme;
  if (tts.redraw) tts.redraw();
};

tts.themeButton = function () {
  const names = { auto: "as the system", light: "light", dark: "dark" };
  document.getElementById("theme").textContent = "Theme: " + names[document.documentElement.dataset.theme];
};

/** Shows the view of the address. `grown`: the same view again, with what a run has added. */
tts.show = function (grown = false) {
  const { view, query } = tts.route();
  const main = document.getElementById("main");
  const restore = tts.remembered();
  tts.moved = tts.shown !== undefined && !grown;
  if (tts.leave) tts.leave();
  tts.clear(main);
  const known = view in tts.views ? view : "figures";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === "#/" + (known === "figures" ? "" : known);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const same = tts.shown === known;
  tts.shown = known;
  tts.leave = tts.views[known](main, query);
  const heading = main.querySelector("h2");
  document.title = (heading ? heading.textContent + ": " : "") + document.querySelector("h1").textContent;
  if (same) restore();
};

/** Gives the focus to what a view is about, if the way there left it nowhere. */
tts.focus = function (element) {
  if (tts.moved && document.activeElement === document.body) element.focus({ preventScroll: true });
};

tts.footer = function () {
  const { report } = tts.store;
  const box = tts.clear(document.getElementById("footer"));
  tts.append(box, [
    tts.number(report.strategies.length) + (report.strategies.length === 1 ? " strategy, " : " strategies, ") + tts.count(report.problems, "problem"),
    tts.store.live ? "; following the run" : "", ". Press ", tts.el("kbd", {}, "?"), " for keys.",
  ]);
};

/** What the view's elements are called, whichever time they are made. */
tts.called = function (element) {
  const label = element.closest("label");
  const figure = element.closest("figure");
  const name = label ? label.firstChild.textContent : element.getAttribute("aria-label") || element.textContent;
  return [element.tagName, figure ? figure.id : "", name].join("\0");
};

/** Remembers what is open, what has the focus and how far lists are scrolled; returns what restores it in the same view. */
tts.remembered = function () {
  const main = document.getElementById("main");
  const open = new Map([...main.querySelectorAll("details")].map((each) => [tts.called(each.firstChild), each.open]));
  const lists = new Map([...main.querySelectorAll(".virtual")].map((each) => [tts.called(each), each.scrollTop]));
  const active = main.contains(document.activeElement) && document.activeElement !== main ? document.activeElement : null;
  const name = active && tts.called(active);
  return () => {
    for (const each of main.querySelectorAll("details")) if (open.has(tts.called(each.firstChild))) each.open = open.get(tts.called(each.firstChild));
    for (const each of main.querySelectorAll(".virtual")) if (lists.has(tts.called(each))) each.scrollTop = lists.get(tts.called(each));
    const again = active && [...main.querySelectorAll(active.tagName)].find((each) => tts.called(each) === name);
    if (!again) return;
    again.focus({ preventScroll: true });
    if (active.selectionStart !== undefined && again.setSelectionRange) again.setSelectionRange(active.selectionStart, active.selectionEnd);
  };
};

/** Served by tts-view: asks now and then whether the run has grown. */
tts.follow = async function () {
  try {
    const answer = await fetch("data/state.json", { cache: "no-store" });
    const { version } = await answer.json();
    if (version !== tts.store.live) {
      tts.store.live = version;
      tts.store.trees.clear();
      await tts.loadReport();
      tts.footer();
      // A tree that is being read stays as it is; figures and lists are drawn again.
      if (tts.route().view !== "tree") {
        const top = scrollY;
        tts.show(true);
        scrollTo(0, top);
      }
      tts.say("the run has grown");
    }
  } catch (error) { /* the server is gone: what is here stays */ }
  setTimeout(tts.follow, 3000);
};

tts.start = async function () {
  tts.themeButton();
  document.getElementById("theme").addEventListener("click", tts.turn);
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main").focus(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tts.redraw && tts.redraw());
  let onScreen;
  addEventListener("beforeprint", () => { onScreen = document.documentElement.dataset.theme; tts.paint("light"); });
  addEventListener("afterprint", () => tts.paint(onScreen));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const found = Object.hasOwn(tts.keys, event.key) && tts.keys[event.key];
    if (found) { event.preventDefault(); found[1](); }
  });
  try {
    await tts.loadReport();
  } catch (error) {
    document.getElementById("wait").textContent = "The data of this report are missing: " + error.message;
    return;
  }
  tts.footer();
  addEventListener("hashchange", () => tts.show());
  tts.show();
  if (location.protocol !== "file:") {
    try {
      const answer = await fetch("data/state.json", { cache: "no-store" });
      if (answer.ok) { tts.store.live = (await answer.json()).version; setTimeout(tts.follow, 3000); }
    } catch (error) { /* a plain server of files */ }
  }
};

tts.start();
