"""Log lines are JSON or columns, and never contain credentials."""

import json
import logging
from collections.abc import Iterator

import jwt
import pytest
import structlog
from nexus_runtime import configure_logs
from nexus_runtime.logs import MASK, mask_secrets


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_event_fields_service_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("sfu", format="json", bound={"node": "n1"})
    structlog.get_logger().bind(room="lobby").info("track_published", track="t1")
    (line,) = lines(capsys)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "track_published",
        "level": "info",
        "room": "lobby",
        "track": "t1",
        "service": "sfu",
        "node": "n1",
    }


def test_the_standard_library_logs_in_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("sfu", format="json")
    logging.getLogger("grpc").warning("lost %s", "a peer")
    logging.getLogger("aiohttp.access").info("GET /")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["service"]) == ("lost a peer", "warning", "sfu")


def test_lines_below_the_level_are_dropped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_LOG_LEVEL", "warning")
    configure_logs("sfu", format="json")
    structlog.get_logger().info("quiet")
    logging.getLogger("x").info("quiet")
    assert lines(capsys) == []


def test_an_invalid_level_is_info(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_LOG_LEVEL", "loud")
    configure_logs("sfu", format="json")
    structlog.get_logger().debug("quiet")
    structlog.get_logger().info("shown")
    assert [line["event"] for line in lines(capsys)] == ["shown"]


def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("sfu", format="json")
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: broken" in str(line["exception"])


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_written(capsys: pytest.CaptureFixture[str], format: str) -> None:
    configure_logs("signaling", format="json" if format == "json" else "console")
    token = jwt.encode({"sub": "me", "room": "lobby"}, "a" * 32, algorithm="HS256")
    log = structlog.get_logger()
    log.info("joined", token="opaque-1", api_secret="opaque-2", headers={"Authorization": "opaque-3"})
    log.info("opened", url=f"/ws?access={token}", tried=[f"x {token}"])
    log.info(f"a careless sentence with {token}")
    try:
        raise ValueError(f"bad {token}")
    except ValueError:
        log.exception("failed")
    written = capsys.readouterr().err
    assert token not in written
    assert "ValueError" in written
    for opaque in ("opaque-1", "opaque-2", "opaque-3"):
        assert opaque not in written
    assert MASK in written


def test_a_count_of_tokens_is_not_masked() -> None:
    assert mask_secrets(None, "", {"tokens": 3, "token_valid": True, "token": None}) == {
        "tokens": 3,
        "token_valid": True,
        "token": None,
    }


def test_the_environment_chooses_the_format(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_LOG_FORMAT", "console")
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logs("sfu")
    structlog.get_logger().info("started", port=1)
    written = capsys.readouterr().err
    assert "started" in written
    assert "port=1" in written
    assert "\x1b[" not in written
    monkeypatch.delenv("NEXUS_LOG_FORMAT")
    configure_logs("sfu")
    structlog.get_logger().info("piped")
    (line,) = lines(capsys)
    assert line["event"] == "piped"
