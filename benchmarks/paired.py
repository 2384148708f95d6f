"""What something takes, and ratios of runs in turns: the median and the range of all pairs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import psutil


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time, and of processor time of this process and its children."""

    wall: float
    processor: float


def processor_time(process: int | None = None) -> float:
    """Of a process (by default this one) and all that are below it, in seconds."""
    top = psutil.Process(process)
    times = [each.cpu_times() for each in (top, *top.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


async def timed(work: Awaitable[Any]) -> Cost:
    """What something takes."""
    wall, processor = time.perf_counter(), processor_time()
    await work
    return Cost(time.perf_counter() - wall, processor_time() - processor)


def spread(ratios: Sequence[float]) -> str:
    """Median, lowest and highest of some ratios as text."""
    return f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"


def ratios(ones: Sequence[Cost], others: Sequence[Cost]) -> str:
    """Paired ratios as text, of wall and of processor time."""
    pairs = list(zip(ones, others, strict=True))
    wall = spread([one.wall / other.wall for one, other in pairs])
    processor = spread([one.processor / other.processor for one, other in pairs])
    return f"{wall}, processor time {processor}"


def seconds(costs: Sequence[Cost]) -> str:
    """The median wall time as text."""
    return f"{median(cost.wall for cost in costs):.2f} s"
