// The compiler in a thread of its own: Pyodide, with the wheel that the documentation was built with.
const PYODIDE = new URL(import.meta.url).searchParams.get("pyodide");
const WHEELS = ["lark.whl", "networkx.whl", "tts_lang.whl"];

async function start() {
  const wheels = WHEELS.map(async (name) => {
    const reply = await fetch(new URL(name, import.meta.url));
    if (!reply.ok) {
      throw new Error(`${name}: ${reply.status}`);
    }
    return reply.arrayBuffer();
  });
  const { loadPyodide } = await import(new URL("pyodide.mjs", PYODIDE));
  const python = await loadPyodide({ indexURL: PYODIDE });
  for (const wheel of wheels) {
    python.unpackArchive(await wheel, "whl");
  }
  return python.pyimport("tts_lang.playground").answer;
}

const answer = start();
answer.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error) }),
);

onmessage = async ({ data: { id, request } }) => {
  try {
    postMessage({ id, reply: (await answer)(request) });
  } catch (error) {
    postMessage({ id, failed: String(error) });
  }
};
