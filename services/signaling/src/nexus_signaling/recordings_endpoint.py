"""`/v1/recordings`: the recorder's calls as JSON, for applications' servers and participants.

The token names the app. With the grant `admin` it is valid for all rooms of the app, with `record` only for
its own room. Bodies and answers are the canonical JSON of the messages in nexus.recorder.v1.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from aiohttp import hdrs, web
from google.protobuf import json_format
from google.protobuf.message import Message
from nexus.recorder.v1 import recorder_pb2 as api
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_signaling.core.data_budget import AppBudget
from nexus_signaling.core.sfu_requests import permitted
from nexus_signaling.http_answers import NOT_STORED, answer, bearer, cors, preflight, refusal
from nexus_signaling.metrics import Metrics
from nexus_signaling.origins import OriginPolicy
from nexus_signaling.recorder_client import RecorderClient
from nexus_signaling.tokens import Claims, TokenVerifier

log = structlog.get_logger()

PATH: Final = "/v1/recordings"
RULES_PATH: Final = "/v1/recording-rules"
# Maximum size of a body: a specification with patterns and labels at all their limits.
MAX_BODY_BYTES: Final = 64 * 1024

Request = TypeVar("Request", bound=Message)
OnOne = (
    api.StopRecordingRequest
    | api.PauseRecordingRequest
    | api.ResumeRecordingRequest
    | api.DeleteRecordingRequest
)
Handle = Callable[[web.Request, Claims], Awaitable[Message]]
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class RecordingsEndpoint:
    verifier: TokenVerifier
    recorder: RecorderClient
    budget: AppBudget
    origins: OriginPolicy
    metrics: Metrics
    clock: Clock

    def add_routes(self, router: web.UrlDispatcher) -> None:
        one = PATH + "/{id}"
        for method, path, handle in (
            ("POST", PATH, self._start),
            ("GET", PATH, self._list),
            ("DELETE", PATH, self._forget),
            ("GET", one, self._get),
            ("PATCH", one, self._update),
            ("DELETE", one, self._on_one(api.DeleteRecordingRequest, api.DeleteRecordingResponse)),
            ("POST", one + "/stop", self._on_one(api.StopRecordingRequest, api.StopRecordingResponse)),
            ("POST", one + "/pause", self._on_one(api.PauseRecordingRequest, api.PauseRecordingResponse)),
            ("POST", one + "/resume", self._on_one(api.ResumeRecordingRequest, api.ResumeRecordingResponse)),
            ("POST", one + "/markers", self._mark),
            ("GET", one + "/playback", self._playback),
            ("GET", RULES_PATH, self._list_rules),
            ("PUT", RULES_PATH + "/{name}", self._put_rule),
            ("DELETE", RULES_PATH + "/{name}", self._delete_rule),
        ):
            router.add_route(method, path, self._answering(handle))
        for path in (PATH, PATH + "/{rest:.*}", RULES_PATH, RULES_PATH + "/{rest:.*}"):
            router.add_options(path, self._preflight)

    async def _preflight(self, request: web.Request) -> web.Response:
        return preflight(
            self.origins, request, "GET, POST, PUT, PATCH, DELETE", "authorization, content-type"
        )

    def _answering(self, handle: Handle) -> Handler:
        """A handler that verifies the token, and answers with JSON also when the request is refused."""

        async def handler(request: web.Request) -> web.Response:
            headers = {**NOT_STORED, **cors(self.origins, request)}
            try:
                claims = await self.verifier.verify(bearer(request), app_id="", room=None)
                permitted(claims.grants.admin or claims.grants.record, "record")
                self.budget.take(claims.app, self.clock.monotonic_ms())
                answered = await handle(request, claims)
            except RpcError as error:
                self.metrics.recording_requests.labels(ErrorCode.Name(error.code)).inc()
                return refusal(error, headers)
            self.metrics.recording_requests.labels("ok").inc()
            return answer(answered, headers)

        return handler

    async def _start(self, request: web.Request, claims: Claims) -> Message:
        asked = await _body(request, api.StartRecordingRequest())
        _same("app", asked.app, claims.app)
        if not claims.grants.admin:
            _same("room", asked.room, claims.room)
        asked.app = claims.app
        asked.room = asked.room or claims.room
        asked.started_by = claims.identity
        log.info("recording_requested", app=asked.app, room=asked.room, by=claims.identity)
        return await self.recorder.call(asked, api.StartRecordingResponse)

    async def _list(self, request: web.Request, claims: Claims) -> Message:
        query = _query(request, "room", "from_ms", "to_ms", "page_size", "page_token")
        asked = api.ListRecordingsRequest(app=claims.app, room=query.get("room", ""))
        if not claims.grants.admin:
            _same("room", asked.room, claims.room)
            asked.room = claims.room
        asked.from_ms = _number(query, "from_ms", 1 << 62)
        asked.to_ms = _number(query, "to_ms", 1 << 62)
        asked.page_size = _number(query, "page_size", 500)
        asked.page_token = query.get("page_token", "")
        return await self.recorder.call(asked, api.ListRecordingsResponse)

    async def _forget(self, request: web.Request, claims: Claims) -> Message:
        permitted(claims.grants.admin, "admin")
        identity = _query(request, "identity").get("identity", "")
        if not identity:
            raise _invalid("identity", "`identity` names whose recordings are deleted.")
        asked = api.ForgetIdentityRequest(app=claims.app, identity=identity)
        return await self.recorder.call(asked, api.ForgetIdentityResponse)

    async def _get(self, request: web.Request, claims: Claims) -> Message:
        _query(request)
        return api.GetRecordingResponse(recording=await self._recording(request, claims))

    async def _update(self, request: web.Request, claims: Claims) -> Message:
        asked = await _body(request, api.UpdateRecordingRequest())
        _same("app", asked.app, claims.app)
        _same("recordingId", asked.recording_id, request.match_info["id"])
        recording = await self._recording(request, claims)
        asked.app, asked.recording_id = claims.app, recording.id
        return await self.recorder.call(asked, api.UpdateRecordingResponse)

    def _on_one(self, request_type: type[OnOne], response_type: type[Message]) -> Handle:
        """A handler of a call that needs nothing but the recording's id."""

        async def handle(request: web.Request, claims: Claims) -> Message:
            recording = await self._recording(request, claims)
            asked = request_type(app=claims.app, recording_id=recording.id)
            return await self.recorder.call(asked, response_type)

        return handle

    async def _mark(self, request: web.Request, claims: Claims) -> Message:
        asked = await _body(request, api.AddMarkerRequest())
        _same("app", asked.app, claims.app)
        _same("recordingId", asked.recording_id, request.match_info["id"])
        recording = await self._recording(request, claims)
        asked.app, asked.recording_id = claims.app, recording.id
        return await self.recorder.call(asked, api.AddMarkerResponse)

    async def _playback(self, request: web.Request, claims: Claims) -> Message:
        query = _query(request, "expires_in_seconds", "download")
        recording = await self._recording(request, claims)
        asked = api.GetPlaybackRequest(app=claims.app, recording_id=recording.id)
        asked.expires_in_seconds = _number(query, "expires_in_seconds", 604_800)
        asked.download = _truth(query, "download")
        return await self.recorder.call(asked, api.GetPlaybackResponse)

    async def _list_rules(self, request: web.Request, claims: Claims) -> Message:
        permitted(claims.grants.admin, "admin")
        _query(request)
        return await self.recorder.call(api.ListRulesRequest(app=claims.app), api.ListRulesResponse)

    async def _put_rule(self, request: web.Request, claims: Claims) -> Message:
        permitted(claims.grants.admin, "admin")
        rule = await _body(request, recording_pb2.RecordingRule())
        _same("app", rule.app, claims.app)
        _same("name", rule.name, request.match_info["name"])
        rule.app, rule.name = claims.app, request.match_info["name"]
        return await self.recorder.call(api.PutRuleRequest(rule=rule), api.PutRuleResponse)

    async def _delete_rule(self, request: web.Request, claims: Claims) -> Message:
        permitted(claims.grants.admin, "admin")
        asked = api.DeleteRuleRequest(app=claims.app, name=request.match_info["name"])
        return await self.recorder.call(asked, api.DeleteRuleResponse)

    async def _recording(self, request: web.Request, claims: Claims) -> recording_pb2.Recording:
        """The recording of the path. One of another room does not exist for a token without `admin`."""
        asked = api.GetRecordingRequest(app=claims.app, recording_id=request.match_info["id"])
        recording = (await self.recorder.call(asked, api.GetRecordingResponse)).recording
        if not claims.grants.admin and recording.room != claims.room:
            raise RpcError(ErrorCode.RECORDING_NOT_FOUND, "There is no such recording.")
        return recording


async def _body(request: web.Request, message: Request) -> Request:
    """The message that the body has as JSON; an empty body is an empty message. Raises RpcError."""
    if request.can_read_body and request.content_type != "application/json":
        raise _invalid(hdrs.CONTENT_TYPE, "The body must be application/json.")
    body = bytearray()
    # The received bytes count, not the header's length.
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RpcError(
                ErrorCode.MESSAGE_TOO_LARGE, "The body is too large.", details={"limit_bytes": MAX_BODY_BYTES}
            )
    if not body:
        return message
    try:
        json_format.Parse(bytes(body), message)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(_field_of(error), "The body is not the JSON of this request.") from error
    return message


def _field_of(error: Exception) -> str:
    """The field that protobuf's parser complains about; `body` if it names none."""
    text = str(error)
    if 'named "' in text:
        return text.split('named "', 1)[1].split('"', 1)[0]
    if text.startswith("Failed to parse "):
        return text.removeprefix("Failed to parse ").split(" ", 1)[0]
    return "body"


def _query(request: web.Request, *known: str) -> Mapping[str, str]:
    """The query's parameters. Raises RpcError for an unknown or a repeated one."""
    query = request.query
    for name in query:
        if name not in known:
            raise _invalid(name, "Unknown parameter.")
        if len(query.getall(name)) > 1:
            raise _invalid(name, "The parameter is given twice.")
    return dict(query)


def _number(query: Mapping[str, str], name: str, most: int) -> int:
    text = query.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > most:
        raise _invalid(name, f"`{name}` must be a number from 0 to {most}.")
    return int(text)


def _truth(query: Mapping[str, str], name: str) -> bool:
    word = query.get(name, "false")
    if word not in ("true", "false"):
        raise _invalid(name, f"`{name}` must be true or false.")
    return word == "true"


def _same(field: str, given: str, expected: str) -> None:
    """Raises RpcError if a field that the token or the path decides says something else."""
    if given and given != expected:
        if field == "room":
            raise RpcError(
                ErrorCode.PERMISSION_DENIED, "The token is for another room.", details={"grant": "admin"}
            )
        raise _invalid(field, f"`{field}` contradicts the token or the path.")


def _invalid(field: str, message: str) -> RpcError:
    details: dict[str, Any] = {"field": field[:64]}
    return RpcError(ErrorCode.INVALID_ARGUMENT, message, details=details)
