"""A deliverer as a process of its own, for tests that kill and pause it.

python deliverer_process.py NATS_URL REPLICA FOLDER URL…

It creates the file `running-<pid>` in FOLDER when it delivers for an endpoint.
"""

import asyncio
import os
import sys
from pathlib import Path

from nexus_bus import NatsBus
from nexus_runtime import MetricSet
from nexus_testkit import wait_until
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).parents[3]))

from libs.webhooks.tests.site import endpoint, make_deliverer


async def main(nats_url: str, replica: str, folder: str, *urls: str) -> None:
    bus = await NatsBus.connect(nats_url, replica)
    metrics = MetricSet("test", CollectorRegistry())
    deliverer = make_deliverer(bus, [endpoint(url) for url in urls], metrics, replica=replica)
    async with asyncio.TaskGroup() as tasks:
        for work in deliverer.work().values():
            tasks.create_task(work)
        await wait_until(
            lambda: metrics.registry.get_sample_value("nexus_test_webhook_endpoints_running"), 3_600
        )
        (Path(folder) / f"running-{os.getpid()}").touch()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
