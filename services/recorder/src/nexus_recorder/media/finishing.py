"""Makes the files of a recording that has ended, and its manifest (`FileMaker`).

Everything is read from the store, so that any replica can do it, and again after a crash: a file that is in
the store with the hash of its segments is not made again. The segments are removed last.
"""

import hashlib
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1.media_pb2 import TrackSource
from nexus_storage import (
    InvalidKey,
    KeyTemplate,
    ObjectInfo,
    ObjectNotFound,
    RetryPolicy,
    Store,
    StoreSet,
    retrying,
)

from nexus_recorder.core import manifest
from nexus_recorder.core.file_plan import FilePlan, Piece, Planner
from nexus_recorder.core.manifest import MadeFile
from nexus_recorder.core.object_names import ObjectNames, safe_part
from nexus_recorder.core.records import TrackEntry, read_journal
from nexus_recorder.media.inventory import Inventory, read_inventory
from nexus_recorder.media.remuxing import Remuxed, remux
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import FinishedRecording, ForgottenTracks, RunLease

log = structlog.get_logger()

T = TypeVar("T")

DEFAULT_TEMPLATE: Final = "{app}/{room}/{date}/{recording}/{identity}-{source}"
# The fields that a key template may have.
TEMPLATE_FIELDS: Final = frozenset({"app", "room", "date", "time", "recording", "identity", "source"})
# Maximum number of further names that are tried for a file whose name another recording has.
MAX_RENAMES: Final = 100

_CONTENT_TYPES: Final = {"ogg": "audio/ogg", "mp4": "video/mp4", "webm": "video/webm"}


UploadLeftBehind = Callable[[recording_pb2.Recording], Awaitable[tuple[int, ...]]]


async def _has_none(recording: recording_pb2.Recording) -> tuple[int, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class FinishingParts:
    """The parts that finishing works with. `work_folder` is for files that are being made; it is emptied when
    the service starts. `upload_left_behind` uploads what the spool of this process has of a recording."""

    stores: StoreSet
    work_folder: Path
    workers: DiskWorkers
    rng: random.Random
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    upload_left_behind: UploadLeftBehind = _has_none


class Finisher:
    """A `FileMaker`. See `nexus_recorder.run`."""

    def __init__(self, parts: FinishingParts) -> None:
        self._parts = parts

    async def finish(self, recording: recording_pb2.Recording, lease: RunLease) -> FinishedRecording:
        work = _Finishing(recording, self._store(recording), self._parts)
        return await work.finish(lease)

    async def delete(self, recording: recording_pb2.Recording) -> int:
        store, names = self._store(recording), ObjectNames(recording.app, recording.id)
        removed = 0
        for key in await self._file_keys(recording, store, names):
            await self._retry(partial(store.delete, key))
            removed += 1
        return removed + await self._retry(lambda: store.delete_prefix(names.prefix))

    async def forget(self, recording: recording_pb2.Recording, identity: str) -> ForgottenTracks:
        work = _Finishing(recording, self._store(recording), self._parts)
        return ForgottenTracks(await work.forget(identity))

    def _store(self, recording: recording_pb2.Recording) -> Store:
        return self._parts.stores.get(recording.spec.store)

    async def _file_keys(
        self, recording: recording_pb2.Recording, store: Store, names: ObjectNames
    ) -> list[str]:
        """The keys of the files: those of the record, and those of the manifest, as far as they are ours."""
        keys = [file.key for file in recording.files]
        text = await self._retry(lambda: _get_or_none(store, names.manifest))
        for key in manifest.file_keys(text):
            info = await self._retry(partial(_head_or_none, store, key))
            if key not in keys and info is not None and info.metadata.get("recording") == recording.id:
                keys.append(key)
        return keys

    async def _retry(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retrying(call, policy=self._parts.policy, rng=self._parts.rng)


class _Finishing:
    """The work on one recording."""

    def __init__(self, recording: recording_pb2.Recording, store: Store, parts: FinishingParts) -> None:
        self._recording = recording
        self._store = store
        self._parts = parts
        self._names = ObjectNames(recording.app, recording.id)
        self._template = KeyTemplate.parse(recording.spec.key_template or DEFAULT_TEMPLATE, TEMPLATE_FIELDS)
        self._folder = parts.work_folder / safe_part(recording.id)
        """Also named after the epoch, because a thread of an earlier attempt may still be writing."""

    async def finish(self, lease: RunLease) -> FinishedRecording:
        # A manifest is written when all files are there, so it means that only the removal was interrupted.
        finished = await self._already_finished()
        if finished is None:
            await self._parts.upload_left_behind(self._recording)
            inventory = await self._retry(lambda: read_inventory(self._store, self._names))
            end_us = self._end_us(inventory)
            made = await self._make_files(inventory, end_us, lease)
            await lease.confirmed()
            size = await self._write_manifest(inventory, made, end_us)
            if self._recording.spec.keep_segments:
                size += sum(segment.record.bytes for segment in inventory.segments)
            files = [each.file for each in made]
            size += sum(file.bytes for file in files)
            finished = FinishedRecording(files, self._names.manifest, size)
        await lease.confirmed()
        for prefix in self._names.temporary(keep_segments=self._recording.spec.keep_segments):
            await self._retry(partial(self._store.delete_prefix, prefix))
        return finished

    async def forget(self, identity: str) -> list[str]:
        """Removes the files, segments and records of an identity, and writes the manifest without it."""
        deleted: list[str] = []
        text = await self._retry(lambda: _get_or_none(self._store, self._names.manifest))
        known = manifest.read(text)
        for key in manifest.file_keys(text, identity):
            info = await self._retry(partial(_head_or_none, self._store, key))
            if info is not None and info.metadata.get("recording") == self._recording.id:
                deleted.append(key)
        inventory = await self._retry(lambda: read_inventory(self._store, self._names))
        for segment in inventory.segments:
            if segment.record.identity == identity:
                beside = segment.key + ".json"
                deleted.append(segment.key)
                if await self._retry(partial(_head_or_none, self._store, beside)):
                    deleted.append(beside)
        for key in deleted:
            await self._retry(partial(self._store.delete, key))
        await self._forget_in_journals(identity)
        if known is not None:
            without = manifest.encode(manifest.without(known, identity))
            await self._retry(
                lambda: self._store.put(self._names.manifest, without, content_type="application/json")
            )
        return deleted

    async def _forget_in_journals(self, identity: str) -> None:
        async for listed in self._store.list(self._names.journals):
            journal = read_journal(await self._store.get(listed.key))
            if journal is None or self._names.parse_journal(listed.key) is None:
                continue
            kept = tuple(
                e for e in journal.entries if not isinstance(e, TrackEntry) or e.identity != identity
            )
            if kept != journal.entries:
                text = journal.model_copy(update={"entries": kept}).model_dump_json().encode()
                await self._store.put(listed.key, text, content_type="application/json")

    # Files

    async def _make_files(self, inventory: Inventory, end_us: int, lease: RunLease) -> list[MadeFile]:
        spec = self._recording.spec
        time = manifest.file_time(inventory.knowledge, end_us, keep_pauses=spec.keep_pauses)
        planner = Planner(inventory.segments, time, manifest.stream_ends_us(inventory.knowledge, end_us))
        made = []
        used: set[str] = set()
        self._folder = self._folder.with_name(f"{self._folder.name}-{lease.epoch}")
        await self._parts.workers.run(self._clear_folder)
        try:
            for plan in planner.plan(tracks=spec.tracks, participants=spec.participants):
                await lease.confirmed()
                made.append(await self._make_file(plan, used))
        finally:
            await self._parts.workers.run(lambda: shutil.rmtree(self._folder, ignore_errors=True))
        return made

    def _clear_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    async def _make_file(self, plan: FilePlan, used: set[str]) -> MadeFile:
        source_hash = _source_hash(plan)
        key, present = await self._choose_key(plan, source_hash, used)
        used.add(key)
        if present is not None:
            return present
        path = self._folder / f"file.{plan.container}"
        remuxed = await remux(plan, path, self._folder, self._fetch, self._parts.workers)
        digest = await self._parts.workers.run(lambda: _file_sha256(path))
        made = self._describe(plan, key, remuxed, digest)
        metadata = {"recording": self._recording.id, "sha256": digest, "segments": source_hash}
        await self._retry(
            lambda: self._store.put_file(key, path, content_type=made.file.content_type, metadata=metadata)
        )
        await self._retry(lambda: self._store.put(self._names.made(source_hash), manifest.encode_made(made)))
        await self._parts.workers.run(path.unlink)
        return made

    async def _choose_key(
        self, plan: FilePlan, source_hash: str, used: set[str]
    ) -> tuple[str, MadeFile | None]:
        """The first key that is free or this recording's own. If it has this very file already, that is
        returned too."""
        for number in range(MAX_RENAMES):
            key = self._key(plan, number)
            if key in used:
                continue
            info = await self._retry(partial(_head_or_none, self._store, key))
            if info is None:
                return key, None
            if info.metadata.get("recording") != self._recording.id:
                continue
            if info.metadata.get("segments") == source_hash:
                text = await self._retry(lambda: _get_or_none(self._store, self._names.made(source_hash)))
                made = manifest.read_made(text)
                if made is not None and (made.file.key, made.file.bytes) == (key, info.size):
                    return key, made
            return key, None
        return self._own_key(plan), None

    def _key(self, plan: FilePlan, number: int) -> str:
        started = datetime.fromtimestamp(self._recording.started_at_ms / 1000, UTC)
        values = {
            "app": self._recording.app,
            "room": self._recording.room,
            "date": started.strftime("%Y-%m-%d"),
            "time": started.strftime("%H-%M-%S"),
            "recording": self._recording.id,
            "identity": plan.identity,
            "source": plan.name,
        }
        part = f"-{plan.part}" if plan.part > 1 else ""
        again = f"+{number}" if number else ""
        try:
            return self._template.render(values) + f"{part}{again}.{plan.container}"
        except InvalidKey:
            return self._own_key(plan)

    def _own_key(self, plan: FilePlan) -> str:
        """A key below the recording's own prefix, for a file that has no other."""
        name = hashlib.sha256(f"{plan.identity}/{plan.name}".encode()).hexdigest()[:16]
        return f"{self._names.prefix}files/{name}-{plan.part}.{plan.container}"

    async def _fetch(self, piece: Piece, path: Path) -> None:
        """Brings a segment to the disk."""

        async def fetch() -> None:
            async with await self._store.open(piece.segment.key) as reader:
                await _write_chunks(aiter(reader), path, self._parts.workers)

        await self._retry(fetch)

    def _describe(self, plan: FilePlan, key: str, remuxed: Remuxed, digest: str) -> MadeFile:
        codecs = tuple(dict.fromkeys(piece.segment.record.codec for piece in plan.pieces))
        file = recording_pb2.RecordedFile(
            key=key,
            content_type=_content_type(plan),
            bytes=remuxed.size,
            sha256=digest,
            identity=plan.identity,
            track_ids=plan.track_ids,
            sources=[TrackSource.ValueType(source) for source in plan.sources],
            offset_ms=plan.start_us // 1000,
            duration_ms=remuxed.duration_us // 1000,
            part=plan.part,
        )
        return MadeFile(file, plan.container, codecs, remuxed.filled_us)

    # The manifest

    async def _write_manifest(self, inventory: Inventory, made: list[MadeFile], end_us: int) -> int:
        text = manifest.encode(
            manifest.build(self._recording, inventory.segments, inventory.knowledge, made, end_us)
        )
        await self._retry(
            lambda: self._store.put(self._names.manifest, text, content_type="application/json")
        )
        return len(text)

    def _end_us(self, inventory: Inventory) -> int:
        """The end of the recording: where its last owner ended, or its last segment."""
        owners = [o.at_us for o in inventory.knowledge.owners if o.event == "ended"]
        ends = [segment.record.end_us for segment in inventory.segments]
        return max([0, *owners, *ends])

    async def _already_finished(self) -> FinishedRecording | None:
        """The result of an earlier attempt."""
        known = manifest.read(await self._retry(lambda: _get_or_none(self._store, self._names.manifest)))
        if known is None:
            return None
        files = manifest.files_of(known)
        return FinishedRecording(files, self._names.manifest, sum(file.bytes for file in files))

    async def _retry(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retrying(call, policy=self._parts.policy, rng=self._parts.rng)


async def _get_or_none(store: Store, key: str) -> bytes | None:
    try:
        return await store.get(key)
    except ObjectNotFound:
        return None


async def _head_or_none(store: Store, key: str) -> ObjectInfo | None:
    try:
        return await store.head(key)
    except (ObjectNotFound, InvalidKey):
        return None


def _content_type(plan: FilePlan) -> str:
    return _CONTENT_TYPES[plan.container]


def _source_hash(plan: FilePlan) -> str:
    """A hash of everything that the file is made of."""
    digest = hashlib.sha256(f"{plan.container} {plan.end_us} {plan.clockwise} {plan.flipped}".encode())
    for piece in plan.pieces:
        line = f"{piece.segment.record.sha256} {piece.from_us} {piece.to_us} {piece.shift_us}\n"
        digest.update(line.encode())
    return digest.hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _write_chunks(chunks: AsyncIterator[bytes], path: Path, workers: DiskWorkers) -> None:
    file = await workers.run(lambda: path.open("wb"))
    try:
        async for chunk in chunks:
            await workers.run(partial(file.write, chunk))
    finally:
        await workers.run(file.close)
