"""The skeleton of every service: configuration, logs, health, metrics, broker and life cycle.

A service is a class with four methods; its `__main__` is one line::

    run_service("sfu", SfuService, SfuConfig)

`run_service` reads the configuration, starts health and metrics, connects NATS in the background, and then
runs `start`, the supervised `work`, `drain` and `close`. `--version` prints the version. `--check-config`
reads the whole configuration, connects to nothing and lists every fault.
"""

import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any, Protocol, TypeVar

import structlog
import typer
from nexus_bus import Bus, NatsBus
from prometheus_client import REGISTRY

from nexus_runtime.background import Background
from nexus_runtime.clock import Clock, SystemClock
from nexus_runtime.config import ConfigError, ServiceConfig
from nexus_runtime.health import Health, HealthServer
from nexus_runtime.lifecycle import EXIT_MISCONFIGURED, EXIT_OK, Life, run
from nexus_runtime.logs import configure_logs
from nexus_runtime.metrics import MetricSet

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts that `run_service` passes to a service."""

    life: Life
    bus: Bus
    health: Health
    metrics: MetricSet
    background: Background
    clock: Clock
    version: str

    @classmethod
    def around(
        cls, service: str, bus: Bus, metrics: MetricSet, life: Life, clock: Clock | None = None
    ) -> "Runtime":
        """Creates the remaining parts, and registers the health check and gauges that every service has."""
        health = Health(lambda: life.draining)
        # Advisory: media continues without the broker, so an orchestrator must not end the service.
        health.add_check("nats", lambda: bus.connected, required=False)
        background = Background()
        for gauge, text, value in (
            ("nats_connected", "1 while connected to a NATS server.", lambda: bus.connected),
            ("draining", "1 while the service accepts no new work.", lambda: life.draining),
            ("background_tasks", "Running tasks that outlive their requests.", lambda: len(background)),
        ):
            metrics.gauge(gauge, text).set_function(value)
        clock = clock or SystemClock()
        return cls(life, bus, health, metrics, background, clock, version(f"nexus-{service}"))


class Service(Protocol):
    async def start(self) -> Mapping[str, object]:
        """Opens ports and files, and returns the fields of the log line `ready`. The broker may be
        unreachable. Raises ClientError for a fault that the operator must fix."""
        ...

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Tasks by name, which run until the service stops; if one ends earlier, the service ends with an
        error."""
        ...

    async def drain(self) -> None:
        """Called when the service stops. Returns when its present work has ended, or after the configured
        wait."""
        ...

    async def close(self) -> None:
        """Ends the remaining work and closes ports. Also called when `start` has failed."""
        ...


C = TypeVar("C", bound=ServiceConfig)
MakeService = Callable[[C, Runtime], Service]


def run_service(name: str, make: MakeService[C], config_type: type[C]) -> None:
    """Reads the command line, runs the service, and ends the process with its exit code."""

    def command(
        show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
        check_config: Annotated[
            bool,
            typer.Option("--check-config", help="Read the whole configuration, list every fault, and exit."),
        ] = False,
    ) -> None:
        if show_version:
            typer.echo(version(f"nexus-{name}"))
        elif check_config:
            sys.exit(_check(config_type))
        else:
            sys.exit(_run(name, make, config_type))

    command.__doc__ = f"The {name} service, configured by environment variables; see its README."
    typer.run(command)


def _check(config_type: type[ServiceConfig]) -> int:
    try:
        config_type.load()
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        return EXIT_MISCONFIGURED
    typer.echo("The configuration is valid.")
    return EXIT_OK


def _run(name: str, make: MakeService[C], config_type: type[C]) -> int:
    configure_logs(name)  # for faults in the configuration; configured again once it is read

    async def main(life: Life) -> None:
        config = config_type.load()
        configure_logs(
            name, level=config.log_level, format=config.log_format or None, bound=config.log_fields()
        )
        bus = NatsBus.open(config.nats_url, config.connection_name() or name)
        try:
            runtime = Runtime.around(name, bus, MetricSet(name, REGISTRY), life)
            async with HealthServer(runtime.health, config.health_host, config.health_port) as health:
                await _live(make(config, runtime), runtime, health.port)
        finally:
            await bus.close()

    return run(main)


async def _live(service: Service, runtime: Runtime, health_port: int) -> None:
    try:
        fields = await service.start()
        for name, work in service.work().items():
            runtime.life.supervise(name, work)
        runtime.health.note_started()
        log.info("ready", version=runtime.version, health_port=health_port, **fields)
        await runtime.life.wait_until_stopping()
        await service.drain()
    finally:
        await service.close()
