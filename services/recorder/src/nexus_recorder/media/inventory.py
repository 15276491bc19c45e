"""The objects that a recording has in its store: segments with their records, and journals. Read from a
listing alone."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog
from nexus_storage import ObjectInfo, ObjectNotFound, Store

from nexus_recorder.core.file_plan import StoredSegment
from nexus_recorder.core.knowledge import Knowledge
from nexus_recorder.core.object_names import ObjectNames, SegmentName
from nexus_recorder.core.records import SegmentRecord, read_journal, read_record

log = structlog.get_logger()

# Number of objects whose records are read at a time.
PARALLEL_READS: Final = 16


@dataclass(slots=True)
class Inventory:
    """The segments in the order of their names, and the journals put together."""

    segments: list[StoredSegment] = field(default_factory=list)
    knowledge: Knowledge = field(default_factory=Knowledge)
    unreadable: int = 0
    """Segments and journals that somebody has changed."""


async def read_inventory(store: Store, names: ObjectNames) -> Inventory:
    """Lists the recording and reads the records. Raises StorageError."""
    inventory = Inventory()
    journals: list[tuple[int, int, str]] = []
    async for listed in store.list(names.journals):
        place = names.parse_journal(listed.key)
        if place is not None:
            journals.append((*place, listed.key))
    for _, _, key in sorted(journals):
        journal = read_journal(await store.get(key))
        if journal is None:
            inventory.unreadable += 1
            continue
        inventory.knowledge.add(journal.entries)
    found = [
        name
        async for listed in store.list(names.segments)
        if (name := names.parse_segment(listed.key)) is not None
    ]
    turn = asyncio.Semaphore(PARALLEL_READS)

    async def read(name: SegmentName) -> StoredSegment | None:
        async with turn:
            return await _read_segment(store, names, name)

    for segment in await asyncio.gather(*(read(name) for name in found)):
        if segment is None:
            inventory.unreadable += 1
        else:
            inventory.segments.append(segment)
    return inventory


async def _read_segment(store: Store, names: ObjectNames, name: SegmentName) -> StoredSegment | None:
    """The record of a segment, from its metadata or from beside it. What the name says counts, so that a
    record cannot make a segment another one."""
    key = names.segment(name)
    try:
        info: ObjectInfo = await store.head(key)
        text: str | bytes = info.metadata.get("record", "")
        if text == "beside":
            text = await store.get(names.record(name))
    except ObjectNotFound:
        return None
    record = read_record(text)
    if record is None or not _belongs(record, name) or info.size != record.bytes:
        log.warning("recording_segment_unreadable", key=key)
        return None
    return StoredSegment(key, record)


def _belongs(record: SegmentRecord, name: SegmentName) -> bool:
    return record.segment_name == name
