"""The report on a terminal: a live table of the steps while the probe runs, and the tracks at the end."""

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from nexus_cli.probe.report import Report, Step

_MARKS = {
    "waiting": "[dim]·[/]",
    "running": "[cyan]…[/]",
    "ok": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}
_NAMES = {"ice": "ICE", "dtls": "DTLS", "websocket": "WebSocket"}


def table(report: Report) -> RenderableType:
    steps = Table.grid(padding=(0, 2))
    for step in report.steps:
        took = f"{step.ms:.0f} ms" if step.ms is not None else ""
        steps.add_row(
            _MARKS[step.state], _NAMES.get(step.name, step.name), f"[dim]{took:>8}[/]", escape(step.text)
        )
    failed = report.failed
    return Group(steps, _failure(failed)) if failed else steps


def tracks(report: Report) -> RenderableType:
    sent = Table("sent", "codec", "packets", "kB", "lost", "round trip")
    for one in report.sent:
        lost = "?" if one.lost is None else str(one.lost)
        rtt = "?" if one.rtt_ms is None else f"{one.rtt_ms:.1f} ms"
        sent.add_row(one.kind, one.codec, str(one.packets), f"{one.octets / 1000:.0f}", lost, rtt)
    received = Table()
    received.add_column("received from", overflow="fold", ratio=1)
    for title in ("what", "codec", "packets", "frames", "fps", "size", "as sent"):
        received.add_column(title, no_wrap=True)
    for taken in report.received:
        size = f"{taken.width}x{taken.height}" if taken.width else ""
        as_sent = {None: "", True: "[green]yes[/]", False: "[red]no[/]"}[taken.expected]
        counts = (str(taken.packets), str(taken.frames), f"{taken.frames_per_second:.1f}")
        received.add_row(escape(taken.participant), taken.source, taken.codec, *counts, size, as_sent)
    return Group(*(one for one in (sent, received) if one.row_count))


def plain_line(step: Step) -> str:
    """A step as one line, for output that is not a terminal."""
    took = f" ({step.ms:.0f} ms)" if step.ms is not None else ""
    hint = f"\n  {step.hint}" if step.hint else ""
    return f"{step.state:>7} {step.name}{took} {step.text}{hint}"


def _failure(step: Step) -> str:
    return f"\n[red]failed at {_NAMES.get(step.name, step.name)}[/]: {escape(step.text)}\n{escape(step.hint)}"


def console() -> Console:
    """Writes to standard error, because standard output is for the JSON."""
    return Console(stderr=True, highlight=False)
