"""Recordings of a room or an app (docs/reference/recordings.md), for an application's server and for
participants with the grant `record`. It joins no room and loads no media stack.
"""

from typing import Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from nexus.recorder.v1 import recorder_pb2 as api
from nexus.recorder.v1.recording_pb2 import (
    Recording,
    RecordingLimits,
    RecordingRule,
    RecordingSpec,
    TrackSelection,
)

from nexus_rtc.server_http import send_request

PATH: Final = "/v1/recordings"
RULES_PATH: Final = "/v1/recording-rules"

Answer = TypeVar("Answer", bound=Message)


class Recordings:
    """The recordings that a token allows: of its own room with the grant `record`, of the whole app with
    `admin`.

    Every method raises NexusError, with the codes of docs/reference/errors.md.
    """

    def __init__(self, server_url: str, token: str, *, timeout_seconds: float = 15.0) -> None:
        self._url = server_url
        self._token = token
        self._timeout_seconds = timeout_seconds

    async def start(
        self, spec: RecordingSpec | None = None, *, room: str = "", request_id: str = ""
    ) -> Recording:
        """Starts a recording of the token's room, or of `room`. A repeated `request_id` returns the first
        one."""
        request = api.StartRecordingRequest(room=room, spec=spec, request_id=request_id)
        return (await self._send("POST", PATH, api.StartRecordingResponse, body=request)).recording

    async def stop(self, recording_id: str) -> Recording:
        return (await self._change(recording_id, "/stop", api.StopRecordingResponse)).recording

    async def pause(self, recording_id: str) -> Recording:
        return (await self._change(recording_id, "/pause", api.PauseRecordingResponse)).recording

    async def resume(self, recording_id: str) -> Recording:
        return (await self._change(recording_id, "/resume", api.ResumeRecordingResponse)).recording

    async def add_marker(self, recording_id: str, name: str, *, at_ms: int = 0) -> Recording:
        """Adds a marker at a time in milliseconds since the Unix epoch; 0: now."""
        request = api.AddMarkerRequest(name=name, at_ms=at_ms)
        path = f"{PATH}/{recording_id}/markers"
        return (await self._send("POST", path, api.AddMarkerResponse, body=request)).recording

    async def update(
        self,
        recording_id: str,
        *,
        selection: TrackSelection | None = None,
        limits: RecordingLimits | None = None,
        expires_at_ms: int | None = None,
        hold: bool | None = None,
    ) -> Recording:
        """Replaces what is given; the rest stays."""
        request = api.UpdateRecordingRequest(
            selection=selection, limits=limits, expires_at_ms=expires_at_ms, hold=hold
        )
        path = f"{PATH}/{recording_id}"
        return (await self._send("PATCH", path, api.UpdateRecordingResponse, body=request)).recording

    async def get(self, recording_id: str) -> Recording:
        return (await self._send("GET", f"{PATH}/{recording_id}", api.GetRecordingResponse)).recording

    async def list(
        self,
        *,
        room: str = "",
        from_ms: int = 0,
        to_ms: int = 0,
        page_size: int = 0,
        page_token: str = "",
    ) -> api.ListRecordingsResponse:
        """One page, newest first; `next_page_token` is empty on the last one."""
        query = {
            "room": room,
            "from_ms": str(from_ms or ""),
            "to_ms": str(to_ms or ""),
            "page_size": str(page_size or ""),
            "page_token": page_token,
        }
        return await self._send("GET", PATH, api.ListRecordingsResponse, query=query)

    async def delete(self, recording_id: str) -> Recording:
        """Removes its files, segments and manifest."""
        return (await self._send("DELETE", f"{PATH}/{recording_id}", api.DeleteRecordingResponse)).recording

    async def playback(
        self, recording_id: str, *, expires_in_seconds: int = 0, download: bool = False
    ) -> api.GetPlaybackResponse:
        """Links to its files that need no token, for an hour by default."""
        query = {
            "expires_in_seconds": str(expires_in_seconds or ""),
            "download": "true" if download else "",
        }
        return await self._send(
            "GET", f"{PATH}/{recording_id}/playback", api.GetPlaybackResponse, query=query
        )

    async def forget(self, identity: str) -> api.ForgetIdentityResponse:
        """Deletes what was recorded of an identity. Needs the grant `admin`, like the methods for rules."""
        return await self._send("DELETE", PATH, api.ForgetIdentityResponse, query={"identity": identity})

    async def rules(self) -> api.ListRulesResponse:
        return await self._send("GET", RULES_PATH, api.ListRulesResponse)

    async def put_rule(self, rule: RecordingRule) -> RecordingRule:
        path = f"{RULES_PATH}/{rule.name}"
        return (await self._send("PUT", path, api.PutRuleResponse, body=rule)).rule

    async def delete_rule(self, name: str) -> None:
        await self._send("DELETE", f"{RULES_PATH}/{name}", api.DeleteRuleResponse)

    async def _change(self, recording_id: str, verb: str, answer: type[Answer]) -> Answer:
        return await self._send("POST", f"{PATH}/{recording_id}{verb}", answer)

    async def _send(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        body: Message | None = None,
        query: dict[str, str] | None = None,
    ) -> Answer:
        text = await send_request(
            self._url,
            method,
            path,
            self._token,
            query=[(name, value) for name, value in (query or {}).items() if value],
            body=None if body is None else json_format.MessageToJson(body, indent=None).encode(),
            headers=None if body is None else {"Content-Type": "application/json"},
            timeout_seconds=self._timeout_seconds,
        )
        # A newer server may send fields that this version does not know.
        return json_format.Parse(text, answer(), ignore_unknown_fields=True)
