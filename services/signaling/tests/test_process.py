"""The process `python -m nexus_signaling`: environment, NATS, signals and exit codes."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from nexus_bus import NatsBus
from nexus_bus.subjects import NODES
from nexus_rooms.testing import FakeSfu
from nexus_signaling.codec import CODECS
from nexus_testkit import NatsServer, wait_until

from services.signaling.tests.harness import APP, SECRET, Client, mint


class Process:
    """The service with its log in a file."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.log = folder / "log"
        base = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nexus_signaling"],
                env=base | {"NEXUS_LOG_FORMAT": "json", **environment},
                stderr=log,
            )

    def lines(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    async def ready(self) -> dict[str, object]:
        await wait_until(lambda: self.lines("ready") or self.process.poll() is not None, timeout=30)
        assert self.process.poll() is None, self.log.read_text()
        return self.lines("ready")[0]

    async def exit_code(self) -> int:
        await wait_until(lambda: self.process.poll() is not None, timeout=30)
        return self.process.wait()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


async def test_a_call_through_the_running_process_and_a_clean_end(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    bus = await NatsBus.connect(nats_server.url, "fake-sfu")
    sfu = FakeSfu(bus)
    await sfu.start()
    process = Process(
        tmp_path,
        NEXUS_NATS_URL=nats_server.url,
        NEXUS_APPS=f"{APP}:{SECRET}",
        NEXUS_SIGNALING_PORT="0",
        NEXUS_SIGNALING_HEALTH_PORT="0",
    )
    try:
        ready = await process.ready()
        token = mint("ann")
        async with aiohttp.ClientSession() as http:
            metrics = f"http://127.0.0.1:{ready['health_port']}/metrics"

            async def sees_the_node() -> bool:
                await sfu.heartbeat()  # the last one may have expired while the process started
                async with http.get(metrics) as response:
                    return "nexus_signaling_sfu_nodes 1.0" in await response.text()

            await wait_until(sees_the_node, timeout=30)
            for subprotocol in CODECS:
                url = f"http://127.0.0.1:{ready['port']}/v1/rtc"
                client = Client(await http.ws_connect(url, protocols=[subprotocol]))
                assert (await client.join(token)).join.participant.identity == "ann"
            async with http.get(metrics) as response:
                text = await response.text()
            assert 'nexus_signaling_joins_total{result="ok"} 2.0' in text
            process.process.send_signal(signal.SIGTERM)
            assert (await client.event("disconnected")).disconnected.can_rejoin
            assert await client.closed() == 1001
        assert await process.exit_code() == 0
        await wait_until(lambda: not sfu.rooms[APP, "lobby"].participants)
        log = process.log.read_text()
        assert token not in log
        assert SECRET not in log
        assert not re.search(r"Traceback|\"level\": \"error\"", log)
    finally:
        process.kill()
        await sfu.stop()
        await (await bus.kv(NODES)).delete(sfu.node_id)
        await bus.close()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "NEXUS_APPS"),
        ({"NEXUS_APPS": "devkey:tiny-secret"}, "devkey"),
        ({"NEXUS_APPS": f"{APP}:{SECRET}", "NEXUS_SIGNALING_PORT": "x"}, "NEXUS_SIGNALING_PORT"),
    ],
)
async def test_configuration_errors_do_not_contain_secrets(
    tmp_path: Path, shared_nats_server: NatsServer, environment: dict[str, str], named: str
) -> None:
    process = Process(tmp_path, NEXUS_NATS_URL=shared_nats_server.url, **environment)
    try:
        assert await process.exit_code() == 2
        (line,) = process.lines("service_failed")
        assert named in str(line["error"])
        assert "tiny-secret" not in process.log.read_text()
        assert "Traceback" not in process.log.read_text()
    finally:
        process.kill()


async def test_a_busy_port_ends_the_process(tmp_path: Path, shared_nats_server: NatsServer) -> None:
    listener = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    process = Process(
        tmp_path,
        NEXUS_NATS_URL=shared_nats_server.url,
        NEXUS_APPS=f"{APP}:{SECRET}",
        NEXUS_SIGNALING_PORT=str(port),
    )
    try:
        assert await process.exit_code() == 2
        (line,) = process.lines("service_failed")
        assert line["code"] == "PORT_UNAVAILABLE"
    finally:
        process.kill()
        listener.close()
