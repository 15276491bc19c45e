"""`/v1/recordings`: who may do what, what reaches the recorder, and what a refusal looks like."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.message import Message
from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc, recording_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import Context, RpcError, RpcServer

from services.signaling.tests.harness import Harness, grants, mint

SERVICE = recorder_pb2.DESCRIPTOR.services_by_name["RecorderService"]


def token_of(identity: str, **granted: bool) -> str:
    claims: dict[str, Any] = grants(**granted)
    return mint(identity, **claims)


ADMIN = token_of("server", admin=True)
HOST = token_of("ann", record=True)
GUEST = token_of("bob", publish=True)


def answering(method: str) -> Any:
    """A servicer's method that keeps the request, and answers with the recording it is about."""

    async def call(self: "RecorderState", request: Any, context: Context) -> Message:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        response = getattr(recorder_pb2, f"{method}Response")()
        recording_id = getattr(request, "recording_id", "RC_new")
        if recording_id not in self.rooms:
            raise RpcError(ErrorCode.RECORDING_NOT_FOUND, "There is no such recording.")
        if "recording" in response.DESCRIPTOR.fields_by_name:
            response.recording.id = recording_id
            response.recording.room = self.rooms[recording_id]
        answered: Message = response
        return answered

    return call


class RecorderState:
    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.error: RpcError | None = None
        self.rooms = {"RC_new": "lobby", "RC_1": "lobby", "RC_2": "elsewhere"}


# A servicer with every method of the contract, also with those that are added later.
FakeRecorder: Any = type(
    "FakeRecorder",
    (RecorderState, recorder_pb2_grpc.RecorderServiceServicer),
    {method: answering(method) for method in SERVICE.methods_by_name},
)


class Deployment:
    def __init__(self, recorder: RecorderState, harness: Harness) -> None:
        self.recorder = recorder
        self.harness = harness

    async def send(
        self, method: str, path: str, body: Any = None, token: str = ADMIN, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        data = None
        if body is not None:
            given["Content-Type"] = "application/json"
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{self.harness.url}{path}"
        async with self.harness.http.request(method, url, data=data, headers={**given, **headers}) as answer:
            return answer.status, json.loads(await answer.text())

    @property
    def last(self) -> Any:
        return self.recorder.requests[-1]


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    recorder = FakeRecorder()
    server = RpcServer("127.0.0.1", 0, max_message_bytes=1 << 20, observe=lambda *_: None)
    server.add_service(SERVICE, recorder_pb2_grpc.add_RecorderServiceServicer_to_server, recorder)
    await server.start()
    try:
        async with Harness(recorder_address=f"127.0.0.1:{server.port}") as harness:
            yield Deployment(recorder, harness)
    finally:
        await server.close()


async def test_a_participant_with_the_grant_starts_a_recording_of_its_room(deployment: Deployment) -> None:
    body = {"spec": {"participants": True, "segmentMs": 4000}, "requestId": "once"}
    status, answered = await deployment.send("POST", "/v1/recordings", body, HOST)
    assert (status, answered["recording"]["id"]) == (200, "RC_new")
    assert deployment.last == recorder_pb2.StartRecordingRequest(
        app="devkey",
        room="lobby",
        request_id="once",
        started_by="ann",
        spec=recording_pb2.RecordingSpec(participants=True, segment_ms=4000),
    )


async def test_a_server_starts_one_of_any_room(deployment: Deployment) -> None:
    status, _ = await deployment.send("POST", "/v1/recordings", {"room": "elsewhere"})
    assert status == 200
    assert (deployment.last.room, deployment.last.started_by) == ("elsewhere", "server")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/stop", None, recorder_pb2.StopRecordingRequest(app="devkey", recording_id="RC_1")),
        ("POST", "/pause", None, recorder_pb2.PauseRecordingRequest(app="devkey", recording_id="RC_1")),
        ("POST", "/resume", None, recorder_pb2.ResumeRecordingRequest(app="devkey", recording_id="RC_1")),
        ("DELETE", "", None, recorder_pb2.DeleteRecordingRequest(app="devkey", recording_id="RC_1")),
        ("GET", "", None, recorder_pb2.GetRecordingRequest(app="devkey", recording_id="RC_1")),
        (
            "POST",
            "/markers",
            {"name": "vote", "atMs": "7"},
            recorder_pb2.AddMarkerRequest(app="devkey", recording_id="RC_1", name="vote", at_ms=7),
        ),
        (
            "PATCH",
            "",
            {"hold": True, "limits": {"maxDurationSeconds": "60"}},
            recorder_pb2.UpdateRecordingRequest(
                app="devkey",
                recording_id="RC_1",
                hold=True,
                limits=recording_pb2.RecordingLimits(max_duration_seconds=60),
            ),
        ),
        (
            "GET",
            "/playback?download=true&expires_in_seconds=60",
            None,
            recorder_pb2.GetPlaybackRequest(
                app="devkey", recording_id="RC_1", download=True, expires_in_seconds=60
            ),
        ),
    ],
)
async def test_each_method_reaches_the_recorder(
    deployment: Deployment, method: str, path: str, body: Any, expected: Message
) -> None:
    status, _ = await deployment.send(method, f"/v1/recordings/RC_1{path}", body, HOST)
    assert status == 200
    assert deployment.last == expected


async def test_lists_are_of_the_tokens_room(deployment: Deployment) -> None:
    assert (await deployment.send("GET", "/v1/recordings?page_size=10&from_ms=5", token=HOST))[0] == 200
    assert deployment.last == recorder_pb2.ListRecordingsRequest(
        app="devkey", room="lobby", page_size=10, from_ms=5
    )
    assert (await deployment.send("GET", "/v1/recordings"))[0] == 200
    assert deployment.last == recorder_pb2.ListRecordingsRequest(app="devkey")


async def test_rules_and_forgetting_need_the_grant_admin(deployment: Deployment) -> None:
    rule = {"roomPattern": "class-*", "spec": {"tracks": True}}
    assert (await deployment.send("PUT", "/v1/recording-rules/classes", rule))[0] == 200
    assert deployment.last.rule.app == "devkey"
    assert deployment.last.rule.name == "classes"
    assert (await deployment.send("GET", "/v1/recording-rules"))[0] == 200
    assert (await deployment.send("DELETE", "/v1/recording-rules/classes"))[0] == 200
    assert (await deployment.send("DELETE", "/v1/recordings?identity=bob"))[0] == 200
    assert deployment.last == recorder_pb2.ForgetIdentityRequest(app="devkey", identity="bob")
    count = len(deployment.recorder.requests)
    for method, path, body in (
        ("PUT", "/v1/recording-rules/classes", rule),
        ("GET", "/v1/recording-rules", None),
        ("DELETE", "/v1/recording-rules/classes", None),
        ("DELETE", "/v1/recordings?identity=bob", None),
    ):
        status, error = await deployment.send(method, path, body, HOST)
        assert (status, error["code"], error["details"]) == (403, "PERMISSION_DENIED", {"grant": "admin"})
    assert len(deployment.recorder.requests) == count


@pytest.mark.parametrize(
    ("token", "method", "path", "body", "status", "code"),
    [
        ("", "GET", "/v1/recordings", None, 401, "TOKEN_MISSING"),
        ("nonsense", "GET", "/v1/recordings", None, 401, "TOKEN_INVALID"),
        (GUEST, "POST", "/v1/recordings", {}, 403, "PERMISSION_DENIED"),
        (GUEST, "GET", "/v1/recordings/RC_1", None, 403, "PERMISSION_DENIED"),
        (HOST, "POST", "/v1/recordings", {"room": "elsewhere"}, 403, "PERMISSION_DENIED"),
        (HOST, "GET", "/v1/recordings?room=elsewhere", None, 403, "PERMISSION_DENIED"),
        (HOST, "GET", "/v1/recordings/RC_2", None, 404, "RECORDING_NOT_FOUND"),
        (HOST, "DELETE", "/v1/recordings/RC_2", None, 404, "RECORDING_NOT_FOUND"),
        (ADMIN, "GET", "/v1/recordings/RC_9", None, 404, "RECORDING_NOT_FOUND"),
    ],
)
async def test_what_the_token_does_not_grant_is_refused(
    deployment: Deployment, token: str, method: str, path: str, body: Any, status: int, code: str
) -> None:
    got, error = await deployment.send(method, path, body, token)
    assert (got, error["code"]) == (status, code)
    changed = [r for r in deployment.recorder.requests if not isinstance(r, recorder_pb2.GetRecordingRequest)]
    assert changed == []


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/v1/recordings", {"spec": {"sgementMs": 1}}, "sgementMs"),
        ("POST", "/v1/recordings", {"spec": {"segmentMs": "soon"}}, "spec"),
        ("POST", "/v1/recordings", b"{", "body"),
        ("POST", "/v1/recordings", b"\xff", "body"),
        ("POST", "/v1/recordings", b"[" * 60_000, "body"),
        ("POST", "/v1/recordings", {"app": "another"}, "app"),
        ("GET", "/v1/recordings?state=running", None, "state"),
        ("GET", "/v1/recordings?page_size=501", None, "page_size"),
        ("GET", "/v1/recordings?page_size=1&page_size=2", None, "page_size"),
        ("GET", "/v1/recordings/RC_1/playback?download=perhaps", None, "download"),
        ("POST", "/v1/recordings/RC_1/markers", {"recordingId": "RC_2"}, "recordingId"),
        ("DELETE", "/v1/recordings", None, "identity"),
    ],
)
async def test_malformed_requests_name_the_field(
    deployment: Deployment, method: str, path: str, body: Any, field: str
) -> None:
    status, error = await deployment.send(method, path, body)
    assert (status, error["code"]) == (400, "INVALID_ARGUMENT")
    assert field in error["details"]["field"]


async def test_a_large_body_is_refused_and_another_type_too(deployment: Deployment) -> None:
    status, error = await deployment.send("POST", "/v1/recordings", b" " * (64 * 1024 + 1))
    assert (status, error["code"]) == (413, "MESSAGE_TOO_LARGE")
    status, error = await deployment.send("POST", "/v1/recordings", b"<a/>", **{"Content-Type": "text/xml"})
    assert (status, error["code"]) == (400, "INVALID_ARGUMENT")


async def test_errors_of_the_recorder_pass_through(deployment: Deployment) -> None:
    deployment.recorder.error = RpcError(
        ErrorCode.STORAGE_REFUSED, "The bucket does not exist.", details={"store_code": "NoSuchBucket"}
    )
    status, error = await deployment.send("POST", "/v1/recordings", {})
    assert (status, error["code"], error["details"]) == (
        502,
        "STORAGE_REFUSED",
        {"store_code": "NoSuchBucket"},
    )


async def test_a_deployment_without_a_recorder_says_so(harness: Harness) -> None:
    deployment = Deployment(FakeRecorder(), harness)
    status, error = await deployment.send("GET", "/v1/recordings")
    assert (status, error["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert error["retryAfterMs"] > 0


async def test_an_app_that_asks_too_often_receives_a_retry_time() -> None:
    async with Harness(recording_requests_per_second=0.01, recording_request_burst=1) as slow:
        deployment = Deployment(FakeRecorder(), slow)
        assert (await deployment.send("GET", "/v1/recordings"))[0] == 503
        status, error = await deployment.send("GET", "/v1/recordings")
        assert (status, error["code"]) == (429, "RATE_LIMITED")
        assert error["retryAfterMs"] > 0


async def test_pages_of_an_allowed_origin_may_ask(deployment: Deployment) -> None:
    origin = {"Origin": "http://localhost:5173"}
    url = f"{deployment.harness.url}/v1/recordings/RC_1/stop"
    async with deployment.harness.http.options(url, headers=origin) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
    async with deployment.harness.http.options(url, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
