"""What a figure was measured on."""

import os
import platform
from pathlib import Path


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(models, "unknown"),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": float(Path("/proc/loadavg").read_text().split()[0]),
    }
