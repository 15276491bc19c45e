"""Reports of a run that wait for the record: in order, together, bounded."""

from nexus_recorder.core import inputs
from nexus_recorder.metrics import Metrics
from nexus_recorder.run import BytesChanged, DegradedChanged, SegmentStored, Started
from nexus_recorder.run_reports import MAX_SEGMENTS, RunReports
from nexus_runtime import MetricSet
from prometheus_client import CollectorRegistry


def make() -> tuple[RunReports, CollectorRegistry]:
    registry = CollectorRegistry()
    return RunReports(3, Metrics(MetricSet("recorder", registry))), registry


def segment(number: int) -> SegmentStored:
    return SegmentStored(f"{number}", "TR_1", 1, 0, 6_000)


def test_the_order_stays_and_progress_is_put_together() -> None:
    reports, _ = make()
    reports.note(Started("RM_1", 5))
    reports.note(segment(1))
    reports.note(BytesChanged(1, 2))
    reports.note(segment(2))
    reports.note(DegradedChanged(None))
    reports.note(segment(3))
    started, progress, degraded, last = reports.take()
    assert started == inputs.Started(3, "RM_1", 5)
    assert isinstance(progress, inputs.Progress)
    assert ([one.key for one in progress.segments], progress.spooled_bytes) == (["1", "2"], 2)
    assert degraded == inputs.DegradedChanged(3, None)
    assert isinstance(last, inputs.Progress)
    assert [one.key for one in last.segments] == ["3"]
    assert reports.take() == []


def test_what_is_given_back_comes_first() -> None:
    reports, _ = make()
    reports.note(segment(1))
    taken = reports.take()
    reports.note(segment(2))
    reports.give_back(taken)
    (progress,) = reports.take()
    assert isinstance(progress, inputs.Progress)
    assert [one.key for one in progress.segments] == ["1", "2"]


def test_segments_are_bounded_and_counted() -> None:
    reports, registry = make()
    for number in range(MAX_SEGMENTS + 1):
        reports.note(segment(number))
    taken = reports.take()
    reports.note(segment(0))
    reports.give_back(taken)
    (progress,) = reports.take()
    assert isinstance(progress, inputs.Progress)
    assert len(progress.segments) == MAX_SEGMENTS
    assert registry.get_sample_value("nexus_recorder_segment_reports_dropped_total") == 2
