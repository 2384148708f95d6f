"use strict";
// One problem: what one strategy, or two side by side, drew for it, kept, and returned.

tts.views.tree = function (main, query) {
  const { report, problems } = tts.store;
  const names = report.strategies.map((each) => [each.name, tts.line(each.name, 60)]);
  if (!names.length || !problems.ids.length) {
    main.append(tts.el("p", {}, "No problem has been answered yet."));
    return null;
  }
  const place = tts.placeOf(query);
  const state = { a: query.get("a"), b: query.get("b") || "", n: query.get("n") };
  if (tts.strategyAt(state.a) < 0) state.a = names[0][0];
  if (tts.strategyAt(state.b) < 0) state.b = "";
  if (place === null) {
    main.append(tts.el("p", {}, "There is no problem ", tts.el("b", {}, tts.line(query.get("p"), 80)), " here. "),
      tts.el("p", {}, tts.el("a", { href: "#/problems" }, "All problems")));
    return null;
  }
  const address = (changes) => ({ p: problems.ids[place], s: problems.seeds[place] || null, ...state, ...changes });
  const at = problems.order.indexOf(place);
  const step = (by) => {
    const next = problems.order[at + by];
    if (next !== undefined) tts.go("tree", address({ p: problems.ids[next], s: problems.seeds[next] || null, n: null }));
  };
  const head = tts.el("div", { class: "problem" });
  const panes = tts.el("div", { class: "panes" + (state.b ? " two" : "") });
  tts.append(main, [
    tts.el("h2", {}, "Problem ", tts.line(problems.ids[place], 80), problems.seeds[place] ? ", seed " + problems.seeds[place] : ""),
    tts.el("div", { class: "choices" },
      tts.el("button", { type: "button", disabled: at <= 0, onclick: () => step(-1) }, "‹ previous"),
      tts.el("button", { type: "button", disabled: at >= problems.order.length - 1, onclick: () => step(1) }, "next ›"),
      tts.choice("Strategy", names, state.a, (a) => tts.go("tree", address({ a, n: null }))),
      tts.choice("Beside it", [["", "none"], ...names], state.b, (b) => tts.go("tree", address({ b })))),
    head, panes,
    tts.el("p", { class: "small legend" }, Object.values(tts.FATES).map(([sign, name]) => [tts.el("span", { class: "sign" }, sign), " " + name + "  "])),
  ]);
  const shown = [];
  const chosen = (from, node) => {
    const { tree } = shown[from];
    shown[from].select(node);
    if (from === 0) {
      state.n = tree.uid[node];
      tts.go("tree", address({}), true);
    }
    // The same text in the other tree: strategies that draw from the same streams share it.
    const other = shown[1 - from];
    if (other && other.tree) {
      const there = other.tree.same.get(tree.hash[node].join());
      other.outline.mark(there === undefined ? [] : [there]);
      if (there !== undefined) other.select(there, true);
      shown[from].beside(there === undefined ? "not in the other tree" : "also in the other tree, #" + other.tree.uid[there]);
    }
  };
  let gone = false;
  (async () => {
    const wanted = [state.a, state.b].filter(Boolean);
    for (const [number, name] of wanted.entries()) {
      const tree = await tts.loadTree(tts.strategyAt(name), place);
      if (gone) return;
      if (number === 0) tts.showProblem(head, tree, problems, place);
      shown[number] = new tts.TreePane(name, tree, (node) => chosen(number, node));
      panes.append(shown[number].box);
    }
    const first = shown[0];
    if (first.tree && first.tree.uid.length) {
      const asked = first.tree.index.get(Number(state.n));
      const winner = first.tree.index.get(first.tree.winner);
      first.outline.reveal(asked !== undefined ? asked : winner !== undefined ? winner : 0);
      tts.focus(first.outline.list.box);
      const second = shown[1];
      if (second && second.tree && second.tree.uid.length && second.outline.at === undefined) {
        const its = second.tree.index.get(second.tree.winner);
        second.select(its !== undefined ? its : 0);
      }
    }
    document.documentElement.dataset.drawn = "yes";
  })();
  delete document.documentElement.dataset.drawn;
  tts.keys.p = ["the problem before", () => step(-1)];
  tts.keys.n = ["the next problem", () => step(1)];
  tts.keys.w = ["the winner", () => shown.forEach((each) => {
    const winner = each.tree && each.tree.index.get(each.tree.winner);
    if (winner !== undefined) each.outline.reveal(winner);
  })];
  tts.redraw = () => shown.forEach((each) => each.map && each.map.draw());
  return () => { gone = true; tts.redraw = null; for (const key of "pnw") delete tts.keys[key]; };
};

tts.placeOf = function (query) {
  const { problems } = tts.store;
  if (query.get("p") === null) return problems.order[0];
  const place = problems.find.get(query.get("p") + "\0" + (query.get("s") || "0"));
  return place === undefined ? null : place;
};

tts.showProblem = function (head, tree, problems, place) {
  const text = tree ? tree.text : problems.texts[place];
  const fields = tree ? Object.entries(tree.fields) : [];
  tts.append(head, [
    tts.el("div", { class: "text", tabindex: "0", role: "region", "aria-label": "The problem" }, tts.text(text)),
    tts.el("p", { class: "small" },
      problems.gold[place] !== null && ["gold answer: ", tts.el("b", {}, tts.line(problems.gold[place], 120)), fields.length > 0 && "; "],
      fields.map(([name, value]) => tts.line(name, 40) + ": " + tts.line(value, 80)).join("; ")),
  ]);
};

tts.TreePane = class {
  constructor(name, tree, chosen) {
    this.tree = tree && tts.prepared(tree);
    this.detail = tts.el("div", { class: "detail" });
    this.same = tts.el("span", { class: "faint" });
    this.box = tts.el("section", { class: "pane", "aria-label": name }, tts.el("h3", {}, tts.line(name, 60)));
    if (!tree) {
      this.box.append(tts.el("p", {}, "This strategy has no tree for this problem: it was not answered, or its lines in the record are damaged."));
      return;
    }
    const grade = tree.correct === true ? "right" : tree.correct === false ? "wrong" : "not graded";
    this.box.append(tts.el("p", { class: "small" },
      tree.error ? ["failed: ", tts.line(tree.error, 400)] : ["answer ", tts.el("b", {}, tree.answer === null ? "none" : tts.line(tree.answer, 80)), " (" + grade + "); ",
        tts.count(tree.uid.length, "node") + ", " + tts.number(tree.pruned) + " pruned, " + tts.count(tree.tokens, "token") + ", " + tts.count(tree.calls, "policy call")]));
    if (!tree.uid.length) return;
    this.outline = new tts.Outline(this.tree, "Search tree of " + name, chosen);
    this.map = new tts.TreeMap(this.tree, (at) => this.outline.reveal(at));
    tts.append(this.box, [this.map.canvas, tts.el("div", { class: "reading" },
      tts.el("div", {}, this.outline.list.box, this.decisions()), this.detail)]);
  }

  /** Shows a node: where it is, its whole text, what was decided about it. */
  select(at, quiet) {
    const { tree } = this;
    if (this.outline.at !== at || quiet) this.outline.reveal(at, true);
    this.map.mark(at);
    const path = [];
    for (let back = at; back >= 0; back = tree.before[back]) path.unshift(back);
    const [, fate] = tts.FATES[tree.fate[at]];
    const heard = tree.heard.get(at) || [];
    tts.append(tts.clear(this.detail), [
      tts.el("h4", {}, "Node #" + tree.uid[at] + ": " + fate, " ", this.same),
      heard.length > 0 && tts.el("ul", { class: "why" }, heard.map(({ number, place, kept }) => tts.el("li", { class: kept || !["pruned", "outvoted"].includes(tree.fate[at]) ? "" : "out" },
        tts.sign(tree.decisions[number].op, kept, tree.fate[at]) + " " + tts.why(tree.decisions[number], place)))),
      tts.el("p", { class: "small" }, this.facts(at)),
      tree.errors && tree.errors[at] && Object.entries(tree.errors[at]).map(([who, why]) => tts.el("p", { class: "warning" }, tts.line(who + ": " + why, 600))),
      tree.unread && tree.unread[at] && tts.el("p", { class: "warning" }, "answer not read: ", tts.line(tree.unread[at], 400)),
      tts.el("div", { class: "text steps", tabindex: "0", role: "region", "aria-label": "Text of node " + tree.uid[at] },
        tree.prompt && tree.prompt[path[0]] && tts.el("p", { class: "asked" }, tts.text(tree.prompt[path[0]])),
        path.map((each) => this.step(each, each === at))),
    ]);
    this.beside("");
  }

  beside(text) { this.same.textContent = text; }

  facts(at) {
    const { tree } = this;
    const finish = tree.finish.names[tree.finish.at[at]];
    const parts = [
      tree.kind.names[tree.kind.at[at]] + " at " + tree.place.names[tree.place.at[at]],
      tree.answers[at] !== null && "answer " + tts.line(tree.answers[at], 80) + (tree.right[at] === 1 ? " (right)" : tree.right[at] === 0 ? " (wrong)" : ""),
      tts.number(tree.sampled[at]) + " sampled tokens on its path",
      tree.logprob[at] !== null && "log-probability " + tts.number(tree.logprob[at]),
      finish && "stopped by " + finish,
      !tree.done[at] && "not complete",
    ];
    return parts.filter(Boolean).join("; ");
  }

  step(at, last) {
    const { tree } = this;
    const scores = tree.scorers.map((name) => [name, tree.scores[name][at]]).filter(([, value]) => value !== false)
      .map(([name, value]) => name + " " + (Array.isArray(value) ? value.map((each) => (each === null ? "missing" : tts.number(each, 3))).join(", ") : value === null ? "missing" : tts.number(value, 3)));
    return tts.el("div", { class: "step" + (last ? " last" : "") + (tree.forced && tree.forced[at] ? " forced" : "") },
      tts.el("span", { class: "margin" }, "#" + tree.uid[at] + (tree.forced && tree.forced[at] ? " not sampled" : "") + (scores.length ? " · " + scores.join(" · ") : "")),
      tts.el("div", { class: "said" }, tts.text(tree.added[at].replace(/\n+$/, ""))));
  }

  /** Every decision in a line; a click marks the nodes that it was about. */
  decisions() {
    const { tree } = this;
    if (!tree.decisions.length) return null;
    const row = (decision) => {
      const about = decision.in.map((uid) => tree.index.get(uid)).filter((at) => at !== undefined);
      const first = tree.index.get(decision.out.length ? decision.out[0] : decision.in[0]);
      return tts.el("li", {}, tts.el("button", { type: "button", class: "plain", onclick: () => {
        this.outline.mark(about);
        if (first !== undefined) this.outline.reveal(first);
        this.outline.mark(about);
      } }, tts.roundOf(decision) + decision.op + " at " + decision.place), " — " + decision.out.length + " of " + decision.in.length, tts.votes(decision));
    };
    const most = 200;
    return tts.el("details", { class: "decisions", open: tree.decisions.length <= 8 },
      tts.el("summary", {}, "Decisions (" + tree.decisions.length + ")"),
      tts.el("ol", {}, tree.decisions.slice(0, most).map(row)),
      tree.decisions.length > most && tts.el("p", { class: "small" }, "and " + tts.number(tree.decisions.length - most) + " more"));
  }
};

/** Of a vote: the classes of each group and what they weigh, the heaviest first. */
tts.votes = function (decision) {
  if (decision.op !== "vote") return "";
  return "; " + decision.classes.map((listed) => {
    const shown = listed.slice(0, 5).map(([value, weight]) => tts.line(value, 30) + ": " + tts.number(weight, 3));
    return (shown.join(", ") || "no votes") + (listed.length > 5 ? ", and " + (listed.length - 5) + " more" : "");
  }).join("; ");
};
