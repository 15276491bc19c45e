"""Out-packets per CPU second of SFUs at the same offered load: `bench/sfu.py --scene livestream --people 50`.

Server on one core, generator on the other. A point at which the generator was above 80 % of its core is void,
and so is one whose kernel dropped at the generator's socket. The rows go to bench/results/<date>-sfu.json.
"""

import argparse
import asyncio
import json
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

from _load import ROOT, Adapter, Generator, Person, build
from _load_janus import JanusAdapter
from _load_livekit import LiveKitAdapter
from _load_nexus import NexusAdapter
from _network import enter

ADAPTERS: dict[str, type[Adapter]] = {"nexus": NexusAdapter, "janus": JanusAdapter, "livekit": LiveKitAdapter}
SERVER_CORE, GENERATOR_CORE = 0, 1
MAX_WATCHED = 25
AUDIO_PUBLISHERS = 10


def scene_people(scene: str, people: int, *, simulcast: bool) -> list[Person]:
    match scene:
        case "livestream":  # 1 -> N
            publisher = Person(0, audio=True, video=True, simulcast=simulcast)
            return [publisher, *(Person(i, audio_slots=1, video_slots=1) for i in range(1, people + 1))]
        case "meeting":  # N x N
            watched = min(people - 1, MAX_WATCHED)
            return [
                Person(
                    i, audio=True, video=True, simulcast=simulcast, audio_slots=watched, video_slots=watched
                )
                for i in range(people)
            ]
        case "audio":  # 10 -> N
            return [
                Person(i, audio=i < AUDIO_PUBLISHERS, audio_slots=AUDIO_PUBLISHERS) for i in range(people)
            ]
    raise ValueError(scene)


def core_busy_seconds(core: int) -> float:
    """Of the whole core from /proc/stat: loopback work is charged to whoever sends, interrupts to nobody."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            busy = sum(int(t) for t in ticks[:3]) + sum(int(t) for t in ticks[5:8])
            return busy / 100
    return 0.0


async def measure(
    adapter: Adapter, scene: str, people: int, options: argparse.Namespace, *, gro: bool
) -> dict[str, object]:
    generator = Generator(core=GENERATOR_CORE, gro=gro)
    try:
        await adapter.start(core=SERVER_CORE)
        persons = scene_people(scene, people, simulcast=options.simulcast)
        for person in persons[len(persons) - len(persons) * options.poor // 100 :]:
            person.loss_percent = options.loss
        began = time.monotonic()
        await adapter.join(generator, persons)
        connected = generator.ask("run seconds=60 until_connected=1")
        joined_seconds = time.monotonic() - began
        generator.ask(f"run seconds={options.warmup}")
        cpu, media_cpu, core = (
            adapter.cpu_seconds(),
            adapter.media_cpu_seconds(),
            core_busy_seconds(SERVER_CORE),
        )
        # The server's own process runs on while we wait for the generator's answer.
        seen = json.loads(await asyncio.to_thread(generator.raw, f"measure seconds={options.seconds}"))
        spent = adapter.cpu_seconds() - cpu
        spent_media = None if media_cpu is None else (adapter.media_cpu_seconds() or 0.0) - media_cpu
        spent_core = core_busy_seconds(SERVER_CORE) - core
        packets = seen["datagrams_in"]
        return {
            "server": adapter.name,
            "scene": scene,
            "people": people,
            "gro": gro,
            "simulcast": options.simulcast,
            "poor_percent": options.poor,
            "loss_percent": options.loss if options.poor else 0,
            "connected": int(connected["connected"]),
            "join_seconds": round(joined_seconds, 2),
            "cpu_seconds": round(spent, 3),
            "packets_per_cpu_second": round(packets / spent) if spent else None,
            "packets_per_media_cpu_second": round(packets / spent_media) if spent_media else None,
            "packets_per_core_second": round(packets / spent_core) if spent_core else None,
            "memory_bytes": adapter.memory_bytes(),
            "features": adapter.features(),
            "void": seen["void"] or seen["generator_receive_overflow"] > 0,
            "seen": seen,
        }
    finally:
        generator.close()
        await adapter.stop()


def machine() -> dict[str, object]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    load = Path("/proc/loadavg").read_text().split()[0]
    return {"cpu": model, "kernel": platform.release(), "load_before": float(load)}


def main() -> None:
    enter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", default=["nexus"], choices=sorted(ADAPTERS))
    parser.add_argument("--scene", default="livestream", choices=("livestream", "meeting", "audio"))
    parser.add_argument("--people", nargs="+", type=int, default=[50, 100])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--gro", nargs="+", type=int, default=[0, 1], choices=(0, 1))
    parser.add_argument("--poor", type=int, default=0, help="percent of the people on a poor network")
    parser.add_argument("--loss", type=float, default=3.0, help="percent that they lose")
    parser.add_argument("--simulcast", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-sfu.json"
    )
    options = parser.parse_args()
    build()
    result: dict[str, object] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    rows: list[dict[str, object]] = []
    for people in options.people:
        for gro in options.gro:
            for name in options.servers:
                row = asyncio.run(measure(ADAPTERS[name](), options.scene, people, options, gro=bool(gro)))
                rows.append(row)
                print(json.dumps(row), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**result, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
