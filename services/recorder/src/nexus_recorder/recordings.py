"""Requests for recordings: what `grpc_server` and the rules call. Any replica answers any request.

Requests that an owner carries out (stop, pause, resume) wait for it for some time, and then return the
recording as it is.
"""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.recorder.v1.recording_pb2 import RecordingState
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rooms import RoomPlace, Rooms, Sfu
from nexus_rpc import RpcError
from nexus_runtime import Clock
from nexus_storage import InvalidTemplate, KeyTemplate, LinkOptions, StorageError, StoreSet

from nexus_recorder import errors
from nexus_recorder.after_end import forget
from nexus_recorder.core import inputs, validation
from nexus_recorder.core.catalog import Query
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import Record, has_ended, is_live
from nexus_recorder.core.recording import due_job, new_record
from nexus_recorder.directory import RecordingDirectory, Stored
from nexus_recorder.recording_jobs import RecordingJobs, expected_job_id
from nexus_recorder.run import FileMaker

log = structlog.get_logger()

# The fields that a key template may use.
TEMPLATE_FIELDS: Final = frozenset({"app", "room", "date", "time", "recording", "identity", "source"})
# How long a request id makes a start idempotent, and how often one can be used again afterwards.
REQUEST_ID_MS: Final = 24 * 3_600_000
MAX_GENERATIONS: Final = 32
# How often a room is looked up whose node is not known yet.
ROOM_LOOKUP_SECONDS: Final = 0.1
# How many records are read at a time for one page.
READS_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class RecordingsParts:
    directory: RecordingDirectory
    jobs: RecordingJobs
    rooms: Rooms
    sfu: Sfu
    stores: StoreSet
    files: FileMaker
    clock: Clock
    # Makes the ids of recordings without a request id.
    random_token: Callable[[], str]
    # How long a request waits for the owner, and a start for the node of its room.
    wait_ms: int


class Recordings:
    """Every method raises RpcError, and BusError while the broker is unreachable."""

    def __init__(self, parts: RecordingsParts) -> None:
        self._parts = parts
        self._directory = parts.directory

    # Starting

    async def start(self, request: recorder_pb2.StartRecordingRequest) -> recording_pb2.Recording:
        spec = validation.start(request)
        self._check_stores(spec, "spec")
        await self._check_room(request.app, request.room, spec)
        namespace = "request" if request.request_id else ""
        return await self.create(request, spec, namespace)

    async def create(
        self,
        request: recorder_pb2.StartRecordingRequest,
        spec: recording_pb2.RecordingSpec,
        namespace: str,
    ) -> recording_pb2.Recording:
        """Stores the recording and its job. `namespace` separates the request ids of callers from those of
        rules; empty: no request id. Raises JobError, too."""
        for generation in range(MAX_GENERATIONS):
            stored = await self._create_once(request, spec, namespace, generation)
            age_ms = self._parts.clock.epoch_ms() - stored.record.recording.created_at_ms
            if not namespace or namespace == "rule" or age_ms < REQUEST_ID_MS:
                return (await self._parts.jobs.ensure(stored)).record.recording
        raise errors.invalid_argument("request_id", "was used too often; choose another one")

    async def _create_once(
        self,
        request: recorder_pb2.StartRecordingRequest,
        spec: recording_pb2.RecordingSpec,
        namespace: str,
        generation: int,
    ) -> Stored:
        recording = recording_pb2.Recording(
            id=self._new_id(request, namespace, generation),
            app=request.app,
            room=request.room,
            spec=spec,
            started_by=request.started_by,
        )
        record = new_record(recording, request.request_id, self._parts.clock.epoch_ms())
        record.run_job_id = expected_job_id(record, Due.RUN)
        stored, created = await self._directory.create(record)
        if created:
            log.info("recording_created", recording=recording.id, app=request.app, room=request.room)
        return stored

    def _new_id(self, request: recorder_pb2.StartRecordingRequest, namespace: str, generation: int) -> str:
        if not namespace:
            return f"RC_{self._parts.random_token()}"
        parts = (namespace, request.app, request.request_id, str(generation))
        text = "".join(f"{len(part.encode())}:{part}" for part in parts)
        digest = hashlib.sha256(text.encode()).digest()
        return f"RC_{urlsafe_b64encode(digest[:15]).decode()}"

    def _check_stores(self, spec: recording_pb2.RecordingSpec, path: str) -> None:
        check_spec(self._parts.stores, spec, path)

    async def _check_room(self, app: str, room: str, spec: recording_pb2.RecordingSpec) -> None:
        place = await self._find_room(app, room)
        if place is None:
            raise errors.room_not_found(room)
        wanted = [pattern.track_id for pattern in spec.selection.include if pattern.track_id]
        if not wanted:
            return
        request = sfu_pb2.GetRoomRequest(room=sfu_pb2.RoomKey(app=app, room=room))
        answer = await self._parts.sfu.get_room(place.address, request)
        present = {track.id for participant in answer.participants for track in participant.tracks}
        for track_id in wanted:
            if track_id not in present:
                raise errors.track_not_found(track_id)

    async def _find_room(self, app: str, room: str) -> RoomPlace | None:
        """Waits while the nodes are not known, as just after the start of this process or of the broker.
        Raises RpcError SFU_UNREACHABLE if they are not known in time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._parts.wait_ms / 1000
        while True:
            try:
                return await self._parts.rooms.find(app, room)
            except RpcError as error:
                if error.code != ErrorCode.SFU_UNREACHABLE or loop.time() >= until:
                    raise
            await asyncio.sleep(ROOM_LOOKUP_SECONDS)

    # Changing

    async def stop(self, app: str, recording_id: str) -> recording_pb2.Recording:
        return await self._request(app, recording_id, inputs.Stop(), lambda r: not is_live(r.recording))

    async def pause(self, app: str, recording_id: str) -> recording_pb2.Recording:
        def done(record: Record) -> bool:
            state = record.recording.state
            waits = record.recording.pause_requested and record.owned
            return state == RecordingState.RECORDING_STATE_PAUSED or not waits

        return await self._request(app, recording_id, inputs.Pause(), done)

    async def resume(self, app: str, recording_id: str) -> recording_pb2.Recording:
        def done(record: Record) -> bool:
            paused = record.recording.state == RecordingState.RECORDING_STATE_PAUSED
            return not paused or not record.owned or record.recording.pause_requested

        return await self._request(app, recording_id, inputs.Resume(), done)

    async def delete(self, app: str, recording_id: str) -> recording_pb2.Recording:
        def done(record: Record) -> bool:
            return record.recording.state == RecordingState.RECORDING_STATE_DELETED

        return await self._request(app, recording_id, inputs.Delete(), done)

    async def update(self, request: recorder_pb2.UpdateRecordingRequest) -> recording_pb2.Recording:
        validation.check_known(request)
        selection = limits = None
        if request.HasField("selection"):
            selection = validation.selection(request.selection, "selection")
        if request.HasField("limits"):
            limits = validation.limits(request.limits, "limits")
        expires_at_ms = request.expires_at_ms if request.HasField("expires_at_ms") else None
        validation.time_ms("expires_at_ms", expires_at_ms or 0)
        hold = request.hold if request.HasField("hold") else None
        update = inputs.Update(selection, limits, expires_at_ms, hold)
        return await self._request(request.app, request.recording_id, update, lambda _: True)

    async def mark(self, request: recorder_pb2.AddMarkerRequest) -> recording_pb2.Recording:
        validation.name("name", request.name, limit=validation.MAX_MARKER_BYTES)
        at_ms = validation.time_ms("at_ms", request.at_ms) or self._parts.clock.epoch_ms()
        mark = inputs.Mark(request.name, at_ms)
        return await self._request(request.app, request.recording_id, mark, lambda _: True)

    async def _request(
        self, app: str, recording_id: str, given: inputs.Input, until: Callable[[Record], bool]
    ) -> recording_pb2.Recording:
        validation.name("app", app)
        stored = await self._directory.change(app, recording_id, given)
        if due_job(stored.record) not in (None, Due.RUN):
            stored = await self._parts.jobs.ensure(stored)
        stored = await self._directory.wait(stored, until, self._parts.wait_ms)
        return stored.record.recording

    # Reading

    async def get(self, app: str, recording_id: str) -> recording_pb2.Recording:
        validation.name("app", app)
        return (await self._directory.get(app, recording_id)).record.recording

    async def list(self, request: recorder_pb2.ListRecordingsRequest) -> recorder_pb2.ListRecordingsResponse:
        validation.name("app", request.app)
        validation.name("room", request.room, required=False)
        size = validation.number("page_size", request.page_size, 0, validation.MAX_PAGE)
        query = Query(
            app=request.app,
            room=request.room,
            from_ms=validation.time_ms("from_ms", request.from_ms),
            to_ms=validation.time_ms("to_ms", request.to_ms),
            before=_position(request.page_token),
        )
        self._check_synced()
        positions, more = self._directory.catalog.page(query, size or validation.DEFAULT_PAGE)
        found = await _each(
            [self._directory.find(request.app, recording_id) for _, recording_id in positions]
        )
        token = f"{positions[-1][0]}.{positions[-1][1]}" if more else ""
        return recorder_pb2.ListRecordingsResponse(
            recordings=[stored.record.recording for stored in found if stored is not None],
            next_page_token=token,
        )

    def _check_synced(self) -> None:
        if not self._directory.synced:
            raise errors.unavailable("the recordings are not known yet")

    async def playback(self, request: recorder_pb2.GetPlaybackRequest) -> recorder_pb2.GetPlaybackResponse:
        validation.name("app", request.app)
        seconds = validation.number(
            "expires_in_seconds", request.expires_in_seconds, 0, validation.MAX_LINK_SECONDS
        )
        seconds = seconds or validation.DEFAULT_LINK_SECONDS
        recording = (await self._directory.get(request.app, request.recording_id)).record.recording
        response = recorder_pb2.GetPlaybackResponse(
            expires_at_ms=self._parts.clock.epoch_ms() + seconds * 1000
        )
        try:
            store = self._parts.stores.get(recording.spec.store)
            for file in recording.files:
                filename = file.key.rsplit("/", 1)[-1] if request.download else ""
                options = LinkOptions(filename=filename, content_type=file.content_type)
                url = await store.presign(file.key, expires_s=seconds, options=options)
                response.links.add(file=file, url=url)
            if recording.manifest_key:
                key = recording.manifest_key
                response.manifest_url = await store.presign(key, expires_s=seconds, options=LinkOptions())
        except StorageError as error:
            raise from_storage(error) from error
        return response

    # Forgetting

    async def forget(
        self, request: recorder_pb2.ForgetIdentityRequest
    ) -> recorder_pb2.ForgetIdentityResponse:
        """Deletes at once what ended recordings have of an identity. Live ones record nothing more of it, and
        delete the rest when they have ended."""
        validation.name("app", request.app)
        identity = validation.name("identity", request.identity)
        self._check_synced()
        response = recorder_pb2.ForgetIdentityResponse()
        for entry in self._directory.catalog.of_app(request.app):
            if entry.deleted or not entry.may_contain(identity):
                continue
            if entry.hold:
                response.held_recording_ids.append(entry.id)
                continue
            deleted = await self._forget_in(request.app, entry.id, identity)
            if deleted is not None:
                response.recording_ids.append(entry.id)
                response.objects_deleted += deleted
        return response

    async def _forget_in(self, app: str, recording_id: str, identity: str) -> int | None:
        """The number of deleted objects; None if the recording had nothing of the identity."""
        try:
            stored = await self._directory.change(app, recording_id, inputs.Forget(identity))
        except RpcError as error:
            if error.code in (ErrorCode.RECORDING_NOT_FOUND, ErrorCode.PERMISSION_DENIED):
                return None
            raise
        recording = stored.record.recording
        if identity not in stored.record.forgotten_identities:
            return None  # it is being deleted as a whole
        if not has_ended(recording):
            return 0
        try:
            deleted = await forget(self._parts.files, recording, identity)
        except StorageError as error:
            await self._parts.jobs.ensure(stored)  # a job continues
            raise from_storage(error) from error
        await self._directory.change(app, recording_id, deleted)
        return len(deleted.deleted_keys) or None


def check_spec(stores: StoreSet, spec: recording_pb2.RecordingSpec, path: str) -> None:
    """Raises RpcError STORE_NOT_FOUND for an unknown store, and INVALID_ARGUMENT for a bad key template."""
    try:
        stores.get(spec.store)
        KeyTemplate.parse(spec.key_template, TEMPLATE_FIELDS)
    except InvalidTemplate as error:
        raise errors.invalid_argument(f"{path}.key_template", error.message) from None
    except StorageError as error:
        raise from_storage(error) from None


def from_storage(error: StorageError) -> RpcError:
    """The error of a request that failed at its store."""
    retry_after_ms = 1000 if error.error_code == "SERVICE_UNAVAILABLE" else 0
    return RpcError(
        ErrorCode.Value(error.error_code),
        error.message,
        retry_after_ms=retry_after_ms,
        details=dict(error.details),
    )


def _position(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    created, _, recording_id = token.partition(".")
    if not created.isascii() or not created.isdigit() or len(created) > 15 or not recording_id:
        raise errors.invalid_argument("page_token", "is not a token of an earlier page")
    return int(created), recording_id


async def _each(reads: Iterable[Awaitable[Stored | None]]) -> list[Stored | None]:
    turns = asyncio.Semaphore(READS_AT_ONCE)

    async def one(read: Awaitable[Stored | None]) -> Stored | None:
        async with turns:
            return await read

    return await asyncio.gather(*(one(read) for read in reads))
