"""Compares the engine with a bare forwarding loop: `bench/limit.py --participants 50 200 500`.

The bare loop (native/bench/limit) receives and unprotects packets, and for each subscriber rewrites, protects
and sends them in GSO runs, without rooms, timers, feedback or pacing. The engine forwards the same packets,
in the generator's process. Both alternate on the same core, with receivers without and with UDP GRO. Writes
bench/results/<date>-limit.json.
"""

import argparse
import json
import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from _load import BUILD, ROOT, build
from _machine import in_real_time

# The streams of `nexus_load` at 720p: 1.5 Mbit/s in 30 frames per second of six packets, and 50 audio
# packets.
FRAMES_PER_SECOND, AUDIO_PACKETS_PER_SECOND = 30, 50
RUN, PAYLOAD = 6, 1_042


def program(name: str, *arguments: str) -> dict[str, object]:
    command = in_real_time([str(BUILD / "bench" / name), *arguments])
    found: dict[str, object] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def limit(participants: int, gro: int) -> dict[str, object]:
    audio = AUDIO_PACKETS_PER_SECOND / FRAMES_PER_SECOND
    mix = (f"run={RUN}", f"payload={PAYLOAD}", f"audio_per_run={audio:.2f}")
    return program("nexus_limit", f"subscribers={participants}", f"gro={gro}", *mix)


def engine(scene: str, participants: int, gro: int, seconds: int) -> dict[str, object]:
    return program(
        "nexus_load", "local", scene, f"participants={participants}", f"gro={gro}", f"seconds={seconds}"
    )


def figure(rows: list[dict[str, object]], name: str) -> float:
    return statistics.median(float(str(row[name])) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", nargs="+", type=int, default=[50, 200, 500])
    parser.add_argument("--gro", nargs="+", type=int, default=[0, 1], choices=(0, 1))
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-limit.json"
    )
    options = parser.parse_args()
    build("nexus_load", "nexus_limit")
    points = []
    for participants in options.participants:
        for gro in options.gro:
            bare, ours = [], []
            for _ in range(options.turns):
                bare.append(limit(participants, gro))
                ours.append(engine("livestream", participants, gro, options.seconds))
            most = figure(bare, "packets_per_cpu_second")
            got = figure(ours, "packets_out_per_cpu_second")
            point = {
                "participants": participants,
                "gro": bool(gro),
                "limit_packets_per_cpu_second": round(most),
                "engine_packets_per_cpu_second": round(got),
                "share_of_limit": round(got / most, 3),
                "loop_over_sum_of_steps": round(figure(bare, "loop_over_sum"), 3),
                "ns_per_step": bare[-1]["ns_per_packet_out"],
                "engine": ours[-1],
            }
            points.append(point)
            print(json.dumps({key: point[key] for key in point if key != "engine"}), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    options.out.write_text(json.dumps({"at": at, "scene": "livestream", "points": points}, indent=1) + "\n")


if __name__ == "__main__":
    main()
