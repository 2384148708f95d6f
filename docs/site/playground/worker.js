// The compiler, and when it is asked for the runtime, in a thread of their own: Pyodide, with the
// wheels that the documentation was built with.
const PYODIDE = new URL(import.meta.url).searchParams.get("pyodide");
const COMPILER = ["lark.whl", "networkx.whl", "tts_lang.whl"];
const RUNTIME = [
  "annotated_types.whl",
  "pydantic.whl",
  "pydantic_core.whl",
  "typing_extensions.whl",
  "typing_inspection.whl",
  "yaml.whl",
  "tts_runtime.whl",
];

async function fetched(name) {
  const reply = await fetch(new URL(name, import.meta.url));
  if (!reply.ok) {
    throw new Error(`${name}: ${reply.status}`);
  }
  return reply.arrayBuffer();
}

async function start() {
  const wheels = COMPILER.map(fetched);
  const { loadPyodide } = await import(new URL("pyodide.mjs", PYODIDE));
  const python = await loadPyodide({ indexURL: PYODIDE });
  for (const wheel of wheels) {
    python.unpackArchive(await wheel, "whl");
  }
  return python;
}

const python = start();
const compiler = python.then((started) => started.pyimport("tts_lang.playground").answer);
let runtime;

async function startRuntime() {
  const wheels = RUNTIME.map(fetched);
  const started = await python;
  for (const wheel of wheels) {
    started.unpackArchive(await wheel, "whl");
  }
  return started.pyimport("tts_runtime.playground").answer;
}

compiler.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error) }),
);

onmessage = async ({ data: { id, of, request } }) => {
  try {
    if (of === "runtime") {
      runtime ??= startRuntime();
    }
    postMessage({ id, reply: (await (of === "runtime" ? runtime : compiler))(request) });
  } catch (error) {
    postMessage({ id, failed: String(error) });
  }
};
