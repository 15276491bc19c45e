"""Options shared by the commands that sign tokens as an app."""

from typing import Annotated

import typer

AppKeyId = Annotated[str, typer.Option(help="The app's key id.", envvar="NEXUS_APP")]
AppSecret = Annotated[
    str,
    typer.Option(help="The app's secret.", envvar="NEXUS_APP_SECRET", show_default="the development app's"),
]
