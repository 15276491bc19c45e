"""The small parts of `nexus dev`: lines, the log, ports, addresses, what the services are told."""

import asyncio
import io
import json
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_cli.dev import addresses, ports
from nexus_cli.dev.lines import LineSplitter
from nexus_cli.dev.log_view import LogView
from nexus_cli.dev.services import Settings, stages
from nexus_testkit import free_port


@given(st.lists(st.binary(max_size=40)))
def test_lines_do_not_depend_on_how_the_pipe_cut_them(chunks: list[bytes]) -> None:
    pieces, whole = LineSplitter(), LineSplitter()
    got = [line for chunk in chunks for line in pieces.feed(chunk)] + pieces.finish()
    assert got == whole.feed(b"".join(chunks)) + whole.finish()


def test_an_endless_line_comes_in_pieces() -> None:
    splitter = LineSplitter(longest=4)
    assert splitter.feed(b"abcdefghij") == ["abcd", "efgh"]
    assert splitter.finish() == ["ij"]


def test_text_that_is_none_is_shown_all_the_same() -> None:
    assert LineSplitter().feed(b"\xff ok\r\n") == ["\N{REPLACEMENT CHARACTER} ok"]


def test_each_process_has_its_own_colour_where_somebody_looks() -> None:
    stream = io.StringIO()
    log = LogView(stream, ["nats", "sfu"], coloured=True)
    log.line("nats", "a")
    log.line("sfu", "b")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("\x1b[")
    assert second.startswith("\x1b[")
    assert first.split("m")[0] != second.split("m")[0]


def test_no_colour_where_a_program_reads() -> None:
    stream = io.StringIO()
    LogView(stream, ["sfu"], coloured=False).line("sfu", "text")
    assert stream.getvalue() == "sfu   │ text\n"


def test_a_log_whose_reader_left_is_counted_and_harmless() -> None:
    stream = io.StringIO()
    stream.close()
    log = LogView(stream, [], coloured=False)
    log.own("x")
    assert log.lost_lines == 1


@pytest.mark.parametrize(
    ("kind", "socket_kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)], ids=["tcp", "udp"]
)
def test_a_busy_port_is_told_with_its_option(kind: str, socket_kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, socket_kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == "tcp":
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ports.PortUnavailable, match=rf"{port} on 127.0.0.1 is in use.*--some-port"):
            ports.check(ports.PortWish("127.0.0.1", port, "--some-port", kind))


def serve(port: int) -> socket.socket:
    """As servers do: asyncio, gRPC, Go and the engine's TCP all set SO_REUSEADDR."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_held_port_is_there_for_its_owner_alone() -> None:
    port = free_port()
    wish = ports.PortWish("127.0.0.1", port, "--port", number_too=True)
    with ports.held([wish]):
        for kind in (
            socket.SOCK_STREAM,
            socket.SOCK_DGRAM,
        ):
            with socket.socket(socket.AF_INET, kind) as other, pytest.raises(OSError, match="in use"):
                other.bind(("0.0.0.0", port))
        with serve(port) as server, socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as let_go:
        let_go.bind(("127.0.0.1", port))


def test_a_named_media_port_is_held_and_left_to_the_media() -> None:
    port = free_port(kind=socket.SOCK_DGRAM)
    wishes = [ports.PortWish("127.0.0.1", port, "--media-port", kind) for kind in ("udp", "tcp")]
    with ports.held(wishes), serve(port), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", port))


def test_what_is_not_free_is_not_held() -> None:
    first = free_port()
    with serve(0) as server:
        taken = server.getsockname()[1]
        wishes = [ports.PortWish("127.0.0.1", port, "--port") for port in (first, taken)]
        with (
            pytest.raises(ports.PortUnavailable, match=f"{taken} on 127.0.0.1 is in use"),
            ports.held(wishes),
        ):
            raise AssertionError
    with socket.socket() as let_go:
        let_go.bind(("127.0.0.1", first))


def test_a_foreign_address_is_told() -> None:
    with pytest.raises(ports.PortUnavailable, match=r"203\.0\.113\.7 is no address of this machine.*--host"):
        ports.check(ports.PortWish("203.0.113.7", 7880, "--port"))


def test_a_loopback_host_tells_the_loopback_first_and_then_what_firefox_needs() -> None:
    assert addresses.listening("localhost") == "127.0.0.1"
    told = addresses.candidates("127.0.0.1")
    assert told[0] == "127.0.0.1"
    assert told.count("127.0.0.1") == 1
    assert set(addresses.candidates("0.0.0.0")) <= set(told)


def test_an_ipv6_loopback_tells_the_machines_addresses_of_both_families(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = ["127.0.0.1", ("::1", 0, 0), "192.0.2.7", ("2001:db8::7", 0, 0), ("fe80::7", 0, 2)]
    adapters = [SimpleNamespace(ips=[SimpleNamespace(ip=ip) for ip in own])]
    monkeypatch.setattr("ifaddr.get_adapters", lambda: adapters)
    assert addresses.candidates("::1") == ["::1", "192.0.2.7", "2001:db8::7", "127.0.0.1"]
    assert addresses.candidates("::") == ["192.0.2.7", "2001:db8::7", "127.0.0.1"]
    assert addresses.candidates("127.0.0.1") == ["127.0.0.1", "192.0.2.7"]
    assert addresses.media_host(addresses.candidates("::1")) == "", "sockets of both families"


def test_loopback_candidates_alone_open_nothing_else() -> None:
    assert addresses.media_host(["127.0.0.1"]) == "127.0.0.1"
    assert addresses.media_host(["127.0.0.1", "192.0.2.7"]) == "0.0.0.0"
    assert addresses.media_host(["::1", "fd00::2"]) == "::"
    assert addresses.media_host(["::1", "127.0.0.1"]) == ""


def test_a_host_of_the_network_has_the_machines_addresses() -> None:
    assert addresses.media_host(["192.0.2.7"]) == "0.0.0.0"
    assert addresses.candidates("192.0.2.7") == ["192.0.2.7"]
    own = addresses.candidates("0.0.0.0")
    assert own
    assert "0.0.0.0" not in own
    found = ["127.0.0.1", "192.0.2.7", "169.254.1.1", "fd00::2", "::1", "192.0.2.7"]
    assert addresses.reachable(found, with_ipv6=False) == ["192.0.2.7", "127.0.0.1"]
    assert addresses.reachable(found, with_ipv6=True) == ["192.0.2.7", "fd00::2", "127.0.0.1"]


@pytest.mark.parametrize("bad", ["example.com", "300.1.1.1", ""])
def test_a_candidate_is_an_address(bad: str) -> None:
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


def test_the_broker_comes_first_and_signaling_last(tmp_path: Path) -> None:
    names = [stage.name for stage in stages(settings(tmp_path))]
    assert names[0] == "nats"
    assert names[-1] == "signaling"


def test_signaling_is_told_where_to_listen_and_which_app_there_is(tmp_path: Path) -> None:
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
def test_the_url_is_one_that_this_machine_can_open(tmp_path: Path, host: str, url: str) -> None:
    assert settings(tmp_path, host).url == url


async def test_a_ports_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    broker = stages(settings(tmp_path))[0]
    written = tmp_path / "ports" / "nats-server_1.ports"
    written.write_text("{")
    waiting = asyncio.ensure_future(broker.started())
    await asyncio.sleep(0)
    assert not waiting.done()
    written.write_text(json.dumps({"nats": ["nats://127.0.0.1:1"]}))
    assert await waiting == {"NEXUS_NATS_URL": "nats://127.0.0.1:1"}
