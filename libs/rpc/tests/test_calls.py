"""Calls from one service to another, over real gRPC on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import grpc
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import ChannelPool, RpcError, RpcServer, RpcTls, request_id
from nexus_runtime import ClientError
from nexus_testkit import free_port, wait_until

SERVICE = sfu_pb2.DESCRIPTOR.services_by_name["SfuService"]
Handler = Callable[[Any, Any], Any]


class Peer(sfu_pb2_grpc.SfuServiceServicer):
    """Two methods of the SFU's contract, whose behaviour a test controls."""

    def __init__(self) -> None:
        self.ids: list[str | None] = []
        self.on_leave: Callable[[], None] = lambda: None
        self.stalls = False
        self.items = 3

    async def Leave(self, request: sfu_pb2.LeaveRequest, context: Any) -> sfu_pb2.LeaveResponse:
        self.ids.append(request_id.current())
        if self.stalls:
            await asyncio.Event().wait()
        self.on_leave()
        return sfu_pb2.LeaveResponse()

    async def WatchStats(
        self, request: sfu_pb2.WatchStatsRequest, context: Any
    ) -> AsyncIterator[sfu_pb2.WatchStatsResponse]:
        self.ids.append(request_id.current())
        for number in range(self.items):
            yield sfu_pb2.WatchStatsResponse(at_ms=number)
        self.on_leave()


class Pair:
    """A server and a pool of channels that calls it."""

    def __init__(self, server_tls: RpcTls | None = None, client_tls: RpcTls | None = None) -> None:
        self.peer = Peer()  # type: ignore[abstract]  # the other methods are not called
        self.served: list[tuple[str, str]] = []
        self.called: list[tuple[str, str]] = []
        self.server = RpcServer(
            "127.0.0.1",
            0,
            max_message_bytes=1 << 20,
            observe=lambda method, outcome: self.served.append((method, outcome)),
            tls=server_tls,
        )
        self.server.add_service(SERVICE, sfu_pb2_grpc.add_SfuServiceServicer_to_server, self.peer)
        self.pool = ChannelPool(
            sfu_pb2_grpc.SfuServiceStub,
            unreachable=RpcError(ErrorCode.SFU_UNREACHABLE, "No answer.", retry_after_ms=7),
            observe=lambda method, outcome, _seconds: self.called.append((method, outcome)),
            tls=client_tls,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    async def leave(self, timeout_ms: int = 20_000) -> sfu_pb2.LeaveResponse:
        rpc = self.pool.stub(self.address).Leave
        return await self.pool.call("Leave", rpc, sfu_pb2.LeaveRequest(), timeout_ms=timeout_ms)

    async def watch(self) -> list[int]:
        rpc = self.pool.stub(self.address).WatchStats
        return [m.at_ms async for m in self.pool.stream("WatchStats", rpc, sfu_pb2.WatchStatsRequest())]

    async def __aenter__(self) -> "Pair":
        await self.server.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.pool.close()
        await self.server.close(0)


def full() -> None:
    raise RpcError(
        ErrorCode.ROOM_FULL, "The room is full.", retry_after_ms=5, details={"limit": 200, "room": "lobby"}
    )


async def test_an_error_reaches_the_caller_as_it_was_raised() -> None:
    async with Pair() as pair:
        pair.peer.on_leave = full
        for call in (pair.leave, pair.watch):
            with pytest.raises(RpcError) as caught:
                await call()
            error = caught.value
            assert (error.code, error.message) == (ErrorCode.ROOM_FULL, "The room is full.")
            assert (error.retry_after_ms, error.details) == (5, {"limit": "200", "room": "lobby"})
        assert pair.served == [("Leave", "ROOM_FULL"), ("WatchStats", "ROOM_FULL")]
        assert pair.called == pair.served


async def test_plain_grpc_callers_receive_a_status_beside_the_error() -> None:
    async with Pair() as pair, aio.insecure_channel(pair.address) as channel:
        pair.peer.on_leave = full
        with pytest.raises(aio.AioRpcError) as caught:
            await sfu_pb2_grpc.SfuServiceStub(channel).Leave(sfu_pb2.LeaveRequest())
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "ROOM_FULL: The room is full."


async def test_a_defect_is_logged_and_its_text_is_not_sent() -> None:
    def break_down() -> None:
        raise ZeroDivisionError("/secret/path")

    async with Pair() as pair:
        pair.peer.on_leave = break_down
        with structlog.testing.capture_logs() as lines:
            for call in (pair.leave, pair.watch):
                with pytest.raises(RpcError) as caught:
                    await call()
                assert caught.value.code == ErrorCode.INTERNAL
                assert "secret" not in str(caught.value)
        assert [line["method"] for line in lines if line["event"] == "request_failed"] == [
            "Leave",
            "WatchStats",
        ]


async def test_a_request_id_crosses_the_call() -> None:
    async with Pair() as pair:
        with request_id.bound("signaling-77"):
            await pair.leave()
            await pair.watch()
        await pair.leave()
        assert pair.peer.ids[:2] == ["signaling-77", "signaling-77"]
        assert pair.peer.ids[2] not in (None, "signaling-77")
        assert request_id.current() is None


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a\x1b[31m"])
def test_an_id_that_could_forge_a_log_line_is_rejected(sent: str) -> None:
    assert request_id.received([("nexus-request-id", sent)]) is None
    assert request_id.received([("other", "abc")]) is None
    assert request_id.received([("nexus-request-id", b"abc")]) is None


async def test_a_stream_is_delivered_and_counted_at_its_end() -> None:
    async with Pair() as pair:
        assert await pair.watch() == [0, 1, 2]
        await wait_until(lambda: pair.served == [("WatchStats", "OK")])
        assert pair.called == [("WatchStats", "OK")]


async def test_a_reader_that_stops_ends_the_stream_at_the_server() -> None:
    async with Pair() as pair:
        pair.peer.items = 1_000_000
        rpc = pair.pool.stub(pair.address).WatchStats
        stream = pair.pool.stream("WatchStats", rpc, sfu_pb2.WatchStatsRequest())
        assert (await anext(stream)).at_ms == 0
        await stream.aclose()
        await wait_until(lambda: pair.served == [("WatchStats", "CANCELLED")])
        assert pair.called == [("WatchStats", "CANCELLED")]


async def test_a_peer_that_does_not_answer_in_time_is_unreachable_and_its_handler_ends() -> None:
    async with Pair() as pair:
        await pair.leave()
        pair.peer.stalls = True
        with pytest.raises(RpcError) as caught:
            await pair.leave(timeout_ms=200)
        assert (caught.value.code, caught.value.retry_after_ms) == (ErrorCode.SFU_UNREACHABLE, 7)
        await wait_until(lambda: ("Leave", "CANCELLED") in pair.served)


async def test_a_stopped_peer_is_unreachable_until_it_returns() -> None:
    async with Pair() as pair:
        await pair.leave()
        port = pair.server.port
        await pair.server.close(0)
        with pytest.raises(RpcError) as caught:
            await pair.leave()
        assert caught.value.code == ErrorCode.SFU_UNREACHABLE
        again = RpcServer("127.0.0.1", port, max_message_bytes=1 << 20, observe=lambda _m, _o: None)
        again.add_service(SERVICE, sfu_pb2_grpc.add_SfuServiceServicer_to_server, pair.peer)
        await again.start()

        async def answers() -> bool:
            try:
                await pair.leave()
            except RpcError:
                return False
            return True

        for _ in range(100):
            if await answers():
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("the peer was not found again")
        await again.close(0)


async def test_health_and_reflection_answer() -> None:
    async with Pair() as pair, aio.insecure_channel(pair.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE.full_name):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await pair.server.set_serving(False)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE.full_name))
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed = [answer async for answer in stub.ServerReflectionInfo(requests)]
        assert SERVICE.full_name in {s.name for s in listed[0].list_services_response.service}
        assert pair.served == []  # neither is a call of an added service


async def test_the_error_names_a_port_in_use() -> None:
    port = free_port()
    first = RpcServer("127.0.0.1", port, max_message_bytes=1 << 20, observe=lambda _m, _o: None)
    assert first.port == port
    with pytest.raises(ClientError, match=f"GRPC_PORT_UNAVAILABLE.*:{port}"):
        RpcServer("127.0.0.1", port, max_message_bytes=1 << 20, observe=lambda _m, _o: None)


# TLS


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._sign(self._name, self._key.public_key(), ca=True)

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("sfu.internal")]
                ),
                critical=False,
            )
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self) -> tuple[bytes, bytes]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "service")])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._sign(name, key.public_key(), ca=False), pem


async def test_mutual_tls_admits_only_callers_with_a_certificate_of_the_authority() -> None:
    trusted, other = Authority(), Authority()
    certificate, key = trusted.issue()
    server = RpcTls(certificate, key, trusted.certificate)
    async with Pair(server, RpcTls(*trusted.issue(), trusted.certificate)) as pair:
        await pair.leave()
        await pair.watch()
    for client in (
        RpcTls(authority=trusted.certificate),  # no certificate
        RpcTls(*other.issue(), trusted.certificate),  # a certificate signed by another authority
        RpcTls(*trusted.issue(), other.certificate),  # does not trust the server
        RpcTls(),  # plaintext
    ):
        async with Pair(server, client) as pair:
            with pytest.raises(RpcError) as caught:
                await pair.leave()
            assert caught.value.code == ErrorCode.SFU_UNREACHABLE
            assert pair.peer.ids == []


async def test_the_server_name_replaces_the_host_in_the_check_of_the_certificate() -> None:
    ours = Authority()
    certificate, key = ours.issue()
    async with Pair(
        RpcTls(certificate, key), RpcTls(authority=ours.certificate, server_name="sfu.internal")
    ) as pair:
        await pair.leave()
    async with Pair(
        RpcTls(certificate, key), RpcTls(authority=ours.certificate, server_name="other")
    ) as pair:
        with pytest.raises(RpcError):
            await pair.leave()
