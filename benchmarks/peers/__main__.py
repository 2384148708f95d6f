"""Other programs for test-time scaling beside this one: one table, each with its own code.

    python -m benchmarks.peers --vllm PYTHON [--its-hub PYTHON] [--optillm PYTHON]
        [--search-and-learn FOLDER] [--n 16] [--limit 20] [--only METHOD]

Peers are installed by whoever runs this; those that are not named are left out:

    python -m venv its && its/bin/pip install its_hub aiohttp backoff certifi
    python -m venv optillm && optillm/bin/pip install optillm    # or: --no-deps, and openai
    git clone https://github.com/huggingface/search-and-learn
    PYTHON -m pip install latex2sympy2 word2number        # of search-and-learn, beside vLLM

PYTHON of --vllm has vLLM and this package (`make test-vllm` makes `.venv-vllm`). its_hub, OptiLLM
and tts-lang ask one `vllm serve` of the bundled policy; search-and-learn and tts-lang run vLLM in
their process. The reward model is the bundled PRM, of tts-lang in its process, of the others behind
HTTP, where it reads whole paths, as their own reward models do.

Tokens are counted by the server, or by vLLM; reward tokens are what tts-lang's PRM has read, and
the tokens of all paths that the others send. Time begins when models are loaded. Processor time is
that of a peer, the server and the reward model together, with all their processes. All draw at
temperature 1, up to 900 tokens; their methods differ in details, so the same name is not quite the
same search (docs/methods.md).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from tts_runtime.answers.boundary import grade_answer
from tts_runtime.answers.extract import extract_answer
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, problems_named

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
#: As the bundled policy was trained.
TEMPLATE: Final = (
    "{% for message in messages %}{% if message.role == 'user' %}"
    "Q: {{ message.content }}\nA: {% elif message.role == 'assistant' %}"
    "{{ message.content }}{% endif %}{% endfor %}"
)
WIDTH: Final = 4


@dataclass(frozen=True)
class Row:
    """What one peer did with one method."""

    peer: str
    method: str
    drawn: int
    scored: int
    accuracy: float
    wall: float
    processor: float


def environment(**more: str) -> dict[str, str]:
    """Of child processes: they import this package."""
    paths = [str(ROOT), str(ROOT / "runtime"), *more.pop("PYTHONPATH", "").split(":")]
    quiet = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": "2"}
    return {**os.environ, **quiet, **more, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@contextmanager
def process(
    command: Sequence[str], env: dict[str, str], **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block, with all that it has started."""
    started = subprocess.Popen(command, env=env, text=True, start_new_session=True, **options)
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, 9)
        started.wait()


def read(url: str) -> str:
    """What is at an address."""
    with urllib.request.urlopen(url, timeout=30) as reply:
        return str(reply.read().decode())


class Server:
    """`vllm serve` of the bundled policy."""

    def __init__(self, python: str, folder: Path, stack: ExitStack) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
        command += ["--port", str(port), "--served-model-name", "bundled", "--dtype", "float32"]
        command += ["--max-model-len", "1024", "--enforce-eager", "--chat-template", TEMPLATE]
        self.process = stack.enter_context(
            process(command, environment(), stdout=subprocess.DEVNULL)
        )
        while True:
            with suppress(OSError):
                read(f"{self.base}/health")
                return
            if self.process.poll() is not None:
                raise SystemExit("vLLM's server ended before it was ready")
            time.sleep(0.5)

    def drawn(self) -> int:
        """Tokens that it has drawn so far."""
        text = read(f"{self.base}/metrics")
        found = re.findall(r"^vllm:generation_tokens_total\S* (\S+)$", text, re.M)
        return int(sum(map(float, found)))


class Benchmark:
    """Peers in turn, and what they took."""

    def __init__(self, reward: subprocess.Popen[str], problems: Sequence[Problem], n: int) -> None:
        assert reward.stdout is not None
        self.reward_process = reward
        self.reward = reward.stdout.readline().strip()
        self.problems = problems
        self.n = n

    def run(
        self,
        peer: str,
        command: Sequence[str],
        env: dict[str, str],
        methods: Sequence[str],
        server: Server | None,
    ) -> None:
        """Runs a peer's methods; `server`: the one that it asks."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        for method in methods:
            # Each method in a process of its own: nothing is known from another one.
            with process(command, env, **pipes) as running:
                self._measure(peer, method, running, server)

    def _measure(
        self, peer: str, method: str, running: subprocess.Popen[str], server: Server | None
    ) -> None:
        assert running.stdin is not None
        assert running.stdout is not None
        if not running.stdout.readline():
            raise SystemExit(f"{peer} did not start")
        trees = [running, self.reward_process, *([] if server is None else [server.process])]
        task = {"method": method, "n": self.n, "width": WIDTH}
        task["problems"] = [{"id": each.id, "text": each.text} for each in self.problems]
        drawn = 0 if server is None else server.drawn()
        scored = int(read(self.reward))
        wall, processor = time.perf_counter(), sum(map(processor_time, trees))
        running.stdin.write(json.dumps(task) + "\n")
        running.stdin.flush()
        line = running.stdout.readline()
        if not line:
            raise SystemExit(f"{peer} broke in {method}")
        reply = json.loads(line)
        wall = time.perf_counter() - wall
        processor = sum(map(processor_time, trees)) - processor
        drawn = reply["drawn"] if server is None else server.drawn() - drawn
        scored = reply.get("scored", int(read(self.reward)) - scored)
        right = self.accuracy(reply["texts"])
        print(shown(Row(peer, method, drawn, scored, right, wall, processor)), flush=True)

    def accuracy(self, texts: Sequence[str]) -> float:
        """The part of the answers that are right, all graded alike."""
        right = [
            grade_answer(extract_answer(text), problem.answer or "").correct is True
            for text, problem in zip(texts, self.problems, strict=True)
        ]
        return sum(right) / len(right)


def processor_time(started: subprocess.Popen[str]) -> float:
    """Of a process and all that are below it, in seconds."""
    process = psutil.Process(started.pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def shown(row: Row) -> str:
    """A line of the table."""
    return (
        f"| {row.method} | {row.peer} | {row.drawn:,} | {row.scored:,} | {row.accuracy:.0%} | "
        f"{row.wall:.1f} s | {row.processor:.1f} s |"
    )


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--vllm", default=sys.executable, help="a Python that has vLLM")
    options.add_argument("--its-hub", help="a Python that has its_hub")
    options.add_argument("--optillm", help="a Python that has optillm")
    options.add_argument("--search-and-learn", type=Path, help="a checkout of search-and-learn")
    options.add_argument("--n", type=int, default=16)
    options.add_argument("--limit", type=int, default=20, help="problems of `arith`")
    options.add_argument("--only", help="one method: majority, best_of_n, beam_search, dvts")
    chosen = options.parse_args()
    folder = bundled("policy")

    def those(*methods: str) -> list[str]:
        return [each for each in methods if chosen.only in (None, each)]

    print(f"n = {chosen.n}, {chosen.limit} problems")
    print("| method | program | tokens | reward tokens | accuracy | wall | processor |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.peers.reward"]
        reward = process(command, environment(), stdout=subprocess.PIPE)
        problems = problems_named("arith")[: chosen.limit]
        benchmark = Benchmark(stack.enter_context(reward), problems, chosen.n)
        ours = [chosen.vllm, str(HERE / "ours.py")]
        with ExitStack() as serving:
            server = Server(chosen.vllm, folder, serving)
            api = f"{server.base}/v1"
            address = f"openai:{api}#bundled?tokenizer={folder}&binding={folder}/binding.yaml"
            every = those("majority", "best_of_n", "beam_search")
            benchmark.run("tts-lang, vllm serve", [*ours, address], environment(), every, server)
            if chosen.its_hub:
                script = str(HERE / "its_hub_peer.py")
                command = [chosen.its_hub, script, api, benchmark.reward]
                benchmark.run("its_hub", command, environment(), every, server)
            if chosen.optillm and those("majority"):
                command = [chosen.optillm, str(HERE / "optillm_peer.py"), api]
                benchmark.run("OptiLLM", command, environment(), those("majority"), server)
        inside = those("best_of_n", "beam_search", "dvts")
        if inside:
            command = [*ours, f"vllm:{folder}"]
            benchmark.run("tts-lang, vLLM inside", command, environment(), inside, None)
        if chosen.search_and_learn and inside:
            script = str(HERE / "search_and_learn_peer.py")
            command = [chosen.vllm, script, str(folder), benchmark.reward, TEMPLATE]
            env = environment(PYTHONPATH=str(chosen.search_and_learn / "src"))
            benchmark.run("search-and-learn", command, env, inside, None)


if __name__ == "__main__":
    main()
