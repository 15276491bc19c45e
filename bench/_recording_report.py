"""The results of `record.py` as a table for the terminal and for docs/benchmarks.md, and as a picture."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from _recording_marks import quantile

mpl.use("Agg")
import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

BEGIN: Final = "<!-- bench-record: written by `make bench-record` -->"
END: Final = "<!-- /bench-record -->"
MIB: Final = 1 << 20
# LiveKit Egress admits a track egress per half a core (`track_cpu_cost` of its configuration).
LIVEKIT_TRACKS_PER_CORE: Final = 2


def slope(points: Sequence[dict[str, Any]], key: str) -> float:
    """The growth of `key` with each track, by least squares; by the only point if there is one."""
    tracks = [float(point["tracks"]) for point in points]
    values = [float(point[key]) for point in points]
    mean_tracks, mean = sum(tracks) / len(tracks), sum(values) / len(values)
    spread = sum((at - mean_tracks) ** 2 for at in tracks)
    if spread == 0:
        return values[0] / tracks[0]
    pairs = zip(tracks, values, strict=True)
    return sum((at - mean_tracks) * (value - mean) for at, value in pairs) / spread


def rows(result: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields what was measured, the figure, and the aim."""
    if "load" in result:
        yield from _load_rows(result["load"])
    if "retention" in result:
        found = result["retention"]
        kept, memory = found["bytes_per_track"] / MIB, found["memory_bytes_per_track"] / MIB
        what = f"memory of the SFU per track, {found['kept_ms'] / 1000:.0f} s without an acknowledgement"
        yield what, f"{kept:.2f} MiB of records, {memory:.2f} MiB of memory", "≤ 2 MiB"
    if "flood" in result:
        found = result["flood"]
        per_second = found["requests"] / found["seconds"]
        what = f"keyframe requests of {found['taps']} taps of one track, {per_second:,.0f} per second"
        figure = f"{found['plis']} in {found['seconds']:.0f} s reach the publisher"
        yield what, figure, "1 per 300 ms"
    if "kills" in result:
        found = result["kills"]
        times = found["takeover_seconds"]
        lost = f"{found['packets_lost']} of {found['packets']:,}, {found['frames_twice']} frames twice"
        if found["frames_out_of_time"]:
            lost += f", {found['frames_out_of_time']} left out of files for their time"
        yield f"packets lost by {len(times)} kills with the spool (`kill -9`)", lost, "0"
        yield (
            "time until another recorder reads every track",
            f"p50 {quantile(times, 0.5):.1f} s, most {max(times):.1f} s",
            "≤ 8 s",
        )
    if "hour" in result:
        found = result["hour"]
        figure = f"{found['file_cpu_seconds_per_hour']:.1f} s of CPU"
        yield f"making the file of an hour (measured: {found['seconds']} s)", figure, "≤ 20 s"


def _load_rows(points: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for point in points:
        figure = f"{point['tracks_per_core']:.0f}"
        if point["void"]:
            figure += f" (void: {'; '.join(point['void'])})"
        yield f"tracks per core, at {point['tracks']} tracks", figure, "≥ 150"
    last = points[-1]
    recorder = slope(points, "recorder_bytes") / MIB
    yield "memory of the recorder, for each more track", f"{recorder:.2f} MiB", "≤ 2 MiB"
    kept, memory = last["retained_bytes_per_track"] / MIB, points[0]["sfu_bytes_per_track"] / MIB
    yield (
        "memory of the SFU per track, with a recorder that acknowledges",
        f"{kept:.2f} MiB of records, {memory:.2f} MiB of memory",
        "≤ 2 MiB",
    )
    yield (
        f"skew of audio and video in {sum(point['files'] for point in points)} files, p99",
        f"{max(point['skew_ms_p99'] for point in points):.1f} ms (most "
        f"{max(point['skew_ms_max'] for point in points):.1f} ms)",
        "≤ 40 ms",
    )
    with_it, without = last["sfu_us_per_packet"], last["sfu_us_per_packet_bare"]
    yield (
        f"CPU of the SFU per packet received, at {last['tracks']} tracks",
        f"{with_it:.1f} µs recorded, {without:.1f} µs not",
        "stated",
    )
    yield (
        "keyframes requested of a publisher per minute",
        f"{last['keyframes_per_minute']:.1f} recorded (segments of 6 s), "
        f"{last['keyframes_per_minute_bare']:.1f} not",
        "stated",
    )


def print_summary(console: Console, result: dict[str, Any]) -> None:
    table = Table(title=f"Recording, load of the machine {result['machine']['load_before']} before")
    for heading in ("what", "result", "aim"):
        table.add_column(heading)
    for row in rows(result):
        table.add_row(*row)
    console.print(table)
    console.print(f"LiveKit Egress admits {LIVEKIT_TRACKS_PER_CORE} track recordings per core.")
    console.print(f"This took {result['took_seconds']} s.")


def markdown(result: dict[str, Any]) -> str:
    machine = result["machine"]
    day = date.fromisoformat(result["at"][:10])
    where = f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}"
    lines = [
        f"Measured {day:%-d %B %Y} on {where}, load {machine['load_before']} before:"
        f" Nexus {result['version']}.",
        "",
        "| what | result | aim |",
        "|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows(result)),
        f"| LiveKit Egress: track recordings that it admits per core | {LIVEKIT_TRACKS_PER_CORE} | |",
        "",
        "![CPU and memory over the number of tracks](../bench/results/record.png)",
    ]
    return "\n".join(lines)


def write_document(path: Path, result: dict[str, Any]) -> None:
    """Replaces the table between the two marks."""
    text = path.read_text()
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not between.search(text):
        raise ValueError(f"{path} has no place for the results: {BEGIN}")
    body = f"{BEGIN}\n{markdown(result)}\n{END}"
    path.write_text(between.sub(lambda _: body, text))


def draw(result: dict[str, Any], path: Path) -> None:
    points = result["load"]
    tracks = [point["tracks"] for point in points]
    figure, (cpu, memory) = plt.subplots(1, 2, figsize=(11, 4))
    cpu.plot(tracks, [point["recorder_cores"] for point in points], "o-", label="recorder")
    cpu.plot(
        tracks, [p["sfu_cores"] - p["sfu_cores_bare"] for p in points], "s-", label="SFU, for the recording"
    )
    cpu.plot([0, max(tracks)], [0, max(tracks) / 150], "--", color="grey", label="150 tracks per core")
    cpu.set_ylabel("cores")
    memory.plot(tracks, [point["recorder_bytes"] / MIB for point in points], "o-", label="recorder")
    kept = [point["retained_bytes_per_track"] * point["tracks"] / MIB for point in points]
    memory.plot(tracks, kept, "s-", label="kept by the SFU until acknowledged")
    memory.set_ylabel("MiB")
    for axes in (cpu, memory):
        axes.set_xlabel("videos of 1.5 Mbit/s with Opus")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
