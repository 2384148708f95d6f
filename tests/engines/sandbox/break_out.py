"""Run inside a sandbox: prints the names of what it could do and should not have been able to.

Its input says where the test has put things that must stay out of reach.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

given = json.loads(input())
folder, port, abstract, parent = (given[name] for name in ("folder", "port", "abstract", "parent"))
done: list[str] = []
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name: str, what: Callable[..., object], *arguments: object) -> None:
    """Notes what neither fails nor comes to nothing."""
    try:
        found = what(*arguments)
    except Exception:  # noqa: BLE001  (whatever it is, it did not work)
        return
    if found is not False:
        done.append(name)


def read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(10)


def write(path: str) -> None:
    with open(path, "ab"):
        pass


def call(x86: int, arm: int, *arguments: object) -> None:
    number = x86 if os.uname().machine == "x86_64" else arm
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def connect(family: socket.AddressFamily, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        connection.connect(address)


def listed(place: str) -> bool:
    return bool({*os.listdir(place)} - {"ld.so.cache"})


def socket_of(family: str, kind: socket.SocketKind) -> socket.socket:
    return socket.socket(getattr(socket, f"AF_{family}"), kind)


def open_descriptors() -> bool:
    found = []
    for descriptor in range(3, 256):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found.append(descriptor)
    return bool(found)


def linked(path: str) -> None:
    os.symlink(path, "link")
    try:
        read("link")
    finally:
        os.remove("link")


secret = f"{folder}/secret"
for path in ("/etc/passwd", "/etc/shadow", "/etc/hosts", secret, "/run/../etc/passwd"):
    attempt(f"read {path}", read, path)
    attempt(f"read {path} by a link", linked, path)
    attempt(f"read {path} by a long way", read, f"{'../' * 12}{path}")
for process in ("self", "1", str(os.getppid()), str(parent)):
    for what in ("environ", "mem", "maps", "cmdline", "root/etc/passwd"):
        attempt(f"/proc/{process}/{what}", read, f"/proc/{process}/{what}")
home = os.path.expanduser("~root/.ssh")
for place in ("/etc", "/proc", "/sys", "/var", "/home", "/root/.ssh", home, folder):
    attempt(f"list {place}", listed, place)
for path in ("/mine", "/usr/lib/mine", "/dev/mine", "/etc/mine", f"{folder}/mine", os.__file__):
    attempt(f"write {path}", write, path)
attempt("write the program", write, __file__)
for path in (os.__file__, secret, folder, "/usr/lib"):
    attempt(f"chmod {path}", os.chmod, path, 0o777)
    attempt(f"chown {path}", os.chown, path, os.getuid(), os.getgid())
    attempt(f"touch {path}", os.utime, path)
    attempt(f"rename {path}", os.rename, path, "here")
    attempt(f"link {path}", os.link, path, "there")
attempt("remove a file", lambda: os.remove(secret))
attempt("make a device", lambda: os.mknod("disk", 0o60600, os.makedev(8, 0)))
for path in ("/dev/mem", "/dev/kmsg", "/dev/tty", "/dev/console", "/dev/sda", "/dev/vda"):
    attempt(f"open {path}", read, path)

attempt("see a key", lambda: any("KEY" in name for name in os.environ))
attempt("have open files", open_descriptors)
attempt("import the runtime", lambda: __import__("tts_runtime"))

attempt("tcp", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
attempt("unix", lambda: connect(socket.AF_UNIX, f"{folder}/socket"))
attempt("abstract", lambda: connect(socket.AF_UNIX, f"\0{abstract}"))
attempt("dns", lambda: socket.getaddrinfo("example.org", 80))
for family in ("INET", "INET6", "UNIX", "NETLINK", "PACKET", "VSOCK", "ALG"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        attempt(
            f"socket {family}",
            socket_of,
            family,
            kind,
        )
attempt(
    "datagrams",
    lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"", f"\0{abstract}"),
)

for other in (parent, -parent):
    attempt(f"signal {other}", os.kill, other, signal.SIGURG)
attempt("trace", call, 101, 117, 16, os.getppid(), None, None)
attempt("be traced", call, 101, 117, 0, 0, None, None)
attempt("limit others", lambda: resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0)))
attempt("take more memory", lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
attempt("take more processes", lambda: resource.setrlimit(resource.RLIMIT_NPROC, (999, 999)))
attempt("be root", lambda: os.setuid(0) if os.getuid() else False)
attempt("have root's group", lambda: os.setgid(0) if os.getgid() else False)
attempt(
    "keep rights",
    lambda: (
        any(libc.prctl(23, each, 0, 0, 0) == 1 for each in (1, 21))
        and (libc.prctl(47, 1, 21, 0, 0) == 1)
    ),
)
attempt("gain rights by programs", lambda: libc.prctl(39, 0, 0, 0, 0) != 1)
attempt("namespace", call, 272, 97, 0x10000000)
attempt("namespace by clone", call, 56, 220, 0x10000011, None, None, None, None)
attempt("mount", call, 165, 40, b"none", b".", b"tmpfs", 0, None)
attempt("chroot", lambda: os.chroot("."))
attempt("shared memory", call, 29, 194, 0, 1 << 30, 0o1600)
attempt("file in memory", call, 319, 279, b"x", 0)
attempt("bpf", call, 321, 280, 0, None, 0)
attempt("keys", call, 250, 219, 0, -3, 0)
attempt("io_uring", call, 425, 425, 1, ctypes.create_string_buffer(256))
print(json.dumps(sorted(set(done))))
sys.exit(0)
