"use strict";
// The first view: what ran, how well, at what cost, how sure that is, and what went wrong.

tts.views = {};

tts.percent = function (accuracy) {
  if (!accuracy) return "not graded";
  const [value, low, high] = accuracy;
  return tts.rounded(value) + " % (" + tts.rounded(low, 0) + " to " + tts.rounded(high, 0) + ")";
};

tts.views.figures = function (main) {
  const report = tts.store.report;
  const reward = (figure) => figure.name.startsWith("length-") || figure.name === "score-right";
  const drawn = report.figures.map((figure) => tts.figure(figure));
  tts.append(main, [
    tts.el("h2", { class: "unseen" }, "Figures"),
    report.runs.map(tts.provenance),
    report.notes.length > 0 && tts.el("ul", { class: "notes" }, report.notes.map((note) => tts.el("li", {}, tts.line(note, 600)))),
    tts.summary(report),
    tts.el("section", { class: "figures", "aria-label": "Accuracy" }, drawn.filter((each) => !reward(each.figure))),
    report.strategies.length > 1 && tts.compare(report),
    report.rewards.length > 0 && tts.rewards(report, drawn.filter((each) => reward(each.figure))),
    tts.reliability(report),
  ]);
  const width = { last: 0 };
  const all = async () => {
    for (const each of drawn) {
      if (each.view) each.view.finalize();
      each.view = each.isConnected ? await tts.draw(each.box, each.figure) : null;
    }
    document.documentElement.dataset.drawn = "yes";
  };
  delete document.documentElement.dataset.drawn;
  tts.redraw = all;
  const watch = new ResizeObserver(() => {
    if (Math.abs(main.clientWidth - width.last) > 4) {
      width.last = main.clientWidth;
      clearTimeout(width.timer);
      width.timer = setTimeout(all, 80);
    }
  });
  watch.observe(main);
  return () => { watch.disconnect(); tts.redraw = null; drawn.forEach((each) => each.view && each.view.finalize()); };
};

tts.provenance = function (run) {
  const engines = Object.entries(run.engines).map(([name, engine]) => name + ": " + engine).join(", ");
  const parts = [run.set && "problems: " + run.set, engines, run.seeds, run.version && "tts-lang " + run.version, run.started];
  return tts.el("p", { class: "about" }, tts.el("b", {}, tts.line(run.name, 80)), " — ",
    parts.filter(Boolean).map((part) => tts.line(part, 200)).join("; "),
    run.command && [tts.el("br"), tts.el("code", {}, tts.line(run.command, 400))]);
};

tts.summary = function (report) {
  const seconds = report.strategies.some((each) => each.costs.seconds !== null);
  const head = ["strategy", "accuracy (95 % interval)", "tokens", "prompt tokens", "scorer tokens", "policy calls", "FLOPs",
    ...(seconds ? ["seconds"] : []), tts.counted(), "failed"];
  const rows = report.strategies.map((each) => [
    tts.el("a", { href: tts.link("problems", { a: each.name }) }, tts.line(each.name, 80)),
    tts.percent(each.accuracy),
    ...["policy_tokens", "prompt_tokens", "scorer_tokens", "policy_calls", "flops", ...(seconds ? ["seconds"] : [])].map((name) => tts.number(each.costs[name])),
    tts.number(each.answered), each.failed ? tts.number(each.failed) : "0",
  ]);
  return tts.el("section", {},
    tts.el("h3", {}, "Strategies"),
    tts.table("Strategies", head, rows, head.map((_, at) => at).slice(1)),
    tts.el("p", { class: "small" }, "Costs: means per " + tts.counted().slice(0, -1) + " of what a strategy needs, each prompt, token and step counted once."));
};

tts.compare = function (report) {
  const names = report.strategies.map((each) => [each.name, tts.line(each.name, 60)]);
  // The last of the baseline's budgets, against the last strategy.
  const baseline = report.strategies.find((each) => each.name === report.baseline) || report.strategies[0];
  const state = { b: report.strategies.filter((each) => each.base === baseline.base).pop().name };
  state.a = report.strategies.filter((each) => each.name !== state.b).pop().name;
  // What was chosen stays while the run grows.
  for (const [side, name] of Object.entries(tts.store.compared)) if (tts.strategyAt(name) >= 0) state[side] = name;
  const change = (side) => (name) => { state[side] = tts.store.compared[side] = name; show(); };
  const said = tts.el("div", { "aria-live": "polite" });
  const show = () => {
    const one = tts.strategyAt(state.a), other = tts.strategyAt(state.b);
    const pair = report.pairs.find((each) => (each[0] === one && each[1] === other) || (each[1] === one && each[0] === other));
    tts.clear(said);
    if (!pair) {
      said.append(tts.el("p", {}, one === other ? "Choose two strategies." : "These two have no graded problems in common, or were not compared."));
      return;
    }
    const turned = pair[0] !== one;
    const [value, low, high] = turned ? [-pair[2], -pair[4], -pair[3]] : pair.slice(2, 5);
    const [only, onlyOther] = turned ? [pair[7], pair[6]] : [pair[6], pair[7]];
    const signed = (number) => (number > 0 ? "+" : number < 0 ? "−" : "") + tts.rounded(Math.abs(number));
    const p = pair[8];
    const sure = p >= 0.05 ? "no difference can be told" : value > 0 ? "the first is better" : "the second is better";
    const link = (show) => tts.link("problems", { a: state.a, b: state.b, show });
    said.append(tts.el("p", { class: "verdict" },
      tts.el("b", {}, signed(value) + " points"), " (95 % interval " + signed(low) + " to " + signed(high) + ") on " + tts.count(pair[5], "common answer") + ", p = " + tts.number(p, 2) + ": " + sure + ". ",
      tts.el("a", { href: link("a") }, tts.number(only) + " only the first solves"), ", ",
      tts.el("a", { href: link("b") }, tts.number(onlyOther) + " only the second"), "."));
  };
  show();
  return tts.el("section", { class: "compare" },
    tts.el("h3", {}, "Compare two strategies"),
    tts.el("div", { class: "choices" },
      tts.choice("First", names, state.a, change("a")),
      tts.choice("Second", names, state.b, change("b"))),
    said,
    tts.el("p", { class: "small" }, "Paired: both strategies on the same problems and seeds; p of this one comparison, from an exact sign-flip test (with one seed McNemar's). Whoever looks at many pairs will find some below 0.05 by chance."));
};

tts.rewards = function (report, figures) {
  const rows = report.rewards.map((each) => [tts.line(each.scorer, 60), tts.line(each.strategy, 60), tts.number(each.candidates),
    each.auc === null ? "–" : each.auc.toFixed(3), each.length === null ? "–" : each.length.toFixed(3)]);
  return tts.el("section", {},
    tts.el("h3", {}, "Reward models"),
    tts.table("Reward models", ["scorer", "on candidates of", "candidates", "right above wrong", "score and length"], rows, [2, 3, 4]),
    tts.el("p", { class: "small" }, "Right above wrong: the chance that of two candidates of one problem the right one has the higher score (0.5: no better than chance). ",
      "Score and length: Spearman's correlation of score and tokens within problems (0: no bias by length)."),
    tts.el("div", { class: "figures" }, figures));
};

tts.reliability = function (report) {
  const rows = report.strategies.filter((each) => each.reliability.length || each.warnings.length || each.failed);
  const lines = (each) => tts.el("ul", {},
    each.failed > 0 && tts.el("li", {}, tts.number(each.failed) + " of " + tts.number(each.answered) + " " + tts.counted() + " failed"),
    each.warnings.map((line) => tts.el("li", { class: "warning" }, tts.line(line, 600))),
    each.reliability.map((line) => tts.el("li", {}, tts.line(line, 600))));
  return tts.el("section", {},
    tts.el("h3", {}, "Reliability"),
    rows.length === 0
      ? tts.el("p", {}, "No score is missing, no candidate was cut by a limit, and none failed.")
      : rows.map((each) => tts.el("details", { open: each.warnings.length > 0 || rows.length <= 6 },
        tts.el("summary", {}, tts.line(each.name, 80)), lines(each))));
};
