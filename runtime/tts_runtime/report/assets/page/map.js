"use strict";
// The whole tree at a glance, on a canvas: columns are depths, the path that won is bold.

tts.TreeMap = class {
  constructor(tree, chosen) {
    this.tree = tree;
    this.chosen = chosen;
    this.canvas = tts.el("canvas", { class: "map", role: "img", onclick: (event) => this.clicked(event) });
    this.canvas.setAttribute("aria-label", "The tree at a glance: " + tts.count(tree.uid.length, "node") + ", " + tree.pruned + " pruned; the list below has them one by one");
    this.place();
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.canvas);
  }

  /** Heights of leaves in their order, of other nodes between their children; from 0 to 1. */
  place() {
    const { children, depth } = this.tree;
    const count = this.tree.uid.length;
    this.y = new Float64Array(count);
    let leaves = 0;
    const stack = [...(children.get(-1) || [])].reverse();
    const order = [];
    while (stack.length) {
      const at = stack.pop();
      order.push(at);
      const below = children.get(at);
      if (below) for (let child = below.length - 1; child >= 0; child--) stack.push(below[child]);
      else this.y[at] = leaves++;
    }
    for (let at = order.length - 1; at >= 0; at--) {
      const below = children.get(order[at]);
      if (below) this.y[order[at]] = (this.y[below[0]] + this.y[below[below.length - 1]]) / 2;
    }
    this.leaves = Math.max(1, leaves);
    this.deepest = depth.reduce((most, each) => Math.max(most, each), 0);
    this.canvas.style.height = Math.max(90, Math.min(320, 24 + leaves * 9)) + "px";
  }

  spot(at) {
    const x = 14 + (this.tree.depth[at] + 1) / (this.deepest + 1) * (this.width - 28);
    return [x, 10 + (this.y[at] + 0.5) / this.leaves * (this.height - 20)];
  }

  draw() {
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    if (!this.width) return;
    this.scale = devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement);
    this.color = (name) => style.getPropertyValue("--" + name).trim();
    this.canvas.width = this.width * this.scale;
    this.canvas.height = this.height * this.scale;
    this.drawTree();
    this.show();
  }

  /** Nodes and lines, on a canvas of their own: they stay while the mark moves. */
  drawTree() {
    this.ground = document.createElement("canvas");
    this.ground.width = this.canvas.width;
    this.ground.height = this.canvas.height;
    const pen = this.ground.getContext("2d");
    const { color } = this;
    pen.scale(this.scale, this.scale);
    const root = [14, this.height / 2];
    const line = (at) => {
      const [x, y] = this.spot(at);
      const [fromX, fromY] = this.tree.up[at] < 0 ? root : this.spot(this.tree.up[at]);
      const middle = (x + fromX) / 2;
      pen.moveTo(fromX, fromY);
      pen.bezierCurveTo(middle, fromY, middle, y, x, y);
    };
    const { tree } = this;
    const count = tree.uid.length;
    pen.lineWidth = count > 2000 ? 0.4 : 1;
    pen.strokeStyle = color("rule");
    pen.beginPath();
    for (let at = 0; at < count; at++) if (!tree.won.has(at)) line(at);
    pen.stroke();
    pen.lineWidth = 2.5;
    pen.strokeStyle = color("won");
    pen.beginPath();
    for (const at of tree.won) line(at);
    pen.stroke();
    const size = this.size = count > 2000 ? 1.6 : count > 300 ? 2.5 : 3.5;
    const fill = { won: color("won"), kept: color("kept"), agreed: color("kept"), outvoted: color("faint"), pruned: color("pruned"), lost: color("faint") };
    for (let at = 0; at < count; at++) {
      const [x, y] = this.spot(at);
      pen.fillStyle = fill[tree.fate[at]];
      pen.beginPath();
      pen.arc(x, y, tree.won.has(at) ? size + 1 : size, 0, 7);
      pen.fill();
    }
  }

  /** The tree, and a ring around the node that was chosen. */
  show() {
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.ground, 0, 0);
    if (!(this.at >= 0)) return;
    const [x, y] = this.spot(this.at);
    pen.scale(this.scale, this.scale);
    pen.strokeStyle = this.color("text");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, this.size + 4, 0, 7);
    pen.stroke();
  }

  mark(at) {
    this.at = at;
    if (this.ground) this.show();
    else this.draw();
  }

  clicked(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1, near = Infinity;
    for (let at = 0; at < this.tree.uid.length; at++) {
      const [left, top] = this.spot(at);
      const distance = (left - x) ** 2 + (top - y) ** 2;
      if (distance < near) { near = distance; best = at; }
    }
    if (best >= 0) this.chosen(best);
  }
};
