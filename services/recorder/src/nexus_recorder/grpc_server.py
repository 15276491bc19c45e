"""The gRPC methods of the recorder. Every replica answers every call."""

from collections.abc import Awaitable
from typing import Final, TypeVar

import structlog
from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc
from nexus_bus import BusError
from nexus_jobs import JobError
from nexus_rpc import Context, RpcServer

from nexus_recorder import errors
from nexus_recorder.config import RecorderConfig
from nexus_recorder.core import validation
from nexus_recorder.metrics import Metrics
from nexus_recorder.recordings import Recordings
from nexus_recorder.rules import Rules

log = structlog.get_logger()

SERVICE: Final = recorder_pb2.DESCRIPTOR.services_by_name["RecorderService"]

T = TypeVar("T")


class RecorderServicer(recorder_pb2_grpc.RecorderServiceServicer):
    """Translates between messages and `Recordings` and `Rules`, which raise RpcError."""

    def __init__(self, recordings: Recordings, rules: Rules) -> None:
        self._recordings = recordings
        self._rules = rules

    async def StartRecording(
        self, request: recorder_pb2.StartRecordingRequest, context: Context
    ) -> recorder_pb2.StartRecordingResponse:
        recording = await _answered(self._recordings.start(request))
        return recorder_pb2.StartRecordingResponse(recording=recording)

    async def StopRecording(
        self, request: recorder_pb2.StopRecordingRequest, context: Context
    ) -> recorder_pb2.StopRecordingResponse:
        validation.check_known(request)
        recording = await _answered(self._recordings.stop(request.app, request.recording_id))
        return recorder_pb2.StopRecordingResponse(recording=recording)

    async def PauseRecording(
        self, request: recorder_pb2.PauseRecordingRequest, context: Context
    ) -> recorder_pb2.PauseRecordingResponse:
        validation.check_known(request)
        recording = await _answered(self._recordings.pause(request.app, request.recording_id))
        return recorder_pb2.PauseRecordingResponse(recording=recording)

    async def ResumeRecording(
        self, request: recorder_pb2.ResumeRecordingRequest, context: Context
    ) -> recorder_pb2.ResumeRecordingResponse:
        validation.check_known(request)
        recording = await _answered(self._recordings.resume(request.app, request.recording_id))
        return recorder_pb2.ResumeRecordingResponse(recording=recording)

    async def UpdateRecording(
        self, request: recorder_pb2.UpdateRecordingRequest, context: Context
    ) -> recorder_pb2.UpdateRecordingResponse:
        recording = await _answered(self._recordings.update(request))
        return recorder_pb2.UpdateRecordingResponse(recording=recording)

    async def GetRecording(
        self, request: recorder_pb2.GetRecordingRequest, context: Context
    ) -> recorder_pb2.GetRecordingResponse:
        recording = await _answered(self._recordings.get(request.app, request.recording_id))
        return recorder_pb2.GetRecordingResponse(recording=recording)

    async def ListRecordings(
        self, request: recorder_pb2.ListRecordingsRequest, context: Context
    ) -> recorder_pb2.ListRecordingsResponse:
        validation.check_known(request)
        return await _answered(self._recordings.list(request))

    async def DeleteRecording(
        self, request: recorder_pb2.DeleteRecordingRequest, context: Context
    ) -> recorder_pb2.DeleteRecordingResponse:
        validation.check_known(request)
        recording = await _answered(self._recordings.delete(request.app, request.recording_id))
        return recorder_pb2.DeleteRecordingResponse(recording=recording)

    async def AddMarker(
        self, request: recorder_pb2.AddMarkerRequest, context: Context
    ) -> recorder_pb2.AddMarkerResponse:
        validation.check_known(request)
        recording = await _answered(self._recordings.mark(request))
        return recorder_pb2.AddMarkerResponse(recording=recording)

    async def GetPlayback(
        self, request: recorder_pb2.GetPlaybackRequest, context: Context
    ) -> recorder_pb2.GetPlaybackResponse:
        validation.check_known(request)
        return await _answered(self._recordings.playback(request))

    async def ForgetIdentity(
        self, request: recorder_pb2.ForgetIdentityRequest, context: Context
    ) -> recorder_pb2.ForgetIdentityResponse:
        validation.check_known(request)
        return await _answered(self._recordings.forget(request))

    async def PutRule(
        self, request: recorder_pb2.PutRuleRequest, context: Context
    ) -> recorder_pb2.PutRuleResponse:
        validation.check_known(request)
        return recorder_pb2.PutRuleResponse(rule=await _answered(self._rules.put(request.rule)))

    async def DeleteRule(
        self, request: recorder_pb2.DeleteRuleRequest, context: Context
    ) -> recorder_pb2.DeleteRuleResponse:
        validation.check_known(request)
        await _answered(self._rules.delete(request.app, request.name))
        return recorder_pb2.DeleteRuleResponse()

    async def ListRules(
        self, request: recorder_pb2.ListRulesRequest, context: Context
    ) -> recorder_pb2.ListRulesResponse:
        validation.check_known(request)
        return recorder_pb2.ListRulesResponse(rules=await _answered(self._rules.list(request.app)))


async def _answered(work: Awaitable[T]) -> T:
    """The result. Failures of the broker and of jobs become SERVICE_UNAVAILABLE: the caller may try again."""
    try:
        return await work
    except (BusError, JobError) as error:
        log.warning("request_not_served", error=repr(error))
        raise errors.unavailable("the recorder does not reach its broker, or is overloaded") from error


def make_server(config: RecorderConfig, metrics: Metrics) -> RpcServer:
    """Binds the port. Raises ClientError."""
    return RpcServer(
        config.grpc_host,
        config.grpc_port,
        max_message_bytes=config.grpc_message_bytes,
        observe=lambda method, outcome: metrics.requests.labels(method, outcome).inc(),
        tls=config.rpc_tls(),
    )


def serve(server: RpcServer, servicer: RecorderServicer) -> None:
    """Adds the methods to the server, before it starts."""
    server.add_service(SERVICE, recorder_pb2_grpc.add_RecorderServiceServicer_to_server, servicer)
