"""Other programs for test-time scaling beside this one: one table, each with its own code.

    python -m benchmarks.peers --vllm PYTHON [--its-hub PYTHON] [--optillm PYTHON]
        [--search-and-learn FOLDER] [--n 16] [--limit 20] [--rounds 3] [--only METHOD]

Peers are installed by whoever runs this; those that are not named are left out:

    python -m venv its && its/bin/pip install 'its_hub[lm]' -e .    # with this package: its PRM
    python -m venv optillm && optillm/bin/pip install optillm       # or: --no-deps, and openai
    git clone https://github.com/huggingface/search-and-learn
    PYTHON -m pip install latex2sympy2 word2number        # of search-and-learn, beside vLLM

PYTHON of --vllm has vLLM and this package (`make test-vllm` makes `.venv-vllm`). its_hub, OptiLLM
and tts-lang ask one `vllm serve` of the bundled policy; search-and-learn's code needs vLLM's `LLM`,
so that it and tts-lang run vLLM in their process. The reward model is the bundled PRM in each
program's process; tts-lang's remembers what it has read, that of the others reads whole paths, as
their own reward models do.

Each cell is the median of some rounds, in which all programs take turns, each method in a process
of its own. Tokens are counted by the server, or by vLLM. Start-up is the processor time until a
program is ready (imports, reward model, opening; vLLM in its process), program that of its process
from then on, reward model included, server that of vLLM's server meanwhile; wall is of the same
time. vLLM has one thread, since threads that wait burn time. All draw at temperature 1, up to 900
tokens; their methods differ in details, so the same name is not quite the same search
(docs/methods.md).
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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.paired import processor_time
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
#: The first four run on a server too.
METHODS: Final = ("majority", "best_of_n", "beam_search", "particle_filter", "dvts")


@dataclass(frozen=True)
class Peer:
    """A program: its name, how it is started, what it can do, and the server that it asks."""

    name: str
    command: Sequence[str]
    methods: Sequence[str]
    env: dict[str, str]
    server: Server | None = None


@dataclass(frozen=True)
class Turn:
    """What a program took for a method once."""

    drawn: int
    scored: int
    accuracy: float
    wall: float
    start: float
    program: float
    server: float


def environment(**more: str) -> dict[str, str]:
    """Of child processes: they import this package."""
    paths = [str(ROOT), str(ROOT / "runtime"), *more.pop("PYTHONPATH", "").split(":")]
    vllm = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": "2"}
    # One thread, and the model in the engine's process: threads and processes that wait would spin.
    vllm |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    vllm["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    return {**os.environ, **vllm, **more, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


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
        command += ["--distributed-executor-backend", "uni"]
        # vLLM 0.32 on a CPU ends at a seeded request that is read in parts (docs/engines.md).
        command += ["--no-enable-chunked-prefill"]
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


class BrokenError(Exception):
    """A program that did not start, or ended; its row is left out."""


class Benchmark:
    """Programs in turn, and what they took."""

    def __init__(self, problems: Sequence[Problem], n: int) -> None:
        self.problems = problems
        self.n = n
        self.turns: defaultdict[tuple[str, str], list[Turn]] = defaultdict(list)

    def round(self, peers: Sequence[Peer], methods: Sequence[str]) -> None:
        """Each method of each program once."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        for method in methods:
            for peer in peers:
                if method in peer.methods:
                    # In a process of its own: nothing is known from another method.
                    turn: Turn | BrokenError
                    try:
                        with process(peer.command, peer.env, **pipes) as running:
                            turn = self._measured(peer, method, running)
                        self.turns[method, peer.name].append(turn)
                    except BrokenError as error:
                        turn = error
                    print(f"{method}, {peer.name}: {turn}", file=sys.stderr, flush=True)

    def _measured(self, peer: Peer, method: str, running: subprocess.Popen[str]) -> Turn:
        assert running.stdin is not None
        assert running.stdout is not None
        if not running.stdout.readline():
            raise BrokenError("did not start")
        server = peer.server
        task = {"method": method, "n": self.n, "width": WIDTH}
        task["problems"] = [{"id": each.id, "text": each.text} for each in self.problems]
        drawn = 0 if server is None else server.drawn()
        serving = 0.0 if server is None else processor_time(server.process.pid)
        wall, start = time.perf_counter(), processor_time(running.pid)
        running.stdin.write(json.dumps(task) + "\n")
        running.stdin.flush()
        line = running.stdout.readline()
        if not line:
            raise BrokenError("broke")
        reply = json.loads(line)
        return Turn(
            drawn=reply["drawn"] if server is None else server.drawn() - drawn,
            scored=reply["scored"],
            accuracy=self.accuracy(reply["texts"]),
            wall=time.perf_counter() - wall,
            start=start,
            program=processor_time(running.pid) - start,
            server=0.0 if server is None else processor_time(server.process.pid) - serving,
        )

    def rows(self, methods: Sequence[str]) -> Iterator[str]:
        """The lines of the table."""
        for (method, peer), turns in sorted(
            self.turns.items(), key=lambda item: methods.index(item[0][0])
        ):
            names = Turn.__dataclass_fields__
            middle = Turn(**{name: median(getattr(turn, name) for turn in turns) for name in names})
            serving = f"{middle.server:.1f} s" if middle.server else "-"
            yield (
                f"| {method} | {peer} | {middle.drawn:,.0f} | {middle.scored:,.0f} | "
                f"{middle.accuracy:.0%} | {middle.wall:.1f} s | {middle.start:.1f} s | "
                f"{middle.program:.2f} s | {serving} |"
            )

    def accuracy(self, texts: Sequence[str]) -> float:
        """The part of the answers that are right, all graded alike."""
        right = [
            grade_answer(extract_answer(text), problem.answer or "").correct is True
            for text, problem in zip(texts, self.problems, strict=True)
        ]
        return sum(right) / len(right)


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--vllm", default=sys.executable, help="a Python that has vLLM")
    options.add_argument("--its-hub", help="a Python that has its_hub and this package")
    options.add_argument("--optillm", help="a Python that has optillm")
    options.add_argument("--search-and-learn", type=Path, help="a checkout of search-and-learn")
    options.add_argument("--n", type=int, default=16)
    options.add_argument("--limit", type=int, default=20, help="problems of `arith`")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=METHODS, help="one method")
    chosen = options.parse_args()
    methods = [each for each in METHODS if chosen.only in (None, each)]
    folder = bundled("policy")
    benchmark = Benchmark(problems_named("arith")[: chosen.limit], chosen.n)
    busy = os.getloadavg()[0]
    ours = [chosen.vllm, str(HERE / "ours.py")]

    with ExitStack() as stack:
        server = Server(chosen.vllm, folder, stack)
        api = f"{server.base}/v1"
        address = f"openai:{api}#bundled?tokenizer={folder}&binding={folder}/binding.yaml"
        asking = [Peer("tts-lang, server", [*ours, address], METHODS[:4], environment(), server)]
        if chosen.its_hub:
            command = [chosen.its_hub, str(HERE / "its_hub_peer.py"), api]
            asking.append(Peer("its_hub, server", command, METHODS[:4], environment(), server))
        if chosen.optillm:
            command = [chosen.optillm, str(HERE / "optillm_peer.py"), api]
            asking.append(Peer("OptiLLM, server", command, METHODS[:1], environment(), server))
        for _ in range(chosen.rounds):
            benchmark.round(asking, methods)
    searches = ("best_of_n", "beam_search", "dvts")
    command = [*ours, f"vllm:{folder}"]
    inside = [Peer("tts-lang, in process", command, searches, environment())]
    if chosen.search_and_learn:
        script = str(HERE / "search_and_learn_peer.py")
        command = [chosen.vllm, script, str(folder), TEMPLATE]
        env = environment(PYTHONPATH=str(chosen.search_and_learn / "src"))
        inside.append(Peer("search-and-learn, in process", command, searches, env))
    for _ in range(chosen.rounds):
        benchmark.round(inside, methods)

    print(f"n = {chosen.n}, {chosen.limit} problems, medians of {chosen.rounds} rounds,", end=" ")
    print(f"{os.cpu_count()} cores at a load of {busy:.0f} to {os.getloadavg()[0]:.0f}\n")
    print("| method | program | tokens | reward tokens | accuracy | wall | start-up | ", end="")
    print("program | server |\n|---|---|---|---|---|---|---|---|---|")
    print("\n".join(benchmark.rows(METHODS)))


if __name__ == "__main__":
    main()
