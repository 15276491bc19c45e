"""A whole deployment in processes: NATS, S3 behind a proxy that fails on demand, an SFU, signaling and
recorders."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
from grpc import aio
from nexus.recorder.v1 import recorder_pb2_grpc
from nexus_cli.development import KEY_ID, SECRET
from nexus_rtc import App
from nexus_storage import S3Settings, S3Store
from nexus_testkit import FaultProxy, NatsServer, S3Server, free_port, wait_until
from service_process import PATIENCE_SECONDS, ServiceProcess

APP: Final = App(KEY_ID, SECRET)
BUCKET: Final = "calls"

Target = Literal["s3", "nats", "sfu", "signaling"]


class Deployment:
    """Everything that runs. Recorders are made by `recorder`, because tests need different ones."""

    def __init__(self, folder: Path, nats: NatsServer, s3: S3Server, proxy: FaultProxy) -> None:
        self.folder = folder
        self.nats = nats
        self.s3 = s3
        self.proxy = proxy
        self.bucket = s3.make_bucket(BUCKET)
        self._signaling_port = free_port()
        self.sfu = self._service(
            "sfu",
            {
                "NEXUS_SFU_MEDIA_HOST": "127.0.0.1",
                "NEXUS_SFU_MEDIA_PORT": "0",
                # The room outlives the death of the only signaling, whose sessions all end then.
                "NEXUS_SFU_EMPTY_TIMEOUT_MS": "240000",
            },
        )
        self.signaling = self._service(
            "signaling",
            {
                "NEXUS_SIGNALING_PORT": str(self._signaling_port),
                "NEXUS_APPS": f"{KEY_ID}:{SECRET}",
                "NEXUS_DEV": "1",
            },
        )
        self.recorders: list[ServiceProcess] = []
        self._channels: list[aio.Channel] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._signaling_port}"

    def _service(self, kind: str, environment: dict[str, str], name: str = "") -> ServiceProcess:
        environment = {"NEXUS_NATS_URL": self.nats.url, **environment}
        return ServiceProcess(f"nexus_{kind}", name or kind, self.folder, environment)

    def recorder(self, name: str, *, spool: Path | None = None, run_spool_mb: int = 64) -> ServiceProcess:
        """A recorder that is not started yet, with a disk of its own."""
        spool = spool or self.folder / f"spool-{name}"
        made = self._service(
            "recorder",
            {
                "NEXUS_STORES": json.dumps({"default": self._store_settings(self.proxy.url)}),
                "NEXUS_RECORDER_REPLICA_ID": name,
                "NEXUS_RECORDER_GRPC_PORT": "0",
                "NEXUS_RECORDER_LINKS_PORT": "0",
                "NEXUS_RECORDER_CPU_MILLICORES": "4000",
                "NEXUS_RECORDER_SPOOL_DIR": str(spool),
                "NEXUS_RECORDER_SPOOL_MB": "1024",
                "NEXUS_RECORDER_RUN_SPOOL_MB": str(run_spool_mb),
            },
            name,
        )
        self.recorders.append(made)
        return made

    def stub(self, recorder: ServiceProcess) -> recorder_pb2_grpc.RecorderServiceStub:
        channel = aio.insecure_channel(recorder.grpc_address)
        self._channels.append(channel)
        return recorder_pb2_grpc.RecorderServiceStub(channel)

    def _store_settings(self, endpoint: str) -> dict[str, Any]:
        keys = {"kind": "keys", "access_key": self.s3.access_key, "secret_key": self.s3.secret_key}
        return {
            "kind": "s3",
            "endpoint": endpoint,
            "region": self.s3.region,
            "bucket": BUCKET,
            "require_tls": False,
            "part_size_mib": 5,
            "connect_timeout_ms": 2_000,
            "read_timeout_ms": 3_000,
            "credentials": [keys],
        }

    def open_store(self) -> S3Store:
        """The store, past the proxy. The caller closes it."""
        return S3Store("witness", S3Settings.model_validate(self._store_settings(self.s3.url)))

    # Blows

    async def kill(self, target: Target) -> None:
        match target:
            case "s3":
                await asyncio.to_thread(self.s3.stop)
            case "nats":
                await asyncio.to_thread(self.nats.stop)
            case "sfu":
                await asyncio.to_thread(self.sfu.kill)
            case "signaling":
                await asyncio.to_thread(self.signaling.kill)

    async def restart(self, target: Target) -> None:
        match target:
            case "s3":
                await asyncio.to_thread(self.s3.start)
            case "nats":
                await asyncio.to_thread(self.nats.start)
            case "sfu":
                self.sfu.start()
                await self.sfu.ready()
            case "signaling":
                await self._start_signaling()

    def signal(self, target: Target, number: signal.Signals) -> None:
        match target:
            case "s3":
                signal_pid(self.s3.pid, number)
            case "nats":
                signal_pid(self.nats.pid, number)
            case "sfu":
                self.sfu.signal(number)
            case "signaling":
                self.signaling.signal(number)

    async def _start_signaling(self) -> None:
        self.signaling.start()
        await self.signaling.ready()
        async with aiohttp.ClientSession() as http:

            async def serves() -> bool:
                try:
                    async with http.get(self.url):
                        return True
                except aiohttp.ClientError:
                    return False

            await wait_until(serves, PATIENCE_SECONDS, "signaling does not listen")

    async def start(self) -> None:
        self.sfu.start()
        await asyncio.gather(self.sfu.ready(), self._start_signaling())

    async def end_recorders(self) -> None:
        """Ends the recorders of one test."""
        for recorder in self.recorders:
            recorder.signal(signal.SIGCONT)
            recorder.kill()
        self.recorders.clear()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        await self.end_recorders()
        for service in (self.signaling, self.sfu):
            service.signal(signal.SIGCONT)
            service.kill()


def signal_pid(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)


@asynccontextmanager
async def deployed(folder: Path) -> AsyncIterator[Deployment]:
    """A running deployment without a recorder."""
    async with AsyncExitStack() as parts:
        nats = parts.enter_context(NatsServer())
        s3 = parts.enter_context(S3Server())
        proxy = await parts.enter_async_context(FaultProxy(s3.url))
        deployment = Deployment(folder, nats, s3, proxy)
        parts.push_async_callback(deployment.close)
        await deployment.start()
        yield deployment
