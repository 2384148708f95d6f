"""Runs that are killed, and directories that are damaged, at random: nothing is lost or believed.

    python -m tests.record.campaign --kills 100 --damage 100

A run is killed (SIGKILL) at a random moment of its life, again while it resumes in every third
case, and resumed until it ends. Its directory must equal that of the undisturbed run: every line of
every file (log-probabilities to 6 digits), and all of `summary.json` but times and what engines
did. Runs are six strategies on the simulated engines, the bundled models, and a server of the
OpenAI protocol whose replies are as the seed says.

Damage of five kinds is done to directories of finished and of killed runs: a file is torn (in its
last line), truncated anywhere, has a bit flipped, is swapped with another one or has a line swapped
with it, or is (or has a line) of another run. `verify` must name what no longer holds; the same
command must repair it, or be refused by name (exit code 2).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.records import content
from tests.support.server import sim_server
from tts_runtime.cli import main as main_of_runs
from tts_runtime.record.files import DirectoryError
from tts_runtime.record.reader import open_run

#: Strategies, each with its arguments: votes, searches, look-ahead, resampling.
STRATEGIES: Final = (
    ("majority", "--set", "n=8"),
    ("best_of_n", "--set", "n=8"),
    ("beam_search", "--set", "n=8", "--set", "depth=4"),
    ("dvts", "--set", "n=8", "--set", "depth=4"),
    ("lookahead_search", "--set", "n=4", "--set", "width=2", "--set", "depth=3"),
    ("particle_filter", "--set", "n=8", "--set", "depth=4"),
)
ENGINES: Final = ("sim", "bundled", "server")
DAMAGE: Final = ("torn", "truncated", "flipped", "swapped", "foreign")
_PROBLEMS: Final = ("--problems", "arith", "--limit", "8")
#: Strategies without a scorer.
_ALONE: Final = ("majority",)
#: Seconds after which a run counts as hanging.
_HANGS: Final = 300.0


@dataclass
class Report:
    """What a campaign found."""

    kills: Counter[str] = field(default_factory=Counter)
    late: int = 0
    again: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    damage: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    repaired: int = 0
    refused: int = 0
    others: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Runner:
    """Runs `tts-run` in processes of its own, forked from this one: no time goes into imports."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._count = 0

    def start(self, arguments: Sequence[str], before: Callable[[], None] | None = None) -> int:
        """The process id; what it says goes to a file, `said`."""
        child = os.fork()
        if child:
            return child
        code = 99
        try:
            os.setsid()
            out = os.open(self.place / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(out, 1)
            os.dup2(out, 2)
            if before is not None:
                before()
            sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
            main_of_runs(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 98
        except BaseException as error:  # noqa: BLE001  (that is what is looked for)
            print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(code)

    def run(self, arguments: Sequence[str], before: Callable[[], None] | None = None) -> int:
        """The exit code; -9 for a process that hangs."""
        return self.ended(self.start(arguments, before), _HANGS)[0]

    def ended(self, child: int, seconds: float) -> tuple[int, bool]:
        """The exit code of a process, which is killed after these seconds; whether it was."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status), False
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), True

    @property
    def said(self) -> str:
        """What the last process said."""
        return " ".join((self.place / "said").read_text(errors="replace").split())


@contextmanager
def served() -> Iterator[tuple[str, Callable[[], int]]]:
    """A server in a process of its own; its policy's name, and how many requests it has had."""
    port_read, port_write = os.pipe()
    count_read, count_write = os.pipe()
    ask_read, ask_write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # clients that die make it complain
        with sim_server(vllm=True).running() as server:
            os.write(port_write, f"{server.url}\n".encode())
            while os.read(ask_read, 1):
                os.write(count_write, f"{len(server.bodies())}\n".encode())
        os._exit(0)
    url = os.read(port_read, 200).decode().strip()

    def count() -> int:
        os.write(ask_write, b"?")
        return int(os.read(count_read, 20))

    try:
        yield f"openai:{url}?concurrency=4", count
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def campaign(
    kills: int, damage: int, seed: int, engines: Sequence[str] = ENGINES, repaired: int = 1
) -> Report:
    """Runs until that many runs have been killed, and that many files damaged in each way.

    Of the damaged directories, one in `repaired` is continued.
    """
    report = Report()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, served() as (server, asked):
        place = Path(folder)
        place.chmod(0o755)  # somebody else looks, too
        runner = Runner(place)
        options = {
            "sim": ("sim", "prm=sim"),
            "bundled": ("bundled", "prm=bundled"),
            "server": (server, "prm=sim"),
        }
        whole: dict[tuple[str, ...], tuple[Path, float, int]] = {}
        cases = [
            (*strategy, *_engines(strategy[0], *options[engine]), *_PROBLEMS)
            for strategy in STRATEGIES
            for engine in engines
        ]
        names = [f"{strategy[0]} on {engine}" for strategy in STRATEGIES for engine in engines]
        for at, case in enumerate(cases):
            before, started = asked(), time.monotonic()
            code = runner.run([*case, "--out", str(place / f"whole{at}")])
            if code:
                report.problems.append(f"{names[at]}: code {code} undisturbed: {runner.said}")
                return report
            seconds = time.monotonic() - started
            whole[case] = place / f"whole{at}", seconds, asked() - before
        killed: list[tuple[int, Path]] = []
        while report.kills.total() < kills:
            at = (report.kills.total() + report.late) % len(cases)
            left = _killed(report, runner, chance, cases[at], names[at], whole[cases[at]], asked)
            if left is not None and len(killed) < 3 * len(cases):
                killed.append((at, left))
        _damage(report, runner, chance, damage, cases, names, whole, killed, repaired)
        _others(report, runner, place, cases[0], whole[cases[0]][0])
    return report


def _engines(strategy: str, policy: str, scorer: str) -> tuple[str, ...]:
    return ("--policy", policy, *(() if strategy in _ALONE else ("--scorer", scorer)))


def _killed(
    report: Report,
    runner: Runner,
    chance: random.Random,
    case: tuple[str, ...],
    name: str,
    whole: tuple[Path, float, int],
    asked: Callable[[], int],
) -> Path | None:
    """One run, killed and resumed; a copy of what the kill left."""
    undisturbed, seconds, requests = whole
    out = runner.place / "killed"
    shutil.rmtree(out, ignore_errors=True)
    command = [*case, "--out", str(out)]
    before = asked()
    left: Path | None = None
    times = 2 if chance.random() < 1 / 3 else 1
    for turn in range(times):
        _, was = runner.ended(runner.start(command), chance.uniform(0, seconds))
        if not was and turn == 0:
            report.late += 1
            return None
        report.again += was and turn == 1
        if turn == 0 and (out / "run.json").exists():
            left = runner.place / f"left{report.kills.total()}"
            shutil.copytree(out, left)
    report.kills[name] += 1
    code = runner.run(command)
    if code or "Traceback" in runner.said:
        report.problems.append(f"{name}: code {code} when resumed: {runner.said}")
    elif _differing(out, undisturbed):
        report.problems.append(f"{name}: another directory: {_differing(out, undisturbed)}")
    elif open_run(out).verify():
        report.problems.append(f"{name}: damaged: {open_run(out).verify()}")
    if requests:
        report.asked.append((asked() - before, requests))
    return left


def held(directory: Path) -> dict[str, object]:
    """What two directories of one run have in common; log-probabilities to 6 digits, as their last
    bits depend on what else is in a batch of the bundled models."""
    found = content(directory)
    for name, lines in found.items():
        if name.endswith("nodes.jsonl"):
            nodes = [json.loads(line) for line in lines]
            for node in nodes:
                node.pop("crc", None)
                node["logprob"] = _rounded(node.get("logprob"))
            found[name] = sorted(nodes, key=lambda node: (node["problem"], node["first"]))
    return found


def _rounded(value: object) -> object:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


def _differing(one: Path, other: Path) -> list[str]:
    """Files that two directories of one run do not have in common."""
    try:
        here, there = held(one), held(other)
    except ValueError as error:
        return [str(error)]
    return [name for name in {**here, **there} if here.get(name) != there.get(name)]


# ------------------------------------------------------------------ damage


def _damage(
    report: Report,
    runner: Runner,
    chance: random.Random,
    count: int,
    cases: Sequence[tuple[str, ...]],
    names: Sequence[str],
    whole: dict[tuple[str, ...], tuple[Path, float, int]],
    killed: Sequence[tuple[int, Path]],
    repaired: int,
) -> None:
    for kind in DAMAGE:
        while report.damage[kind] < count:
            if killed and chance.random() < 0.5:
                at, source = chance.choice(killed)
            else:
                at = chance.randrange(len(cases))
                source = whole[cases[at]][0]
            other = whole[cases[(at + chance.randrange(1, len(cases))) % len(cases)]][0]
            out = runner.place / "damaged"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(source, out)
            told = named(out)
            file = spoilt(kind, out, other, chance)
            if file is None:
                continue
            report.damage[kind] += 1
            label = f"{names[at]}, {kind} {file.relative_to(out)}"
            found = named(out)
            if same(out, source):
                report.harmless += 1
            elif not found - told and not any(file.name in each for each in found):
                report.problems.append(f"{label}: not named, but {sorted(found)}")
            if report.damage[kind] % repaired:
                continue
            code = runner.run([*cases[at], "--out", str(out)])
            said = runner.said
            if code == 2 and "Traceback" not in said and ("damaged" in said or "another" in said):
                report.refused += 1
            elif code or "Traceback" in said:
                report.problems.append(f"{label}: code {code}: {said}")
            elif _differing(out, whole[cases[at]][0]):
                report.problems.append(f"{label}: {_differing(out, whole[cases[at]][0])} differ")
            else:
                report.repaired += 1


def named(out: Path) -> set[str]:
    """The files that `verify` names, with the reason."""
    try:
        return {f"{damage.file} {damage.reason}" for damage in open_run(out).verify()}
    except DirectoryError as error:
        return {str(error)}


def same(one: Path, other: Path) -> bool:
    """Whether two directories say the same, whatever the order of their lines."""
    try:
        return content(one) == content(other)
    except (ValueError, OSError):
        return False


def spoilt(kind: str, out: Path, other: Path, chance: random.Random) -> Path | None:
    """Damages one file of a directory; `None`: it could not be."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.stat().st_size > 2]
    path = chance.choice(files)
    data = path.read_bytes()
    if kind == "torn":
        last = data.rstrip(b"\n").rfind(b"\n") + 1
        path.write_bytes(data[: chance.randrange(last + 1, len(data))])
    elif kind == "truncated":
        path.write_bytes(data[: chance.randrange(len(data))])
    elif kind == "flipped":
        at, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
    else:
        places = files if kind == "swapped" else sorted(other.rglob(path.name))
        places = [each for each in places if each != path and each.read_bytes() != data]
        if not places:
            return None
        place = chance.choice(places)
        whole = chance.random() < 0.5 or path.suffix != ".jsonl" or place.suffix != ".jsonl"
        theirs = place.read_bytes()
        if not whole:  # one line of each
            mine, lines = data.splitlines(True), theirs.splitlines(True)
            one, two = chance.randrange(len(mine)), chance.randrange(len(lines))
            mine[one], lines[two] = lines[two], mine[one]
            data, theirs = b"".join(lines), b"".join(mine)
        path.write_bytes(theirs)
        if kind == "swapped":
            place.write_bytes(data)
    return path


# ------------------------------------------------------------------ other accidents


def _others(
    report: Report, runner: Runner, place: Path, case: tuple[str, ...], whole: Path
) -> None:
    """Two writers, a full disk, a directory that cannot be written, nobody who reads."""
    out = place / "others"

    def expect(what: str, code: int, wanted: int, words: str) -> None:
        said = runner.said
        good = code == wanted and words in said and "Traceback" not in said
        report.others.append(what)
        if not good:
            report.problems.append(f"{what}: code {code}: {said}")

    first = runner.start([*case, "--out", str(out)])
    while not (out / "majority").exists():
        time.sleep(0.001)
    os.kill(first, signal.SIGSTOP)
    expect("two writers", runner.run([*case, "--out", str(out)]), 2, "is being written by another")
    os.kill(first, signal.SIGCONT)
    code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    if code or content(out) != content(whole):
        report.problems.append(f"two writers: the first ended with {code}")
    for size in (200, 1500, 3000, 10000, 30000):
        shutil.rmtree(out)

        def full(size: int = size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        code = runner.run([*case, "--out", str(out)], full)
        if code:
            expect(f"no room for more than {size} bytes", code, 2, "cannot be written")
        if not out.exists():
            out.mkdir()
        expect("room again", runner.run([*case, "--out", str(out)]), 0, "")
        if content(out) != content(whole):
            report.problems.append(f"{size} bytes: {_differing(out, whole)} differ")
    (out / "majority" / "answers.jsonl").unlink()
    out.chmod(0o555)
    code = runner.run([*case, "--out", str(out)], None if os.geteuid() else _without_powers)
    expect("a directory that is read-only", code, 2, "cannot be")
    out.chmod(0o700)
    shutil.rmtree(out)

    def nobody() -> None:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)

    code = runner.run([*case, "--out", str(out)], nobody)
    report.others.append("stdout gone")
    if code not in (0, 141, -13) or "Traceback" in runner.said or content(out) != content(whole):
        report.problems.append(f"stdout gone: code {code}: {runner.said}")


def _without_powers() -> None:
    """Makes root a user like others, who reads its own files: Python may lie among them."""
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)  # of this process
    if ctypes.CDLL(None).capset(header, none):
        raise OSError("capset: root cannot give up its powers here")


def main() -> None:
    """Runs a campaign and prints what it found."""
    parser = argparse.ArgumentParser(description="kills and damage at random")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--damage", type=int, default=100, help="files, of each kind")
    parser.add_argument("--one-in", type=int, default=1, help="continue one damaged run of N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    options = parser.parse_args()
    report = campaign(options.kills, options.damage, options.seed, options.engines, options.one_in)
    print(json.dumps(report.kills))
    more = [asked - needed for asked, needed in report.asked]
    print(
        f"{report.kills.total()} runs killed, {report.again} of them twice; "
        f"servers were asked for {max(more, default=0)} requests twice at most, "
        f"{sum(more) / max(1, len(more)):.1f} on average, of "
        f"{sum(needed for _, needed in report.asked) / max(1, len(more)):.0f}"
    )
    print(
        f"{report.damage.total()} damaged directories: {report.repaired} repaired, "
        f"{report.refused} refused, {report.harmless} with the same content; "
        f"{', '.join(report.others)}; {len(report.problems)} problems"
    )
    for problem in report.problems:
        print(f"* {problem}")
    raise SystemExit(bool(report.problems))


if __name__ == "__main__":
    main()
