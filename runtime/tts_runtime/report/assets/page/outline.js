"use strict";
// A search tree as a list of its nodes, which fold: the view for reading, for any size.

/** Rows that are unfolded at first, at most; the path that won is always there. */
tts.UNFOLDED = 300;

tts.Outline = class {
  /** @param chosen(at): a node was chosen. */
  constructor(tree, label, chosen) {
    this.tree = tree;
    this.chosen = chosen;
    this.open = new Set();
    this.marked = new Set();
    this.list = new tts.VirtualList({
      role: "tree", rowRole: "treeitem", label, rowHeight: 32, class: "outline",
      render: (row) => this.row(row),
      chosen: (row, how) => this.pick(row, how),
      key: (event, row) => this.key(event, row),
    });
    this.unfold();
  }

  /** Unfolds the path that won, then levels from the root, as far as a reader can follow. */
  unfold() {
    const { tree } = this;
    for (const at of tree.won) if (tree.children.has(at)) this.open.add(at);
    let rows = tree.children.get(-1).length;
    let level = tree.children.get(-1);
    while (level.length) {
      const next = level.flatMap((at) => tree.children.get(at) || []);
      rows += next.length;
      if (rows > tts.UNFOLDED) break;
      for (const at of level) if (tree.children.has(at)) this.open.add(at);
      level = next;
    }
    this.flatten();
  }

  flatten() {
    this.rows = [];
    this.rowOf = new Map();
    const stack = [...this.tree.children.get(-1)].reverse();
    while (stack.length) {
      const at = stack.pop();
      this.rowOf.set(at, this.rows.length);
      this.rows.push(at);
      if (this.open.has(at)) {
        const below = this.tree.children.get(at);
        for (let child = below.length - 1; child >= 0; child--) stack.push(below[child]);
      }
    }
    this.list.set(this.rows.length, this.rowOf.has(this.at) ? this.rowOf.get(this.at) : this.rows.length ? 0 : -1);
  }

  row(row) {
    const { tree } = this;
    const at = this.rows[row];
    const below = tree.children.get(at);
    const fate = tree.fate[at];
    const [sign, name] = tts.FATES[fate];
    const text = tts.line(tree.added[at], 240);
    const kind = tree.kind.names[tree.kind.at[at]];
    const depth = Math.min(tree.depth[at], 24);
    const answer = tree.answers[at];
    const siblings = tree.children.get(tree.up[at]);
    const made = tts.el("div", {
      class: "node fate-" + fate + (this.marked.has(at) ? " marked" : ""),
      "aria-level": tree.depth[at] + 1, "aria-setsize": siblings.length,
      "aria-expanded": below ? String(this.open.has(at)) : null,
    },
      tts.el("span", { style: "--depth:" + depth, class: "indent" }),
      tts.el("span", { class: "twist", "aria-hidden": "true" }, below ? (this.open.has(at) ? "▾" : "▸") : ""),
      tts.el("span", { class: "sign", title: name, role: "img", "aria-label": name }, sign),
      tts.el("span", { class: "uid" }, "#" + tree.uid[at]),
      tts.el("span", { class: "grow" }, text || tts.el("i", {}, kind === "fork" || kind === "resample" ? "copied" : "no text")),
      below && !this.open.has(at) && tts.el("span", { class: "tag" }, tts.number(below.length) + " below"),
      tree.finish.names[tree.finish.at[at]] === "length" && tts.el("span", { class: "tag warning" }, "cut"),
      tree.errors && tree.errors[at] && tts.el("span", { class: "tag warning" }, "error"),
      answer !== null && tts.el("span", { class: "tag answer " + (tree.right[at] === 1 ? "right" : tree.right[at] === 0 ? "wrong" : "") },
        tree.right[at] === 1 ? "✓ " : tree.right[at] === 0 ? "✗ " : "", tts.line(answer, 24)),
      tree.scorers.slice(0, 2).map((scorer) => this.bar(scorer, at)));
    return made;
  }

  bar(scorer, at) {
    const value = tts.score(this.tree, scorer, at);
    if (value === undefined) return tts.el("span", { class: "score" });
    const [low, high] = this.tree.bounds[scorer];
    const share = typeof value === "number" ? (value - low) / (high - low || 1) : 0;
    return tts.el("span", { class: "score", title: scorer },
      tts.el("span", { class: "bar", "aria-hidden": "true" }, tts.el("span", { style: "width:" + Math.round(100 * share) + "%" })),
      tts.el("span", { class: "value" }, value === null ? "missing" : tts.number(value, 3)));
  }

  pick(row, how) {
    const at = this.rows[row];
    this.at = at;
    if (how !== "move") this.toggle(at);
    this.chosen(at);
  }

  toggle(at) {
    if (!this.tree.children.has(at)) return;
    if (this.open.has(at)) this.open.delete(at);
    else this.open.add(at);
    this.flatten();
  }

  /** Unfolds what is above a node, and goes there. */
  reveal(at, silent) {
    for (let up = this.tree.up[at]; up >= 0; up = this.tree.up[up]) this.open.add(up);
    this.at = at;
    this.flatten();
    this.list.at = this.rowOf.get(at);
    this.list.show();
    this.list.draw();
    if (!silent) this.chosen(at);
  }

  mark(nodes) {
    this.marked = new Set(nodes);
    this.list.draw();
  }

  key(event, row) {
    const at = this.rows[row];
    if (at === undefined) return false;
    const below = this.tree.children.get(at);
    if (event.key === "ArrowRight") {
      if (below && !this.open.has(at)) this.toggle(at);
      else if (below) this.list.move(this.rowOf.get(below[0]));
    } else if (event.key === "ArrowLeft") {
      if (below && this.open.has(at)) this.toggle(at);
      else if (this.tree.up[at] >= 0) this.list.move(this.rowOf.get(this.tree.up[at]));
    } else if (event.key === "*") {
      for (const each of this.tree.children.get(this.tree.up[at])) if (this.tree.children.has(each)) this.open.add(each);
      this.flatten();
    } else {
      return false;
    }
    return true;
  }
};
