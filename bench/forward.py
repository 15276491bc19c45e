"""The cost of forwarding: latency through the engine, CPU time per million packets, and memory of an idle
participant and of a slot. `bench/forward.py [--participants 25] [--idle 200]` writes
bench/results/forward.json.

The SFU is a process on one core and the load generator on another; packets carry the time of sending.
"""

import argparse
import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _load import ROOT, Generator, Participant, build
from _load_nexus import NexusAdapter
from _machine import machine
from _measure import GENERATOR_CORE, SERVER_CORE, Point
from _network import enter
from _scenes import Scene

SETTLE_SECONDS = 2
FORWARD_SECONDS = 15


async def idle_memory(participants: int) -> dict[str, object]:
    """Memory of participants that are connected with a pair of slots, in a room without publications."""
    generator = Generator(core=GENERATOR_CORE, gro=False)
    adapter = NexusAdapter()
    try:
        await adapter.start(core=SERVER_CORE)
        empty = adapter.memory_bytes()
        await adapter.join(
            generator, [Participant(i, audio_slots=1, video_slots=1) for i in range(participants)]
        )
        connected = int(generator.ask("run seconds=60 until_connected=1")["connected"])
        generator.ask(f"run seconds={SETTLE_SECONDS}")
        grown = adapter.memory_bytes() - empty
        return {
            "participants": participants,
            "connected": connected,
            "bytes_per_participant": round(grown / participants),
        }
    finally:
        generator.close()
        await adapter.stop()


async def slot_memory(viewers: int, publishers: int) -> dict[str, object]:
    """Memory of one more video slot, from the same room with one slot per viewer and with one per video.

    Memory is that of the whole process, including Python's state of a slot. `at_rest`: nothing is published.
    `forwarding`: each slot carries another video, which adds packets in flight and in the pacer. The rings,
    which slots share, cancel out.
    """
    slots = viewers * (publishers - 1)
    figures: dict[str, object] = {"slots": slots}
    for name, publish in (("at_rest", False), ("forwarding", True)):
        one = await _room_memory(viewers, publishers, 1, publish=publish)
        all_of_them = await _room_memory(viewers, publishers, publishers, publish=publish)
        figures[f"bytes_{name}"] = round((all_of_them - one) / slots)
    return figures


async def _room_memory(viewers: int, publishers: int, watched: int, *, publish: bool) -> int:
    generator = Generator(core=GENERATOR_CORE, gro=True)
    adapter = NexusAdapter()
    try:
        await adapter.start(core=SERVER_CORE)
        # An offer needs at least one section: an audio slot, which cancels out.
        participants = [Participant(i, video=publish, audio_slots=1) for i in range(publishers)]
        participants += [Participant(publishers + i, video_slots=watched) for i in range(viewers)]
        await adapter.join(generator, participants)
        generator.ask("run seconds=60 until_connected=1")
        generator.ask(f"run seconds={FORWARD_SECONDS if publish else SETTLE_SECONDS}")
        return adapter.memory_bytes()
    finally:
        generator.close()
        await adapter.stop()


def forwarding(row: dict[str, Any]) -> dict[str, object]:
    seen = row["seen"]
    return {
        "participants": row["participants"],
        "latency_ms": {"p50": seen["latency_p50_ms"], "p99": seen["latency_p99_ms"]},
        "latency_samples": seen["latency_samples"],
        "cpu_seconds_per_million_packets": round(1e6 / row["packets_per_process_cpu_second"], 2),
        "media_cpu_seconds_per_million_packets": round(1e6 / row["packets_per_media_cpu_second"], 2),
        "void": row["void"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=25)
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--viewers", type=int, default=60, help="viewers for the memory of a slot")
    parser.add_argument("--publishers", type=int, default=11, help="publishers for the memory of a slot")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "forward.json")
    options = parser.parse_args()
    enter(build)
    result: dict[str, Any] = {
        "bench": "forward",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    scene = Scene("forward", "livestream", options.participants, simulcast=False)
    point = Point(NexusAdapter(), scene, gro=False, seconds=options.seconds, warmup=options.warmup)
    row = asyncio.run(point.measure())
    result["forward"] = forwarding(row)
    result["idle"] = asyncio.run(idle_memory(options.idle))
    result["slot"] = asyncio.run(slot_memory(options.viewers, options.publishers))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    forward, idle = result["forward"], result["idle"]
    print(f"forward latency: p50 {forward['latency_ms']['p50']} ms, p99 {forward['latency_ms']['p99']} ms")
    print(
        f"server CPU per million packets: {forward['cpu_seconds_per_million_packets']} s "
        f"(threads that carry media: {forward['media_cpu_seconds_per_million_packets']} s)"
    )
    print(f"memory per idle participant: {idle['bytes_per_participant'] / 1024:.0f} KiB")
    slot = result["slot"]
    at_rest, busy = slot["bytes_at_rest"] / 1024, slot["bytes_forwarding"] / 1024
    print(f"memory per video slot: {at_rest:.1f} KiB at rest, {busy:.1f} KiB forwarding (of {slot['slots']})")
    if forward["void"]:
        print(f"void: {'; '.join(forward['void'])}: measure again on an idle machine")


if __name__ == "__main__":
    main()
