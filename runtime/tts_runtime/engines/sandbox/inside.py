"""How a process gets into a sandbox: what it may see, be and use, before it becomes the program.

One function for each level. Standard library only; nothing here comes back, but for errors.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tts_runtime.engines.sandbox import kernel

#: Where the program is, and the empty folder in which it runs.
PROGRAM: Final = "/run/sandbox/main.py"
WORK: Final = "/run/sandbox/work"
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
#: Other names of that folder.
_FOLDERS: Final = ("/tmp", "/dev/shm")
#: Who the program is to itself, in a namespace of users.
_USER: Final = 1000

Request = dict[str, Any]


def files_in(disk: int) -> int:
    """How many files that many MiB may be cut into."""
    return 256 * disk


def owner_of_its_own() -> tuple[int, int] | None:
    """A user and a group that no other process has, where this process may become them.

    They differ between sandboxes that run at the same time.
    """
    if os.geteuid() != 0:
        return None
    owner = []
    for kind in ("uid", "gid"):
        with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
            ranges = [tuple(map(int, line.split())) for line in file]
        start, _, many = max(ranges, key=lambda each: each[2])
        if many < 1 << 12:
            return None
        owner.append(start + many - 2 - os.getpid() % min(many // 2, 1 << 22))
    return owner[0], owner[1]


def unshare() -> None:
    """New namespaces of processes (for the children of this one) and, without root's rights, of
    users."""
    if os.geteuid() == 0 and kernel.may_administrate():
        kernel.unshare(kernel.NEWPID)
        return
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.NEWPID | kernel.NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_USER} {user} 1"),
        ("gid_map", f"{_USER} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def leave_output() -> None:
    """Lets go of input and output, so that they end when the program's do."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def kill_user(owner: tuple[int, int]) -> None:
    """Kills every process of a user that is nobody else's."""
    killer = os.fork()
    if not killer:
        try:
            os.setresuid(owner[0], owner[0], owner[0])
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(killer, 0)


# ---------------------------------------------------------------------- namespaces


def _namespaces(request: Request, given: int, tell: int) -> None:
    """The first process: lays out files, starts the program, ends when it does, and all with it."""
    kernel.hide()
    kernel.unshare(kernel.NEWNS | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWCGROUP)
    kernel.name_host("sandbox")
    owner = request["owner"] if os.geteuid() == 0 else None
    _lay_out(request, owner)
    program = os.fork()
    if not program:
        try:
            os.setsid()
            os.chdir(WORK)
            _limit(request, _processes(request, owner))
            _become(owner)
            kernel.drop_capabilities()
            _execute(request, given, kernel.seccomp_filter() if kernel.has_seccomp() else None)
        except BaseException as error:  # noqa: BLE001  (told, whatever it is)
            os.write(tell, json.dumps({"error": str(error)}).encode())
        os._exit(1)
    leave_output()
    os.close(given)
    while True:
        ended, status = os.wait()
        if ended == program:
            os.write(tell, b"\n" + json.dumps({"status": status}).encode())
            os._exit(0)


def _lay_out(request: Request, owner: tuple[int, int] | None) -> None:
    """A root of its own: the interpreter's files to read, a few devices, an empty folder."""
    base = request["mountpoint"]
    program = request["program"].encode("utf-8", "replace")
    disk = request["limits"]["disk"]
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    room = f"size={len(program) + (4 << 20)},nr_inodes=8192,mode=755"
    kernel.mount("tmpfs", base, "tmpfs", quiet, room)
    os.mkdir(f"{base}/old")
    kernel.move_root(base, f"{base}/old")
    for path in request["readable"]:
        _show(path)
    for path in _DEVICES:
        if os.path.exists("/old" + path):
            _bind(path, devices=True)
    for path in request["hidden"]:
        if os.path.isdir(path):
            kernel.mount("tmpfs", path, "tmpfs", quiet, "size=4k,mode=555")
            kernel.make_read_only(path)
    kernel.unmount("/old")
    os.rmdir("/old")
    os.makedirs(WORK)
    with open(PROGRAM, "wb") as file:
        file.write(program)
    for path in _FOLDERS:
        if not os.path.lexists(path):
            os.symlink(WORK, path)
    owned = "" if owner is None else f",uid={owner[0]},gid={owner[1]}"
    room = f"size={disk}m,nr_inodes={files_in(disk)},mode=700{owned}"
    kernel.mount("tmpfs", WORK, "tmpfs", quiet, room)
    kernel.make_read_only("/", below=False)


def _show(path: str) -> None:
    """The host's file or folder, read-only at its own place; a link stays one."""
    source = "/old" + path
    if os.path.lexists(path) or not os.path.lexists(source):
        return
    if os.path.islink(source):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(os.readlink(source), path)
    else:
        _bind(path)


def _bind(path: str, devices: bool = False) -> None:
    source = "/old" + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(source):
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    kernel.mount(source, path, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.make_read_only(path, devices)


# ---------------------------------------------------------------------- bubblewrap

#: What runs inside bubblewrap before the program: limits on processes would hold bubblewrap itself.
_LAST: Final = """
import json, os, resource, sys
todo = json.loads(sys.argv[1])
if todo["owner"] is not None:
    user, group = todo["owner"]
    os.chown(".", user, group)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
for kind, most in todo["limits"]:
    resource.setrlimit(kind, (most, most))
os.write(todo["tell"], b"{}")
os.close(todo["tell"])
os.execve(todo["command"][0], todo["command"], todo["environment"])
"""


def _bubblewrap(request: Request, given: int, tell: int) -> None:
    disk = request["limits"]["disk"]
    owner = request["owner"] if kernel.may_administrate() else None
    program = _in_memory("program", request["program"].encode("utf-8", "replace"))
    options = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    options += ["--unshare-cgroup-try", "--hostname", "sandbox"]
    options += ["--die-with-parent", "--new-session", "--clearenv"]
    options += [] if owner is not None else ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    for path in _parents((*request["readable"], *_DEVICES)):
        options += ["--perms", "0755", "--dir", path]
    for path in request["readable"]:
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            options += ["--ro-bind", path, path]
    for path in _DEVICES:
        options += ["--dev-bind", path, path]
    for path in request["hidden"]:
        options += ["--tmpfs", path]
    options += ["--perms", "0444", "--file", str(program), PROGRAM]
    options += ["--size", str(disk << 20), "--perms", "0700", "--tmpfs", WORK, "--chdir", WORK]
    for path in _FOLDERS:
        if path not in _parents(request["readable"]):  # else packages are there
            options += ["--symlink", WORK, path]
    options += ["--remount-ro", "/"]
    if kernel.has_seccomp():
        options += ["--seccomp", str(_in_memory("filter", kernel.seccomp_filter()))]
    os.set_inheritable(tell, True)
    todo = {
        "owner": owner,
        "limits": [*_limits(request), (resource.RLIMIT_NPROC, _processes(request, owner))],
        "tell": tell,
        "command": request["command"],
        "environment": request["environment"],
    }
    python = request["command"][0]
    options += ["--", python, "-I", "-S", "-c", _LAST, json.dumps(todo)]
    forget_signals()
    os.dup2(given, 0)
    os.execve(request["bubblewrap"], ["bwrap", *options], {})


def _parents(paths: Iterable[str]) -> list[str]:
    """The folders in which these and the program are, from the root on."""
    found = set()
    for path in (*paths, PROGRAM):
        while (path := os.path.dirname(path)) != "/":
            found.add(path)
    return sorted(found)


def _in_memory(name: str, data: bytes) -> int:
    """A descriptor that gives these bytes, for a program that is executed."""
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


# ---------------------------------------------------------------------- Landlock


def _landlock(request: Request, given: int, _tell: int) -> None:
    """No namespaces: the kernel checks each file and call, and the user is another, or the same."""
    owner = request["owner"]
    if owner is None and os.geteuid() == 0:
        raise OSError(0, "root has no other user here to run programs as")
    folder = request["folder"]
    program, work = f"{folder}/program", f"{folder}/work"
    if owner is not None:
        for path in (folder, program, f"{program}/main.py", work):
            os.chown(path, *owner)
    processes = request["limits"]["processes"] + (0 if owner is not None else _tasks())
    os.setsid()
    os.chdir(work)
    _limit(request, processes)
    _become(owner)
    kernel.die_with_parent(signal.SIGKILL)
    kernel.drop_capabilities()
    readable = [each for each in (*request["readable"], *_DEVICES) if os.path.exists(each)]
    kernel.landlock([*readable, program], [work, "/dev/null"])
    apart = owner is not None
    signals = apart or kernel.landlock_version() >= 6
    try:
        _execute(request, given, kernel.seccomp_filter(shared_user=not apart, signals=signals))
    except PermissionError as error:
        reason = f"root runs programs as another user, who cannot read {error.filename}"
        raise OSError(error.errno, reason) from error


def _tasks() -> int:
    """Processes and threads that the user has already."""
    many = 0
    user = os.geteuid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    many += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return many


# ---------------------------------------------------------------------- all


def _become(owner: tuple[int, int] | None) -> None:
    if owner is not None:
        user, group = owner
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)


def _processes(request: Request, owner: tuple[int, int] | None) -> int:
    """The limit on processes; those that hold the program count if they are of its user."""
    return int(request["limits"]["processes"]) + (0 if owner is not None else 2)


def _limits(request: Request) -> list[tuple[int, int]]:
    limits = request["limits"]
    return [
        (resource.RLIMIT_AS, limits["memory"] << 20),
        (resource.RLIMIT_CPU, limits["seconds"] + 1),
        (resource.RLIMIT_FSIZE, limits["disk"] << 20),
        (resource.RLIMIT_NOFILE, limits["files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, limits["files"]),
    ]


def _limit(request: Request, processes: int) -> None:
    for kind, most in [*_limits(request), (resource.RLIMIT_NPROC, processes)]:
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(kind, (most, most))


def _execute(request: Request, given: int, program: bytes | None) -> None:
    forget_signals()
    os.dup2(given, 0)
    if program is not None:
        kernel.seccomp(program)
    os.execve(request["command"][0], request["command"], request["environment"])


def forget_signals() -> None:
    """A program begins with no signal ignored or blocked, however this one was started."""
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.stdout.flush()


LEVELS: Final[Mapping[str, Callable[[Request, int, int], None]]] = {
    "bubblewrap": _bubblewrap,
    "namespaces": _namespaces,
    "landlock": _landlock,
}
