"""The table of `record.py`."""

from pathlib import Path
from typing import Any

import pytest
from _recording_report import BEGIN, END, rows, slope, write_document

POINT: dict[str, Any] = {
    "tracks": 20,
    "tracks_per_core": 151.4,
    "recorder_bytes": 120 << 20,
    "retained_bytes_per_track": 1 << 19,
    "sfu_bytes_per_track": 1 << 20,
    "files": 20,
    "skew_ms_p99": 3.0,
    "skew_ms_max": 9.0,
    "sfu_us_per_packet": 20.0,
    "sfu_us_per_packet_bare": 12.0,
    "keyframes_per_minute": 10.0,
    "keyframes_per_minute_bare": 0.0,
    "void": [],
}
RESULT: dict[str, Any] = {
    "at": "2026-12-01T16:00:00+00:00",
    "version": "abc",
    "machine": {"cores": 2, "cpu": "some", "kernel": "6", "load_before": 1.5},
    "load": [POINT, {**POINT, "tracks": 40, "recorder_bytes": 160 << 20}],
    "kills": {
        "takeover_seconds": [4.0, 5.0, 6.0],
        "packets": 1000,
        "packets_lost": 0,
        "frames_twice": 0,
        "frames_out_of_time": 0,
    },
}


def test_memory_of_a_track_is_the_slope_and_not_the_share() -> None:
    assert slope(RESULT["load"], "recorder_bytes") == pytest.approx(2 << 20)
    assert slope([POINT], "tracks_per_core") == pytest.approx(151.4 / 20)


def test_each_figure_stands_beside_its_aim() -> None:
    found = {what: (figure, aim) for what, figure, aim in rows(RESULT)}
    assert found["tracks per core, at 20 tracks"] == ("151", "≥ 150")
    assert found["time until another recorder reads every track"] == ("p50 5.0 s, most 6.0 s", "≤ 8 s")


def test_a_void_point_says_why() -> None:
    void = {**RESULT, "load": [{**POINT, "void": ["the generator did not send the load"]}]}
    figures = [figure for _, figure, _ in rows(void)]
    assert any("void: the generator did not send the load" in figure for figure in figures)


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_document(path, RESULT)
    text = path.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    path.write_text("nothing")
    with pytest.raises(ValueError, match="no place"):
        write_document(path, RESULT)
