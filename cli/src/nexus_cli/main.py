"""The program `nexus`. Commands import heavy modules only when they run: printing a token must not load the
media stack."""

from typing import Annotated

import typer

from nexus_cli.dev.command import dev
from nexus_cli.nodes_command import nodes
from nexus_cli.probe_command import probe
from nexus_cli.record_command import record
from nexus_cli.say_command import say
from nexus_cli.token_command import token
from nexus_cli.version import print_version, versions
from nexus_cli.webhooks_command import webhooks

app = typer.Typer(
    name="nexus",
    help="Nexus RTC: rooms, audio, video and screens, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # a local variable may be a token
)
app.command()(dev)
app.command()(token)
app.command()(probe)
app.command()(nodes)
app.command()(say)
app.add_typer(record, name="record")
app.add_typer(webhooks, name="webhooks")
app.command("version")(versions)


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=print_version, is_eager=True),
    ] = False,
) -> None:
    """Nexus RTC: rooms, audio, video and screens, self-hosted."""
