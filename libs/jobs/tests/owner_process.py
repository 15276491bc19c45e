"""A replica as a process of its own, for tests that kill, pause and watch it.

    python owner_process.py NATS_URL KIND REPLICA FOLDER [stop-before-write | stop-after-check]

Its handler writes a file every 20 ms into FOLDER, which stands for an object store: a file is created only if
it is absent, as `<number>` with the epoch as content. The handler continues at its checkpoint. With the last
argument, the owner of epoch 1 pauses itself (SIGSTOP) when it has written three files.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from nexus_bus import BusError, NatsBus
from nexus_jobs import (
    Capacity,
    JobMetrics,
    JobRecords,
    JobsConfig,
    JobWorker,
    Lease,
    LeaseState,
    Outcome,
    Returned,
    Work,
)
from nexus_jobs.testing import ONE, TIMING
from nexus_runtime import MetricSet, SystemClock
from prometheus_client import CollectorRegistry

WRITE_SECONDS = 0.02
FILES_BEFORE_PAUSE = 3


def pause() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


class Writer:
    def __init__(self, folder: Path, mode: str) -> None:
        self._folder = folder
        self._mode = mode
        self._written = 0

    async def __call__(self, lease: Lease) -> Outcome | Returned:
        number = int(lease.job.checkpoint or b"0")
        while not lease.stop_requested:
            await asyncio.sleep(WRITE_SECONDS)
            due = self._written == FILES_BEFORE_PAUSE and lease.epoch == 1
            if due and self._mode == "stop-before-write":
                pause()
            if lease.check() is not LeaseState.HELD:
                self._note(f"not held in epoch {lease.epoch}")
                await lease.confirmed()
                continue
            if due and self._mode == "stop-after-check":
                pause()
            self._mode = "" if due else self._mode
            if self._create(f"{number}", str(lease.epoch)):
                self._written += 1
            number += 1
            if number % 10 == 0:
                with suppress(BusError):  # the next checkpoint contains this one
                    await lease.checkpoint(str(number).encode())
        return Outcome("STOPPED")

    def _create(self, name: str, content: str) -> bool:
        try:
            with (self._folder / name).open("x") as file:
                file.write(content)
        except FileExistsError:
            self._note(f"{name} exists")
            return False
        return True

    def _note(self, text: str) -> None:
        with (self._folder / f"log-{os.getpid()}").open("a") as file:
            file.write(text + "\n")


async def main(url: str, kind: str, replica: str, folder: str, mode: str = "") -> None:
    bus = await NatsBus.connect(url, replica)
    metrics = JobMetrics(MetricSet("owner", CollectorRegistry()))
    records = JobRecords(bus, SystemClock(), JobsConfig(timing=TIMING), [kind], metrics)
    work = Work(kind, "small", ONE, Writer(Path(folder), mode))
    worker = JobWorker(records, replica, str(os.getpid()), Capacity(cpu_millicores=1_000), [work])
    (Path(folder) / f"ready-{os.getpid()}").touch()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(records.run())
        tasks.create_task(worker.run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
