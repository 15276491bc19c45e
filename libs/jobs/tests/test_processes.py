"""Owners as real processes around a real broker: killed, paused, and without the broker."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nexus_bus import Bus, BusError, NatsBus
from nexus_jobs import Job, JobRequest, JobState
from nexus_jobs.testing import ONE, Replica, Site
from nexus_testkit import NatsServer, wait_until

Process = subprocess.Popen[bytes]

PROGRAM = Path(__file__).with_name("owner_process.py")
KIND = "record"
# Longest wait for a process to start and act on a loaded machine.
PATIENCE = 60.0


class Scene:
    """A broker, the folder that the owners write to, and a replica that creates jobs and runs none."""

    def __init__(self, server: NatsServer, path: Path, creator: Replica) -> None:
        self.server = server
        self.creator = creator
        self._path = path
        self._job_id = ""

    async def create(self) -> Job:
        request = JobRequest("app", KIND, "small", ONE, queue_timeout_ms=300_000)
        job = await self.creator.queue.create(request)
        self._job_id = job.id
        return job

    async def read(self) -> Job:
        async def readable() -> Job | None:
            try:
                return await self.creator.queue.get(KIND, self._job_id)
            except BusError:
                return None  # JetStream is still starting

        job = await wait_until(readable, PATIENCE)
        assert job is not None
        return job

    async def owner(self) -> str:
        """The name of the replica that owns the job."""
        return (await self.read()).owner.split("-")[0]

    @asynccontextmanager
    async def owners(self, *names: str, mode: str = "") -> AsyncIterator[dict[str, Process]]:
        """Starts replicas, and kills them at the end."""
        started: dict[str, Process] = {}
        try:
            for name in names:
                arguments = [sys.executable, str(PROGRAM), self.server.url, KIND, name, str(self._path), mode]
                started[name] = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
            for process in started.values():
                await wait_until((self._path / f"ready-{process.pid}").exists, PATIENCE)
            yield started
        finally:
            for process in started.values():
                process.kill()
                process.wait()

    def epochs(self) -> list[int]:
        """The epoch that wrote each file, by the file's number."""
        names = sorted(int(path.name) for path in self._path.iterdir() if path.name.isdigit())
        assert names == list(range(len(names))), "a number is missing"
        return [int((self._path / str(name)).read_text() or "0") for name in names]

    def count(self, epoch: int) -> int:
        return self.epochs().count(epoch)

    def log(self, process: Process) -> str:
        path = self._path / f"log-{process.pid}"
        return path.read_text() if path.exists() else ""


@pytest.fixture
async def scene(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Scene]:
    opened: list[Bus] = []

    async def connect() -> Bus:
        opened.append(await NatsBus.connect(nats_server.url, "creator"))
        return opened[-1]

    creator = await Site(connect, KIND).replica(take=False)
    yield Scene(nats_server, tmp_path, creator)
    await creator.close()
    await opened[0].close()


async def test_a_killed_owner_is_replaced_once(scene: Scene) -> None:
    job = await scene.create()
    async with scene.owners("a", "b", "c") as owners:
        await wait_until(lambda: scene.count(1) > 3, PATIENCE)
        first = owners[await scene.owner()]
        first.send_signal(signal.SIGKILL)
        first.wait()
        await wait_until(lambda: scene.count(2) > 20, PATIENCE)
        now = await scene.read()
        assert (now.epoch, now.deaths, now.state) == (2, 1, JobState.RUNNING)
        epochs = scene.epochs()
        assert set(epochs) == {1, 2}
        assert epochs == sorted(epochs)
        await scene.creator.queue.request_stop(KIND, job.id)
        ended = await scene.creator.queue.wait_until_ended(KIND, job.id)
        assert ended.outcome is not None
        assert (ended.outcome.code, ended.epoch) == ("STOPPED", 2)


async def test_a_paused_owner_that_wakes_writes_nothing(scene: Scene) -> None:
    await scene.create()
    async with scene.owners("a", "b", mode="stop-before-write") as owners:
        await wait_until(lambda: scene.count(1) == 3, PATIENCE)
        first = owners[await scene.owner()]
        await wait_until(lambda: scene.count(2) > 3, PATIENCE)
        first.send_signal(signal.SIGCONT)
        await wait_until(lambda: "not held in epoch 1" in scene.log(first), PATIENCE)
        await wait_until(lambda: scene.count(2) > 30, PATIENCE)
        assert scene.count(1) == 3
        assert "exists" not in scene.log(first)
        assert (await scene.read()).epoch == 2


async def test_a_write_that_was_checked_before_the_pause_meets_create_if_absent(scene: Scene) -> None:
    """The local check cannot cover a pause after it. The store does."""
    await scene.create()
    async with scene.owners("a", "b", mode="stop-after-check") as owners:
        await wait_until(lambda: scene.count(1) == 3, PATIENCE)
        first = owners[await scene.owner()]
        await wait_until(lambda: scene.count(2) > 3, PATIENCE)
        first.send_signal(signal.SIGCONT)
        await wait_until(lambda: "3 exists" in scene.log(first), PATIENCE)
        await wait_until(lambda: scene.count(2) > 30, PATIENCE)
        assert scene.count(1) == 3


async def test_a_job_continues_while_the_broker_is_away(scene: Scene) -> None:
    await scene.create()
    async with scene.owners("a", "b") as owners:
        await wait_until(lambda: scene.count(1) > 3, PATIENCE)
        first = owners[await scene.owner()]
        scene.server.stop()
        await wait_until(lambda: "not held" in scene.log(first), PATIENCE)
        written = scene.count(1)
        scene.server.start()
        await wait_until(lambda: scene.count(1) > written + 3, PATIENCE)
        await wait_until(lambda: scene.creator.bus.connected, PATIENCE)
        now = await scene.read()
        assert (now.epoch, now.deaths) == (1, 0)
        assert set(scene.epochs()) == {1}
        # Observers notice a death after the outage too.
        first.kill()
        await wait_until(lambda: scene.count(2) > 3, PATIENCE)
