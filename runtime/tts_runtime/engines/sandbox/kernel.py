"""System calls that keep a process in: namespaces, mounts, Landlock, seccomp. Linux only.

Standard library only: it is imported in a bare interpreter that then gives up its rights.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Collection, Iterable
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)

NEWNS: Final = 0x00020000
NEWCGROUP: Final = 0x02000000
NEWUTS: Final = 0x04000000
NEWIPC: Final = 0x08000000
NEWUSER: Final = 0x10000000
NEWPID: Final = 0x20000000
NEWNET: Final = 0x40000000
_NAMESPACES: Final = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET

MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
_MNT_DETACH: Final = 0x2
_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_ATTR_RDONLY: Final = 0x1
_ATTR_NOSUID: Final = 0x2
_ATTR_NODEV: Final = 0x4

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_CAP_SYS_ADMIN: Final = 21

_MOUNT_SETATTR: Final = 442
_LANDLOCK: Final = (444, 445, 446)  # create_ruleset, add_rule, restrict_self
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}


def _number(machine: str, numbers: tuple[int, int]) -> int:
    return numbers[0 if machine == "x86_64" else 1]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int) -> None:
    _checked(_LIBC.prctl(option, value, 0, 0, 0), f"prctl {option}")


def _syscall(number: int, *arguments: object) -> int:
    return int(_LIBC.syscall(ctypes.c_long(number), *arguments))


# ---------------------------------------------------------------------- processes


def die_with_parent(signal: int) -> None:
    """Has this signal sent to the process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def hide() -> None:
    """Nobody but root may trace this process."""
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Descendants whose parents end become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def may_administrate() -> bool:
    """Whether the process may make namespaces without one of users."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False


def drop_capabilities() -> None:
    """No capabilities, and none from programs that are run."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # the last one, or not allowed: then there is none to drop
    header = ctypes.create_string_buffer(struct.pack("=II", 0x20080522, 0))
    none = ctypes.create_string_buffer(struct.pack("=6I", 0, 0, 0, 0, 0, 0))
    _checked(_LIBC.capset(header, none), "capset")


def unshare(flags: int) -> None:
    """Leaves the namespaces of the parent."""
    _checked(_LIBC.unshare(flags), "unshare")


def name_host(name: str) -> None:
    """The name of the machine, in its namespace."""
    _checked(_LIBC.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


# ---------------------------------------------------------------------- files


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """mount(2)."""
    _checked(
        _LIBC.mount(
            source.encode(),
            target.encode(),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            data.encode(),
        ),
        f"mount {target}",
    )


def make_read_only(target: str, devices: bool = False, below: bool = True) -> None:
    """A mount (and those below it): read-only, no set-user-id, no device files unless said."""
    attributes = _ATTR_RDONLY | _ATTR_NOSUID | (0 if devices else _ATTR_NODEV)
    wanted = ctypes.create_string_buffer(struct.pack("=4Q", attributes, 0, 0, 0))
    _checked(
        _syscall(
            _MOUNT_SETATTR,
            ctypes.c_int(_AT_FDCWD),
            ctypes.c_char_p(target.encode()),
            ctypes.c_uint(_AT_RECURSIVE if below else 0),
            wanted,
            ctypes.c_size_t(32),
        ),
        f"mount_setattr {target}",
    )


def move_root(new: str, old: str) -> None:
    """The mount `new` becomes the root; the old root is at `old` in it."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(0, f"no system call numbers for {platform.machine()}")
    _checked(
        _syscall(number, ctypes.c_char_p(new.encode()), ctypes.c_char_p(old.encode())),
        "pivot_root",
    )
    os.chdir("/")


def unmount(target: str) -> None:
    """Detaches a mount and all below it."""
    _checked(_LIBC.umount2(target.encode(), _MNT_DETACH), f"umount {target}")


# ---------------------------------------------------------------------- Landlock

_READ: Final = 1 << 0 | 1 << 2 | 1 << 3  # execute, read file, read directory
#: Rights over files that each version of the interface knows.
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
#: Those that make sense on a file: execute, write, read, truncate, ioctl.
_ON_FILE: Final = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15


def landlock_version() -> int:
    """The version of the kernel's Landlock; 0: it has none."""
    return max(0, _syscall(_LANDLOCK[0], None, ctypes.c_size_t(0), ctypes.c_uint(1)))


def landlock(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Only these files and folders, no TCP, and, where the kernel knows how, no signals or
    abstract sockets outside; needs no rights."""
    version = landlock_version()
    everything = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    fields = [everything, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    rules = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields))
    ruleset = _checked(
        _syscall(_LANDLOCK[0], rules, ctypes.c_size_t(8 * len(fields)), ctypes.c_uint(0)),
        "landlock_create_ruleset",
    )
    for paths, rights in ((readable, _READ), (writable, everything)):
        for path in paths:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            given = rights if os.path.isdir(path) else rights & _ON_FILE & everything
            rule = ctypes.create_string_buffer(struct.pack("=Qi", given, place))
            _checked(
                _syscall(
                    _LANDLOCK[1], ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0)
                ),
                f"landlock_add_rule {path}",
            )
            os.close(place)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _checked(
        _syscall(_LANDLOCK[2], ctypes.c_int(ruleset), ctypes.c_uint(0)), "landlock_restrict_self"
    )
    os.close(ruleset)


# ---------------------------------------------------------------------- seccomp

#: What code in a sandbox has no use for, with its numbers on x86_64 and aarch64 (-1: has none):
#: sockets, other processes' memory, mounts and namespaces, memory that limits do not count, and
#: parts of the kernel where escapes have been found.
_DENIED: Final = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "modify_ldt": (154, -1),
}
#: What reaches other processes and files of the same user where nothing else hides them.
_SHARED_USER: Final = {
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, -1),
    "fchown": (93, 55),
    "lchown": (94, -1),
    "fchownat": (260, 54),
    "utime": (132, -1),
    "utimes": (235, -1),
    "futimesat": (261, -1),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "process_mrelease": (448, 448),
}
_SIGNALS: Final = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}
_FIRST_UNKNOWN: Final = 467
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_SOCKETPAIR: Final = (53, 199)
_PRLIMIT: Final = (302, 261)
_AUDIT: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERROR: Final = 0x00050000
_EPERM: Final = 1
_ENOSYS: Final = 38


def has_seccomp() -> bool:
    """Whether the machine's system calls are known here."""
    return platform.machine() in _AUDIT


def seccomp_filter(shared_user: bool = False, signals: bool = True) -> bytes:
    """The program of a filter (an array of `struct sock_filter`).

    Args:
        shared_user: The process runs as the user itself, so that user's other processes and files
            are kept from it too.
        signals: It may send signals.
    """
    machine = platform.machine()
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
    ]
    # Calls that nobody here has looked at; on x86-64 also those of the x32 interface.
    code += [(_AT_LEAST, 0, 1, _FIRST_UNKNOWN), (_RETURN, 0, 0, _ERROR | _ENOSYS)]
    denied = {**_DENIED, **(_SHARED_USER if shared_user else {}), **({} if signals else _SIGNALS)}
    for numbers in denied.values():
        number = _number(machine, numbers)
        if number >= 0:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | _EPERM)]
    # glibc takes clone where clone3 is missing, and clone's flags can be looked at.
    code += [(_EQUAL, 0, 1, _number(machine, _CLONE3)), (_RETURN, 0, 0, _ERROR | _ENOSYS)]
    code += _unless(_number(machine, _CLONE), 0, _NAMESPACES, 0)
    # Pairs of streams cannot be connected to anything else; datagrams can.
    code += _unless(_number(machine, _SOCKETPAIR), 1, 0xF, 1)
    if shared_user:
        code += _unless(_number(machine, _PRLIMIT), 0, 0xFFFFFFFF, 0)
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _unless(
    number: int, argument: int, mask: int, value: int
) -> Collection[tuple[int, int, int, int]]:
    """Refuses a call unless an argument, masked, has this value."""
    return (
        (_EQUAL, 0, 5, number),
        (_LOAD, 0, 0, 16 + 8 * argument),
        (_AND, 0, 0, mask),
        (_EQUAL, 1, 0, value),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        (_LOAD, 0, 0, 0),
    )


def seccomp(program: bytes) -> None:
    """Puts a filter over this process and all that it starts."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(
        struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    )
    _checked(
        _LIBC.prctl(_PR_SET_SECCOMP, 2, head, 0, 0),
        "seccomp",
    )
