"""A recorder without media: it keeps recordings in memory, and serves their files by links of its own.

As a program it prints its gRPC port once it listens, and its files are real videos.
"""

import asyncio
import hashlib
import io
from typing import Any
from urllib.parse import quote

from aiohttp import web
from nexus.recorder.v1 import recorder_pb2 as api
from nexus.recorder.v1 import recorder_pb2_grpc
from nexus.recorder.v1.recording_pb2 import EndReason, Marker, Recording, RecordingState
from nexus.types.v1.error_pb2 import ErrorCode
from nexus.types.v1.media_pb2 import TrackSource
from nexus_rpc import Context, RpcError, RpcServer

SERVICE = api.DESCRIPTOR.services_by_name["RecorderService"]
STARTED_MS = 1_790_000_000_000


class FakeRecorder(recorder_pb2_grpc.RecorderServiceServicer):
    """`media` is the content of the one file that every recording has after its stop."""

    def __init__(self, media: bytes = b"media", content_type: str = "video/webm") -> None:
        self.recordings: dict[str, Recording] = {}
        self.starts: list[api.StartRecordingRequest] = []
        self.served = media
        self._media = media
        self._content_type = content_type
        self._links_url = ""

    async def start(self) -> RpcServer:
        app = web.Application()
        app.router.add_get("/objects/{key:.+}", self._object)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._links_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/objects/"
        self._grpc = RpcServer("127.0.0.1", 0, max_message_bytes=1 << 20, observe=lambda *_: None)
        self._grpc.add_service(SERVICE, recorder_pb2_grpc.add_RecorderServiceServicer_to_server, self)
        await self._grpc.start()
        return self._grpc

    async def close(self) -> None:
        await self._grpc.close()
        await self._runner.cleanup()

    async def StartRecording(
        self, request: api.StartRecordingRequest, context: Context
    ) -> api.StartRecordingResponse:
        self.starts.append(request)
        recording = Recording(
            id=f"RC_{len(self.recordings) + 1}",
            app=request.app,
            room=request.room,
            state=RecordingState.RECORDING_STATE_RUNNING,
            spec=request.spec,
            created_at_ms=STARTED_MS,
            started_at_ms=STARTED_MS,
            started_by=request.started_by,
        )
        self.recordings[recording.id] = recording
        return api.StartRecordingResponse(recording=recording)

    async def StopRecording(
        self, request: api.StopRecordingRequest, context: Context
    ) -> api.StopRecordingResponse:
        recording = self._find(request.recording_id)
        if not recording.ended_at_ms:
            recording.state = RecordingState.RECORDING_STATE_COMPLETED
            recording.end_reason = EndReason.END_REASON_STOPPED
            recording.ended_at_ms = recording.started_at_ms + 3_723_000
            recording.manifest_key = f"{recording.id}/manifest.json"
            recording.stored_bytes = len(self._media)
            recording.file_count = 1
            recording.files.add(
                key=f"{recording.id}/ada-camera.webm",
                content_type=self._content_type,
                bytes=len(self._media),
                sha256=hashlib.sha256(self._media).hexdigest(),
                identity="ada",
                sources=[TrackSource.TRACK_SOURCE_CAMERA, TrackSource.TRACK_SOURCE_MICROPHONE],
                duration_ms=3_723_000,
            )
        return api.StopRecordingResponse(recording=recording)

    async def PauseRecording(
        self, request: api.PauseRecordingRequest, context: Context
    ) -> api.PauseRecordingResponse:
        recording = self._change(request.recording_id)
        recording.state = RecordingState.RECORDING_STATE_PAUSED
        return api.PauseRecordingResponse(recording=recording)

    async def ResumeRecording(
        self, request: api.ResumeRecordingRequest, context: Context
    ) -> api.ResumeRecordingResponse:
        recording = self._change(request.recording_id)
        recording.state = RecordingState.RECORDING_STATE_RUNNING
        return api.ResumeRecordingResponse(recording=recording)

    async def AddMarker(self, request: api.AddMarkerRequest, context: Context) -> api.AddMarkerResponse:
        recording = self._change(request.recording_id)
        recording.markers.append(Marker(name=request.name, at_ms=STARTED_MS + 61_000, offset_ms=61_000))
        return api.AddMarkerResponse(recording=recording)

    async def UpdateRecording(
        self, request: api.UpdateRecordingRequest, context: Context
    ) -> api.UpdateRecordingResponse:
        recording = self._find(request.recording_id)
        recording.hold = request.hold
        return api.UpdateRecordingResponse(recording=recording)

    async def GetRecording(
        self, request: api.GetRecordingRequest, context: Context
    ) -> api.GetRecordingResponse:
        return api.GetRecordingResponse(recording=self._find(request.recording_id))

    async def ListRecordings(
        self, request: api.ListRecordingsRequest, context: Context
    ) -> api.ListRecordingsResponse:
        """Pages of two at most, so that few recordings have several pages."""
        found = [
            one
            for one in reversed(self.recordings.values())
            if request.room in ("", one.room) and one.created_at_ms >= request.from_ms
        ]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 2, 2)
        token = str(end) if end < len(found) else ""
        return api.ListRecordingsResponse(recordings=found[start:end], next_page_token=token)

    async def DeleteRecording(
        self, request: api.DeleteRecordingRequest, context: Context
    ) -> api.DeleteRecordingResponse:
        recording = self._find(request.recording_id)
        del self.recordings[recording.id]
        recording.state = RecordingState.RECORDING_STATE_DELETED
        return api.DeleteRecordingResponse(recording=recording)

    async def GetPlayback(self, request: api.GetPlaybackRequest, context: Context) -> api.GetPlaybackResponse:
        recording = self._find(request.recording_id)
        suffix = "?download" if request.download else ""
        response = api.GetPlaybackResponse()
        for file in recording.files:
            response.links.add(file=file, url=self._links_url + quote(file.key) + suffix)
        if recording.manifest_key:
            response.manifest_url = self._links_url + quote(recording.manifest_key) + suffix
        return response

    async def ForgetIdentity(
        self, request: api.ForgetIdentityRequest, context: Context
    ) -> api.ForgetIdentityResponse:
        raise _missing()

    async def PutRule(self, request: api.PutRuleRequest, context: Context) -> api.PutRuleResponse:
        raise _missing()

    async def DeleteRule(self, request: api.DeleteRuleRequest, context: Context) -> api.DeleteRuleResponse:
        raise _missing()

    async def ListRules(self, request: api.ListRulesRequest, context: Context) -> api.ListRulesResponse:
        raise _missing()

    def _find(self, recording_id: str) -> Recording:
        if recording_id not in self.recordings:
            raise RpcError(ErrorCode.RECORDING_NOT_FOUND, "There is no such recording.")
        return self.recordings[recording_id]

    def _change(self, recording_id: str) -> Recording:
        recording = self._find(recording_id)
        if recording.ended_at_ms:
            raise RpcError(ErrorCode.RECORDING_ENDED, "The recording has ended.")
        return recording

    async def _object(self, request: web.Request) -> web.Response:
        headers = {"Content-Disposition": "attachment"} if "download" in request.query else {}
        if request.match_info["key"].endswith("manifest.json"):
            return web.json_response({"files": []}, headers=headers)
        return web.Response(body=self.served, content_type=self._content_type, headers=headers)


def _missing() -> RpcError:
    return RpcError(ErrorCode.INTERNAL, "The fake recorder has no such method.")


def moving_video() -> bytes:
    """A second of VP8 in WebM."""
    import av
    import numpy

    content = io.BytesIO()
    with av.open(content, "w", format="webm") as container:
        stream: Any = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(10):
            picture = numpy.full((180, 320, 3), (40, 25 * number, 160), numpy.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return content.getvalue()


async def _serve() -> None:
    server = await FakeRecorder(moving_video()).start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
