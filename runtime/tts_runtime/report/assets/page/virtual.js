"use strict";
// A list of any length: only the rows that can be seen are in the page.

/**
 * @param options.role, options.rowRole, options.label: for assistive technology.
 * @param options.rowHeight: pixels; all rows have the same.
 * @param options.render(at): an element for a row.
 * @param options.chosen(at, how): a row was chosen, by "move" or by "open".
 * @param options.key(event, at): other keys; true if it was used.
 */
tts.VirtualList = class {
  constructor(options) {
    this.options = options;
    this.length = 0;
    this.at = -1;
    this.id = "list" + tts.VirtualList.count++;
    this.space = tts.el("div", { class: "space", role: "presentation" });
    this.box = tts.el("div", {
      class: "virtual " + (options.class || ""), tabindex: "0", role: options.role,
      "aria-label": options.label, onkeydown: (event) => this.key(event),
      onscroll: () => this.later(), onclick: (event) => this.clicked(event),
      ondblclick: (event) => this.clicked(event, "open"),
    }, this.space);
    new ResizeObserver(() => this.later()).observe(this.box);
  }

  set(length, at) {
    this.length = length;
    this.space.style.height = length * this.options.rowHeight + "px";
    this.box.style.maxHeight = Math.max(length, 1) * this.options.rowHeight + 2 + "px"; // with its border
    this.at = Math.min(at, length - 1);
    this.draw();
  }

  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  draw() {
    const height = this.options.rowHeight;
    const first = Math.max(0, Math.floor(this.box.scrollTop / height) - 4);
    const count = Math.ceil((this.box.clientHeight || 400) / height) + 8;
    const last = Math.min(this.length, first + count);
    tts.clear(this.space);
    for (let at = first; at < last; at++) {
      const row = this.options.render(at);
      row.id = this.id + "-" + at;
      row.dataset.at = at;
      row.setAttribute("role", this.options.rowRole);
      row.setAttribute("aria-selected", at === this.at ? "true" : "false");
      row.classList.add("row");
      row.classList.toggle("at", at === this.at);
      row.style.top = at * height + "px";
      row.style.height = height + "px";
      this.space.append(row);
    }
    if (this.at >= first && this.at < last) this.box.setAttribute("aria-activedescendant", this.id + "-" + this.at);
    else this.box.removeAttribute("aria-activedescendant");
  }

  move(at, how = "move") {
    if (!this.length) return;
    this.at = Math.max(0, Math.min(this.length - 1, at));
    this.show();
    this.draw();
    this.options.chosen(this.at, how);
  }

  /** Scrolls to the chosen row, if it cannot be seen. */
  show() {
    const height = this.options.rowHeight;
    const top = this.at * height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + height > this.box.scrollTop + this.box.clientHeight) {
      this.box.scrollTop = top + height - this.box.clientHeight;
    }
  }

  clicked(event, how = "move") {
    const row = event.target.closest(".row");
    if (row) this.move(Number(row.dataset.at), event.target.closest(".twist") ? "twist" : how);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.options.rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const at = this.at + steps[event.key];
      this.move(at === -Infinity ? 0 : at === Infinity ? this.length - 1 : at);
    } else if (event.key === "Enter" || event.key === " ") {
      this.move(this.at, "open");
    } else if (!(this.options.key && this.options.key(event, this.at))) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
};
tts.VirtualList.count = 0;
