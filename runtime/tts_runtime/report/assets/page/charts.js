"use strict";
// Draws specifications of Vega-Lite in the width that there is, and saves figures.

tts.dark = function () {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
};

/** A specification for a width in pixels. */
tts.fitted = function (spec, width, config) {
  const made = structuredClone(spec);
  const narrow = width < (made.facet ? 900 : 620);
  delete made.title;
  made.config = structuredClone(config);
  if (narrow) made.config.legend = { ...made.config.legend, orient: "bottom", columns: width < 420 ? 1 : 2 };
  made.autosize = { type: "fit-x", contains: "padding" };
  if (made.facet) {
    const room = width - (narrow ? 44 : 230);
    const panels = made.facet.sort.length;
    const many = panels > 3 && panels < 7 ? panels : made.columns;
    made.columns = Math.max(1, Math.min(many, Math.floor(room / 150)));
    made.spec.width = Math.max(120, Math.min(300, Math.floor(room / made.columns) - 24));
    delete made.autosize;
  } else {
    made.width = Math.max(220, Math.min(860, width - 8));
  }
  return made;
};

tts.tip = function () {
  const box = tts.el("div", { class: "tip", hidden: true });
  document.body.append(box);
  return (_handler, event, _item, value) => {
    if (value === null || value === undefined || typeof value !== "object") { box.hidden = true; return; }
    tts.clear(box);
    for (const [name, each] of Object.entries(value)) {
      box.append(tts.el("div", {}, tts.el("span", {}, name), tts.el("b", {}, tts.line(each, 80))));
    }
    box.hidden = false;
    const left = Math.min(event.pageX + 14, scrollX + innerWidth - box.offsetWidth - 8);
    box.style.left = Math.max(4, left) + "px";
    box.style.top = event.pageY + 14 + "px";
  };
};

/** By figure, the series that were brought to the front, as the selection of `charts.py` has them. */
tts.focused = new Map();

/** Draws a figure of the report into a box; returns its view. */
tts.draw = async function (box, figure) {
  const config = tts.store.report.themes[tts.dark() ? "dark" : "light"];
  const compiled = vegaLite.compile(tts.fitted(figure.spec, box.clientWidth || 600, config));
  tts.showTip = tts.showTip || tts.tip();
  const view = new vega.View(vega.parse(compiled.spec), { renderer: "svg", hover: true });
  view.tooltip(tts.showTip).initialize(tts.clear(box));
  if (compiled.spec.data.some((each) => each.name === "focus_store")) {
    view.data("focus_store", tts.focused.get(figure.name) || []);
    view.addDataListener("focus_store", (_name, chosen) =>
      tts.focused.set(figure.name, chosen.map(({ unit, fields, values }) => ({ unit, fields, values }))));
  }
  await view.runAsync();
  const drawn = box.querySelector("svg");
  if (drawn) { drawn.setAttribute("aria-hidden", "true"); }
  return view;
};

tts.save = function (name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = tts.el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};

/** The figure on paper: the light look, the size of the files. */
tts.onPaper = function (figure) {
  const spec = { ...structuredClone(figure.spec), config: { ...tts.store.report.themes.light, background: "white" } };
  return new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: "none" });
};

tts.csv = function (figure) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  const rows = [figure.columns.map(([, title]) => title), ...figure.rows];
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
};

/** A figure with its note, its files, and its table. */
tts.figure = function (figure) {
  const box = tts.el("div", { class: "chart", role: "img", "aria-label": figure.title + "; the table below has its numbers" });
  const save = (ending, make) => figure.files.includes(ending)
    ? tts.el("a", { href: "figures/" + figure.name + "." + ending, download: true }, ending.toUpperCase())
    : tts.el("button", { type: "button", class: "plain", onclick: make }, ending.toUpperCase());
  const numeric = figure.columns.map((_, at) => at).filter((at) => figure.rows.every((row) => typeof row[at] !== "string"));
  const cells = figure.rows.map((row) => row.map((cell) => typeof cell === "string" ? tts.line(cell, 120) : tts.number(cell)));
  const wide = figure.spec.facet && figure.spec.facet.sort.length > 3;
  const made = tts.el("figure", { id: "figure-" + figure.name, class: wide && "wide" },
    tts.el("h3", {}, figure.title),
    box,
    tts.el("figcaption", {}, figure.note, " ", tts.el("span", { class: "files" }, "Save as ",
      save("svg", async () => tts.save(figure.name + ".svg", await tts.onPaper(figure).toSVG(), "image/svg+xml")), " ",
      ["pdf", "png"].map((ending) => figure.files.includes(ending) && [save(ending, null), " "]),
      save("csv", () => tts.save(figure.name + ".csv", tts.csv(figure), "text/csv")))),
    tts.el("details", {}, tts.el("summary", {}, "Numbers"),
      tts.table(figure.title, figure.columns.map(([, title]) => title), cells, numeric)));
  made.box = box;
  made.figure = figure;
  return made;
};
