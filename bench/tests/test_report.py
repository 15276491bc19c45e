"""The reports that are made from rows."""

from typing import Any

import pytest
from _evaluation import growth, ratio_range, ratios, spreads
from _measure import first_frame
from _report import BEGIN, END, HEADINGS, draw, first_frame_text, markdown, table_rows, write_documents


def row(
    server: str = "nexus", scene: str = "livestream", per_second: int = 200_000, **other: Any
) -> dict[str, Any]:
    packets = other.pop("packets_per_second", 20_000)
    return {
        "server": server,
        "scene": scene,
        "participants": 10,
        "gro": False,
        "poor_percent": 0,
        "packets_per_second": packets,
        "packets_per_process_cpu_second": per_second,
        "process_cpu_seconds": packets * 10 / per_second,
        "memory_bytes": 100 << 20,
        "features": {"version": "1"},
        "seen": {
            "seconds": 10.0,
            "loss": 0.0,
            "loss_after_repair": 0.0,
            "latency_p50_ms": 1.0,
            "latency_p99_ms": 5.0,
        },
        "void": [],
        **other,
    }


SEEN = {
    "first_frames": 29,
    "first_frames_missing": 1,
    "first_frame_ms": {
        name: {"p50": 12.4, "p95": 20.0, "p99": 31.0}
        for name in ("from_join", "from_connect", "from_connected")
    },
}


def result(rows: list[dict[str, Any]], curve: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "at": "2026-11-25T21:00:00+00:00",
        "machine": {"cores": 2, "cpu": "a cpu", "kernel": "6", "load_before": 0.1},
        "rows": rows,
        "curve": curve,
        "ratios": ratios(rows),
        "spread": spreads(rows),
        "growth": growth(curve),
        "limit": None,
    }


def alternated() -> list[dict[str, Any]]:
    ours = [row(per_second=value) for value in (200_000, 300_000, 250_000)]
    return ours + [row("janus", per_second=value) for value in (80_000, 100_000, 90_000)]


def test_the_spread_includes_the_median() -> None:
    found = spreads(alternated())["livestream"]
    assert found["nexus"] == {"lowest": 200_000, "median": 250_000, "highest": 300_000}
    assert found["ratio"] == [2.0, 3.75]
    assert spreads(alternated())["audio"] == {"ratio": None}


def test_a_ratio_has_no_range_without_both_sides() -> None:
    assert ratio_range([row()], "livestream") is None


def test_every_table_row_has_all_columns() -> None:
    rows = [*alternated(), row(scene="churn"), row("janus", "churn", void=["why"])]
    table = list(table_rows(result(rows, [])))
    assert {len(cells) for cells in table} == {len(HEADINGS)}
    assert table[0][HEADINGS.index("lowest – highest")] == "200,000 – 300,000"


def test_a_churn_row_reports_first_frames() -> None:
    first = first_frame(SEEN)
    assert (first["came"], first["saw_none"]) == (30, 1)
    churn = row(scene="churn", first_frame=first)
    (cells,) = table_rows(result([churn], []))
    assert cells[HEADINGS.index("first frame")] == "12 / 31"
    assert "1 of 30 saw none" in first_frame_text(churn)
    assert first_frame_text(row()) == ""


def test_growth_is_reported_and_drawn_with_its_line(tmp_path: Any) -> None:
    curve = [row(packets_per_second=n, per_second=100_000) for n in (2_000, 10_000, 40_000)]
    text = markdown(result(alternated(), curve), "some.json")
    assert "Nexus 10.0 µs a packet" in text
    assert "livestream 2.0 to 3.75" in text
    draw(result(alternated(), curve), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 0


def test_table_and_summary_are_written_between_the_marks(tmp_path: Any) -> None:
    marks = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/benchmarks.md"):
        (tmp_path / name).write_text(marks)
    rows = result(alternated(), [row(packets_per_second=n, per_second=100_000) for n in (2_000, 40_000)])
    write_documents(tmp_path, rows, tmp_path / "bench" / "results" / "day.json")
    readme, table = ((tmp_path / name).read_text() for name in ("README.md", "docs/benchmarks.md"))
    assert "| packets sent per second of CPU time | Nexus | Janus |" in readme
    assert "| **livestream**: one publisher, 10 viewers | 250,000 | 90,000 |" in readme
    assert "(../bench/results/day.json)" in table
    for text in (readme, table):
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "old" not in text
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="no place"):
        write_documents(tmp_path, rows, tmp_path / "bench" / "results" / "day.json")
