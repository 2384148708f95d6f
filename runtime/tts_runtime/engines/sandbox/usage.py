"""Resources of a sandbox's processes, read from /proc; ended processes use none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def descendants(process: int) -> Iterator[int]:
    """A process and all that it and they have started (only itself, where the kernel does not
    say)."""
    waiting = [process]
    while waiting:
        process = waiting.pop()
        yield process
        with suppress(OSError):
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/children", encoding="ascii") as file:
                    waiting += map(int, file.read().split())


def resident(process: int) -> int:
    """Bytes of memory, those shared with others included."""
    with suppress(OSError), open(f"/proc/{process}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def share(process: int) -> int:
    """Bytes of memory, those shared with others by part; as `resident` where that is hidden."""
    with suppress(OSError), open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return resident(process)


def files_of(process: int, folder: str) -> int:
    """Files on the file system that a process sees in a folder."""
    with suppress(OSError):
        found = os.statvfs(f"/proc/{process}/root{folder}")
        return found.f_files - found.f_ffree
    return 0


def size(folder: str, most: int) -> int:
    """Bytes on the disk below a folder; no more than `most` files are looked at, and a folder that
    holds more is without limit."""
    total = 0
    waiting = [folder]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                most -= 1
                if most < 0:
                    return 1 << 62
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total
