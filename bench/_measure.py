"""One point: one server, one scene, one load. Starts the server anew, lets the people join, waits until all
is calm, measures."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _figures import reasons_to_void
from _load import Adapter, Generator, Person
from _scenes import Scene, expected_packets, people_of, viewer

SERVER_CORE, GENERATOR_CORE = 0, 1
CONNECT_SECONDS = 30
# Servers that have fewer buffers than ours lose packets when a keyframe is cut to hundreds of people at once.
CALM_SECONDS = 1


def core_busy_seconds(core: int) -> float:
    """Of the whole core from /proc/stat: delivery runs in the sender's time, in interrupts too."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            busy = sum(int(t) for t in ticks[:3]) + sum(int(t) for t in ticks[5:8])
            return busy / 100
    return 0.0


def sent_by_ssrc(generator: Generator, people: Sequence[Person]) -> dict[int, int]:
    sent = {}
    for person in people:
        if person.publisher is not None:
            for key, value in generator.ask(f"streams peer={person.publisher.peer}").items():
                name, _, ssrc = key.partition(".")
                if name == "sent":
                    sent[int(ssrc)] = int(value)
    return sent


class Point:
    def __init__(self, adapter: Adapter, scene: Scene, *, gro: bool, seconds: float, warmup: float) -> None:
        self._adapter, self._scene, self._gro = adapter, scene, gro
        self._seconds, self._warmup = seconds, warmup
        self._people = people_of(scene)
        self._churned: list[float] = []  # seconds that joins took meanwhile

    async def measure(self) -> dict[str, Any]:
        began = time.monotonic()
        generator = Generator(core=GENERATOR_CORE, gro=self._gro)
        try:
            await self._adapter.start(core=SERVER_CORE)
            row = await self._measure(generator)
            row["took_seconds"] = round(time.monotonic() - began, 1)
            return row
        finally:
            generator.close()
            await self._adapter.stop()

    async def _measure(self, generator: Generator) -> dict[str, Any]:
        began = time.monotonic()
        await self._adapter.join(generator, self._people)
        connected = await self._run(generator, f"seconds={CONNECT_SECONDS} until_connected=1")
        joined = time.monotonic() - began
        await self._run(generator, f"ms={round(self._warmup * 500)} seconds=0")
        # Everybody starts from the same picture: a publisher's encoder makes keyframes when it is asked, and
        # who asks how often is the server's affair.
        generator.keyframes(self._people)
        await self._run(generator, f"ms={round(self._warmup * 500)} seconds={CALM_SECONDS}")
        before = await self._snapshot(generator)
        generator.ask("begin")
        await self._load(generator)
        seen = json.loads(await asyncio.to_thread(generator.raw, "report"))
        after = await self._snapshot(generator)
        return self._row(seen, before, after, joined=joined, connected=connected)

    @staticmethod
    async def _run(generator: Generator, words: str) -> dict[str, str]:
        return await asyncio.to_thread(generator.ask, f"run {words}")

    async def _snapshot(self, generator: Generator) -> dict[str, Any]:
        return {
            "cpu": self._adapter.cpu_seconds(),
            "media_cpu": self._adapter.media_cpu_seconds(),
            "core": core_busy_seconds(SERVER_CORE),
            "counters": await self._adapter.counters(),
            "sent": sent_by_ssrc(generator, self._people),
        }

    async def _load(self, generator: Generator) -> None:
        if not self._scene.churn:
            await self._run(generator, f"ms={round(self._seconds * 1000)} seconds=0")
            return
        end = time.monotonic() + self._seconds
        step = 1 / self._scene.churn
        while time.monotonic() < end:
            due = time.monotonic() + step
            await self._replace_one(generator)
            left = max(0.0, due - time.monotonic())
            await self._run(generator, f"ms={round(left * 1000)} seconds=0")

    async def _replace_one(self, generator: Generator) -> None:
        """Who has been there longest leaves; somebody comes."""
        leaver = next(person for person in self._people if not person.publishes)
        self._people.remove(leaver)
        await self._adapter.leave(generator, [leaver])
        comer = viewer(self._people[-1].index + 1)
        generator.ask("joining")
        began = time.monotonic()
        await self._adapter.join(generator, [comer])
        self._churned.append(time.monotonic() - began)
        self._people.append(comer)

    def _row(
        self,
        seen: dict[str, Any],
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        *,
        joined: float,
        connected: Mapping[str, str],
    ) -> dict[str, Any]:
        sent = {ssrc: packets - before["sent"].get(ssrc, 0) for ssrc, packets in after["sent"].items()}
        expected = expected_packets(self._people, sent)
        packets = seen["datagrams_in"]
        row: dict[str, Any] = {
            "server": self._adapter.name,
            "scene": self._scene.name,
            "kind": self._scene.kind,
            "people": self._scene.people,
            "gro": self._gro,
            "poor_percent": self._scene.poor_percent,
            "loss_percent": self._scene.loss_percent,
            "churn_per_second": self._scene.churn,
            "connections": seen["peers"],
            "join_seconds": round(joined, 2),
            "packets_per_second": round(packets / seen["seconds"]),
            "bytes_per_packet": round(seen["media_bytes_in"] / max(seen["media_packets_in"], 1)),
            "delivered": round(seen["media_packets_in"] / expected, 4) if expected else None,
            "memory_bytes": self._adapter.memory_bytes(),
            "counters": after["counters"],
            "gso": gso(before["counters"], after["counters"], seen, gro=self._gro),
            "features": self._adapter.features(),
            "seen": seen,
        }
        if self._churned:
            row["churn_join_ms"] = round(1000 * sorted(self._churned)[len(self._churned) // 2], 1)
            row["first_picture"] = first_picture(seen)
        for name, key in (("process", "cpu"), ("media", "media_cpu"), ("core", "core")):
            spent = None if before[key] is None else after[key] - before[key]
            row[f"{name}_cpu_seconds"] = None if spent is None else round(spent, 3)
            row[f"packets_per_{name}_cpu_second"] = round(packets / spent) if spent else None
        row["void"] = reasons_to_void(row, still=int(connected["ended"]))
        return row


def first_picture(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Of those who came meanwhile: until a keyframe was whole, in ms from three beginnings (the person's
    join, the first packet of the connection, the connection up). Who still had none counts with its waiting
    so far."""
    return {
        "came": seen["first_pictures"] + seen["first_pictures_missing"],
        "saw_none": seen["first_pictures_missing"],
        **{f"{beginning}_ms": figures for beginning, figures in seen["first_picture_ms"].items()},
    }


def gso(
    before: Mapping[str, int] | None, after: Mapping[str, int] | None, seen: Mapping[str, Any], *, gro: bool
) -> dict[str, Any] | None:
    """The share of packets that left in runs, by the server's own counters; nothing where it tells none. A
    receiver without GRO has every run cut by the kernel in software, on the server's account."""
    if before is None or after is None:
        return None
    packets = after["datagrams_out"] - before["datagrams_out"]
    segments = after["gso_segments"] - before["gso_segments"]
    runs = after["gso_runs"] - before["gso_runs"]
    if not packets or not runs:
        return {"share": 0.0, "packets_per_run": None, "cut_in_software": None}
    # Half of a run's mean arriving together says that runs crossed whole.
    whole = gro and seen["datagrams_per_receive"] >= segments / runs / 2
    return {
        "share": round(segments / packets, 3),
        "packets_per_run": round(segments / runs, 2),
        "cut_in_software": not whole,
    }
