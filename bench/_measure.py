"""One measurement of one server, in one scene, with one load. It starts the server, joins the participants,
waits until the load is steady, and measures."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _evaluation import reasons_to_void
from _load import Adapter, Generator, Participant
from _scenes import Scene, expected_packets, participants_of, viewer

SERVER_CORE, GENERATOR_CORE = 0, 1
CONNECT_SECONDS = 30
# How long the load settles after the keyframes: servers with few buffers lose packets when a keyframe goes to
# hundreds of participants at once.
CALM_SECONDS = 1


def core_busy_seconds(core: int) -> float:
    """Busy time of the whole core from /proc/stat, because packets are also delivered in interrupts."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            busy = sum(int(t) for t in ticks[:3]) + sum(int(t) for t in ticks[5:8])
            return busy / 100
    return 0.0


def sent_by_ssrc(generator: Generator, participants: Sequence[Participant]) -> dict[int, int]:
    sent = {}
    for participant in participants:
        if participant.publisher is not None:
            for key, value in generator.ask(f"streams peer={participant.publisher.peer}").items():
                name, _, ssrc = key.partition(".")
                if name == "sent":
                    sent[int(ssrc)] = int(value)
    return sent


class Point:
    def __init__(self, adapter: Adapter, scene: Scene, *, gro: bool, seconds: float, warmup: float) -> None:
        self._adapter, self._scene, self._gro = adapter, scene, gro
        self._seconds, self._warmup = seconds, warmup
        self._participants = participants_of(scene)
        self._churned: list[float] = []  # durations in seconds of the joins during the measurement

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
        await self._adapter.join(generator, self._participants)
        connected = await self._run(generator, f"seconds={CONNECT_SECONDS} until_connected=1")
        joined = time.monotonic() - began
        await self._run(generator, f"ms={round(self._warmup * 500)} seconds=0")
        # All viewers start from the same keyframe. Otherwise it depends on the server when publishers send
        # them.
        generator.keyframes(self._participants)
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
            "sent": sent_by_ssrc(generator, self._participants),
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
        """The viewer that joined first leaves, and a new one joins."""
        leaver = next(participant for participant in self._participants if not participant.publishes)
        self._participants.remove(leaver)
        await self._adapter.leave(generator, [leaver])
        comer = viewer(self._participants[-1].index + 1)
        generator.ask("joining")
        began = time.monotonic()
        await self._adapter.join(generator, [comer])
        self._churned.append(time.monotonic() - began)
        self._participants.append(comer)

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
        expected = expected_packets(self._participants, sent)
        packets = seen["datagrams_in"]
        row: dict[str, Any] = {
            "server": self._adapter.name,
            "scene": self._scene.name,
            "kind": self._scene.kind,
            "participants": self._scene.participants,
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
            row["first_frame"] = first_frame(seen)
        for name, key in (("process", "cpu"), ("media", "media_cpu"), ("core", "core")):
            spent = None if before[key] is None else after[key] - before[key]
            row[f"{name}_cpu_seconds"] = None if spent is None else round(spent, 3)
            row[f"packets_per_{name}_cpu_second"] = round(packets / spent) if spent else None
        row["void"] = reasons_to_void(row, still=int(connected["ended"]))
        return row


def first_frame(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Times until viewers that joined during the measurement had received a whole keyframe, in ms from three
    starts: the join, the first packet of the connection, and the established connection. A viewer without a
    keyframe counts with its waiting time so far."""
    return {
        "came": seen["first_frames"] + seen["first_frames_missing"],
        "saw_none": seen["first_frames_missing"],
        **{f"{beginning}_ms": figures for beginning, figures in seen["first_frame_ms"].items()},
    }


def gso(
    before: Mapping[str, int] | None, after: Mapping[str, int] | None, seen: Mapping[str, Any], *, gro: bool
) -> dict[str, Any] | None:
    """The share of packets that left in runs, by the server's own counters; None if it has none. For a
    receiver without GRO the kernel cuts every run in software, which costs the server CPU time."""
    if before is None or after is None:
        return None
    packets = after["datagrams_out"] - before["datagrams_out"]
    segments = after["gso_segments"] - before["gso_segments"]
    runs = after["gso_runs"] - before["gso_runs"]
    if not packets or not runs:
        return {"share": 0.0, "packets_per_run": None, "cut_in_software": None}
    # If at least half the mean length of a run arrives in one read, the runs were not cut.
    whole = gro and seen["datagrams_per_receive"] >= segments / runs / 2
    return {
        "share": round(segments / packets, 3),
        "packets_per_run": round(segments / runs, 2),
        "cut_in_software": not whole,
    }
