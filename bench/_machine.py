"""Describes the machine of a measurement, and gives the bench's processes priority on it."""

import os
import platform
from pathlib import Path


def come_first() -> None:
    """Gives the bench's processes priority over others, if permitted: they form a session, whose group the
    scheduler prefers (sched(7), autogroup)."""
    try:
        os.setsid()
        Path("/proc/self/autogroup").write_text("-18")
    except OSError:
        return


def in_real_time(command: list[str]) -> list[str]:
    """The command in the real-time scheduling class, if permitted, so that other processes do not interrupt
    it."""
    return ["chrt", "-f", "10", *command] if os.geteuid() == 0 else command


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(models, "unknown"),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": float(Path("/proc/loadavg").read_text().split()[0]),
    }
