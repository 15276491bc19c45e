"""The commands, run through their command lines."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from nexus.types.v1.state_pb2 import NodeRecord
from nexus_cli import development, durations
from nexus_cli.known_nodes import broker
from nexus_cli.main import app
from nexus_testkit import NatsServer
from typer.testing import CliRunner

runner = CliRunner()


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def claims(output: str) -> dict[str, object]:
    token = output.splitlines()[-1]
    decoded: dict[str, object] = jwt.decode(token, development.SECRET, algorithms=["HS256"])
    return decoded


def test_a_token_is_the_last_line_and_carries_the_options() -> None:
    arguments = "token --room lobby --identity ada --name Ada --grant publish --grant subscribe --ttl 2h"
    result = runner.invoke(app, [*arguments.split(), "--attribute", "team=red=blue", "--url", "wss://x"])
    assert result.exit_code == 0, result.output
    got = claims(result.stdout)
    assert got["iss"] == "devkey"
    assert (got["sub"], got["room"], got["name"]) == ("ada", "lobby", "Ada")
    assert got["grants"] == {"publish": True, "subscribe": True}
    assert got["attributes"] == {"team": "red=blue"}
    assert got["url"] == "wss://x"
    assert int(str(got["exp"])) - int(str(got["iat"])) == 7200
    assert got["jti"]


def test_a_token_has_the_usual_grants_by_default() -> None:
    result = runner.invoke(app, ["token", "--room", "a", "--identity", "b"])
    assert claims(result.stdout)["grants"] == dict.fromkeys(["create", "data", "publish", "subscribe"], True)


def test_a_token_of_another_app() -> None:
    secret = "another-secret-that-is-long-enough-for-it"
    arguments = ["token", "--room", "a", "--identity", "b", "--app", "k1", "--secret", secret]
    result = runner.invoke(app, arguments)
    assert jwt.decode(result.stdout.split()[-1], secret, algorithms=["HS256"])["iss"] == "k1"


@pytest.mark.parametrize(
    "extra",
    [
        ["--grant", "everything"],
        ["--ttl", "soon"],
        ["--ttl", "0"],
        ["--attribute", "novalue"],
        ["--secret", "short"],
        ["--room", ""],
    ],
)
def test_invalid_options_print_no_token(extra: list[str]) -> None:
    result = runner.invoke(app, ["token", "--room", "a", "--identity", "b", *extra])
    assert result.exit_code == 2
    assert "eyJ" not in result.output


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604800)]
)
def test_durations(text: str, expected: int) -> None:
    assert durations.seconds(text) == expected


def test_a_busy_port_is_reported_before_any_process_starts(busy_port: int, tmp_path: Path) -> None:
    result = runner.invoke(app, ["dev", "--port", str(busy_port), "--data-dir", str(tmp_path / "data")])
    assert result.exit_code == 2
    assert f"TCP port {busy_port} on 127.0.0.1 is in use" in result.output
    assert "--port" in result.output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--media-address", "here"], "--media-address"),
        (["--log-level", "loud"], "--log-level"),
        (["--host", "203.0.113.7"], "--host"),
        (["--port", "0"], "--port"),
    ],
)
def test_invalid_options_of_dev_are_reported(extra: list[str], said: str, tmp_path: Path) -> None:
    result = runner.invoke(app, ["dev", "--data-dir", str(tmp_path / "data"), *extra])
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "data").exists()


def test_nodes_without_a_broker(busy_port: int) -> None:
    result = runner.invoke(app, ["nodes", "--nats-url", "nats://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "no broker" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["hi", "--room", "lobby", "--url", "http://127.0.0.1:1"], 1, "CONNECTION_FAILED"),
        (["x" * (256 * 1024 + 1), "--room", "lobby"], 1, "DATA_TOO_LARGE"),
        (["hi", "--room", "lobby", "--url", "lobby"], 2, "no server address"),
        (["hi", "--room", ""], 2, "must not be empty"),
    ],
)
def test_errors_of_say_are_reported(arguments: list[str], code: int, said: str) -> None:
    result = runner.invoke(app, ["say", *arguments])
    assert result.exit_code == code, result.output
    assert said in result.output


def test_nodes_of_a_broker_with_none_and_with_one(nats_server: NatsServer) -> None:
    arguments = ["nodes", "--nats-url", nats_server.url]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "no SFU node" in result.output

    asyncio.run(register(nats_server.url, NodeRecord(node_id="sfu-a", draining=True)))
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "sfu-a" in result.output
    assert "draining" in result.output


async def register(nats_url: str, record: NodeRecord) -> None:
    async with broker(nats_url) as stream:
        bucket = await stream.create_key_value(bucket="nodes")
        await bucket.put(record.node_id, record.SerializeToString())


def test_versions() -> None:
    result = runner.invoke(app, ["version"])
    assert result.exit_code == 0
    assert "nexus-cli 0.1.0" in result.output
    assert runner.invoke(app, ["--version"]).output == "nexus 0.1.0\n"
