"""The probe against a fake server: failing steps and their hints, and a whole run with another
participant."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RtpPacket
from nexus.signaling.v1 import session_pb2 as wire
from nexus.types.v1 import media_pb2 as media
from nexus.types.v1.error_pb2 import Error, ErrorCode
from nexus_cli.main import app
from nexus_cli.probe.check import Probe
from nexus_cli.probe.collector import Taken
from nexus_cli.probe.measure import resembles
from nexus_cli.probe.options import Options
from nexus_cli.probe.report import STEPS, Report
from nexus_rtc import App, Participant, Track, mint_token
from nexus_rtc.synthetic import SyntheticCamera, SyntheticMicrophone
from nexus_rtc.testing import FakeServer
from typer.testing import CliRunner

TOKEN = mint_token(App("key", "0123456789abcdef0123456789abcdef"), room="lobby", identity="me")
OPUS, VP8 = 96, 97


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    await fake.start()
    yield fake
    await fake.stop()


def options(server_url: str, **changes: Any) -> Options:
    values: dict[str, Any] = {
        "url": server_url,
        "room": "lobby",
        "token": TOKEN,
        "seconds": 0.0,
        "echo": "never",
    }
    return Options(**(values | changes))


async def probed(wanted: Options) -> Report:
    report = Report(url=wanted.url)
    await Probe(wanted, report).run()
    return report


def states(report: Report) -> dict[str, str]:
    return {step.name: step.state for step in report.steps}


async def test_a_whole_run_with_another_participant_that_sends(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Marked(RtpPacket):
        def __init__(self, **fields: Any) -> None:
            super().__init__(**fields)
            self.csrc = [5 if fields["payload_type"] == OPUS else 6]

    monkeypatch.setattr("aiortc.rtcrtpsender.RtpPacket", Marked)
    server.sends = [SyntheticMicrophone(500), SyntheticCamera((10, 200, 10))]
    tracks = [
        media.Track(id="TR_5", number=5, participant_id="PA_ada", kind=media.TRACK_KIND_AUDIO),
        media.Track(id="TR_6", number=6, participant_id="PA_ada", kind=media.TRACK_KIND_VIDEO),
    ]
    server.join.participants.append(media.Participant(id="PA_ada", identity="ada", tracks=tracks))
    report = await probed(options(server.url, seconds=1.0, step_seconds=60))
    assert report.ok, report.as_json()
    assert states(report)["partner"] == "skipped"
    assert {one.participant for one in report.received} == {"ada"}
    assert sum(one.packets for one in report.received) > 0
    assert {one.kind for one in report.sent if one.packets} == {"audio", "video"}
    assert report.srtp_profile
    assert json.loads(json.dumps(report.as_json()))["failed"] is None


async def test_receiving_is_skipped_without_partner_and_other_participants(server: FakeServer) -> None:
    report = await probed(options(server.url, echo="auto", step_seconds=60))
    assert report.ok
    assert states(report)["received"] == "skipped"
    assert "second token" in report.step("partner").text


async def test_a_participant_that_sends_nothing_is_a_failure(server: FakeServer) -> None:
    track = media.Track(id="TR_5", number=5, participant_id="PA_ada", kind=media.TRACK_KIND_AUDIO)
    server.join.participants.append(media.Participant(id="PA_ada", identity="ada", tracks=[track]))
    report = await probed(options(server.url, step_seconds=3))
    assert report.failed is report.step("received")
    assert "firewall" in report.step("received").hint
    assert states(report)["quality"] == "waiting"


async def test_blocked_udp_fails_at_ice(server: FakeServer) -> None:
    def answer(message: wire.ClientMessage) -> wire.ServerMessage:
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite"]
        mids = [
            line.removeprefix("a=mid:") for line in message.join.sdp.splitlines() if line.startswith("a=mid:")
        ]
        lines.append(f"a=group:BUNDLE {' '.join(mids)}")
        for section in message.join.sdp.split("\r\nm=")[1:]:
            kept = ("a=mid", "a=rtpmap", "a=rtcp-mux")
            own = [line for line in section.splitlines() if line.startswith(kept)]
            lines += [
                f"m={section.splitlines()[0]}",
                "c=IN IP4 127.0.0.1",
                *own,
                "a=sendonly",
                "a=setup:passive",
            ]
            lines += ["a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx"]
            lines += ["a=fingerprint:sha-256 " + ":".join(["00"] * 32)]
            lines += ["a=candidate:1 1 udp 1 127.0.0.1 9 typ host", "a=end-of-candidates"]
        join = wire.JoinResponse(participant=media.Participant(id="PA_me"), sdp="\r\n".join([*lines, ""]))
        return wire.ServerMessage(join=join)

    server.answers["join"] = answer
    report = await probed(options(server.url, step_seconds=1))
    assert report.failed is report.step("ice"), report.as_json()
    assert "NEXUS_SFU_MEDIA_PORT" in report.step("ice").hint
    assert report.as_json()["failed"] == "ice"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (ErrorCode.TOKEN_INVALID, "--secret"),
        (ErrorCode.NO_SFU_AVAILABLE, "nexus nodes"),
        (ErrorCode.INTERNAL, "signaling's log"),
    ],
)
async def test_a_refused_join_has_a_hint(server: FakeServer, code: ErrorCode.ValueType, hint: str) -> None:
    error = Error(code=code, message="no", fatal=True)
    server.answers["join"] = lambda _: wire.ServerMessage(error=error)
    report = await probed(options(server.url))
    assert states(report)["websocket"] == "ok"
    assert report.failed is report.step("answer")
    assert hint in report.step("answer").hint


async def test_an_absent_server_fails_at_websocket() -> None:
    report = await probed(options("http://127.0.0.1:1"))
    assert report.failed is report.step("websocket")
    assert "nexus dev" in report.step("websocket").hint


async def test_an_expired_token_fails_before_connecting() -> None:
    old = mint_token(App("key", "0123456789abcdef0123456789abcdef"), room="a", identity="b", now=0)
    report = await probed(options("http://127.0.0.1:1", token=old))
    assert report.failed is report.step("token")
    assert states(report)["websocket"] == "waiting"


async def test_picture_and_tone_of_another_source_are_detected() -> None:
    camera = Taken(Participant("PA", "a"), Track("TR", 1, "PA", "video", "camera"))
    assert resembles(camera, (200, 0, 0), 440) is None
    camera.add(await SyntheticCamera((200, 0, 0)).recv())
    assert resembles(camera, (200, 0, 0), 440) is True
    assert resembles(camera, (0, 0, 200), 440) is False
    audio = Taken(Participant("PA", "a"), Track("TR", 1, "PA", "audio", "microphone"))
    assert resembles(audio, (0, 0, 0), 440) is None
    microphone = SyntheticMicrophone(440)
    for _ in range(12):
        audio.add(await microphone.recv())
    assert resembles(audio, (0, 0, 0), 440) is True
    assert resembles(audio, (0, 0, 0), 660) is False


def test_the_command_names_the_failed_step_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    arguments = ["probe", "--room", "a", "--url", "http://127.0.0.1:1", "--json", str(file)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "failed websocket" in result.stderr
    report = json.loads(file.read_text())
    assert report["ok"] is False
    assert report["failed"] == "websocket"
    assert [step["name"] for step in report["steps"]] == list(STEPS)


def test_standard_output_is_only_json() -> None:
    result = CliRunner().invoke(app, ["probe", "--room", "a", "--url", "http://127.0.0.1:1", "--json", "-"])
    assert json.loads(result.stdout)["failed"] == "websocket"


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--room", "a", "--srtp-profile", "rot13"],
        ["--room", "a", "--codec", "theora"],
        ["--room", "a", "--colour", "red"],
        ["--token", "no-token"],
        ["--room", "a", "--secret", "short"],
    ],
)
def test_invalid_options_exit_with_code_2(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, ["probe", *wrong]).exit_code == 2
