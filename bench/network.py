"""Send-side bandwidth estimation on emulated networks: utilisation, queue, loss and recovery time per scene,
with plots, and the memory of a subscriber's slot.

    .venv/bin/python bench/network.py [--program build/bench/network_bench] [--out bench/results]

The program runs whole calls (SRTP, RTCP, rooms) in emulated time, so its results, except memory, do not
depend on the machine. `network.json` holds summaries and their targets; `network.png` shows one seed of each
scene.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"

# The target of each measurement, and its source.
AIMS = {
    "estimate": "within 15 % of the bottleneck (issue 3)",
    "loss": "under 2 % after convergence (issue 3)",
    "longest_queue_ms": "under 100 after convergence (issue 3)",
    "recovery_seconds": "under 5 from 0.5 or 0.1 to 3 Mbit/s (issue 3, hard problem 7); by 8 % a second"
    " alone (draft-ietf-rmcat-gcc-02 section 5.5) it would be 23 and 44",
    "peak_queue_ms": "a fall from 3 to 0.5 Mbit/s fills 820 kbit/s into the queue until it is noticed;"
    " the whole queue (60,000 bytes) would be 960 ms",
    "random loss 10 %": "the rate stays; beyond 10 % the loss-based controller of draft-ietf-rmcat-gcc-02"
    " section 6 lowers it by half the loss with every report",
    "memory_per_video_slot_bytes": "under 8,192 beside the shared ring (issue 3)",
}


def build() -> Path:
    """A release build of the program, with the emulated peers that it needs."""
    configure = ["cmake", "-S", "native", "-B", str(BUILD), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    options = ["-DNEXUS_BENCH=ON", "-DNEXUS_TESTS=ON", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    subprocess.run([*configure, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["ninja", "-C", str(BUILD), "network_bench"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return BUILD / "bench" / "network_bench"


def measure(program: Path) -> list[dict[str, Any]]:
    output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def summarise(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The median and the worst value of each measurement over the seeds, by scene."""
    scenes: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(line["scene"] for line in lines if "scene" in line):
        runs = [line for line in lines if line.get("scene") == name and line.get("summary")]
        figures: dict[str, Any] = {"seeds": [run["seed"] for run in runs]}
        for key in (
            "utilisation",
            "loss",
            "longest_queue_ms",
            "received_bps",
            "layer_changes",
            "recovery_seconds",
            "peak_queue_ms",
            "drained_seconds",
        ):
            values = [run[key] for run in runs]
            if min(values) >= 0:
                worst = min(values) if key in ("utilisation", "received_bps") else max(values)
                figures[key] = {"median": statistics.median(values), "worst": worst}
        scenes[name] = figures
    memory = next(
        line["memory_per_video_slot_bytes"] for line in lines if "memory_per_video_slot_bytes" in line
    )
    return {"scenes": scenes, "memory_per_video_slot_bytes": memory, "aims": AIMS}


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    names = list(dict.fromkeys(line["scene"] for line in lines if "scene" in line))
    figure, axes = plt.subplots(len(names), 2, figsize=(14, 2.6 * len(names)), squeeze=False)
    for (rates, queue), name in zip(axes, names, strict=True):
        samples = [s for s in lines if s.get("scene") == name and s["seed"] == 1 and not s.get("summary")]
        time = [s["t"] for s in samples]
        for key, label, style in (
            ("capacity_bps", "link", "k--"),
            ("estimate_bps", "estimate", "C0"),
            ("target_bps", "shared out", "C2"),
            ("received_bps", "received", "C1"),
            ("received_2_bps", "received by the second", "C3"),
        ):
            values = [s[key] / 1e6 for s in samples]
            if values and max(values) > 0:
                rates.plot(time, values, style, label=label, linewidth=1)
        rates.set_title(name, loc="left")
        rates.set_ylabel("Mbit/s")
        rates.set_ylim(0, 4.5)
        rates.legend(fontsize=7, loc="upper right")
        queue.plot(time, [s["queue_ms"] for s in samples], "C0", linewidth=1)
        queue.axhline(100, color="k", linestyle=":", linewidth=0.8)
        queue.set_ylabel("queue, ms")
        layer = queue.twinx()
        layer.step(time, [s["layer"] for s in samples], "C1", linewidth=0.8)
        layer.set_ylim(-1.2, 2.2)
        layer.set_yticks([-1, 0, 1, 2], ["none", "low", "mid", "high"], fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, help="a built network_bench; built when not given")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    arguments = parser.parse_args()
    lines = measure(arguments.program or build())
    arguments.out.mkdir(parents=True, exist_ok=True)
    summary = summarise(lines)
    (arguments.out / "network.json").write_text(json.dumps(summary, indent=2) + "\n")
    plot(lines, arguments.out / "network.png")
    for name, figures in summary["scenes"].items():
        words = ", ".join(f"{key} {value['median']}" for key, value in figures.items() if key != "seeds")
        print(f"{name}: {words}")
    print(f"a video slot: {summary['memory_per_video_slot_bytes']} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
