"""A counter is declared in three places: in a struct of the engine, in one line of its binding and as a field
of the message. A counter that is missing in one of them fails a test here."""

import re
from pathlib import Path

import nexus_media as media
import pytest
from google.protobuf.message import Message
from nexus.sfu.v1 import sfu_pb2
from nexus_sfu import engine_port as port
from nexus_sfu.memory_engine import (
    MemoryEngineStats,
    MemorySlotStats,
    MemoryTrackStats,
    MemoryTransportStats,
)
from nexus_sfu.stats import counters_of

ENGINE = Path(__file__).parents[3] / "native/engine"
SCALAR = r"u?int(?:8|16|32|64)_t|double|std::string|TransportState"
COUNTER = re.compile(rf"^ +(?:{SCALAR}) (\w+)(?: = [\w:.]+)?;", re.M)
# Members of the binding that are not counters: the engine's numbers, and nested values.
SHAPED = {"transport", "track", "slot", "target", "layer", "layer_bitrates", "drops"}
# Counters of the struct that the binding adds to `drops`.
IN_DROPS = {"send_backlog_drops", "send_errors", "receive_truncated"}

KINDS = pytest.mark.parametrize(
    ("struct", "bound", "message"),
    [
        ("Engine", media.EngineStats, sfu_pb2.EngineStats),
        ("Transport", media.TransportStats, sfu_pb2.TransportStats),
        ("Track", media.TrackStats, sfu_pb2.TrackStats),
        ("Slot", media.SlotStats, sfu_pb2.SlotStats),
    ],
    ids=["engine", "transport", "track", "slot"],
)


def struct_counters(kind: str) -> set[str]:
    """The counters of `struct EngineStats`, `TransportStats`, …"""
    header = re.compile(rf"^struct {kind}(?:Stats|Report) \{{\n(.*?)^\}};", re.M | re.S)
    (body,) = [m[1] for path in ENGINE.rglob("*.h") if (m := header.search(path.read_text()))]
    return set(COUNTER.findall(body)) - IN_DROPS


@KINDS
def test_counters_are_the_same_in_engine_binding_and_message(
    struct: str, bound: type[object], message: type[Message]
) -> None:
    bound_counters = {name for name in vars(bound) if not name.startswith("_")} - SHAPED
    assert struct_counters(struct) == bound_counters
    assert set(counters_of(message)) == bound_counters


@pytest.mark.parametrize(
    ("protocol", "memory", "bound"),
    [
        (port.EngineStats, MemoryEngineStats(), media.EngineStats),
        (port.TransportStats, MemoryTransportStats(1), media.TransportStats),
        (port.TrackStats, MemoryTrackStats(1), media.TrackStats),
        (port.SlotStats, MemorySlotStats(1, None), media.SlotStats),
    ],
)
def test_what_the_service_reads_by_name_exists_in_both_engines(
    protocol: type[object], memory: object, bound: type[object]
) -> None:
    read = {*protocol.__annotations__, *(name for name in vars(protocol) if not name.startswith("_"))}
    assert read
    assert read <= vars(memory).keys()
    assert read <= vars(bound).keys()
