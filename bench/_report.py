"""Reports of the measurements: a table on the terminal and in docs/benchmarks.md, its summary in README.md,
and plots."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib as mpl
from _evaluation import OURS, carries, median, p99, per_second, select, servers_of, spread
from _scenes import AUDIO_PUBLISHERS
from rich.console import Console
from rich.table import Table

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = {OURS: "C0", "livekit": "C1", "janus": "C2"}
NAMES = {OURS: "Nexus", "livekit": "LiveKit", "janus": "Janus"}
# Labels of the README's lines; the number is the scene's `participants`.
SUMMARY_LABELS = {
    "livestream": "**livestream**: one publisher, {} viewers",
    "meeting": "**meeting**: {} participants, each receives the video of all others",
    "audio": f"**audio room**: {{}} participants, {AUDIO_PUBLISHERS} of them speak",
}
BEGIN, END = "<!-- bench-sfu: written by `make bench-sfu` -->", "<!-- /bench-sfu -->"


def print_row(console: Console, row: dict[str, Any]) -> None:
    seen = row["seen"]
    figure = row["packets_per_process_cpu_second"] or 0
    void = f"  [red]void: {'; '.join(row['void'])}[/red]" if row["void"] else ""
    console.print(
        f"{row['scene']:<11} {row['participants']:>4} {row['server']:<8} {'GRO' if row['gro'] else '   '} "
        f"{row['packets_per_second']:>7,}/s  {figure:>7,} per CPU s  p50 {seen['latency_p50_ms']:.1f} "
        f"p99 {seen['latency_p99_ms']:.1f} ms  loss {seen['loss']:.3%}  "
        f"{first_frame_text(row)}generator {seen['generator_cpu_share']:.0%}{void}",
        highlight=False,
    )


def first_frame_text(row: dict[str, Any]) -> str:
    first = row.get("first_frame")
    if first is None:
        return ""
    waits = first["from_join_ms"]
    none = f" ({first['saw_none']} of {first['came']} saw none)" if first["saw_none"] else ""
    return f"first frame p50 {waits['p50']:.0f} p99 {waits['p99']:.0f} ms{none}  "


HEADINGS = (
    "scene",
    "server",
    "packets/s",
    "per CPU second",
    "lowest – highest",
    "with GRO",
    "Nexus / peer",
    "p50 / p99 ms",
    "first frame",
    "loss",
    "MiB",
)


def table_rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One row of text for each scene and server: medians over the alternations, receivers without GRO."""
    rows = result["rows"]
    for scene in dict.fromkeys(row["scene"] for row in rows):
        ours = median(select(rows, OURS, scene, gro=False), per_second("process"))
        for server in servers_of(rows):
            chosen = select(rows, server, scene, gro=False)
            if chosen:
                yield _table_row(rows, chosen, scene, server, ours)


def _table_row(
    rows: Sequence[Any], chosen: Sequence[Any], scene: str, server: str, ours: float | None
) -> tuple[str, ...]:
    figure = median(chosen, per_second("process"))
    with_gro = median(select(rows, server, scene, gro=True), per_second("process"))
    times = "" if server == OURS or not figure or not ours else f"× {ours / figure:.1f}"
    p50 = median(chosen, lambda row: float(row["seen"]["latency_p50_ms"]))
    last = median(chosen, p99)
    # In a scene with emulated loss, the loss that remains after repair.
    kind = "loss_after_repair" if chosen[0]["poor_percent"] else "loss"
    loss = median(chosen, lambda row: float(row["seen"][kind]))
    memory = median(chosen, lambda row: float(row["memory_bytes"]))
    if figure is None:
        reasons = "; ".join(dict.fromkeys(reason for row in chosen for reason in row["void"]))
        return (scene, NAMES[server], "", f"void: {reasons}", *[""] * (len(HEADINGS) - 4))
    packets = median(chosen, lambda row: float(row["packets_per_second"]))
    ends = spread(chosen, per_second("process")) if len(chosen) > 1 else None
    first = [median(chosen, _first_frame(quantile)) for quantile in ("p50", "p99")]
    return (
        scene,
        NAMES[server],
        f"{packets:,.0f}",
        f"{figure:,.0f}",
        f"{ends[0]:,.0f} – {ends[1]:,.0f}" if ends else "",
        f"{with_gro:,.0f}" if with_gro else "",
        times,
        f"{p50:.1f} / {last:.1f}",
        " / ".join(f"{value:.0f}" for value in first if value is not None),
        f"{loss:.2%}",
        f"{(memory or 0) / 2**20:.0f}",
    )


def _first_frame(quantile: str) -> Callable[[Any], float | None]:
    return lambda row: row["first_frame"]["from_join_ms"][quantile] if "first_frame" in row else None


def print_tables(console: Console, result: dict[str, Any]) -> None:
    table = Table(title="Packets out per CPU second of the server's process")
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if i < 2 else "right")
    scene = ""
    for row in table_rows(result):
        if scene and row[0] != scene:
            table.add_section()
        table.add_row(*("" if row[0] == scene else row[0], *row[1:]))
        scene = row[0]
    console.print(table)
    words = ", ".join(f"{scene} {value}" for scene, value in result["ratios"].items())
    console.print(f"Nexus / best peer: {words}")
    console.print(_lucky(result))
    for line in _growth_lines(result):
        console.print(line)


def markdown(result: dict[str, Any], json_path: str) -> str:
    machine = result["machine"]
    day = date.fromisoformat(result["at"][:10])
    versions = {row["server"]: row["features"]["version"] for row in result["rows"]}
    names = ", ".join(f"{NAMES[server]} {version}" for server, version in versions.items())
    where = f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}"
    lines = [
        f"Measured {day:%-d %B %Y} on {where}, load {machine['load_before']} before: {names}. Server and load"
        " on a core each, the same cipher for all, receivers without GRO, medians of A B C A B C A B C;"
        f" loss of poor networks after repair. Rows and curve: [{json_path}]({json_path}).",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---|---|" + "--:|" * (len(HEADINGS) - 2),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in table_rows(result)]
    shown = [f"{scene} **{value}**" for scene, value in result["ratios"].items() if value is not None]
    lines += ["", f"Nexus / best peer: {', '.join(shown)}. {_lucky(result)}".rstrip()] if shown else []
    lines += _growth_lines(result)
    if limit := result["limit"]:
        lines.append(
            f"The engine reaches {limit['share_of_bare_loop']:.0%} of a bare loop on the same machine."
        )
    return "\n".join(lines)


def _lucky(result: dict[str, Any]) -> str:
    ranges = [
        f"{scene} {found['ratio'][0]} to {found['ratio'][1]}"
        for scene, found in result["spread"].items()
        if found["ratio"]
    ]
    return f"By lowest and highest instead of medians: {', '.join(ranges)}." if ranges else ""


def _growth_lines(result: dict[str, Any]) -> list[str]:
    grown = [(NAMES[s], g) for s, g in result["growth"].items() if g["most_packets_per_second"]]
    lines = []
    if grown:
        carried = ", ".join(f"{name} {found['most_packets_per_second']:,}" for name, found in grown)
        lines.append(f"Most packets a second carried without loss on one core, livestream: {carried}.")
    straight = [
        f"{name} {found['microseconds_per_packet']:.1f} µs a packet"
        f" (farthest point {found['deviation_from_line']:.0%} off)"
        for name, found in grown
        if found["deviation_from_line"] is not None
    ]
    if straight:
        lines.append(f"Cost over load, by the straight line through it: {', '.join(straight)}.")
    return lines


def summary(result: dict[str, Any]) -> str:
    """The README's table: a line for each main scene, and the most packets per second that one core
    carried."""
    rows = result["rows"]
    servers = servers_of(rows)
    lines = [
        "| packets sent per second of CPU time | " + " | ".join(NAMES[server] for server in servers) + " |",
        "|---|" + "--:|" * len(servers),
    ]
    for scene in result["ratios"]:
        chosen = [select(rows, server, scene, gro=False) for server in servers]
        figures = [median(one, per_second("process")) for one in chosen]
        shown = " | ".join("" if figure is None else f"{figure:,.0f}" for figure in figures)
        participants = next((row["participants"] for row in rows if row["scene"] == scene), "")
        lines.append(f"| {SUMMARY_LABELS[scene].format(participants)} | {shown} |")
    most = [result["growth"].get(server, {}).get("most_packets_per_second") for server in servers]
    shown = " | ".join(f"{figure:,}" if figure else "" for figure in most)
    lines.append(f"| **most packets per second on one core**, livestream | {shown} |")
    return "\n".join(lines)


def write_documents(root: Path, result: dict[str, Any], json_path: Path) -> None:
    """Writes the whole table into docs/benchmarks.md and the summary into README.md, each between its two
    marks."""
    folder = (root / "docs").resolve()
    relative = "../" + str(json_path.resolve().relative_to(folder.parent))
    _put(root / "docs" / "benchmarks.md", markdown(result, relative))
    _put(root / "README.md", summary(result))


def _put(path: Path, content: str) -> None:
    text = path.read_text()
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not between.search(text):
        raise ValueError(f"{path} has no place for the results: {BEGIN}")
    body = f"{BEGIN}\n{content}\n{END}"
    path.write_text(between.sub(lambda _: body, text))


def draw(result: dict[str, Any], path: Path) -> None:
    figure, ((bars, cost), (latency, share)) = plt.subplots(2, 2, figsize=(13, 8.5))
    _draw_bars(bars, result["rows"])
    _draw_curve(cost, result["curve"], "CPU seconds of the process a second", _cost)
    _draw_lines(cost, result["growth"])
    cost.set_ylim(bottom=0)
    cost.set_title("Growth from 10 viewers to the most (dashed: straight line)", loc="left")
    _draw_curve(
        latency, result["curve"], "forward latency p99, ms", lambda row: row["seen"]["latency_p99_ms"]
    )
    latency.set_yscale("log")
    _draw_curve(
        share, result["curve"], "CPU µs a packet", lambda row: 1e6 * _cost(row) / row["packets_per_second"]
    )
    share.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _cost(row: dict[str, Any]) -> float:
    return float(row["process_cpu_seconds"] / row["seen"]["seconds"])


def _draw_bars(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    scenes = list(dict.fromkeys(row["scene"] for row in rows))
    servers = servers_of(rows)
    width = 0.8 / max(len(servers), 1)
    for i, server in enumerate(servers):
        places = [at + i * width for at in range(len(scenes))]
        values = [
            median(select(rows, server, scene, gro=False), per_second("process")) or 0 for scene in scenes
        ]
        with_gro = [
            median(select(rows, server, scene, gro=True), per_second("process")) or 0 for scene in scenes
        ]
        axes.bar(places, [v / 1e3 for v in values], width, color=COLOURS[server], label=NAMES[server])
        dashes = [(at, v / 1e3) for at, v in zip(places, with_gro, strict=True) if v]
        if dashes:
            dash_at, dash_values = zip(*dashes, strict=True)
            axes.scatter(dash_at, dash_values, color="black", marker="_", s=120, zorder=3)
    axes.set_xticks([at + width * (len(servers) - 1) / 2 for at in range(len(scenes))], scenes)
    axes.set_ylabel("thousand packets out per CPU second")
    axes.margins(y=0.2)
    axes.set_title("At the same load (dash: receivers with GRO)", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _draw_lines(axes: Axes, growth: dict[str, dict[str, Any]]) -> None:
    for server, grown in growth.items():
        if grown["microseconds_per_packet"] is None:
            continue
        ends = [0, grown["most_packets_per_second"]]
        costs = [grown["fixed_cpu_share"] + grown["microseconds_per_packet"] * at / 1e6 for at in ends]
        axes.plot([at / 1e3 for at in ends], costs, "--", color=COLOURS[server], linewidth=1, alpha=0.7)


def _draw_curve(axes: Axes, curve: Sequence[dict[str, Any]], label: str, value: Any) -> None:
    """Draws the carried loads as a line, and those not carried as crosses, in the server's colour."""
    for server in servers_of(curve):
        own = sorted((r for r in curve if r["server"] == server), key=lambda row: int(row["participants"]))
        good = [(r["packets_per_second"] / 1e3, value(r)) for r in own if carries(r)]
        bad = [(r["packets_per_second"] / 1e3, value(r)) for r in own if not carries(r)]
        axes.plot(
            [p[0] for p in good], [p[1] for p in good], "o-", color=COLOURS[server], label=NAMES[server]
        )
        axes.plot([p[0] for p in bad], [p[1] for p in bad], "x", color=COLOURS[server], markersize=10)
    axes.set_xlabel("thousand packets out a second (livestream; cross: not carried)")
    axes.set_ylabel(label)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
