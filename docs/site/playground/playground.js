// The page around the compiler: a text, what is wrong with it, and what it costs.
const START = `import "majority.tts"

strategy best(n = 16):
    """The best of n by its last step's score."""
    pool = sample n
    score pool by prm
    return best of pool by last(prm)

law best(n = 1) == majority(n = 1)
`;
const PAUSE = 250; // milliseconds without typing

const root = document.querySelector("#tts-playground");
const find = (name) => root.querySelector(`[data-part="${name}"]`);
const text = find("text");
const marks = find("marks");
const messages = find("messages");
const status = find("status");
const strategies = find("strategy");
const settings = find("settings");
const frame = find("frame");
const plain = find("plain");

// ---------------------------------------------------------------------------- the compiler

const address = new URL("worker.js", import.meta.url);
const pyodide = root.dataset.pyodide;
address.searchParams.set("pyodide", new URL(pyodide, document.baseURI));
const worker = new Worker(address, { type: "module" });
const waiting = new Map();
let count = 0;

function ask(request, of = "compiler") {
  count += 1;
  worker.postMessage({ id: count, of, request: JSON.stringify(request) });
  return new Promise((resolve, reject) => waiting.set(count, { resolve, reject }));
}

worker.onmessage = ({ data }) => {
  if (data.ready) {
    status.textContent = "";
    return;
  }
  if (data.id === undefined) {
    status.textContent = `The compiler does not start: ${data.failed}`;
    root.dataset.state = "failed";
    return;
  }
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.failed === undefined) {
    resolve(JSON.parse(data.reply));
  } else {
    reject(new Error(data.failed));
  }
};
worker.onerror = (event) => {
  status.textContent = `The compiler does not start: ${event.message ?? "Pyodide cannot be loaded"}`;
};

// ---------------------------------------------------------------------------- mistakes

// Offsets of the compiler count characters, those of JavaScript units of UTF-16.
function offset(line, column) {
  const lines = text.value.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  return before + [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
}

function show(diagnostics) {
  const own = diagnostics.filter((each) => each.file === "playground.tts");
  marks.replaceChildren();
  let end = 0;
  for (const each of own) {
    const from = offset(each.line, each.column);
    const to = Math.max(from + 1, offset(each.end_line, each.end_column));
    if (from < end) continue;
    const mark = document.createElement("mark");
    mark.className = each.severity;
    mark.textContent = text.value.slice(from, to);
    marks.append(text.value.slice(end, from), mark);
    end = to;
  }
  marks.append(`${text.value.slice(end)}\n`);
  messages.replaceChildren(
    ...diagnostics.map((each) => {
      const item = document.createElement("li");
      const place = document.createElement("button");
      const where = each.file === "playground.tts" ? "line" : `${each.file}, line`;
      place.type = "button";
      place.textContent = `${where} ${each.line}`;
      place.addEventListener("click", () => {
        const from = offset(each.line, each.column);
        text.focus();
        text.setSelectionRange(from, Math.max(from, offset(each.end_line, each.end_column)));
      });
      item.className = each.severity;
      item.append(place, ` ${each.code}: ${each.message}`);
      const more = [...each.notes.map((note) => `note: ${note}`)];
      if (each.suggestion) more.push(`help: ${each.suggestion}`);
      for (const line of more) {
        const help = document.createElement("div");
        help.textContent = line;
        item.append(help);
      }
      return item;
    }),
  );
}

// ---------------------------------------------------------------------------- choices

function choose(found) {
  const before = strategies.value;
  strategies.replaceChildren(...found.map((each) => new Option(each.name, each.name)));
  const named = (name) => found.find((each) => each.name === name);
  // What others call stands above them.
  const kept = named(before) ?? named(find("examples").value) ?? found.at(-1);
  if (!kept) {
    settings.replaceChildren();
    return;
  }
  strategies.value = kept.name;
  const written = Object.fromEntries(
    [...settings.querySelectorAll("input")].map((each) => [each.name, each.value]),
  );
  const same = settings.dataset.strategy === kept.name;
  settings.dataset.strategy = kept.name;
  settings.replaceChildren(
    ...Object.entries(kept.parameters).map(([name, value]) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.name = name;
      input.placeholder = value;
      input.value = same ? (written[name] ?? "") : "";
      input.size = 6;
      input.addEventListener("input", later);
      label.append(`${name} = `, input);
      return label;
    }),
  );
}

const view = () => root.querySelector("[name=view]:checked").value;

// ---------------------------------------------------------------------------- as one types

let timer;
let round = 0;

function later() {
  clearTimeout(timer);
  timer = setTimeout(update, PAUSE);
}

async function update() {
  round += 1;
  const mine = round;
  const written = text.value;
  try {
    const found = await ask({ do: "check", text: written });
    if (mine !== round) return;
    status.textContent = "";
    show(found.diagnostics);
    choose(found.strategies);
    const wrong = found.diagnostics.some((each) => each.severity === "error");
    root.dataset.state = wrong ? "wrong" : "right";
    if (wrong) {
      const tried = await ask({ do: "check", text: written, tried: true });
      if (mine === round) show(tried.diagnostics);
      return;
    }
    await result(mine, written);
  } catch (error) {
    if (root.dataset.state !== "failed") status.textContent = String(error);
  }
}

async function result(mine, written) {
  const form = view();
  const given = Object.fromEntries(
    [...settings.querySelectorAll("input")].map((each) => [each.name, each.value]),
  );
  find("seed").parentElement.hidden = form !== "run";
  if (form !== "laws" && !strategies.value) return;
  const asked = { text: written, strategy: strategies.value, settings: given };
  const slow = form === "run" || form === "laws";
  if (slow) status.textContent = form === "run" ? "Running..." : "Looking for proofs...";
  const answer =
    form === "run"
      ? await ask({ do: "run", ...asked, seed: find("seed").valueAsNumber || 0 }, "runtime")
      : form === "laws"
        ? await ask({ do: "laws", text: written }, "runtime")
        : await ask({ do: "explain", ...asked, form });
  if (mine !== round) return;
  status.textContent = "";
  if (answer.page === undefined) {
    show(answer.diagnostics);
    return;
  }
  frame.hidden = form !== "html";
  plain.hidden = form === "html";
  if (form === "html") {
    frame.srcdoc = answer.page;
  } else {
    plain.textContent = answer.page;
  }
  root.dataset.shown = form;
}

async function fill() {
  const known = await ask({ do: "examples" });
  const list = find("examples");
  list.append(...known.map((each) => new Option(each.name, each.name)));
  list.addEventListener("change", () => {
    const chosen = known.find((each) => each.name === list.value);
    if (chosen) {
      text.value = chosen.text;
      update();
    }
  });
}

text.value = START;
text.addEventListener("input", () => {
  marks.textContent = "";
  later();
});
text.addEventListener("scroll", () => {
  marks.scrollTop = text.scrollTop;
  marks.scrollLeft = text.scrollLeft;
});
strategies.addEventListener("change", update);
find("seed").addEventListener("input", later);
find("format").addEventListener("click", async () => {
  const written = text.value;
  const answer = await ask({ do: "format", text: written });
  if (answer.text !== undefined && text.value === written) {
    text.value = answer.text;
    update();
  }
});
for (const each of root.querySelectorAll("[name=view]")) {
  each.addEventListener("change", update);
}
update();
fill().catch(() => {}); // the page has said why there is no compiler
