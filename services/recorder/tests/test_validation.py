"""The bounds of every value in a request, and the field that an error names."""

from collections.abc import Callable

import pytest
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.types.v1 import media_pb2
from nexus_recorder.core import validation
from nexus_rpc import RpcError


def a_start() -> recorder_pb2.StartRecordingRequest:
    return recorder_pb2.StartRecordingRequest(app="app", room="lobby")


def refused_field(request: recorder_pb2.StartRecordingRequest) -> str:
    with pytest.raises(RpcError) as refused:
        validation.start(request)
    assert refused.value.name == "INVALID_ARGUMENT"
    return refused.value.details["field"]


def test_defaults_are_filled_in() -> None:
    spec = validation.start(a_start())
    assert (spec.tracks, spec.participants, spec.segment_ms) == (True, False, 6_000)
    assert spec.key_template == "{app}/{room}/{date}/{recording}/{identity}-{source}"
    assert spec.limits == recording_pb2.RecordingLimits(
        max_duration_seconds=86_400, empty_timeout_seconds=60, queue_timeout_seconds=60
    )
    assert spec.durability == recording_pb2.DURABILITY_SPOOL
    request = a_start()
    request.spec.participants = True
    assert not validation.start(request).tracks


Change = Callable[[recorder_pb2.StartRecordingRequest], object]

FAULTS: list[tuple[str, Change]] = [
    ("app", lambda r: setattr(r, "app", "")),
    ("room", lambda r: setattr(r, "room", "x" * 513)),
    ("request_id", lambda r: setattr(r, "request_id", "x" * 129)),
    ("started_by", lambda r: setattr(r, "started_by", "ü" * 257)),
    ("spec.segment_ms", lambda r: setattr(r.spec, "segment_ms", 1_999)),
    ("spec.segment_ms", lambda r: setattr(r.spec, "segment_ms", 20_001)),
    ("spec.key_template", lambda r: setattr(r.spec, "key_template", "x" * 4096)),
    ("spec.store", lambda r: setattr(r.spec, "store", "x" * 65)),
    ("spec.durability", lambda r: setattr(r.spec, "durability", 9)),
    ("spec.retention_seconds", lambda r: setattr(r.spec, "retention_seconds", 2**60)),
    ("spec.limits.max_duration_seconds", lambda r: setattr(r.spec.limits, "max_duration_seconds", 10**9)),
    ("spec.limits.empty_timeout_seconds", lambda r: setattr(r.spec.limits, "empty_timeout_seconds", 10**9)),
    ("spec.limits.queue_timeout_seconds", lambda r: setattr(r.spec.limits, "queue_timeout_seconds", 10**9)),
    ("spec.labels", lambda r: r.spec.labels.update({f"{i}": "" for i in range(33)})),
    ("spec.labels.key", lambda r: r.spec.labels.update({"": "x"})),
    ("spec.labels.value", lambda r: r.spec.labels.update({"x": "y" * 257})),
    ("spec.selection.consent", lambda r: setattr(r.spec.selection, "consent", "x" * 257)),
    ("spec.selection.include[0]", lambda r: r.spec.selection.include.add()),
    ("spec.selection.exclude[0].identity", lambda r: r.spec.selection.exclude.add(identity="x" * 513)),
    ("spec.selection.include[0].sources", lambda r: r.spec.selection.include.add(sources=[99])),
    (
        "spec.selection.include[0].sources",
        lambda r: r.spec.selection.include.add(sources=[media_pb2.TRACK_SOURCE_UNSPECIFIED]),
    ),
    ("spec.selection.include", lambda r: [r.spec.selection.include.add(name="x") for _ in range(65)]),
]


@pytest.mark.parametrize(("field", "change"), FAULTS)
def test_a_fault_names_its_field(field: str, change: Change) -> None:
    request = a_start()
    change(request)
    assert refused_field(request) == field


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (lambda r: r, "999"),
        (lambda r: r.spec, "spec.999"),
        (lambda r: r.spec.selection.exclude.add(identity="x"), "spec.selection.exclude.999"),
    ],
)
def test_an_unknown_field_is_refused_wherever_it_is(path: Callable[..., object], field: str) -> None:
    request = a_start()
    target = path(request)
    # Field 999 with the wire type of a varint and the value 1.
    target.MergeFromString(bytes([0xB8, 0x3E, 0x01]))  # type: ignore[attr-defined]
    assert refused_field(request) == field


def test_a_rule_has_the_defaults_of_its_spec() -> None:
    rule = recording_pb2.RecordingRule(app="app", name="all", room_pattern="*")
    assert validation.rule(rule).spec.segment_ms == 6_000
    rule.spec.segment_ms = 1
    with pytest.raises(RpcError) as refused:
        validation.rule(rule)
    assert refused.value.details == {"field": "rule.spec.segment_ms"}
