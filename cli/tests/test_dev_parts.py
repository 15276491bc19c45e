"""The parts of `nexus dev`: lines, the log, ports, addresses, and the services' environment."""

import asyncio
import io
import json
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_cli.dev import addresses, ports
from nexus_cli.dev.lines import LineSplitter
from nexus_cli.dev.log_view import LogView
from nexus_cli.dev.services import RecorderPorts, Settings, stages
from nexus_testkit import free_port


@given(st.lists(st.binary(max_size=40)))
def test_lines_do_not_depend_on_the_chunks_of_the_pipe(chunks: list[bytes]) -> None:
    pieces, whole = LineSplitter(), LineSplitter()
    got = [line for chunk in chunks for line in pieces.feed(chunk)] + pieces.finish()
    assert got == whole.feed(b"".join(chunks)) + whole.finish()


def test_an_endless_line_is_split() -> None:
    splitter = LineSplitter(longest=4)
    assert splitter.feed(b"abcdefghij") == ["abcd", "efgh"]
    assert splitter.finish() == ["ij"]


def test_invalid_utf8_is_replaced() -> None:
    assert LineSplitter().feed(b"\xff ok\r\n") == ["\N{REPLACEMENT CHARACTER} ok"]


def test_each_process_has_its_own_colour_on_a_terminal() -> None:
    stream = io.StringIO()
    log = LogView(stream, ["nats", "sfu"], coloured=True)
    log.line("nats", "a")
    log.line("sfu", "b")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("\x1b[")
    assert second.startswith("\x1b[")
    assert first.split("m")[0] != second.split("m")[0]


def test_output_to_a_program_has_no_colour() -> None:
    stream = io.StringIO()
    LogView(stream, ["sfu"], coloured=False).line("sfu", "text")
    assert stream.getvalue() == "sfu   │ text\n"


def test_lines_that_cannot_be_written_are_counted() -> None:
    stream = io.StringIO()
    stream.close()
    log = LogView(stream, [], coloured=False)
    log.own("x")
    assert log.lost_lines == 1


@pytest.mark.parametrize(
    ("kind", "socket_kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)], ids=["tcp", "udp"]
)
def test_the_error_for_a_busy_port_names_its_option(kind: str, socket_kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, socket_kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == "tcp":
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ports.PortUnavailable, match=rf"{port} on 127.0.0.1 is in use.*--some-port"):
            ports.check(ports.PortRequest("127.0.0.1", port, "--some-port", kind))


def serve(port: int) -> socket.socket:
    """Listens as servers do: asyncio, gRPC, Go and the engine's TCP all set SO_REUSEADDR."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_held_port_is_reserved_for_its_owner() -> None:
    port = free_port()
    request = ports.PortRequest("127.0.0.1", port, "--port", with_udp=True)
    with ports.held([request]):
        for kind in (
            socket.SOCK_STREAM,
            socket.SOCK_DGRAM,
        ):
            with socket.socket(socket.AF_INET, kind) as other, pytest.raises(OSError, match="in use"):
                other.bind(("0.0.0.0", port))
        with serve(port) as server, socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as released:
        released.bind(("127.0.0.1", port))


def test_a_chosen_media_port_stays_available_to_the_sfu() -> None:
    port = free_port(kind=socket.SOCK_DGRAM)
    requests = [ports.PortRequest("127.0.0.1", port, "--media-port", kind) for kind in ("udp", "tcp")]
    with ports.held(requests), serve(port), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", port))


def test_a_busy_port_releases_those_already_held() -> None:
    first = free_port()
    with serve(0) as server:
        taken = server.getsockname()[1]
        requests = [ports.PortRequest("127.0.0.1", port, "--port") for port in (first, taken)]
        with (
            pytest.raises(ports.PortUnavailable, match=f"{taken} on 127.0.0.1 is in use"),
            ports.held(requests),
        ):
            raise AssertionError
    with socket.socket() as released:
        released.bind(("127.0.0.1", first))


def test_an_address_of_another_machine_is_reported() -> None:
    with pytest.raises(
        ports.PortUnavailable, match=r"203\.0\.113\.7 is not an address of this machine.*--host"
    ):
        ports.check(ports.PortRequest("203.0.113.7", 7880, "--port"))


def test_candidates_of_a_loopback_host_begin_with_it_and_include_others_for_firefox() -> None:
    assert addresses.listening("localhost") == "127.0.0.1"
    candidates = addresses.candidates("127.0.0.1")
    assert candidates[0] == "127.0.0.1"
    assert candidates.count("127.0.0.1") == 1
    assert set(addresses.candidates("0.0.0.0")) <= set(candidates)


def test_candidates_of_an_ipv6_loopback_are_of_both_families(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = ["127.0.0.1", ("::1", 0, 0), "192.0.2.7", ("2001:db8::7", 0, 0), ("fe80::7", 0, 2)]
    adapters = [SimpleNamespace(ips=[SimpleNamespace(ip=ip) for ip in own])]
    monkeypatch.setattr("ifaddr.get_adapters", lambda: adapters)
    assert addresses.candidates("::1") == ["::1", "192.0.2.7", "2001:db8::7", "127.0.0.1"]
    assert addresses.candidates("::") == ["192.0.2.7", "2001:db8::7", "127.0.0.1"]
    assert addresses.candidates("127.0.0.1") == ["127.0.0.1", "192.0.2.7"]
    assert addresses.media_host(addresses.candidates("::1")) == "", "sockets of both families"


def test_the_media_host_is_a_loopback_only_if_it_is_the_sole_candidate() -> None:
    assert addresses.media_host(["127.0.0.1"]) == "127.0.0.1"
    assert addresses.media_host(["127.0.0.1", "192.0.2.7"]) == "0.0.0.0"
    assert addresses.media_host(["::1", "fd00::2"]) == "::"
    assert addresses.media_host(["::1", "127.0.0.1"]) == ""


def test_candidates_of_the_unspecified_host_are_the_machines_addresses() -> None:
    assert addresses.media_host(["192.0.2.7"]) == "0.0.0.0"
    assert addresses.candidates("192.0.2.7") == ["192.0.2.7"]
    own = addresses.candidates("0.0.0.0")
    assert own
    assert "0.0.0.0" not in own
    found = ["127.0.0.1", "192.0.2.7", "169.254.1.1", "fd00::2", "::1", "192.0.2.7"]
    assert addresses.reachable(found, with_ipv6=False) == ["192.0.2.7", "127.0.0.1"]
    assert addresses.reachable(found, with_ipv6=True) == ["192.0.2.7", "fd00::2", "127.0.0.1"]


@pytest.mark.parametrize("bad", ["example.com", "300.1.1.1", ""])
def test_a_candidate_must_be_an_ip_address(bad: str) -> None:
    with pytest.raises(ValueError, match="--media-address"):
        addresses.checked([bad])


def settings(folder: Path, host: str = "127.0.0.1") -> Settings:
    return Settings(
        host=host,
        port=7999,
        media_host=host,
        media_port=5000,
        media_addresses=("127.0.0.1",),
        folder=folder,
        log_level="info",
        coloured=False,
    )


def test_the_broker_starts_first_and_signaling_last(tmp_path: Path) -> None:
    names = [stage.name for stage in stages(settings(tmp_path))]
    assert names[0] == "nats"
    assert names[-1] == "signaling"


def test_the_recorder_starts_before_signaling_or_not_at_all(tmp_path: Path) -> None:
    assert "recorder" not in [stage.name for stage in stages(settings(tmp_path))]
    with_recorder = replace(settings(tmp_path), recorder=RecorderPorts(grpc=7001, links=7002))
    started = {stage.name: stage for stage in stages(with_recorder)}
    assert list(started) == ["nats", "sfu", "recorder", "signaling"]
    assert started["signaling"].environment["NEXUS_SIGNALING_RECORDER_ADDRESS"] == "127.0.0.1:7001"
    store = json.loads(started["recorder"].environment["NEXUS_STORES"])["default"]
    assert store["link_url"] == "http://127.0.0.1:7002/v1/objects"
    secret = Path(store["link_secret_file"])
    assert secret.stat().st_mode & 0o077 == 0
    before = secret.read_text()
    stages(with_recorder)
    assert secret.read_text() == before


def test_links_are_reachable_from_other_machines(tmp_path: Path) -> None:
    open_to_all = replace(
        settings(tmp_path, "0.0.0.0"),
        media_addresses=("192.0.2.7",),
        recorder=RecorderPorts(grpc=7001, links=7002),
    )
    assert open_to_all.links_url == "http://192.0.2.7:7002"


def test_signalings_environment_has_its_port_and_app(tmp_path: Path) -> None:
    environment = stages(settings(tmp_path))[-1].environment
    assert environment["NEXUS_SIGNALING_PORT"] == "7999"
    assert "devkey" in environment["NEXUS_APPS"]
    assert environment["NEXUS_DEV"] == "1"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7999"),
        ("0.0.0.0", "http://127.0.0.1:7999"),
        ("::", "http://[::1]:7999"),
        ("::1", "http://[::1]:7999"),
        ("192.0.2.7", "http://192.0.2.7:7999"),
    ],
)
def test_the_url_is_reachable_from_this_machine(tmp_path: Path, host: str, url: str) -> None:
    assert settings(tmp_path, host).url == url


async def test_an_incomplete_ports_file_is_read_again(tmp_path: Path) -> None:
    broker = stages(settings(tmp_path))[0]
    written = tmp_path / "ports" / "nats-server_1.ports"
    written.write_text("{")
    waiting = asyncio.ensure_future(broker.started())
    await asyncio.sleep(0)
    assert not waiting.done()
    written.write_text(json.dumps({"nats": ["nats://127.0.0.1:1"]}))
    assert await waiting == {"NEXUS_NATS_URL": "nats://127.0.0.1:1"}
