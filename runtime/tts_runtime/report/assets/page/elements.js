"use strict";
// Elements and texts. Recorded texts become text nodes, never markup.
var tts = window.tts || {};

/** An element with attributes (`on...`: listeners) and children: elements, texts, or nothing. */
tts.el = function (tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else made.setAttribute(name, String(value));
  }
  tts.append(made, children);
  return made;
};

tts.append = function (parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
};

/** What a screen would obey instead of show: controls, bidirectional marks, invisible characters. */
tts.OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

tts.escaped = function (found) {
  return "\\u" + found.charCodeAt(0).toString(16).padStart(4, "0");
};

/** A recorded text in one line, for lists. */
tts.line = function (text, most) {
  const short = String(text).slice(0, 4 * most).replace(/\s+/g, " ").trim();
  const cut = short.length > most ? short.slice(0, most) + "…" : short;
  return cut.replace(tts.OBEYED, tts.escaped);
};

/** A recorded text as it is, characters that are obeyed written as escapes. */
tts.text = function (text) {
  const box = tts.el("bdi", {});
  let from = 0;
  for (const match of String(text).matchAll(tts.OBEYED)) {
    box.append(text.slice(from, match.index));
    box.append(tts.el("span", { class: "hidden-character", title: "a character that is not seen" },
      tts.escaped(match[0])));
    from = match.index + match[0].length;
  }
  box.append(String(text).slice(from));
  return box;
};

/** A number above zero with that many decimal places, halves up: as `rounded` in tts_lang/explain/units.py. */
tts.rounded = (value, places = 1) => (value + 1e-9).toFixed(places);

tts.number = function (value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return tts.line(value, 80);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString("en");
  const size = Math.abs(value);
  const rounded = Number(value.toPrecision(3)); // what rounds to 1,000 of a unit is 1 of the next
  if (Math.abs(rounded) >= 1e21) return value.toExponential(2);
  for (const [unit, name] of [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"]]) {
    if (Math.abs(rounded) >= unit) return (rounded / unit).toPrecision(3) + " " + name;
  }
  if (size > 0 && size < 0.001) return value.toExponential(1);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(digits)));
};

/** A number of things: 1 node, 2 nodes. */
tts.count = (value, thing) => tts.number(value) + " " + thing + (value === 1 ? "" : "s");

/** A table that scrolls by itself where it is too wide. Cells: texts, elements, or numbers. */
tts.table = function (caption, head, rows, numeric = []) {
  const cells = (tag, row) => row.map((cell, at) => tts.el(
    at === 0 && tag === "td" ? "th" : tag,
    { class: numeric.includes(at) ? "number" : null, scope: tag === "th" ? "col" : at === 0 ? "row" : null },
    cell,
  ));
  return tts.el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    tts.el("table", {},
      tts.el("caption", { class: "unseen" }, caption),
      tts.el("thead", {}, tts.el("tr", {}, cells("th", head))),
      tts.el("tbody", {}, rows.map((row) => tts.el("tr", {}, cells("td", row))))));
};

/** A labelled choice. `options`: [value, text]. */
tts.choice = function (label, options, value, changed) {
  const select = tts.el("select", { onchange: () => changed(select.value) },
    options.map(([key, text]) => tts.el("option", { value: key, selected: key === value }, text)));
  return tts.el("label", { class: "choice" }, tts.el("span", {}, label), select);
};

tts.say = function (text) {
  document.getElementById("said").textContent = text;
};

tts.clear = function (box) {
  while (box.firstChild) box.firstChild.remove();
  return box;
};
