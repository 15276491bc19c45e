"""Counts received packets by the track that each one names."""

from gi.repository import Gst, GstWebRTC

from webrtcbin.rtp import Stream, packets_of

_RECVONLY = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
_AUDIO = (
    "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,encoding-params=(string)2,payload=111"
)
_VIDEO = (
    "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96;"
    "application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,payload=98,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f"
)


class Subscriber:
    def __init__(self, pipeline: Gst.Pipeline, webrtc: Gst.Element) -> None:
        self._pipeline = pipeline
        self._webrtc = webrtc
        self._streams: dict[int, Stream] = {}
        self._video: list[Gst.Pad] = []
        # Packets that name no track, or several.
        self.unattributed = 0
        webrtc.connect("pad-added", self._on_pad)

    def add_pair(self) -> None:
        for caps in (_AUDIO, _VIDEO):
            transceiver = self._webrtc.emit("add-transceiver", _RECVONLY, Gst.Caps.from_string(caps))
            transceiver.set_property("do-nack", True)

    def request_keyframes(self) -> None:
        for pad in list(self._video):
            structure = Gst.Structure.new_from_string("GstForceKeyUnit,all-headers=(boolean)true")
            pad.send_event(Gst.Event.new_custom(Gst.EventType.CUSTOM_UPSTREAM, structure))

    def counters(self) -> dict[int, dict[str, int]]:
        return {number: stream.counters() for number, stream in list(self._streams.items())}

    def checksums(self) -> dict[int, list[int]]:
        return {number: stream.checksums() for number, stream in list(self._streams.items())}

    def _on_pad(self, _: Gst.Element, pad: Gst.Pad) -> None:
        if pad.direction != Gst.PadDirection.SRC:
            return
        codec = pad.get_current_caps().get_structure(0).get_string("encoding-name").lower()
        if codec != "opus":
            self._video.append(pad)
        kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
        pad.add_probe(kinds, self._on_packets, codec)
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("sync", False)
        sink.set_property("async", False)
        self._pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def _on_packets(self, _: Gst.Pad, info: Gst.PadProbeInfo, codec: str) -> Gst.PadProbeReturn:
        for packet in packets_of(info):
            if not packet.payload:
                continue  # padding of a bandwidth probe
            if len(packet.csrcs) != 1:
                self.unattributed += 1
                continue
            self._streams.setdefault(packet.csrcs[0], Stream()).add(codec, packet)
        return Gst.PadProbeReturn.OK
