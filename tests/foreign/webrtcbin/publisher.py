"""Sends one encoded clip at its own rate, and jumps to the next keyframe on request."""

import threading
import time
from pathlib import Path

from gi.repository import Gst, GstWebRTC

from webrtcbin.rtp import Stream, packets_of

MTU = 1200
_SENDONLY = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
# By codec: the caps of the clip, the payloader, and the RTP caps with the payload type.
_CHAINS = {
    b"VP80": (
        "video/x-vp8",
        "rtpvp8pay picture-id-mode=15-bit",
        "media=video,encoding-name=VP8,payload=96",
    ),
    b"H264": (
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "h264parse ! rtph264pay aggregate-mode=zero-latency config-interval=-1",
        "media=video,encoding-name=H264,payload=98",
    ),
    b"OPUS": (
        "audio/x-opus,rate=48000,channels=2,channel-mapping-family=0",
        "rtpopuspay",
        "media=audio,encoding-name=OPUS,payload=111",
    ),
}


class Publisher:
    def __init__(self, path: Path, pipeline: Gst.Pipeline, webrtc: Gst.Element) -> None:
        fourcc, self._rate, self._frames = _read_ivf(path)
        self.kind = "audio" if fourcc == b"OPUS" else "video"
        self.source = "TRACK_SOURCE_MICROPHONE" if self.kind == "audio" else "TRACK_SOURCE_CAMERA"
        self.codec = {b"VP80": "CODEC_VP8", b"H264": "CODEC_H264", b"OPUS": "CODEC_OPUS"}[fourcc]
        self._name = {b"VP80": "vp8", b"H264": "h264", b"OPUS": "opus"}[fourcc]
        self._sent = Stream()
        self._requests = 0
        self._wanted = False
        self._running = threading.Event()
        self._thread: threading.Thread | None = None
        media, payloader, rtp = _CHAINS[fourcc]
        chain = Gst.parse_bin_from_description(
            f"appsrc name=clip is-live=true format=time caps={media} ! {payloader} mtu={MTU} !"
            f" capsfilter name=packets caps=application/x-rtp,{rtp}",
            True,
        )
        pipeline.add(chain)
        chain.link(webrtc)
        self._pipeline = pipeline
        self._clip = chain.get_by_name("clip")
        self._clip.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_UPSTREAM, self._on_event)
        self._packets = chain.get_by_name("packets").get_static_pad("src")
        kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
        self._packets.add_probe(kinds, self._on_packets)
        transceiver = chain.get_static_pad("src").get_peer().get_property("transceiver")
        transceiver.set_property("direction", _SENDONLY)
        transceiver.set_property("do-nack", True)

    def prepare(self) -> None:
        """Sends the first frame, which webrtcbin holds until it is connected, because the payloader reads the
        H.264 parameters of the offer from it."""
        self._push(0, 0)

    @property
    def prepared(self) -> bool:
        return self._packets.get_current_caps() is not None

    def start(self) -> None:
        self._running.set()
        self._thread = threading.Thread(target=self._send, name=self.kind)
        self._thread.start()

    def stop(self) -> None:
        self._running.clear()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def counters(self) -> dict[str, int]:
        return self._sent.counters() | {"requests": self._requests}

    def checksums(self) -> list[int]:
        return self._sent.checksums()

    def _send(self) -> None:
        """Sends frames at their times; late ones are sent at once, and none is skipped."""
        began = time.monotonic()
        first = self._pipeline.get_clock().get_time() - self._pipeline.get_base_time()
        number, at = 0, 1
        while self._running.is_set():
            time.sleep(max(0.0, began + number / self._rate - time.monotonic()))
            if self._wanted:
                self._wanted = False
                at = self._next_keyframe(at)
            self._push(at, first + number * Gst.SECOND // self._rate)
            number, at = number + 1, (at + 1) % len(self._frames)

    def _push(self, at: int, when: int) -> None:
        buffer = Gst.Buffer.new_wrapped(self._frames[at])
        buffer.pts = buffer.dts = when
        buffer.duration = Gst.SECOND // self._rate
        self._clip.emit("push-buffer", buffer)

    def _next_keyframe(self, at: int) -> int:
        while not _is_keyframe(self._name, self._frames[at]):
            at = (at + 1) % len(self._frames)
        return at

    def _on_event(self, _: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        structure = info.get_event().get_structure()
        if structure is not None and structure.get_name() == "GstForceKeyUnit":
            self._requests += 1
            self._wanted = True
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK

    def _on_packets(self, _: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        for packet in packets_of(info):
            self._sent.add(self._name, packet)
        return Gst.PadProbeReturn.OK


def _read_ivf(path: Path) -> tuple[bytes, int, list[bytes]]:
    """Reads codec, frames per second, and frames."""
    content = path.read_bytes()
    frames, at = [], 32
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        frames.append(content[at + 12 : at + 12 + size])
        at += 12 + size
    return content[8:12], int.from_bytes(content[16:20], "little"), frames


def _is_keyframe(codec: str, frame: bytes) -> bool:
    if codec == "h264":
        return any(unit[:1] and unit[0] & 0x1F == 5 for unit in frame.split(b"\0\0\1"))
    return codec == "opus" or frame[0] & 1 == 0
