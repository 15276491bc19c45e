"""What a figure was measured on."""

import os
import platform
from pathlib import Path


def come_first() -> None:
    """Where it is allowed, the bench's processes go before others on this machine: a session of their own,
    whose group the scheduler prefers (sched(7), autogroup)."""
    try:
        os.setsid()
        Path("/proc/self/autogroup").write_text("-18")
    except OSError:
        return


def in_real_time(command: list[str]) -> list[str]:
    """The command in the real-time class, where that is allowed: on as quiet a core as can be had."""
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
