"use strict";
// Data arrive as scripts: a page that was opened from a file may not fetch.

tts.store = { report: null, problems: null, trees: new Map(), waiting: new Map(), live: null, compared: {} };
/** Trees that are kept; older ones are loaded again when they are wanted. */
tts.KEPT_TREES = 12;

tts.report = function (report) { tts.store.report = report; };
tts.problems = function (problems) {
  problems.find = new Map();
  problems.ids.forEach((id, at) => problems.find.set(id + "\0" + problems.seeds[at], at));
  tts.store.problems = problems;
};
tts.tree = function (strategy, place, tree) {
  const key = strategy + "/" + place;
  tts.store.trees.set(key, tree);
  if (tts.store.trees.size > tts.KEPT_TREES) tts.store.trees.delete(tts.store.trees.keys().next().value);
};

/** Loads a script of data; rejects where there is none. */
tts.load = function (path) {
  return new Promise((resolve, reject) => {
    const script = tts.el("script", { src: path });
    script.onload = () => { script.remove(); resolve(); };
    script.onerror = () => { script.remove(); reject(new Error("cannot load " + path)); };
    document.head.append(script);
  });
};

tts.loadReport = function () {
  const version = tts.store.live ? "?v=" + tts.store.live : "";
  return Promise.all([tts.load("data/report.js" + version), tts.load("data/problems.js" + version)]);
};

/** The tree of a problem by a strategy; null where there is none. */
tts.loadTree = async function (strategy, place) {
  const key = strategy + "/" + place;
  if (tts.store.trees.has(key)) return tts.store.trees.get(key);
  const mark = tts.store.problems.marks[strategy][place];
  if (mark === "." || mark === undefined) return null;
  try {
    await tts.load("data/trees/" + key + ".js" + (tts.store.live ? "?v=" + tts.store.live : ""));
  } catch (error) {
    return null;
  }
  return tts.store.trees.get(key) || null;
};

/** What is counted: with several seeds a problem has several answers. */
tts.counted = function () {
  return new Set(tts.store.problems.seeds).size > 1 ? "answers" : "problems";
};

tts.strategyAt = function (name) {
  return tts.store.report.strategies.findIndex((each) => each.name === name);
};

/** Where the page is: a view and its parameters, all in the URL's hash. */
tts.route = function () {
  const hash = location.hash.replace(/^#\/?/, "");
  const [view, query] = hash.split("?", 2);
  return { view: view || "figures", query: new URLSearchParams(query || "") };
};

tts.link = function (view, values) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values || {})) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return "#/" + view + (text ? "?" + text : "");
};

tts.go = function (view, values, replace = false) {
  const link = tts.link(view, values);
  if (replace) {
    history.replaceState(null, "", link);
  } else {
    location.hash = link;
  }
};
