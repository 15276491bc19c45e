"""Measures the resources that this process uses, which correct the declared costs of its jobs."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

from nexus_jobs import Capacity
from nexus_runtime import Clock

_STATM = Path("/proc/self/statm")


class ProcessUsage:
    """`spool_bytes` returns the bytes of the spool that are in use."""

    def __init__(self, clock: Clock, spool_bytes: Callable[[], int]) -> None:
        self._clock = clock
        self._spool_bytes = spool_bytes
        self._last_ms = clock.monotonic_ms()
        self._last_cpu_seconds = _cpu_seconds()

    def measure(self) -> Capacity:
        """The CPU since the last call, and the memory and the spool at this moment."""
        now_ms, cpu_seconds = self._clock.monotonic_ms(), _cpu_seconds()
        elapsed_ms = max(1, now_ms - self._last_ms)
        # One second of CPU is 1000 ms × 1000 thousandths of a core.
        millicores = round((cpu_seconds - self._last_cpu_seconds) * 1_000_000 / elapsed_ms)
        self._last_ms, self._last_cpu_seconds = now_ms, cpu_seconds
        return Capacity(max(0, millicores), _resident_bytes(), self._spool_bytes())


def _cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended, which make files."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _resident_bytes() -> int:
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # a system without /proc
    return pages * os.sysconf("SC_PAGE_SIZE")
