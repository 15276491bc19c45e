"""`nexus nodes`: lists the registered SFU nodes and their load."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from nexus.types.v1.state_pb2 import NodeRecord


def nodes(
    nats_url: Annotated[
        str,
        typer.Option(help="URL of the NATS server; `nexus dev` prints its own.", envvar="NEXUS_NATS_URL"),
    ] = "nats://127.0.0.1:4222",
) -> None:
    """List the registered SFU nodes and their load."""
    # Imported late, because it loads the NATS client and protobuf.
    import nats.errors

    from nexus_cli.known_nodes import broker, known_nodes

    async def look() -> "list[NodeRecord]":
        async with asyncio.timeout(10), broker(nats_url) as stream:
            return await known_nodes(stream)

    try:
        found = asyncio.run(look())
    except (nats.errors.Error, OSError, TimeoutError) as error:
        typer.secho(f"nexus nodes: no broker at {nats_url} ({str(error) or 'no answer'})", err=True, fg="red")
        raise typer.Exit(1) from None
    if not found:
        typer.echo("no SFU node is registered")
        return
    now_ms = time.time() * 1000  # noqa: TID251 - compared with heartbeats, which carry wall-clock time
    Console().print(_table(found, now_ms))


def _table(nodes: "list[NodeRecord]", now_ms: float) -> Table:
    table = Table()
    table.add_column("node", overflow="fold")
    for title in ("state", "cpu", "rooms", "participants", "tracks", "pkt/s in, out", "heartbeat"):
        table.add_column(title, justify="right")
    for node in nodes:
        load = node.load
        table.add_row(
            f"{node.node_id} ({node.region})" if node.region else node.node_id,
            "draining" if node.draining else "up",
            f"{load.cpu:.0%}",
            *(str(count) for count in (load.rooms, load.participants, load.tracks)),
            f"{load.packets_in_per_second:.0f}, {load.packets_out_per_second:.0f}",
            f"{max(0.0, now_ms - node.heartbeat_at_ms) / 1000:.1f} s ago",
        )
    return table
