"""Programs that try to break out, to stay, or to take all there is."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import pytest

from tts_runtime.engines.sandbox.box import ProgramResult, Sandbox
from tts_runtime.engines.sandbox.usage import descendants

Found = TypeVar("Found")

HERE = Path(__file__).parent


def run(sandbox: Sandbox, *programs: str) -> list[ProgramResult]:
    """What becomes of programs that run side by side."""

    async def main() -> list[ProgramResult]:
        return await asyncio.gather(*(sandbox.run(program) for program in programs))

    return asyncio.run(main())


def test_nothing_outside_is_in_reach(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-secret")
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o666)
    abstract = f"tts-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as hidden,
    ):
        monkeypatch.chdir(tmp_path)  # the path of a socket may be 108 bytes long
        unix.bind("socket")
        unix.listen()
        hidden.bind(f"\0{abstract}")
        hidden.listen()
        given = {
            "folder": str(tmp_path),
            "port": tcp.getsockname()[1],
            "abstract": abstract,
            "parent": os.getpid(),
        }
        program = (HERE / "break_out.py").read_text(encoding="utf-8")
        outcome = asyncio.run(sandbox.run(program, json.dumps(given)))
    assert outcome.finished, outcome.errors.decode()
    assert json.loads(outcome.output) == []
    assert secret.read_text() == "secret"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "socket"]


#: Ignores every signal, leaves a process behind in a session of its own, and forks without end.
STAYS = """
import os, signal
for number in signal.valid_signals():
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
print("begins", flush=True)
if os.fork() == 0:
    os.setsid()
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
#: Ends at once, but for a process that holds its output open and continues printing. Both write a
#: whole line in one call, as `print` does not without a buffer: no line is torn by another's.
LEAVES = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            os.write(1, b"still here\\n")
            time.sleep(0.2)
    os._exit(0)
os.wait()
os.write(1, b"ends\\n")
os._exit(0)
"""
TAKES_MEMORY = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        break
taken = []
try:
    while True:
        taken.append(b"x" * 1_000_000)
except MemoryError:
    time.sleep(100)
"""
TAKES_MEMORY_ALONE = "taken = []\nwhile True: taken.append(bytearray(1_000_000))"


def test_a_program_that_stays_is_ended_with_all_that_it_began(hurried: Sandbox) -> None:
    [outcome] = run(hurried, STAYS)
    assert outcome.stopped == "time"
    assert outcome.code is None
    assert not still_there()


def test_what_a_program_leaves_behind_ends_with_it(sandbox: Sandbox) -> None:
    [outcome] = run(sandbox, LEAVES)
    assert outcome.code == 0
    assert b"ends\n" in outcome.output
    assert not still_there()


def test_memory_is_limited_for_one_and_for_all_together(best: Sandbox) -> None:
    together, alone = run(best, TAKES_MEMORY, TAKES_MEMORY_ALONE)
    assert together.stopped == "memory"
    assert alone.code == 1
    assert alone.errors.endswith(b"MemoryError\n")


#: Prints how many MiB, and how many files, it could write.
FILLS = """
import os
sizes = []
try:
    while True:
        with open(f"file{len(sizes)}", "wb") as file:
            file.write(b"x" * (1 << 18))
        sizes.append(1)
except OSError as error:
    print(len(sizes), error.strerror)
for name in os.listdir():
    os.remove(name)
held = []
try:
    while True:
        held.append(open("gone", "wb"))
        os.remove("gone")
        held[-1].write(b"x" * (1 << 18))
        held[-1].flush()
except OSError as error:
    print(len(held), error.strerror)
try:
    open("/run/mine", "w")
except OSError as error:
    print(error.strerror)
"""
MANY_FILES = """
for number in range(100_000):
    open(f"file{number}", "wb").close()
"""


def test_files_are_limited_in_size_and_number(best: Sandbox) -> None:
    fills, many = run(best, FILLS, MANY_FILES)
    one, two, three = fills.output.decode().splitlines()
    assert one == "4 No space left on device"
    assert two == "5 No space left on device"
    assert three == "Read-only file system"
    assert many.stopped == "disk" or b"No space left on device" in many.errors


#: Programs, what they print, the end of their errors, and their code; `None`: any.
ODD_ENDS: Final = (
    ("import os\nos.closerange(0, 100)\nos._exit(7)", b"", b"", 7),
    ("import sys\nprint('a')\nsys.exit('b')", b"a\n", b"b\n", 1),
    ("import sys\nsys.exit(0)", b"", b"", 0),
    ("print(input())", b"", b"EOFError: EOF when reading a line\n", 1),
    ("def f(n):\n    return f(n + 1)\nf(0)", b"", b"maximum recursion depth exceeded\n", 1),
    ("import os\nos.kill(os.getppid(), 2)", b"", None, None),
    ("import os\nos.kill(-1, 9)", b"", None, None),
    ("\ud800print(1)", b"", b"SyntaxError: invalid syntax\n", 1),
    ("print(1)\0", None, None, None),
    ("", b"", b"", 0),
)


def test_odd_ends_are_ends(best: Sandbox) -> None:
    outcomes = run(best, *(program for program, *_ in ODD_ENDS))
    for outcome, (program, output, errors, code) in zip(outcomes, ODD_ENDS, strict=True):
        assert not outcome.stopped, program
        assert output is None or outcome.output == output, program
        assert errors is None or outcome.errors.endswith(errors), program
        assert code is None or outcome.code == code, program


def test_a_signal_is_the_same_code_at_every_level(sandbox: Sandbox) -> None:
    [outcome] = run(sandbox, "import os\nos.kill(os.getpid(), 11)")
    assert outcome.code == 128 + 11


def test_endless_printing_is_cut(best: Sandbox) -> None:
    endless = "import sys\nwhile True: print('x' * 100, file=sys."
    printed, complained = run(best, endless + "stdout)", endless + "stderr)")
    assert printed.stopped == complained.stopped == "output"
    assert len(printed.output) == len(complained.errors) == 4096


#: Processes that other tests have started in this one: those that read answers stay.
_EARLIER: set[int] = set()


@pytest.fixture(autouse=True)
def _earlier() -> None:
    _EARLIER.clear()
    _EARLIER.update(descendants(os.getpid()), [os.getpid()])


def still_there() -> list[int]:
    """Processes that this test has started and that live."""
    return alive([each for each in descendants(os.getpid()) if each not in _EARLIER])


def alive(processes: Sequence[int]) -> list[int]:
    """Those that have not ended, whether or not anybody has heard of it."""
    found = []
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.append(process)
    return found


def test_cancelling_ends_a_program(best: Sandbox) -> None:
    async def main() -> None:
        task = asyncio.create_task(best.run(STAYS))
        await asyncio.to_thread(eventually, lambda: running_below(os.getpid()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(eventually, lambda: not still_there())

    asyncio.run(main())


RUNS = """
import sys
from threading import Event
from tts_runtime.engines.sandbox.box import Sandbox, SandboxOptions
sandbox = Sandbox(SandboxOptions(sandbox=sys.argv[1], timeout=60))
print("opened", flush=True)
sandbox._run(sandbox.level, sys.stdin.read(), "", Event())
"""


@pytest.mark.parametrize("whom", [0, 1], ids=["run", "its helper"])
def test_nothing_outlives_a_run_that_is_killed(whom: int, best: Sandbox) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUNS, best.level],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"import time\ntime.sleep(60)")
        process.stdin.close()
        assert process.stdout.readline() == b"opened\n"
        started = eventually(lambda: running_below(process.pid))
        os.kill(started[whom], 9)
        eventually(lambda: not alive(started[whom:]))
        process.kill()


def running_below(process: int) -> list[int]:
    """A run and all that it has started, once the program itself is there."""
    found = list(descendants(process))
    commands = []
    for each in found:
        with suppress(OSError):
            commands.append(Path(f"/proc/{each}/cmdline").read_bytes())
    return found if any(command.endswith(b"/main.py\0") for command in commands) else []


def eventually(what: Callable[[], Found]) -> Found:
    """What is true before long."""
    for _ in range(3000):
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came to be")
