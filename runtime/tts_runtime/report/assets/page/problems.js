"use strict";
// The list of problems: search, and what two strategies made of them.

tts.MARKS = { "1": ["✓", "right"], "0": ["✗", "wrong"], "?": ["?", "not graded"], x: ["!", "failed"], ".": ["·", "not answered"] };

tts.mark = function (mark) {
  const [sign, name] = tts.MARKS[mark];
  return tts.el("span", { class: "mark mark-" + name.replace(" ", "-"), title: name, role: "img", "aria-label": name }, sign);
};

tts.views.problems = function (main, query) {
  const { report, problems } = tts.store;
  const names = report.strategies.map((each) => [each.name, tts.line(each.name, 60)]);
  const known = (name) => tts.strategyAt(name) >= 0;
  const state = {
    a: known(query.get("a")) ? query.get("a") : names[0] && names[0][0],
    b: known(query.get("b")) ? query.get("b") : "",
    show: query.get("show") || "all",
    find: query.get("find") || "",
    at: query.get("at"), // the row that is chosen, as its problem and seed
  };
  let rows = [];
  const missed = (mark) => mark === "0" || mark === "x"; // what failed has solved nothing
  const shows = {
    all: ["all", () => true],
    a: ["only the first right", (a, b) => a === "1" && missed(b)],
    b: ["only the second right", (a, b) => missed(a) && b === "1"],
    wrong: ["wrong", (a, b) => a === "0" && (b === undefined || b === "0")],
    failed: ["failed", (a, b) => a === "x" || b === "x"],
    ungraded: ["not graded", (a, b) => a === "?" || b === "?"],
  };
  if (!(state.show in shows)) state.show = "all";
  const count = tts.el("p", { class: "small", role: "status" });
  const list = new tts.VirtualList({
    role: "listbox", rowRole: "option", label: "Problems", rowHeight: 34, class: "problems",
    render: (at) => {
      const place = rows[at];
      const solved = report.strategies.filter((_, s) => problems.marks[s][place] === "1").length;
      return tts.el("div", {},
        tts.mark(problems.marks[tts.strategyAt(state.a)][place]),
        state.b && tts.mark(problems.marks[tts.strategyAt(state.b)][place]),
        tts.el("b", {}, tts.line(problems.ids[place], 40)),
        problems.seeds[place] !== 0 && tts.el("span", { class: "tag" }, "seed " + problems.seeds[place]),
        problems.groups[place] && tts.el("span", { class: "tag" }, tts.line(problems.groups[place], 30)),
        tts.el("span", { class: "faint" }, solved + " of " + report.strategies.length),
        tts.el("span", { class: "grow" }, tts.line(problems.texts[place], 160)));
    },
    chosen: (at, how) => { mark(at); if (how === "open") open(rows[at]); },
  });
  list.box.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) open(rows[Number(row.dataset.at)]);
  });
  const name = (place) => problems.seeds[place] + "/" + problems.ids[place];
  const mark = (at) => { state.at = rows.length ? name(rows[at]) : null; address(); };
  const address = () => tts.go("problems", { ...state, show: state.show === "all" ? null : state.show }, true);
  const open = (place) => tts.go("tree", { p: problems.ids[place], s: problems.seeds[place] || null, a: state.a, b: state.b });
  const filter = () => {
    const one = problems.marks[tts.strategyAt(state.a)];
    const other = state.b ? problems.marks[tts.strategyAt(state.b)] : null;
    const wanted = state.find.toLowerCase();
    const keep = shows[state.show][1];
    rows = problems.order.filter((place) => keep(one[place], other ? other[place] : undefined)
      && (!wanted || problems.ids[place].toLowerCase().includes(wanted) || problems.texts[place].toLowerCase().includes(wanted)));
    const at = rows.findIndex((place) => name(place) === state.at);
    list.set(rows.length, Math.max(at, rows.length ? 0 : -1));
    if (at > 0) list.show();
    count.textContent = tts.number(rows.length) + " of " + tts.count(problems.ids.length, "problem") + (new Set(problems.ids).size < problems.ids.length ? " and seeds" : "") + (rows.length ? "; Enter or a click opens the search tree" : "");
    address();
  };
  const search = tts.el("input", { type: "search", value: state.find, oninput: () => { state.find = search.value; filter(); } });
  const change = (name) => (value) => { state[name] = value; filter(); };
  if (!names.length) { main.append(tts.el("p", {}, "No strategy has run yet.")); return null; }
  tts.append(main, [
    tts.el("h2", {}, "Problems"),
    tts.el("div", { class: "choices" },
      tts.el("label", { class: "choice" }, tts.el("span", {}, "Find"), search),
      tts.choice("Strategy", names, state.a, change("a")),
      tts.choice("Second strategy", [["", "none"], ...names], state.b, change("b")),
      tts.choice("Show", Object.entries(shows).map(([key, [text]]) => [key, text]), state.show, change("show"))),
    count, list.box,
  ]);
  filter();
  tts.focus(list.box);
  tts.keys["/"] = ["find a problem", () => search.focus()];
  return () => delete tts.keys["/"];
};
