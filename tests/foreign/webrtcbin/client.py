"""A participant on Debian's GStreamer webrtcbin, written like an application that embeds webrtcbin.

It runs on the system's Python, which has GStreamer's bindings, and imports only `harness.payload` from this
repository. It takes commands on standard input and reports on standard output; tests/foreign/README.md
describes both.
"""

import json
import re
import signal
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import gi

for name, version in (("Gst", "1.0"), ("GstSdp", "1.0"), ("GstWebRTC", "1.0"), ("Soup", "3.0")):
    gi.require_version(name, version)

from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 - after their versions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from webrtcbin.envelope import PROTOCOL, unwrap, wrap  # noqa: E402
from webrtcbin.publisher import Publisher  # noqa: E402
from webrtcbin.session import Session  # noqa: E402
from webrtcbin.subscriber import Subscriber  # noqa: E402

# How long ICE and DTLS may take before the client gives up.
CONNECT_SECONDS = 30
LATENCY_MS = 1_000
POLL_MILLISECONDS = 20

_STANDARD_OUTPUT = sys.stdout
_WRITING = threading.Lock()


def report(event: str, **fields: Any) -> None:
    """Writes a report; any thread may call it."""
    with _WRITING:
        _STANDARD_OUTPUT.write(json.dumps({"event": event, **fields}) + "\n")
        _STANDARD_OUTPUT.flush()


class Failed(Exception):
    """The client cannot continue."""


class Client:
    """The participant. Everything except media runs on GLib's main loop."""

    def __init__(self, configuration: dict[str, Any], loop: GLib.MainLoop) -> None:
        self._configuration = configuration
        self._loop = loop
        self._identities: dict[str, str] = {}
        self._offered = False
        self._connected = False
        self._leaving = False
        self._began = 0.0
        self.exit_code = 0
        self._pipeline = Gst.Pipeline.new()
        self._pipeline.get_bus().add_signal_watch()
        self._pipeline.get_bus().connect("message::error", self._on_pipeline_error)
        self._pipeline.get_bus().connect("message::latency", lambda *_: self._pipeline.recalculate_latency())
        self._webrtc = Gst.ElementFactory.make("webrtcbin")
        # The jitter buffer drops packets that arrive later than its latency, 200 ms by default. A busy
        # machine may pause this process for longer, which the run does not test.
        # Packets in order do not wait.
        self._webrtc.set_property("latency", LATENCY_MS)
        self._webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self._webrtc.connect("notify::ice-gathering-state", self._on_gathering)
        self._webrtc.connect("notify::connection-state", self._on_connection_state)
        self._webrtc.connect("on-data-channel", lambda _, channel: self._listen(channel))
        self._pipeline.add(self._webrtc)
        self._subscriber = Subscriber(self._pipeline, self._webrtc)
        self._publishers = [
            Publisher(Path(configuration[kind]), self._pipeline, self._webrtc)
            for kind in ("audio", "video")
            if configuration[kind]
        ]
        for _ in range(configuration["pairs"]):
            self._subscriber.add_pair()
        # The offer has a section for the data channel only if the channel exists before.
        self._pipeline.set_state(Gst.State.READY)
        options = Gst.Structure.new_from_string(f"options,protocol=(string){PROTOCOL}")
        self._channel = self._webrtc.emit("create-data-channel", "nexus", options)
        self._channel.connect("on-open", lambda _: report("data-open"))
        self._listen(self._channel)
        self._session = Session(configuration["url"], self._join, self._handle_event, self._on_session_end)
        self._pipeline.set_state(Gst.State.PLAYING)
        for publisher in self._publishers:
            publisher.prepare()
        GLib.timeout_add(POLL_MILLISECONDS, self._offer)

    # Negotiation

    def _offer(self) -> bool:
        """Creates the offer once the publishers are prepared. Returns whether GLib must call it again."""
        if not all(publisher.prepared for publisher in self._publishers):
            return True
        self._webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self._on_offer, None))
        return False

    def _on_offer(self, promise: Gst.Promise, _: None) -> None:
        reply = promise.get_reply()  # owns the offer: keep it while the offer is used
        self._webrtc.emit("set-local-description", reply.get_value("offer"), None)

    def _on_gathering(self, *_: Any) -> None:
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self._webrtc.get_property("ice-gathering-state") == complete:
            GLib.idle_add(self._connect)

    def _connect(self) -> None:
        if not self._offered:
            self._offered = True
            self._session.connect()

    def _join(self) -> None:
        description = self._webrtc.get_property("local-description")  # owns the SDP: keep it
        sdp = description.sdp.as_text()
        # webrtcbin's sections are in the order of its transceivers, and publishers created theirs first.
        mids = re.findall(r"^a=mid:(\S+)", sdp, re.MULTILINE)
        publications = [
            {"mid": mid, "source": publisher.source, "preferredCodec": publisher.codec}
            for mid, publisher in zip(mids, self._publishers, strict=False)
        ]
        join = {
            "token": self._configuration["token"],
            "room": self._configuration["room"],
            "sdp": sdp,
            "publications": publications,
            "client": {"sdk": "webrtcbin", "version": Gst.version_string()},
            "bindExisting": self._subscribes,
        }
        self._session.request("join", join, self._on_joined)
        GLib.timeout_add_seconds(CONNECT_SECONDS, self._check_connected)

    @property
    def _subscribes(self) -> bool:
        return bool(self._configuration["pairs"])

    def _on_joined(self, joined: dict[str, Any]) -> None:
        report("joined", participant=joined["participant"]["id"])
        if unused := joined.get("unusedSections"):
            self.fail(f"unused sections: {unused}")
        for other in joined.get("participants", []):
            self._add_participant(other)
        self._session.ping_every(joined["pingIntervalMs"])
        _, sdp = GstSdp.SDPMessage.new_from_text(joined["sdp"])
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self._webrtc.emit("set-remote-description", answer, None)

    def _check_connected(self) -> bool:
        if not self._connected:
            self.fail("ICE and DTLS were not established")
        return False

    def _on_connection_state(self, *_: Any) -> None:
        state = self._webrtc.get_property("connection-state")
        report("connection-state", state=state.value_nick)
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED and not self._connected:
            self._connected = True
            report("connected")
        elif state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            GLib.idle_add(self.fail, "the peer connection failed")

    # The room

    def _handle_event(self, event: dict[str, Any]) -> None:
        if "participantJoined" in event:
            self._add_participant(event["participantJoined"]["participant"], bind=True)
        elif "participantLeft" in event:
            left = event["participantLeft"]
            report("participant-left", identity=left["identity"], reason=left["reason"])
        elif "trackPaused" in event:
            report("track-paused", track=event["trackPaused"]["trackId"])

    def _add_participant(self, other: dict[str, Any], *, bind: bool = False) -> None:
        self._identities[other["id"]] = other["identity"]
        videos = []
        for track in other.get("tracks", []):
            kind = "video" if track["kind"] == "TRACK_KIND_VIDEO" else "audio"
            report("track", identity=other["identity"], kind=kind, number=track["number"])
            videos += [track["id"]] if kind == "video" else []
        if bind and videos and self._subscribes:
            self._session.request("updateSlots", {"bindTrackIds": videos}, self._on_bound)

    def _on_bound(self, bound: dict[str, Any]) -> None:
        if bound.get("unplacedTrackIds"):
            self.fail("no slot is free for a track")

    # Data channels

    def _listen(self, channel: Any) -> None:
        channel.connect("on-message-data", lambda _, data: self._handle_message(data.get_data()))
        channel.connect(
            "on-error", lambda _, error: report("error", message=f"data channel: {error.message}")
        )

    def _handle_message(self, message: bytes) -> None:
        sender, is_text, payload = unwrap(message)
        text = {"text": payload.decode()} if is_text else {}
        identity = self._identities.get(sender, "")
        report("message", **{"from": identity}, size=len(payload), crc=zlib.crc32(payload), **text)

    # Commands

    def execute(self, command: dict[str, Any]) -> None:
        match command["command"]:
            case "start":
                for publisher in self._publishers:
                    publisher.start()
                GLib.timeout_add(1000, self._report_second)
            case "stop":
                self._stop()
                report("stopped")
            case "request-keyframes":
                self._subscriber.request_keyframes()
            case "say" if "text" in command:
                self._send_message(wrap(command["text"].encode(), is_text=True))
            case "say":
                self._send_message(wrap(bytes(at % 251 for at in range(command["size"])), is_text=False))
            case "leave":
                self._leave()
            case unknown:
                self.fail(f"unknown command {unknown!r}")

    def _send_message(self, message: bytes) -> None:
        self._channel.emit("send-data", GLib.Bytes.new(message))

    def _stop(self) -> None:
        for publisher in self._publishers:
            publisher.stop()

    def _report_second(self) -> bool:
        report(
            "second",
            sent={publisher.kind: publisher.counters() for publisher in self._publishers},
            received=self._subscriber.counters(),
            unattributed=self._subscriber.unattributed,
        )
        return not self._leaving

    def _leave(self) -> None:
        if self._leaving:
            return
        self._leaving = True
        self._stop()
        self._report_second()
        for publisher in self._publishers:
            report("payloads", sent=publisher.kind, crcs=publisher.checksums())
        for number, checksums in self._subscriber.checksums().items():
            report("payloads", received=number, crcs=checksums)
        self._session.request("leave", {}, self._on_left)

    def _on_left(self, _: dict[str, Any]) -> None:
        self._pipeline.set_state(Gst.State.NULL)
        report("left")
        self._loop.quit()

    # Ends

    def _on_session_end(self, why: str) -> None:
        if not self._leaving:
            self.fail(why)

    def _on_pipeline_error(self, _: Gst.Bus, message: Gst.Message) -> None:
        error, details = message.parse_error()
        self.fail(f"{message.src.get_name()}: {error.message} ({details})")

    def fail(self, why: str) -> None:
        report("error", message=why)
        self.exit_code = 1
        self._pipeline.set_state(Gst.State.NULL)
        self._loop.quit()


def read_commands(client: Client) -> None:
    """Reads commands. The end of standard input counts as the command to leave, so that no client outlives
    its test."""
    for line in sys.stdin:
        GLib.idle_add(client.execute, json.loads(line))
    GLib.idle_add(client.execute, {"command": "leave"})


def main() -> int:
    configuration = json.loads(sys.stdin.readline())
    Gst.init(None)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    client = Client(configuration, loop)

    def fail_on_exception(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        """GLib would continue after an exception in a callback."""
        sys.__excepthook__(kind, error, traceback)
        client.fail(f"{kind.__name__}: {error}")

    sys.excepthook = fail_on_exception
    threading.Thread(target=read_commands, args=(client,), daemon=True).start()
    loop.run()
    return client.exit_code


if __name__ == "__main__":
    sys.exit(main())
