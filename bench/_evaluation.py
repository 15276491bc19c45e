"""Evaluates the rows of the comparison, one for each measurement: the reasons to void a row, the ratios
between servers, and the growth of cost with load. Pure functions."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

OURS = "nexus"
RATIO_SCENES = ("livestream", "meeting", "audio")
Row = Mapping[str, Any]

# Maximum share of its core that the generator may use.
GENERATOR_SHARE = 0.8
# Minimum share of the expected packets that must arrive. Below it, viewers received another layer or nothing.
DELIVERED = 0.97
# Packets per core second that the servers' authors publish: LiveKit's benchmark page, 16 vCPU.
# Janus publishes no comparable number.
PUBLISHED: Mapping[str, Mapping[str, int]] = {
    "livekit": {"livestream": 38_000, "meeting": 38_000, "audio": 75_000},
}
# Share of the published number below which a measurement is not credible.
FAR_BELOW = 0.6
# Maximum loss (before repair, and not emulated) at which a server counts as carrying a load.
CARRIED_LOSS = 0.001
# Share of its core above which a server counts as saturated.
FULL = 0.9


def reasons_to_void(row: Row, *, still: int = 0) -> list[str]:
    """Reasons why this row is not a valid measurement; empty if it is valid. `still` counts failed
    connections."""
    seen = row["seen"]
    reasons = []
    if seen["generator_cpu_share"] > GENERATOR_SHARE:
        reasons.append(f"the generator used {seen['generator_cpu_share']:.0%} of its core")
    if seen["generator_receive_overflow"] > 0:
        reasons.append("the kernel dropped at the generator's socket")
    if still > 0:
        reasons.append(f"{still} connections failed")
    if row["churn_per_second"] == 0 and seen["silent_streams"] > 0:
        reasons.append(f"{seen['silent_streams']} of {seen['receive_streams']} streams got nothing")
    lossless = not row["poor_percent"] and not row["churn_per_second"]
    if lossless and row["delivered"] is not None and row["delivered"] < DELIVERED:
        reasons.append(f"{row['delivered']:.1%} of the load came through")
    published = PUBLISHED.get(row["server"], {}).get(row["scene"])
    figure = row["packets_per_process_cpu_second"]
    if published and figure and figure < FAR_BELOW * published:
        reasons.append(f"far below its own published {published:,} packets per core second")
    return reasons


def _values(rows: Iterable[Row], key: Callable[[Row], float | None]) -> list[float]:
    return [value for row in rows if not row["void"] and (value := key(row)) is not None]


def per_second(account: str) -> Callable[[Row], float | None]:
    return lambda row: row[f"packets_per_{account}_cpu_second"]


def p99(row: Row) -> float | None:
    value: float = row["seen"]["latency_p99_ms"]
    return value


def select(rows: Sequence[Row], server: str, scene: str, *, gro: bool) -> list[Row]:
    return [r for r in rows if (r["server"], r["scene"], r["gro"]) == (server, scene, gro)]


def median(rows: Sequence[Row], key: Callable[[Row], float | None]) -> float | None:
    values = _values(rows, key)
    return statistics.median(values) if values else None


def spread(rows: Sequence[Row], key: Callable[[Row], float | None]) -> tuple[float, float] | None:
    """The lowest and the highest value over the alternations, which the median of a few values does not
    show."""
    values = _values(rows, key)
    return (min(values), max(values)) if values else None


def servers_of(rows: Sequence[Row]) -> list[str]:
    """The servers in the rows, Nexus first."""
    names = dict.fromkeys(row["server"] for row in rows)
    return sorted(names, key=lambda name: name != OURS)


def ratio(rows: Sequence[Row], scene: str, *, gro: bool = False, account: str = "process") -> float | None:
    """Nexus / best peer, from medians over the alternations; None if either side has no valid row."""
    medians = {
        server: median(select(rows, server, scene, gro=gro), per_second(account))
        for server in servers_of(rows)
    }
    ours = medians.pop(OURS, None)
    peers = [value for value in medians.values() if value is not None]
    return round(ours / max(peers), 2) if ours is not None and peers else None


def ratios(rows: Sequence[Row], *, gro: bool = False, account: str = "process") -> dict[str, float | None]:
    return {scene: ratio(rows, scene, gro=gro, account=account) for scene in RATIO_SCENES}


def ratio_range(rows: Sequence[Row], scene: str) -> list[float] | None:
    """The extremes of the ratio: Nexus's lowest / the best peer's highest, and Nexus's highest / the best
    peer's lowest."""
    ranges = {
        server: spread(select(rows, server, scene, gro=False), per_second("process"))
        for server in servers_of(rows)
    }
    ours = ranges.pop(OURS, None)
    peers = [found for found in ranges.values() if found is not None]
    if ours is None or not peers:
        return None
    return [
        round(ours[0] / max(highest for _, highest in peers), 2),
        round(ours[1] / max(lowest for lowest, _ in peers), 2),
    ]


def spreads(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Lowest, median and highest value of each server, for each scene that is measured more than once."""
    found: dict[str, dict[str, Any]] = {}
    for scene in RATIO_SCENES:
        scene_of: dict[str, Any] = {"ratio": ratio_range(rows, scene)}
        for server in servers_of(rows):
            chosen = select(rows, server, scene, gro=False)
            if (ends := spread(chosen, per_second("process"))) is not None:
                middle = median(chosen, per_second("process"))
                scene_of[server] = {"lowest": ends[0], "median": middle, "highest": ends[1]}
        found[scene] = scene_of
    return found


def p99_beside_best(rows: Sequence[Row], scene: str) -> dict[str, float | None]:
    """The p99 latency of Nexus and of the best peer, with receivers without GRO."""
    medians = {s: median(select(rows, s, scene, gro=False), p99) for s in servers_of(rows)}
    ours = medians.pop(OURS, None)
    peers = [value for value in medians.values() if value is not None]
    return {"ours_ms": ours, "best_peer_ms": min(peers) if peers else None}


def carries(row: Row) -> bool:
    return not row["void"] and row["seen"]["loss"] <= CARRIED_LOSS


def is_full(row: Row) -> bool:
    """Whether the server used its whole core, so that a repetition would not give a better result."""
    share: float = row["process_cpu_seconds"] / row["seen"]["seconds"]
    return share > FULL


GROWTH = ("most_packets_per_second", "deviation_from_line", "microseconds_per_packet", "fixed_cpu_share")


def growth(curve: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """How cost grows with load, for each server.

    Returns the most packets per second that it carried, the slope and intercept of the least-squares line
    through the carried points (the cost of a packet, and the fixed cost), and the largest deviation from that
    line as a share of the largest cost.
    """
    found = {}
    for server in servers_of(curve):
        points = [
            (row["packets_per_second"], row["process_cpu_seconds"] / row["seen"]["seconds"])
            for row in curve
            if row["server"] == server and carries(row)
        ]
        if not points:
            found[server] = dict.fromkeys(GROWTH)
            continue
        deviation = line = None
        if len(points) > 2:
            line = slope, intercept = statistics.linear_regression(*zip(*points, strict=True))
            worst = max(abs(cost - slope * packets - intercept) for packets, cost in points)
            deviation = round(worst / max(cost for _, cost in points), 3)
        found[server] = {
            "most_packets_per_second": max(packets for packets, _ in points),
            "deviation_from_line": deviation,
            "microseconds_per_packet": round(1e6 * line[0], 3) if line else None,
            "fixed_cpu_share": round(line[1], 4) if line else None,
        }
    return found
